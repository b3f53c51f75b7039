/* A responder for the bench: takes its own turns, and at every key pressed says who is calling and how often he has
 * pressed, so that no two utterances of a run are the same. */
#include "voice_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const vp_host *host;

typedef struct {
  vp_out *out;
  char who[8];
  int pressed;
} stream_t;

static void emit(vp_out *out, uint16_t kind, uint32_t turn, const char *words) {
  vp_event event = { kind, 0, turn, 0, { (const uint8_t *)words, strlen(words) } };
  host->emit(out, &event);
}

static int32_t open_(const vp_host *h, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  (void)ctx, (void)config, (void)error;
  host = h;
  *self = (void *)&host;
  return VP_OK;
}

static void close_(void *self) { (void)self; }

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role, (void)error;
  char all[1024] = { 0 };
  memcpy(all, info.ptr, info.len < sizeof all - 1 ? info.len : sizeof all - 1);
  stream_t *me = calloc(1, sizeof *me);
  me->out = out;
  /* The last six letters of the call's sid, which has 34. */
  const char *sid = strstr(all, "\"sid\":\"CA");
  if (sid && strlen(sid) > 41) memcpy(me->who, sid + 35, 6);
  *stream = me;
  emit(out, VP_ACTION, 0, "{\"do\":\"own_turns\"}");
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind != VP_DTMF) continue;
    char words[32];
    snprintf(words, sizeof words, "%s %d", me->who, ++me->pressed);
    emit(me->out, VP_TEXT, event->turn, words);
  }
  return VP_OK;
}

static void stop_(void *stream) {
  stream_t *me = stream;
  host->release(me->out);
  free(me);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  const char *json = "{\"responder\":{\"hears_audio\":false,\"turns\":\"own\"}}";
  vp_bytes bytes = { (const uint8_t *)json, strlen(json) };
  put(to, bytes);
  return VP_OK;
}

static const vp_plugin plugin = { sizeof plugin, 1, "sayer", "1.0.0", VP_RESPONDER, describe_,
                                  open_, close_, start_, send_, stop_, NULL };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == 1 ? &plugin : NULL; }
