/* A responder that never comes back: the first sound it hears holds the media thread for ever. */
#include "voice_plugin.h"
#include <unistd.h>

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] = "{\"responder\":{\"hears_audio\":true}}";
  vp_bytes bytes = { (const uint8_t *)json, sizeof json - 1 };
  put(to, bytes);
  return VP_OK;
}

static int32_t open_(const vp_host *h, vp_ctx *c, vp_bytes b, void **self, vp_error *e) {
  (void)c, (void)b, (void)e;
  *self = (void *)h;
  return VP_OK;
}

static void close_(void *self) { (void)self; }

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *e) {
  (void)self, (void)role, (void)info, (void)e;
  *stream = out;
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  (void)stream;
  for (; n > 0; n--, event++)
    if (event->kind == VP_AUDIO)
      for (;;) pause();
  return VP_OK;
}

static void stop_(void *stream) { (void)stream; }

static const vp_plugin plugin = { sizeof plugin, VP_ABI, "stuck", "1.0", VP_RESPONDER, describe_,
                                  open_, close_, start_, send_, stop_, 0 };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &plugin : 0; }
