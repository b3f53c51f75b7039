/* A plugin that is wrong in one way, chosen by the macro it is compiled with: see the table of cases in
 * daemon/src/plugin/tests.rs. It is never opened.
 */
#include "voice_plugin.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef LONG_NAME
static const char name[] = "a name that goes on and on, longer than any sensible name a plugin would ever give itself, "
                           "and then a little longer still, until nobody reads it any more";
#elif !defined(NAME)
static const char name[] = "faulty";
#else
static const char name[] = NAME;
#endif
#ifndef ABI
#define ABI 1
#endif
#ifndef SIZE
#define SIZE sizeof(vp_plugin)
#endif
#ifndef ROLES
#define ROLES VP_RESPONDER
#endif
#ifndef JSON
#define JSON "{}"
#endif
#ifndef TIMES
#define TIMES 1
#endif
#ifndef ANSWER
#define ANSWER VP_OK
#endif

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  vp_bytes json = { (const uint8_t *)JSON, strlen(JSON) };
#ifdef GIANT
  json.len = GIANT;
  uint8_t *spaces = malloc(json.len);
  memset(spaces, ' ', json.len);
  json.ptr = spaces;
#endif
  for (int i = 0; i < TIMES; i++) put(to, json);
  return ANSWER;
}

static int32_t open_(const vp_host *h, vp_ctx *c, vp_bytes b, void **s, vp_error *e) {
  (void)h, (void)c, (void)b, (void)s, (void)e;
  return VP_ERROR;
}
static void close_(void *s) { (void)s; }
static int32_t start_(void *s, uint64_t r, vp_bytes b, vp_out *o, void **t, vp_error *e) {
  (void)s, (void)r, (void)b, (void)o, (void)t, (void)e;
  return VP_ERROR;
}
static int32_t send_(void *s, const vp_event *e, size_t n) {
  (void)s, (void)e, (void)n;
  return VP_ERROR;
}
static void stop_(void *s) { (void)s; }

#ifdef CRASH
__attribute__((constructor)) static void crash(void) { abort(); }
#endif

#ifdef UNBOUND
int nobody_has_this(void);
#endif

#ifdef NO_ENTRY
#define voice_plugin another_name
VP_EXPORT const vp_plugin *another_name(uint32_t host_abi);
#endif

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) {
  static vp_plugin plugin;
#ifdef UNBOUND
  nobody_has_this();
#endif
#ifdef HANG
  for (;;) pause();
#endif
  vp_plugin whole = { SIZE, ABI, name, "1", ROLES, describe_, open_, close_, start_, send_, stop_, 0 };
  plugin = whole;
#ifdef NULL_MEMBER
  plugin.NULL_MEMBER = 0;
#endif
#ifndef SERVES
#define SERVES 1
#endif
  return host_abi == SERVES ? &plugin : 0;
}
