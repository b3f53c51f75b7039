/* A transcriber that has made up its mind, for whole calls: it answers the caller's stretches of speech with what its
 * settings say, whatever he says.
 *
 *   "says"      one text for each stretch, with | between; the last one for all that follow. "?" stands for what it has
 *               heard of the stretch, and of the time before it: "s16le 16000, 24320 samples after 8000, loudest 9000"
 *   "says_es"   the same where Spanish is expected
 *   "partial"   said before each of them
 *   "finished"  its opinion at each pause, "0.95"
 *   "only"      it has that opinion only where this language is expected
 *   "mood"      what happens instead: "refuses" at start, "fails", "silent", "panics" when the first stretch is over,
 *               "ends" (says its first words and that the stream is at its end)
 *
 * Built with WIDE it wants linear samples at 16 kHz.
 */
#include "frame.h"

typedef struct {
  vp_out *out;
  char format[32], mood[16], language[16], only[16], finished[16], partial[128], says[1024];
  const char *next;
  int speaks, loudest;
  size_t samples, before;
} stream_t;

/* The string behind a name, unescaped as far as tests need it. */
static void member(const char *json, const char *name, char *to, size_t room) {
  char key[32];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *at = strstr(json, key);
  if (!at) return;
  for (at += strlen(key); *at && *at != '"' && room > 1; at++, room--) *to++ = *at == '\\' ? *++at : *at;
  *to = 0;
}

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role;
  char all[4096], encoding[16] = "";
  copy(info, all, sizeof all);
  stream_t *me = calloc(1, sizeof *me);
  const char *rate = strstr(all, "\"rate\":");
  me->out = out;
  member(all, "encoding", encoding, sizeof encoding);
  snprintf(me->format, sizeof me->format, "%s %d", encoding, rate ? atoi(rate + 7) : 0);
  member(all, "mood", me->mood, sizeof me->mood);
  member(all, "finished", me->finished, sizeof me->finished);
  member(all, "language", me->language, sizeof me->language);
  member(all, "only", me->only, sizeof me->only);
  if (*me->only && strcmp(me->only, me->language)) *me->finished = 0;
  member(all, "partial", me->partial, sizeof me->partial);
  member(all, "says", me->says, sizeof me->says);
  if (!strncmp(me->language, "es", 2)) member(all, "says_es", me->says, sizeof me->says);
  me->next = me->says;
  if (!strcmp(me->mood, "refuses")) {
    stop_(me);
    return refuse(error, "auth: nobody knows this key");
  }
  *stream = me;
  return VP_OK;
}

static void hear(stream_t *me, vp_bytes sound) {
  if (!me->speaks) {
    me->before += sound.len;
    return;
  }
#ifdef WIDE
  for (size_t i = 0; i + 1 < sound.len; i += 2) {
    int sample = (int16_t)(sound.ptr[i] | sound.ptr[i + 1] << 8);
    if (abs(sample) > me->loudest) me->loudest = abs(sample);
  }
  me->samples += sound.len / 2;
#else
  me->samples += sound.len;
#endif
}

static int32_t answer(stream_t *me, uint32_t turn) {
  char words[512];
  if (!strcmp(me->mood, "panics")) return VP_PANIC;
  if (!strcmp(me->mood, "silent")) return VP_OK;
  if (!strcmp(me->mood, "fails")) return emit(me->out, VP_FAILED, VP_LAST, turn, "quota: the month is used up"), VP_OK;
  size_t length = strcspn(me->next, "|");
  snprintf(words, sizeof words, "%.*s", (int)length, me->next);
  if (me->next[length]) me->next += length + 1;
  if (!strcmp(words, "?"))
    snprintf(words, sizeof words, "%s, %zu samples after %zu, loudest %d", me->format, me->samples, me->before,
             me->loudest);
  me->before = 0;
  emit(me->out, VP_TEXT, VP_LAST, turn, words);
  if (!strcmp(me->mood, "ends")) emit(me->out, VP_FAILED, VP_LAST, 0, "");
  return VP_OK;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind == VP_SPEECH_START) {
      if (!me->speaks) me->samples = 0, me->loudest = 0;
      me->speaks = 1;
      if (*me->partial) emit(me->out, VP_PARTIAL, VP_LAST, event->turn, me->partial);
    }
    if (event->kind == VP_AUDIO) hear(me, event->data);
    if (event->kind == VP_SPEECH_END && !(event->flags & VP_LAST) && *me->finished)
      emit(me->out, VP_FINISHED, VP_LAST, event->turn, me->finished);
    if (event->kind == VP_SPEECH_END && event->flags & VP_LAST) {
      me->speaks = 0;
      int32_t status = answer(me, event->turn);
      if (status != VP_OK) return status;
    }
  }
  return VP_OK;
}

#ifdef WIDE
#define ACCEPTS "{\"encoding\":\"s16le\",\"rate\":16000}"
#else
#define ACCEPTS "{\"encoding\":\"mulaw\",\"rate\":8000}"
#endif

PLUGIN("test-scribe", VP_STT, start_, "{\"stt\":{\"accepts\":[" ACCEPTS "]}}")
