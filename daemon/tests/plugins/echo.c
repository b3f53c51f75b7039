/* A well-behaved responder and voice for the tests of the daemon's plugin room.
 *
 * AUDIO comes back as it went in. TEXT and CANCEL are answered with what happened, in words. SPEAK n is answered with
 * n bytes of sound in records of 1000, going on at every WRITABLE, and DONE. DTMF 1 pretends to panic, 2 to fail.
 * The configuration "refuse" or "panic" is turned down at open; the info "refuse" or "panic" at start; "leak" keeps the
 * out over stop and releases it at close; "double" releases it twice. The configuration {"closed":FD} makes close write
 * a letter to that descriptor, {"gate":FD} makes open read one first. {"lists":N} says what catalog/1 puts: 1 a list,
 * 2 no JSON, 3 twice, 4 a refusal, 5 a panic.
 */
#include "voice_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "1.0.0"
#endif

static const vp_host *host;

typedef struct {
  vp_ctx *ctx;
  int closed;
  int lists;
  vp_out *leaked;
} self_t;

typedef struct {
  self_t *self;
  vp_out *out;
  char info[32];
  uint32_t turn;
  long left;
  int writables, cancelled;
} stream_t;

static vp_bytes text(const char *words) {
  vp_bytes bytes = { (const uint8_t *)words, strlen(words) };
  return bytes;
}

static int holds(vp_bytes bytes, const char *word) {
  char all[256] = { 0 };
  memcpy(all, bytes.ptr, bytes.len < 255 ? bytes.len : 255);
  return strstr(all, word) != NULL;
}

static int number(vp_bytes bytes, const char *key) {
  char all[256] = { 0 };
  memcpy(all, bytes.ptr, bytes.len < 255 ? bytes.len : 255);
  const char *at = strstr(all, key);
  return at ? atoi(at + strlen(key)) : -1;
}

static int32_t emit(vp_out *out, uint16_t kind, uint32_t turn, const char *words) {
  vp_event event = { kind, 0, turn, 0, text(words) };
  return host->emit(out, &event);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  put(to, text("{\"tts\":{\"produces\":[{\"encoding\":\"mulaw\",\"rate\":8000}]},\"responder\":{\"hears_audio\":true}}"));
  return VP_OK;
}

static int32_t open_(const vp_host *h, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  host = h;
  if (holds(config, "refuse") || holds(config, "panic")) {
    snprintf(error->msg, sizeof error->msg, "no such voice");
    error->code = 42;
    return holds(config, "panic") ? VP_PANIC : VP_ERROR;
  }
  if (holds(config, "silent")) return VP_ERROR;
  if (holds(config, "endless")) {
    memset(error->msg, 'x', sizeof error->msg);
    return VP_ERROR;
  }
  int gate = number(config, "\"gate\":");
  char letter;
  if (gate >= 0 && read(gate, &letter, 1) != 1) return VP_ERROR;
  self_t *me = calloc(1, sizeof *me);
  me->ctx = ctx;
  me->closed = number(config, "\"closed\":");
  me->lists = number(config, "\"lists\":");
  h->log(ctx, 3, text("open"), text(""));
  *self = me;
  return VP_OK;
}

static void close_(void *self) {
  self_t *me = self;
  if (me->leaked) host->release(me->leaked);
  if (me->closed >= 0 && write(me->closed, "c", 1) != 1) abort();
  free(me);
}

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)role;
  if (holds(info, "refuse") || holds(info, "panic")) {
    snprintf(error->msg, sizeof error->msg, "too many calls");
    host->release(out);
    return holds(info, "panic") ? VP_PANIC : VP_ERROR;
  }
  stream_t *me = calloc(1, sizeof *me);
  me->self = self;
  me->out = out;
  memcpy(me->info, info.ptr, info.len < 31 ? info.len : 31);
  *stream = me;
  return VP_OK;
}

static void speak(stream_t *me) {
  while (me->left > 0) {
    uint8_t *place;
    size_t n = me->left < 1000 ? (size_t)me->left : 1000;
    int32_t answer = host->reserve(me->out, VP_AUDIO, me->turn, n, &place);
    if (answer != VP_OK) {
      if (answer == VP_CANCELLED) me->left = 0;
      return;
    }
    memset(place, (int)(me->turn & 0xff), n);
    host->commit(me->out, n, 0);
    me->left -= (long)n;
    if (me->left == 0) emit(me->out, VP_DONE, me->turn, "");
  }
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    uint8_t *place;
    char words[64];
    switch (event->kind) {
    case VP_AUDIO:
      if (host->reserve(me->out, VP_AUDIO, event->turn, event->data.len, &place) == VP_OK) {
        memcpy(place, event->data.ptr, event->data.len);
        host->commit(me->out, event->data.len, event->flags);
      }
      break;
    case VP_TEXT:
      snprintf(words, sizeof words, "%s %s at %llu", VERSION, me->info, (unsigned long long)event->at);
      emit(me->out, VP_TEXT, event->turn, words);
      break;
    case VP_SPEAK:
      me->turn = event->turn;
      me->left = number(event->data, "");
      speak(me);
      break;
    case VP_WRITABLE:
      me->writables++;
      speak(me);
      break;
    case VP_CANCEL:
      snprintf(words, sizeof words, "told; late answer got %d", (int)emit(me->out, VP_TEXT, event->turn, "late"));
      emit(me->out, VP_TEXT, event->turn + 1, words);
      break;
    case VP_DTMF:
      if (event->data.ptr[0] == '1') return VP_PANIC;
      if (event->data.ptr[0] == '2') return VP_ERROR;
      if (event->data.ptr[0] == '3') return VP_UNSUPPORTED;
      snprintf(words, sizeof words, "%d", me->writables);
      emit(me->out, VP_TEXT, 0, words);
      break;
    default:
      break;
    }
  }
  return VP_OK;
}

static void stop_(void *stream) {
  stream_t *me = stream;
  if (strstr(me->info, "leak")) {
    me->self->leaked = me->out;
  } else {
    host->release(me->out);
    if (strstr(me->info, "double")) host->release(me->out);
  }
  free(me);
}

static int32_t list_(void *self, void (*put)(void *, vp_bytes), void *to, vp_error *error) {
  switch (((self_t *)self)->lists) {
  case 1: put(to, text("{\"voices\":[{\"id\":\"v1\"}]}")); return VP_OK;
  case 2: put(to, text("{")); return VP_OK;
  case 3: put(to, text("{}")); put(to, text("{}")); return VP_OK;
  case 4: snprintf(error->msg, sizeof error->msg, VP_FAILURE_AUTH ": who are you?"); return VP_ERROR;
  default: return VP_PANIC;
  }
}

static const vp_catalog catalog = { sizeof catalog, list_ };

static const void *extension_(const char *id) { return strcmp(id, VP_CATALOG_ID) ? 0 : &catalog; }

static const vp_plugin plugin = { sizeof plugin, 1, "test-echo", VERSION, VP_RESPONDER | VP_TTS, describe_,
                                  open_, close_, start_, send_, stop_, extension_ };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == 1 ? &plugin : 0; }
