/* A responder that does what the caller's words say, for whole calls: one command after the other, with ; between.
 *
 *   say WORDS    firm WORDS    piece WORDS     an utterance, one that cannot be interrupted, a piece of one
 *   do JSON      an ACTION, with ' in the place of "
 *   end          FAILED, and says that the stream is at its end: every later turn is FAILED
 *   fail         FAILED          hang    nothing at all, not even an end
 *   told         says what it was told since the last turn: "START PARTIAL PARTIAL TEXT END"
 *   facts        says the parameters of the call as it was told them
 *   history      says what was said before it was started; FAILED if nothing was
 *
 * Without words it says "No words." It takes digits and says "Digit 5."
 */
#include "frame.h"

typedef struct {
  vp_out *out;
  char words[2048], told[512], parameters[1024], history[1024], digit, over;
} stream_t;

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role, (void)error;
  char all[4096];
  copy(info, all, sizeof all);
  stream_t *me = calloc(1, sizeof *me);
  const char *at = strstr(all, "\"parameters\":{");
  if (at) sscanf(at, "\"parameters\":{%1000[^}]", me->parameters);
  at = strstr(all, "\"history\":[");
  if (at) sscanf(at, "\"history\":[%1000[^]]", me->history);
  me->out = out;
  *stream = me;
  return VP_OK;
}

static void note(stream_t *me, const char *what) {
  if (strlen(me->told) + strlen(what) + 2 > sizeof me->told) return;
  if (*me->told) strcat(me->told, " ");
  strcat(me->told, what);
}

/* False if nothing more comes in this turn. */
static int command(stream_t *me, uint32_t turn, char *line) {
  char said[1200];
  if (!strncmp(line, "say ", 4)) emit(me->out, VP_TEXT, 0, turn, line + 4);
  else if (!strncmp(line, "firm ", 5)) emit(me->out, VP_TEXT, VP_FIRM, turn, line + 5);
  else if (!strncmp(line, "piece ", 6)) emit(me->out, VP_PARTIAL, 0, turn, line + 6);
  else if (!strncmp(line, "do ", 3)) {
    for (char *c = line; *c; c++) if (*c == '\'') *c = '"';
    emit(me->out, VP_ACTION, 0, turn, line + 3);
  }
  else if (!strcmp(line, "told")) emit(me->out, VP_TEXT, 0, turn, me->told);
  else if (!strcmp(line, "facts")) {
    snprintf(said, sizeof said, "Facts: %s", me->parameters);
    emit(me->out, VP_TEXT, 0, turn, said);
  }
  else if (!strcmp(line, "history") && *me->history) emit(me->out, VP_TEXT, 0, turn, me->history);
  else if (!strcmp(line, "end")) {
    me->over = 1;
    emit(me->out, VP_FAILED, VP_LAST, turn, "a wheel came off");
    return emit(me->out, VP_FAILED, VP_LAST, 0, ""), 0;
  }
  else if (!strcmp(line, "fail") || !strcmp(line, "history"))
    return emit(me->out, VP_FAILED, VP_LAST, turn, "quota: no more answers"), 0;
  else if (!strcmp(line, "hang")) return 0;
  return 1;
}

static void answer(stream_t *me, uint32_t turn) {
  char said[32], *rest = me->words;
  note(me, "END");
  if (me->over) return emit(me->out, VP_FAILED, VP_LAST, turn, "a wheel is off");
  if (me->digit) {
    snprintf(said, sizeof said, "Digit %c.", me->digit);
    emit(me->out, VP_TEXT, 0, turn, said);
  } else if (!*rest) emit(me->out, VP_TEXT, 0, turn, "No words.");
  for (char *line; !me->digit && (line = strsep(&rest, ";"));)
    if (!command(me, turn, line)) return;
  me->words[0] = me->told[0] = me->digit = 0;
  emit(me->out, VP_DONE, VP_LAST, turn, "");
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    switch (event->kind) {
    case VP_SPEECH_START: note(me, "START"); break;
    case VP_PARTIAL: note(me, "PARTIAL"); break;
    case VP_CANCEL: note(me, event->flags & VP_WITHDRAWN ? "WITHDRAWN" : "CANCEL"); break;
    case VP_DTMF: me->digit = (char)event->data.ptr[0]; break;
    case VP_TEXT:
      note(me, "TEXT");
      copy(event->data, me->words, sizeof me->words);
      break;
    case VP_SPEECH_END:
      if (event->flags & VP_LAST) answer(me, event->turn);
      break;
    }
  }
  return VP_OK;
}

PLUGIN("test-puppet", VP_RESPONDER, start_, "{\"responder\":{\"takes_digits\":true}}")
