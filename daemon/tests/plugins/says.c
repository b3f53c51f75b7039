/* A responder that says TEXT, a macro, whenever the caller's turn is over. Two builds with two texts are two versions of
 * one plugin. */
#include "frame.h"

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  vp_out *out = *(vp_out **)stream;
  for (; n > 0; n--, event++) {
    if (event->kind != VP_SPEECH_END || !(event->flags & VP_LAST)) continue;
    emit(out, VP_TEXT, 0, event->turn, TEXT);
    emit(out, VP_DONE, 0, event->turn, "");
  }
  return VP_OK;
}

PLUGIN("says", VP_RESPONDER, start_plain,
       "{\"responder\":{\"hears_audio\":false,\"turns\":\"host\"},"
       "\"schema\":{\"type\":\"object\",\"additionalProperties\":false}}")
