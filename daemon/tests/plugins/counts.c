/* A responder that counts the turns of a call, so that it shows when a call goes on with the stream it had: "Number 2."
 * It takes keys: 5 transfers the caller, 7 presses keys on his line, 0 hangs up, any other is a turn like what he says.
 * What it was told of a return comes before the number: "Back {"after":"transfer","outcome":"busy"}. Number 3."
 */
#include "frame.h"

typedef struct {
  vp_out *out;
  unsigned turns;
  char key, back[256];
} stream_t;

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
  case '5': emit(me->out, VP_ACTION, 0, turn, "{\"do\":\"transfer\",\"to\":\"+15550199\"}"); break;
  case '7': emit(me->out, VP_ACTION, 0, turn, "{\"do\":\"send_digits\",\"digits\":\"w12#\"}"); break;
  case '0': emit(me->out, VP_ACTION, 0, turn, "{\"do\":\"hang_up\"}"); break;
  default:
    snprintf(words, sizeof words, "%sNumber %u.", me->back, me->turns);
    me->back[0] = 0;
    emit(me->out, VP_TEXT, 0, turn, words);
  }
  me->key = 0;
  emit(me->out, VP_DONE, 0, turn, "");
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

PLUGIN("counts", VP_RESPONDER, start_, "{\"responder\":{\"takes_digits\":true}}")
