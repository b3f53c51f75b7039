/* A responder that is too slow: each piece of the caller's sound keeps the media thread for 60 ms. */
#include "frame.h"
#include <unistd.h>

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  (void)stream;
  for (; n > 0; n--, event++)
    if (event->kind == VP_AUDIO) usleep(60000);
  return VP_OK;
}

PLUGIN("slow", VP_RESPONDER, start_plain, "{\"responder\":{\"hears_audio\":true}}")
