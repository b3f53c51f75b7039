/* A responder that says TEXT, a macro, whenever the caller's turn is over. Two builds with two texts are two versions of
 * one plugin. */
#include "voice_plugin.h"
#include <stdlib.h>
#include <string.h>

typedef struct { const vp_host *host; } says;
typedef struct { const vp_host *host; vp_out *out; } stream;

static int32_t open_(const vp_host *host, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  says *s = malloc(sizeof *s);
  (void)ctx, (void)config;
  if (!s) { strcpy(error->msg, "out of memory"); return error->code = VP_ERROR; }
  s->host = host;
  *self = s;
  return VP_OK;
}

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **made, vp_error *error) {
  const vp_host *host = ((says *)self)->host;
  stream *s = malloc(sizeof *s);
  (void)role, (void)info;
  if (!s) { host->release(out); strcpy(error->msg, "out of memory"); return error->code = VP_ERROR; }
  s->host = host;
  s->out = out;
  *made = s;
  return VP_OK;
}

static int32_t send_(void *self, const vp_event *events, size_t n) {
  static const char text[] = TEXT;
  stream *s = self;
  for (; n > 0; n--, events++) {
    if (events->kind != VP_SPEECH_END || !(events->flags & VP_LAST)) continue;
    vp_event words = { VP_TEXT, 0, events->turn, 0, { (const uint8_t *)text, sizeof text - 1 } };
    vp_event done = { VP_DONE, 0, events->turn, 0, { 0, 0 } };
    s->host->emit(s->out, &words);
    s->host->emit(s->out, &done);
  }
  return VP_OK;
}

static void stop_(void *self) {
  stream *s = self;
  s->host->release(s->out);
  free(s);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] = "{\"responder\":{\"hears_audio\":false,\"turns\":\"host\"},"
                             "\"schema\":{\"type\":\"object\",\"additionalProperties\":false}}";
  vp_bytes bytes = { (const uint8_t *)json, sizeof json - 1 };
  put(to, bytes);
  return VP_OK;
}

static const vp_plugin table = { sizeof table, VP_ABI, "says", "1.0", VP_RESPONDER,
                                 describe_, open_, free, start_, send_, stop_, NULL };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &table : NULL; }
