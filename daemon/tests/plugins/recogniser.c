/* A transcriber that knows its callers: recordings it has been told of are words, everything else is a noise. It compares
 * samples, so what it hears it hears exactly, and no model is needed.
 *
 *   "known"   the path of a file: a line for each recording, 160 bytes of it in hexadecimal, a space, its words. The same
 *             words may stand for several recordings.
 */
#include "frame.h"

#define PIECE 160
#define KNOWN_MOST 64
#define KEPT_MOST (8000 * 30)
#define LEAD (8000 / 2)

typedef struct { uint8_t piece[PIECE]; char words[64]; } known_t;

typedef struct {
  vp_out *out;
  known_t known[KNOWN_MOST];
  int count, speaks;
  size_t kept;
  uint8_t sound[KEPT_MOST];
} stream_t;

static int read_known(stream_t *me, const char *path) {
  FILE *file = fopen(path, "r");
  char line[2 * PIECE + 80];
  if (!file) return 0;
  while (me->count < KNOWN_MOST && fgets(line, sizeof line, file)) {
    known_t *known = &me->known[me->count++];
    for (int i = 0; i < PIECE; i++) {
      char pair[3] = { line[2 * i], line[2 * i + 1], 0 };
      known->piece[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    snprintf(known->words, sizeof known->words, "%s", line + 2 * PIECE + 1);
    known->words[strcspn(known->words, "\n")] = 0;
  }
  fclose(file);
  return 1;
}

static int32_t start_(void *self, uint64_t role, vp_bytes info, vp_out *out, void **stream, vp_error *error) {
  (void)self, (void)role;
  char all[4096], path[200] = "";
  copy(info, all, sizeof all);
  const char *key = strstr(all, "\"known\":\"");
  if (key) snprintf(path, sizeof path, "%.*s", (int)strcspn(key + 9, "\""), key + 9);
  stream_t *me = calloc(1, sizeof *me);
  if (!me || !read_known(me, path)) {
    snprintf(error->msg, sizeof error->msg, "no recordings in \"%s\"", path);
    host->release(out);
    free(me);
    return VP_ERROR;
  }
  me->out = out;
  *stream = me;
  return VP_OK;
}

/* Keeps the last half second of what is no speech, and all of what is. */
static void hear(stream_t *me, vp_bytes sound) {
  size_t room = me->speaks ? KEPT_MOST : LEAD;
  if (sound.len > room) return;
  if (me->kept + sound.len > room) {
    size_t more = me->kept + sound.len - room;
    if (more > me->kept) more = me->kept;
    memmove(me->sound, me->sound + more, me->kept - more);
    me->kept -= more;
  }
  memcpy(me->sound + me->kept, sound.ptr, sound.len);
  me->kept += sound.len;
}

/* The words of all recordings in what is kept, in the order they were said. */
static void answer(stream_t *me, uint32_t turn) {
  char words[1024] = "";
  for (size_t at = 0; at + PIECE <= me->kept; at++)
    for (int i = 0; i < me->count; i++)
      if (!memcmp(me->sound + at, me->known[i].piece, PIECE)) {
        size_t length = strlen(words);
        snprintf(words + length, sizeof words - length, "%s%s", length ? " " : "", me->known[i].words);
      }
  emit(me->out, VP_TEXT, VP_LAST, turn, words);
  me->kept = 0;
}

static int32_t send_(void *stream, const vp_event *event, size_t n) {
  stream_t *me = stream;
  for (; n > 0; n--, event++) {
    if (event->kind == VP_SPEECH_START) me->speaks = 1;
    if (event->kind == VP_AUDIO) hear(me, event->data);
    if (event->kind == VP_SPEECH_END && event->flags & VP_LAST) {
      answer(me, event->turn);
      me->speaks = 0;
    }
  }
  return VP_OK;
}

PLUGIN("test-recogniser", VP_STT, start_, "{\"stt\":{\"accepts\":[{\"encoding\":\"mulaw\",\"rate\":8000}]}}")
