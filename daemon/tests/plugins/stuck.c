/* A responder that never comes back: the first sound it hears holds the media thread for ever. */
#include "frame.h"
#include <unistd.h>

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  (void)stream;
  for (; n > 0; n--, event++)
    if (event->kind == VP_AUDIO)
      for (;;) pause();
  return VP_OK;
}

PLUGIN("stuck", VP_RESPONDER, start_plain, "{\"responder\":{\"hears_audio\":true}}")
