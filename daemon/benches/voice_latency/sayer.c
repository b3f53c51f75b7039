/* A responder for the bench: takes its own turns, and at every key pressed says who is calling and how often he has
 * pressed, so that no two utterances of a run are the same. */
#include "../../tests/plugins/frame.h"

typedef struct {
  vp_out *out;
  char who[8];
  int pressed;
} stream_t;

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role, (void)error;
  char all[1024];
  copy(info, all, sizeof all);
  stream_t *me = calloc(1, sizeof *me);
  me->out = out;
  /* The last six letters of the call's sid, which has 34. */
  const char *sid = strstr(all, "\"sid\":\"CA");
  if (sid && strlen(sid) > 41) memcpy(me->who, sid + 35, 6);
  *stream = me;
  emit(out, VP_ACTION, 0, 0, "{\"do\":\"own_turns\"}");
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind != VP_DTMF) continue;
    char words[32];
    snprintf(words, sizeof words, "%s %d", me->who, ++me->pressed);
    emit(me->out, VP_TEXT, 0, event->turn, words);
  }
  return VP_OK;
}

PLUGIN("sayer", VP_RESPONDER, start_, "{\"responder\":{\"hears_audio\":false,\"turns\":\"own\"}}")
