/* A live echo in C99: sends each frame of the caller straight back. It keeps nothing but the way out.
   cc -std=c99 -shared -fPIC -I plugin-api/include -o libecho.so echo.c */
#include <stdlib.h>
#include <string.h>
#include "voice_plugin.h"

typedef struct { const vp_host *host; } echo;
typedef struct { const vp_host *host; vp_out *out; } stream;

static int32_t open_(const vp_host *host, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  echo *e = malloc(sizeof *e);
  (void)ctx, (void)config;
  if (!e) { strcpy(error->msg, "out of memory"); return error->code = VP_ERROR; }
  e->host = host;
  *self = e;
  return VP_OK;
}

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **made, vp_error *error) {
  static const char own_turns[] = "{\"do\":\"own_turns\"}";
  const vp_host *host = ((echo *)self)->host;
  vp_event action = { VP_ACTION, 0, 0, 0, { (const uint8_t *)own_turns, sizeof own_turns - 1 } };
  stream *s = role == VP_RESPONDER ? malloc(sizeof *s) : NULL;
  (void)info;
  if (!s || host->emit(out, &action) != VP_OK) {
    free(s);
    host->release(out);
    strcpy(error->msg, "no memory, no room, or not asked to respond");
    return error->code = VP_ERROR;
  }
  s->host = host;
  s->out = out;
  *made = s;
  return VP_OK;
}

static int32_t send_(void *self, const vp_event *events, size_t n) {
  stream *s = self;
  for (; n > 0; n--, events++) { /* a frame for which there is no room is lost: late sound is no echo */
    vp_event back = { VP_AUDIO, 0, events->turn, 0, events->data };
    if (events->kind == VP_AUDIO) s->host->emit(s->out, &back);
  }
  return VP_OK;
}

static void stop_(void *self) {
  stream *s = self;
  s->host->release(s->out);
  free(s);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] = "{\"responder\":{\"hears_audio\":true,\"turns\":\"host\"},"
                             "\"schema\":{\"type\":\"object\",\"additionalProperties\":false}}";
  vp_bytes bytes = { (const uint8_t *)json, sizeof json - 1 };
  put(to, bytes);
  return VP_OK;
}

static const vp_plugin table = { sizeof table, VP_ABI, "c-echo", "1.0", VP_RESPONDER,
                                 describe_, open_, free, start_, send_, stop_, NULL };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &table : NULL; }
