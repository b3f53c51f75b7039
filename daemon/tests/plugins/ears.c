/* A responder that is sent the caller's sound only while it wants it: 1 wants it, 0 does not. Each key is answered with
 * whether any has come since the key before.
 */
#include "frame.h"

typedef struct {
  vp_out *out;
  unsigned frames;
  char key;
} stream_t;

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role, (void)info, (void)error;
  stream_t *me = calloc(1, sizeof *me);
  me->out = out;
  emit(out, VP_ACTION, 0, 0, "{\"do\":\"take\",\"audio\":false}");
  *stream = me;
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind == VP_AUDIO) me->frames++;
    if (event->kind == VP_DTMF) me->key = (char)event->data.ptr[0];
    if (event->kind == VP_SPEECH_END && event->flags & VP_LAST) {
      if (me->key == '1') emit(me->out, VP_ACTION, 0, event->turn, "{\"do\":\"take\",\"audio\":true}");
      if (me->key == '0') emit(me->out, VP_ACTION, 0, event->turn, "{\"do\":\"take\",\"audio\":false}");
      emit(me->out, VP_TEXT, 0, event->turn, me->frames ? "Some." : "Nothing.");
      emit(me->out, VP_DONE, 0, event->turn, "");
      me->frames = 0;
    }
  }
  return VP_OK;
}

PLUGIN("ears", VP_RESPONDER, start_, "{\"responder\":{\"hears_audio\":true,\"takes_digits\":true}}")
