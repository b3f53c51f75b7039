/* A responder that does what its key `does` says when it is asked to check its keys, right or wrong. It opens whatever it
 * is told, and answers nobody.
 */
#include "voice_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longest key looked at. */
#define KEY_BYTES 500

/* The text of a key of the configuration, as far as a test needs it: no escapes. */
static void key(vp_bytes json, const char *name, char text[KEY_BYTES]) {
  char all[4000], head[64];
  size_t n = json.len < sizeof all - 1 ? json.len : sizeof all - 1;
  memcpy(all, json.ptr, n);
  all[n] = 0;
  snprintf(head, sizeof head, "\"%s\":\"", name);
  const char *at = strstr(all, head);
  text[0] = 0;
  if (at) snprintf(text, KEY_BYTES, "%.*s", (int)strcspn(at + strlen(head), "\""), at + strlen(head));
}

static int32_t check_(vp_bytes config, void (*put)(void *, vp_bytes), void *to) {
  static const uint8_t bytes[] = { 0xff, 0xfe, 0 };
  char does[KEY_BYTES], gate[KEY_BYTES];
  key(config, "does", does);
  key(config, "gate", gate);
  const char *json = "{\"drawing\":\"main\\n  1 -> sales\"}";
  if (!strcmp(does, "panics")) return VP_PANIC;
  if (!strcmp(does, "fails")) return VP_ERROR;
  if (!strcmp(does, "puts nothing")) return VP_OK;
  if (!strcmp(does, "finds")) json = "{\"problems\":[\"no\",{\"key\":\"gate\",\"line\":4,\"text\":\"no\"}]}";
  if (!strcmp(does, "puts garbage")) json = "drawing: main";
  if (!strcmp(does, "puts numbers")) json = "{\"problems\":[1,2]}";
  if (!strcmp(does, "puts twice")) put(to, (vp_bytes){ (const uint8_t *)json, strlen(json) });
  if (!strcmp(does, "puts bytes")) {
    put(to, (vp_bytes){ bytes, sizeof bytes });
    return VP_OK;
  }
  if (!strcmp(does, "puts much")) {
    size_t n = 2 << 20;
    uint8_t *spaces = malloc(n);
    memset(spaces, ' ', n);
    put(to, (vp_bytes){ spaces, n });
    free(spaces);
    return VP_OK;
  }
  /* Until somebody makes the file; `gate` with "-asked" behind it says that it was reached. */
  if (!strcmp(does, "waits")) {
    char asked[KEY_BYTES + 10];
    snprintf(asked, sizeof asked, "%s-asked", gate);
    FILE *file = fopen(asked, "w");
    if (file) fclose(file);
    while (access(gate, F_OK)) usleep(10000);
  }
  put(to, (vp_bytes){ (const uint8_t *)json, strlen(json) });
  return VP_OK;
}

static const vp_check checks = { sizeof checks, check_ };

static const void *extension_(const char *id) { return strcmp(id, VP_CHECK_ID) ? NULL : &checks; }

static const vp_host *host;

static int32_t open_(const vp_host *h, vp_ctx *c, vp_bytes b, void **self, vp_error *e) {
  static int anything;
  (void)c, (void)b, (void)e;
  host = h;
  *self = &anything;
  return VP_OK;
}
static void close_(void *self) { (void)self; }
static int32_t start_(void *s, uint64_t r, vp_bytes b, vp_out *o, void **t, vp_error *e) {
  (void)s, (void)r, (void)b, (void)t, (void)e;
  host->release(o);
  return VP_ERROR;
}
static int32_t send_(void *s, const vp_event *e, size_t n) {
  (void)s, (void)e, (void)n;
  return VP_ERROR;
}
static void stop_(void *s) { (void)s; }

static const vp_plugin table = { sizeof table, VP_ABI, "checks", "1.0", VP_RESPONDER,
                                 NULL, open_, close_, start_, send_, stop_, extension_ };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &table : NULL; }
