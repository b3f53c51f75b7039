/* A voice and a responder with moods, for whole calls.
 *
 * The voice says every utterance as 800 ms of a tone, unless its settings say otherwise:
 *   "half"    samples of half a wave of its tone, 1 to 99; told apart by it (default 10: 400 Hz)
 *   "half_es" the same of its Spanish
 *   "mood"    what happens instead of speech: "refuses" at start, "fails", "silent", "empty" (DONE without sound),
 *             "breaks" (half of the tone, then FAILED), "stalls" (half of it, then nothing), "panics",
 *             "errs" (VP_ERROR), "counts" (each of its utterances, whoever hears it, has a deeper tone: half a wave of
 *             20, 21 and so on up to 79)
 *   "since"   the number of the utterance on this stream from which the mood holds (default 1)
 *
 * The responder answers every turn with three sentences.
 *
 * Built with WIDE the voice makes linear samples at 16 kHz: the same bytes, which are then no tone but a noise.
 */
#include "frame.h"

enum { TONE_BYTES = 6400 };

typedef struct {
  vp_out *out;
  uint64_t role;
  char mood[16];
  int half, since, asked;
} stream_t;

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self;
  char all[1024];
  copy(info, all, sizeof all);
  stream_t *me = calloc(1, sizeof *me);
  const char *at;
  me->out = out;
  me->role = role;
  if ((at = strstr(all, "\"mood\":\""))) sscanf(at, "\"mood\":\"%15[a-z]", me->mood);
  me->half = (at = strstr(all, "\"half\":")) ? atoi(at + 7) : 10;
  if (strstr(all, "\"language\":\"es") && (at = strstr(all, "\"half_es\":"))) me->half = atoi(at + 10);
  me->since = (at = strstr(all, "\"since\":")) ? atoi(at + 8) : 1;
  if (!strcmp(me->mood, "refuses")) {
    stop_(me);
    return refuse(error, "not today");
  }
  *stream = me;
  return VP_OK;
}

static void tone(stream_t *me, uint32_t turn, size_t bytes) {
  uint8_t *place;
  if (host->reserve(me->out, VP_AUDIO, turn, bytes, &place) != VP_OK) return;
  for (size_t i = 0; i < bytes; i++) place[i] = i / (size_t)me->half % 2 ? 0x90 : 0x10;
  host->commit(me->out, bytes, 0);
}

static int32_t speak(stream_t *me, uint32_t turn) {
  static int counted;
  const char *mood = ++me->asked >= me->since ? me->mood : "";
  if (!strcmp(mood, "counts")) me->half = 20 + __atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED) % 60;
  if (!strcmp(mood, "panics")) return VP_PANIC;
  if (!strcmp(mood, "errs")) return VP_ERROR;
  if (!strcmp(mood, "silent")) return VP_OK;
  if (!strcmp(mood, "breaks") || !strcmp(mood, "stalls")) tone(me, turn, TONE_BYTES / 2);
  if (!strcmp(mood, "stalls")) return VP_OK;
  if (!strcmp(mood, "breaks") || !strcmp(mood, "fails")) {
    emit(me->out, VP_FAILED, 0, turn, "quota: the month is used up");
    return VP_OK;
  }
  if (strcmp(mood, "empty")) tone(me, turn, TONE_BYTES);
  emit(me->out, VP_DONE, 0, turn, "");
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind == VP_SPEAK) {
      int32_t answer = speak(me, event->turn);
      if (answer != VP_OK) return answer;
    }
    if (me->role == VP_RESPONDER && event->kind == VP_SPEECH_END && event->flags & VP_LAST) {
      emit(me->out, VP_TEXT, 0, event->turn, "This is the first sentence.");
      emit(me->out, VP_TEXT, 0, event->turn, "The second one follows.");
      emit(me->out, VP_TEXT, 0, event->turn, "And here is the third.");
      emit(me->out, VP_DONE, 0, event->turn, "");
    }
  }
  return VP_OK;
}

#ifdef WIDE
#define PRODUCES "{\"encoding\":\"s16le\",\"rate\":16000}"
#else
#define PRODUCES "{\"encoding\":\"mulaw\",\"rate\":8000}"
#endif

PLUGIN("test-moody", VP_RESPONDER | VP_TTS, start_, "{\"tts\":{\"produces\":[" PRODUCES "]}}")
