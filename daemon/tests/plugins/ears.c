/* A responder that is sent the caller's sound only while it wants it: 1 wants it, 0 does not. Each key is answered with
 * whether any has come since the key before.
 */
#include "voice_plugin.h"
#include <stdlib.h>
#include <string.h>

static const vp_host *host;

typedef struct {
  vp_out *out;
  unsigned frames;
  char key;
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
  emit(me, VP_ACTION, 0, "{\"do\":\"take\",\"audio\":false}");
  *stream = me;
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind == VP_AUDIO) me->frames++;
    if (event->kind == VP_DTMF) me->key = (char)event->data.ptr[0];
    if (event->kind == VP_SPEECH_END && event->flags & VP_LAST) {
      if (me->key == '1') emit(me, VP_ACTION, event->turn, "{\"do\":\"take\",\"audio\":true}");
      if (me->key == '0') emit(me, VP_ACTION, event->turn, "{\"do\":\"take\",\"audio\":false}");
      emit(me, VP_TEXT, event->turn, me->frames ? "Some." : "Nothing.");
      emit(me, VP_DONE, event->turn, "");
      me->frames = 0;
    }
  }
  return VP_OK;
}

static void stop_(void *stream) {
  stream_t *me = stream;
  host->release(me->out);
  free(me);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] = "{\"responder\":{\"hears_audio\":true,\"takes_digits\":true}}";
  vp_bytes bytes = { (const uint8_t *)json, sizeof json - 1 };
  put(to, bytes);
  return VP_OK;
}

static const vp_plugin plugin = { sizeof plugin, VP_ABI, "ears", "1.0.0", VP_RESPONDER, describe_,
                                  open_, close_, start_, send_, stop_, NULL };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &plugin : NULL; }
