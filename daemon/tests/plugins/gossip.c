/* A responder with keys that must not be shown: `api_key`, whose name says so, and `phrase`, of which only its schema
 * knows. The first sound it hears makes it pretend to have panicked.
 */
#include "frame.h"

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  (void)stream;
  for (; n > 0; n--, event++)
    if (event->kind == VP_AUDIO) return VP_PANIC;
  return VP_OK;
}

PLUGIN("gossip", VP_RESPONDER, start_plain,
       "{\"schema\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
       "\"api_key\":{\"type\":\"string\",\"writeOnly\":true},"
       "\"phrase\":{\"type\":\"string\",\"writeOnly\":true,\"maxLength\":40},"
       "\"address\":{\"type\":\"string\"}}},"
       "\"responder\":{\"hears_audio\":true}}")
