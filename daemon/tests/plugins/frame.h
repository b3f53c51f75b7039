/* What every plugin here needs and none is about: it keeps its host, its streams are memory with a way out, and it
 * says words. A file includes this, defines a `stream_t` whose first member is `vp_out *out`, a start_ and a send_, and
 * ends with PLUGIN. A plugin that is about these very things, as echo.c and faulty.c are, does without.
 *
 * A stranger reads plugin-api/examples/c_echo, which stands on the contract alone and minds memory that runs out.
 */
#ifndef FRAME_H
#define FRAME_H

#include "voice_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* There is one, however often the plugin is opened. */
static const vp_host *host;

static inline vp_bytes bytes(const char *words) {
  vp_bytes all = { (const uint8_t *)words, strlen(words) };
  return all;
}

/* As much as there is room for of what was told, as a string. */
static inline void copy(vp_bytes told, char *to, size_t room) {
  size_t length = told.len < room - 1 ? told.len : room - 1;
  memcpy(to, told.ptr, length);
  to[length] = 0;
}

static inline void emit(vp_out *out, uint16_t kind, uint16_t flags, uint32_t turn, const char *words) {
  vp_event event = { kind, flags, turn, 0, bytes(words) };
  host->emit(out, &event);
}

/* Why a stream does not start, or the plugin does not open. */
static inline int32_t refuse(vp_error *error, const char *reason) {
  snprintf(error->msg, sizeof error->msg, "%s", reason);
  return VP_ERROR;
}

static inline int32_t open_(const vp_host *h, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  (void)ctx, (void)config, (void)error;
  host = h;
  *self = (void *)&host;
  return VP_OK;
}

static inline void close_(void *self) { (void)self; }

/* For a stream that is nothing but its way out. */
static inline int32_t start_plain(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *e) {
  (void)self, (void)role, (void)info, (void)e;
  vp_out **me = malloc(sizeof *me);
  *me = out;
  *stream = me;
  return VP_OK;
}

static inline void stop_(void *stream) {
  vp_out **out = stream;
  host->release(*out);
  free(stream);
}

#define PLUGIN(NAME, ROLES, START, DESCRIPTION)                                                                   \
  static int32_t describe_(void (*put)(void *, vp_bytes), void *to) { return put(to, bytes(DESCRIPTION)), VP_OK; } \
  static const vp_plugin plugin = { sizeof plugin, VP_ABI, NAME, "1.0.0", ROLES, describe_,                       \
                                    open_, close_, START, send_, stop_, NULL };                                   \
  VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &plugin : NULL; }

#endif
