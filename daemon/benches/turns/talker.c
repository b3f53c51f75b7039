/* Responder and voice of the bench, both as quick as can be: the responder answers every turn at once with the same
 * sentence, and the voice has its sound ready, the line's own µ-law, as a phrase that was said before stands ready. */
#include "voice_plugin.h"
#include <stdlib.h>
#include <string.h>

/* The agent speaks for so long, unless he is interrupted. */
enum { SAMPLES = 8 * 8000 };

static const vp_host *host;
static uint8_t sound[SAMPLES];

typedef struct {
  vp_out *out;
  uint32_t utterance; /* what is being said; 0: nothing */
  size_t said;
} stream_t;

static void emit(vp_out *out, uint16_t kind, uint32_t turn, const void *data, size_t len) {
  vp_event event = { kind, 0, turn, 0, { data, len } };
  host->emit(out, &event);
}

/* As much as there is room for; VP_WRITABLE says when there is more. */
static void say(stream_t *me) {
  while (me->utterance && me->said < SAMPLES) {
    size_t len = SAMPLES - me->said < 800 ? SAMPLES - me->said : 800;
    vp_event event = { VP_AUDIO, 0, me->utterance, 0, { sound + me->said, len } };
    int32_t took = host->emit(me->out, &event);
    if (took == VP_AGAIN) return;
    if (took != VP_OK) break;
    me->said += len;
  }
  if (me->utterance) emit(me->out, VP_DONE, me->utterance, NULL, 0);
  me->utterance = 0;
}

static int32_t open_(const vp_host *h, vp_ctx *ctx, vp_bytes config, void **self, vp_error *error) {
  (void)ctx, (void)config, (void)error;
  host = h;
  /* A hum of 200 Hz: loud enough for the caller to know that somebody speaks. */
  for (size_t at = 0; at < SAMPLES; at++) sound[at] = at % 40 < 20 ? 0x90 : 0x10;
  *self = (void *)&host;
  return VP_OK;
}

static void close_(void *self) { (void)self; }

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  stream_t *me = calloc(1, sizeof *me);
  (void)self, (void)role, (void)info;
  if (!me) { host->release(out); strcpy(error->msg, "out of memory"); return error->code = VP_ERROR; }
  me->out = out;
  *stream = me;
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  static const char words[] = "You may interrupt me at any time.";
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    switch (event->kind) {
    case VP_SPEECH_END:
      if (!(event->flags & VP_LAST)) break;
      emit(me->out, VP_TEXT, event->turn, words, sizeof words - 1);
      emit(me->out, VP_DONE, event->turn, NULL, 0);
      break;
    case VP_SPEAK:
      me->utterance = event->turn, me->said = 0;
      say(me);
      break;
    case VP_CANCEL:
      if (me->utterance <= event->turn) me->utterance = 0;
      break;
    case VP_WRITABLE:
      say(me);
      break;
    }
  }
  return VP_OK;
}

static void stop_(void *stream) {
  stream_t *me = stream;
  host->release(me->out);
  free(me);
}

static int32_t describe_(void (*put)(void *, vp_bytes), void *to) {
  static const char json[] = "{\"responder\":{\"hears_audio\":false,\"turns\":\"host\"},"
                             "\"tts\":{\"produces\":[{\"encoding\":\"mulaw\",\"rate\":8000}]}}";
  vp_bytes bytes = { (const uint8_t *)json, sizeof json - 1 };
  put(to, bytes);
  return VP_OK;
}

static const vp_plugin plugin = { sizeof plugin, VP_ABI, "talker", "1.0.0", VP_RESPONDER | VP_TTS, describe_,
                                  open_, close_, start_, send_, stop_, NULL };

VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi) { return host_abi == VP_ABI ? &plugin : NULL; }
