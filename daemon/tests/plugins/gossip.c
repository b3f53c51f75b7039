/* A responder with keys that must not be shown: `api_key`, whose name says so, and `phrase`, of which only its schema
 * knows. The first sound it hears makes it pretend to have panicked.
 */
#include "voice_plugin.h"

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] =
      "{\"schema\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
      "\"api_key\":{\"type\":\"string\",\"writeOnly\":true},"
      "\"phrase\":{\"type\":\"string\",\"writeOnly\":true,\"maxLength\":40},"
      "\"address\":{\"type\":\"string\"}}},"
      "\"responder\":{\"hears_audio\":true}}";
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

typedef struct {
  const vp_host *host;
  vp_out *out;
} stream_t;

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *e) {
  static stream_t streams[64];
  static unsigned next;
  (void)role, (void)info, (void)e;
  stream_t *me = &streams[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 64];
  me->host = self;
  me->out = out;
  *stream = me;
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  (void)stream;
  for (; n > 0; n--, event++)
    if (event->kind == VP_AUDIO) return VP_PANIC;
  return VP_OK;
}

static void stop_(void *stream) {
  stream_t *me = stream;
  me->host->release(me->out);
}

static const vp_plugin plugin = { sizeof plugin, VP_ABI, "gossip", "1.0", VP_RESPONDER, describe_,
                                  open_, close_, start_, send_, stop_, 0 };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &plugin : 0; }
