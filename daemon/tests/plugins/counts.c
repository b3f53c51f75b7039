/* A responder that counts the turns of a call, so that it shows when a call goes on with the stream it had: "Number 2."
 * It takes keys: 5 transfers the caller, 7 presses keys on his line, 0 hangs up, any other is a turn like what he says.
 * What it was told of a return comes before the number: "Back {"after":"transfer","outcome":"busy"}. Number 3."
 */
#include "voice_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const vp_host *host;

typedef struct {
  vp_out *out;
  unsigned turns;
  char key, back[256];
} stream_t;

static void emit(stream_t *me, uint16_t kind, uint32_t turn, const char *words) {
  vp_event event = { kind, 0, turn, 0, { (const uint8_t *)words, strlen(words) } };
  host->emit(me->out, &event);
}

static int32_t open_(const vp_host *h, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  (void)ctx, (void)config, (void)error;
  host = h;
  *self = (void *)&host;
  return VP_OK;
}

static void close_(void *self) { (void)self; }

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role, (void)info, (void)error;
  stream_t *me = calloc(1, sizeof *me);
  me->out = out;
  *stream = me;
  return VP_OK;
}

static void answer(stream_t *me, uint32_t turn) {
  char words[400];
  me->turns++;
  switch (me->key) {
  case '5': emit(me, VP_ACTION, turn, "{\"do\":\"transfer\",\"to\":\"+15550199\"}"); break;
  case '7': emit(me, VP_ACTION, turn, "{\"do\":\"send_digits\",\"digits\":\"w12#\"}"); break;
  case '0': emit(me, VP_ACTION, turn, "{\"do\":\"hang_up\"}"); break;
  default:
    snprintf(words, sizeof words, "%sNumber %u.", me->back, me->turns);
    me->back[0] = 0;
    emit(me, VP_TEXT, turn, words);
  }
  me->key = 0;
  emit(me, VP_DONE, turn, "");
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind == VP_DTMF) me->key = (char)event->data.ptr[0];
    if (event->kind == VP_RETURNED)
      snprintf(me->back, sizeof me->back, "Back %.*s. ", (int)event->data.len, (const char *)event->data.ptr);
    if (event->kind == VP_SPEECH_END && event->flags & VP_LAST) answer(me, event->turn);
  }
  return VP_OK;
}

static void stop_(void *stream) {
  stream_t *me = stream;
  host->release(me->out);
  free(me);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] = "{\"responder\":{\"takes_digits\":true}}";
  vp_bytes bytes = { (const uint8_t *)json, sizeof json - 1 };
  put(to, bytes);
  return VP_OK;
}

static const vp_plugin plugin = { sizeof plugin, VP_ABI, "counts", "1.0.0", VP_RESPONDER, describe_,
                                  open_, close_, start_, send_, stop_, NULL };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &plugin : NULL; }
