/*
 * voice_plugin.h: the contract between voice-streamer and its plugins, version 1.
 *
 * A plugin is a dynamic library: a voice (text in, sound out), a transcriber (sound in, words out) or a responder (the
 * caller's turns in, words or sound out). It exports one function, voice_plugin(), which returns a table. The host
 * calls the table; the plugin calls the host's table. src/abi.rs is the same contract for Rust; a test compares the
 * two member by member.
 *
 * LIFE OF A PLUGIN                                                                                         thread
 *   1. voice_plugin(1)      the table; the host looks at size, abi, name, roles                            any
 *   2. describe             once per library, perhaps in a process of its own                              any
 *   3. open                 an instance from its configuration; may be called again for another one        control
 *   4.   start              one stream for one call, in one role                                           media
 *   5.     send             events, in order, as long as the call lasts                                    media
 *   6.   stop               the stream is over                                                             media
 *   7. close                no stream is left; the library itself is never unloaded                        control
 *
 * OWNERSHIP, WHOLE
 *   - Bytes passed in belong to the caller and die when the call returns. Copy what you keep.
 *   - Nobody frees the other side's memory. There is no allocator in this contract.
 *   - Each vp_out is released exactly once, by the plugin: by the time stop returns or soon after (a thread of the
 *     plugin may hold it a little longer), and also when start has failed.
 *   - `self` dies with close, `stream` with stop. The vp_ctx given to open dies when close returns, or when an open
 *     that failed returns. The vp_host table never dies.
 *
 * THREADS, WHOLE
 *   - start, send and stop of one stream: always the same media thread, never two at once. Different streams: different
 *     threads at once. `self` is shared by all of them.
 *   - open and close: a control thread. The host gives each 10 s; after that it goes on without the plugin.
 *   - Functions of vp_host: from any thread, one caller at a time per vp_out.
 *   - start, send and stop must never block: other callers' sound waits meanwhile. Aim at under 100 us.
 *
 * WHAT A PLUGIN MUST NOT DO
 *   let a C++ exception out of a function; change signal handlers, environment, working directory or umask; bring an
 *   allocator that wants initial-exec TLS; keep a thread running past close.
 *
 * GROWTH
 *   `abi` changes only on a break. New members are appended to the tables: a member is there if it lies within the
 *   other side's `size` and is not NULL. New event kinds are no break: ignore kinds and flags that you do not know.
 *
 * Strings are UTF-8. Numbers are the machine's own. Audio is mono; 16-bit samples are little endian.
 */
#ifndef VOICE_PLUGIN_H
#define VOICE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define VP_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define VP_EXPORT __attribute__((visibility("default")))
#else
#define VP_EXPORT
#endif

/* The version of the contract this header describes. */
#define VP_ABI 1

/* Bytes lent for the length of one call. ptr may be NULL when len is 0. */
typedef struct vp_bytes {
  const uint8_t *ptr;
  size_t len;
} vp_bytes;

/* One thing that happens on a stream; the same struct both ways. */
typedef struct vp_event {
  uint16_t kind;  /* VP_AUDIO and so on; ignore unknown ones */
  uint16_t flags; /* VP_LAST and so on; ignore unknown ones */
  uint32_t turn;  /* the utterance (voices) or the turn (responders, transcribers), from 1 and only ever raised by the
                     host; 0 is the time outside all turns, which is never cancelled */
  uint64_t at;    /* media clock: samples at 8 kHz since the carrier's stream began; 0 in records from the plugin */
  vp_bytes data;  /* audio, text or JSON, by kind; lent */
} vp_event;

/*
 * Values of vp_event.kind. "to" and "from" are seen from the plugin.
 *
 *   voice         to: SPEAK CANCEL WRITABLE                  from: AUDIO* (DONE | FAILED), once per SPEAK
 *   transcriber   to: AUDIO SPEECH_START SPEECH_END          from: PARTIAL* (TEXT | FAILED), once per stretch of the
 *                     CANCEL WRITABLE                              caller's speech; FINISHED at a pause
 *   responder     to: SPEECH_START SPEECH_END TEXT PARTIAL   from: (TEXT | PARTIAL | AUDIO)* (DONE | FAILED), once per
 *                     DTMF SILENCE RETURNED MARK CANCEL            turn; ACTION at any time
 *                     FAILED WRITABLE, and AUDIO if it hears audio
 *
 * The `turn` of a transcriber counts stretches of the caller's speech: a cough while the agent talks is one too. The
 * `turn` of a responder counts what it has to answer.
 */
enum {
  VP_AUDIO = 1,        /* both: sound in the agreed format, whole samples only */
  VP_TEXT = 2,         /* to responder: what the caller said, final. from responder: one utterance for the voice. from
                          transcriber: the final words of the stretch; none if there is no word in it, as in a cough:
                          unless it stopped the agent nobody is asked about it. Who does not know says FAILED */
  VP_PARTIAL = 3,      /* to responder, from transcriber: words so far, replaced by what follows. from responder: a piece
                          of its words; the host joins them and cuts utterances at the ends of sentences. To a responder
                          that takes digits: what was said before the key that is turn `turn`, once more between DTMF
                          and SPEECH_END, and again later if more of it becomes known */
  VP_SPEAK = 4,        /* to voice: say `data` as utterance `turn`. In order: the next may come before the last is done */
  VP_CANCEL = 5,       /* to all: `turn` and everything before it is no longer wanted; answer nothing for it. to
                          responder: `data` is what the caller heard of its answer to `turn` */
  VP_MARK = 6,         /* to responder: the caller has heard utterance `turn` to its end */
  VP_DTMF = 7,         /* to responder: the caller pressed `data`, one of 0-9 * # A-D; a turn if it takes digits */
  VP_SPEECH_START = 8, /* to responder, transcriber: the caller began to speak, some 100 ms ago */
  VP_SPEECH_END = 9,   /* to responder, transcriber: he paused; with VP_LAST his turn `turn` is over: answer it */
  VP_WRITABLE = 10,    /* to all: the ring that said VP_AGAIN is half empty again */
  VP_ACTION = 11,      /* from responder: a JSON object, see below; holds even if its turn was cancelled */
  VP_DONE = 12,        /* from all: `turn` is complete. A voice that says so without any AUDIO has failed */
  VP_FAILED = 13,      /* from all: `turn` failed; `data` is a sentence for the log, at most 400 bytes; see NAMES OF
                          FAILURES. From responder and transcriber, turn 0: the stream is at its end; the host stops it
                          and starts another for what comes next. to responder: an ACTION was not done; `data` is JSON,
                          see below */
  VP_SILENCE = 14,     /* to responder that takes silence: nobody speaks, `data` times in a row (decimal); a turn */
  VP_FINISHED = 15,    /* from transcriber, at a pause: `data` is how likely the caller has finished, 0 to 1, decimal */
  VP_RETURNED = 16,    /* to responder: the call was elsewhere and is back, or could not go; `data` is JSON, see below */
  VP_PRIVATE = 0x8000  /* first of the kinds that one host and one plugin may agree on between themselves */
};

/*
 * WITHDRAWN TURNS
 *
 * A caller who goes on before he has heard a word of the answer has not finished: "I'd like to book ... for two". His
 * turn is withdrawn, and the next one has the words of both. It also is if it was asked about before its end was certain
 * (`speculate`) and he went on. The responder then gets CANCEL with VP_WITHDRAWN, and does best to be as it was before
 * that turn: what he said comes again, or, if he presses a key meanwhile, never. The host takes back voice and language;
 * what was set or noted stays. A responder that cannot take back what it did, as it has booked the table, answers the next
 * turn as it thinks right.
 *
 * Also withdrawn, before anybody was asked, is a turn in which a transcriber found no word: a cough. SPEECH_START told of
 * it; nothing comes again.
 */

/* Bits of vp_event.flags. */
enum {
  VP_LAST = 1, /* closes a turn: nothing more of this kind follows in it */
  VP_FIRM = 2, /* on TEXT from a responder: the caller cannot interrupt it */
  VP_WITHDRAWN = 4, /* on CANCEL to a responder: the turn is none, see WITHDRAWN TURNS */
  VP_FIXED = 8 /* on TEXT or PARTIAL from a responder: the words are the same in other calls, as those of a menu are. The
                  host may keep their sound, and then asks no voice. Never on what was made of the caller's words, name
                  or number. A sentence of several PARTIALs is fixed if all of it is. */
};

/* What functions answer. */
enum {
  VP_OK = 0,
  VP_AGAIN = 1,       /* the ring is full: wait for VP_WRITABLE, then try again */
  VP_CANCELLED = 2,   /* the turn is no longer wanted: stop working on it */
  VP_UNSUPPORTED = 3, /* this side does not offer what was asked for */
  VP_ERROR = -1,      /* it failed; where there is a vp_error, it holds a sentence */
  VP_PANIC = -2       /* the plugin panicked in the call, and stopped the panic on its side */
};

/* Bits of vp_plugin.roles; start is given one of them. */
enum {
  VP_TTS = 1,       /* a voice */
  VP_RESPONDER = 2, /* a responder */
  VP_STT = 4        /* a transcriber */
};

/* Levels of the log. */
enum {
  VP_LOG_ERROR = 1, /* something failed */
  VP_LOG_WARN = 2,  /* something is wrong but work goes on */
  VP_LOG_INFO = 3,  /* worth knowing in production */
  VP_LOG_DEBUG = 4, /* for finding faults */
  VP_LOG_TRACE = 5  /* everything */
};

/* What went wrong: the caller's memory, filled by the callee. */
typedef struct vp_error {
  int32_t code;  /* a number of the plugin's own, or what the function answers */
  char msg[252]; /* a sentence in UTF-8, ended by NUL */
} vp_error;

typedef struct vp_ctx vp_ctx; /* the host's side of one instance; opaque */
typedef struct vp_out vp_out; /* the host's side of one stream's way out; opaque */

/*
 * NAMES OF FAILURES
 *
 * A sentence about a failure (of VP_FAILED, of a vp_error) may begin with one of these and ": ", as in
 * "quota: the account has no characters left". The host counts and shows the name; the sentence is for people.
 */
#define VP_FAILURE_AUTH "auth"               /* the maker does not accept the key */
#define VP_FAILURE_QUOTA "quota"             /* what the account may use is used up */
#define VP_FAILURE_BUSY "busy"               /* too much at once; later it works again */
#define VP_FAILURE_BAD_REQUEST "bad_request" /* the maker refuses the text, a setting, a model */
#define VP_FAILURE_NOT_FOUND "not_found"     /* there is no such voice, or the account may not use it */
#define VP_FAILURE_UNREACHABLE "unreachable" /* no connection to the maker */
#define VP_FAILURE_TIMEOUT "timeout"         /* it took too long to begin, or to go on */
#define VP_FAILURE_NO_AUDIO "no_audio"       /* it ended well and without any sound */
#define VP_FAILURE_CUT "cut"                 /* the sound broke off */
#define VP_FAILURE_SERVER "server"           /* the maker says it is its own fault, or nobody understands its answer */

/* What the host offers. */
typedef struct vp_host {
  uint32_t size; /* sizeof as the host was built */
  uint32_t abi;  /* VP_ABI as the host was built */

  /* [any thread] The highest level that is written at present. */
  uint32_t (*log_level)(vp_ctx *ctx);

  /* [any thread] One line in the host's log: a sentence, and fields as a JSON object (len 0 for none). Both lent. They
   * become fields of the line; "call" with the name that `start` was given is what the host's own lines about a call
   * carry. */
  void (*log)(vp_ctx *ctx, uint32_t level, vp_bytes text, vp_bytes fields_json);

  /* [any thread, one caller per out] Room in the ring for a record of `want` bytes; *p is where to write them, valid
     until commit. VP_OK; VP_AGAIN: full; VP_CANCELLED: turn given up; VP_ERROR: `want` is more than a ring takes, or
     something is reserved already. The ring has 32 KiB or so: a few KiB at once are a good piece. Its last 512 bytes
     take DONE, FAILED and ACTION only, so that an ending always fits. */
  int32_t (*reserve)(vp_out *out, uint16_t kind, uint32_t turn, size_t want, uint8_t **p);

  /* [as reserve] Hands over the first n bytes of what was reserved; n = 0 of AUDIO gives it up. VP_OK; VP_CANCELLED:
     turn given up meanwhile, nothing was handed over; VP_ERROR: nothing reserved, or n too large. */
  int32_t (*commit)(vp_out *out, size_t n, uint16_t flags);

  /* [as reserve] reserve, copy and commit in one. The event and its data are lent. */
  int32_t (*emit)(vp_out *out, const vp_event *event);

  /* [any thread] The last use of this out. Exactly once. */
  void (*release)(vp_out *out);

  /* [any thread] Something by name that came after version 1, or NULL. */
  const void *(*extension)(vp_ctx *ctx, const char *id);
} vp_host;

/* What the plugin offers: static, never changing. All functions but describe and extension must be there. */
typedef struct vp_plugin {
  uint32_t size;       /* sizeof as the plugin was built */
  uint32_t abi;        /* VP_ABI as the plugin was built */
  const char *name;    /* NUL-terminated, static */
  const char *version; /* NUL-terminated, static */
  uint64_t roles;      /* VP_TTS | VP_RESPONDER | VP_STT */

  /* [any thread] Calls put(to, json) once with the description below; VP_OK. May be NULL: then the plugin has no
     configuration to check, produces and accepts mu-law 8000, and hears audio. */
  int32_t (*describe)(void (*put)(void *to, vp_bytes json), void *to);

  /* [control thread, may block for 10 s] Makes an instance. config_json: an object with the keys of [plugins.NAME],
     checked against the schema; lent, and wiped afterwards, for it may hold secrets. ctx is for log. On VP_OK *self is
     the instance; else error holds a sentence and there is no instance to close. */
  int32_t (*open)(const vp_host *host, vp_ctx *ctx, vp_bytes config_json, void **self, vp_error *error);

  /* [control thread, may block for 10 s] Ends the instance: join your threads. No stream is left. */
  void (*close)(void *self);

  /* [media thread, never blocks] A stream for one call, in one role. info_json as below, lent. `out` is the plugin's
     from now on, to be released once whatever is answered. On VP_OK *stream is the stream; else error holds a sentence
     and there is no stream to stop. Records may be written at once. */
  int32_t (*start)(void *self, uint64_t role, vp_bytes info_json, vp_out *out, void **stream, vp_error *error);

  /* [the stream's media thread, never blocks] n events in order, lent. VP_OK; VP_ERROR or VP_PANIC: the host counts it
     and may stop the stream. */
  int32_t (*send)(void *stream, const vp_event *events, size_t n);

  /* [the stream's media thread, never blocks] The stream is over and its pointer dead when this returns. */
  void (*stop)(void *stream);

  /* [any thread] Something by name that came after version 1, or NULL. May itself be NULL. Known: VP_CATALOG_ID,
     VP_LANGUAGES_ID, VP_CHECK_ID. */
  const void *(*extension)(const char *id);
} vp_plugin;

/* Extension of a plugin: what can be chosen from. Static, never changing. */
#define VP_CATALOG_ID "catalog/1"
typedef struct vp_catalog {
  uint32_t size; /* sizeof as the plugin was built */

  /* [control thread, may block for 10 s] Calls put(to, json) once with the list below and answers VP_OK; else error
     holds a sentence. Never called for an instance that is closing. */
  int32_t (*list)(void *self, void (*put)(void *to, vp_bytes json), void *to, vp_error *error);
} vp_catalog;

/* Extension of a plugin: the languages that an instance can be told, in a vp_catalog whose `list` is asked whenever a
   configuration is checked: no service is asked for it. The host refuses what is not among them. */
#define VP_LANGUAGES_ID "languages/1"

/* Extension of a plugin: what is wrong with a configuration, all of it, before anything is opened. Static. */
#define VP_CHECK_ID "check/1"
typedef struct vp_check {
  uint32_t size; /* sizeof as the plugin was built */

  /* [control thread, may block for 10 s] Looks at what open would get, changes nothing, calls put(to, json) once with the
     object below and answers VP_OK. After any other answer, or none in time, the plugin is not opened. */
  int32_t (*check)(vp_bytes config_json, void (*put)(void *to, vp_bytes json), void *to);
} vp_check;

/* [any thread] The only symbol. NULL: "I cannot serve a host of this version". */
VP_EXPORT const vp_plugin *voice_plugin(uint32_t host_abi);

/*
 * JSON
 *
 * What describe puts; every member may be left out (formats are then mulaw 8000, hears_audio is false, turns "host"):
 *
 *   { "tts":       { "produces": [ {"encoding": "mulaw", "rate": 8000}, {"encoding": "s16le", "rate": 16000} ],
 *                    "schema":   { JSON Schema of the keys of [voices.NAME] } },
 *     "stt":       { "accepts":  [ {"encoding": "s16le", "rate": 16000} ],
 *                    "schema":   { JSON Schema of the keys of [transcribers.NAME] } },
 *     "responder": { "hears_audio": true, "turns": "host", "speaks_first": false, "takes_digits": false,
 *                    "takes_silence": false },
 *     "schema":    { JSON Schema of the keys of [plugins.NAME] } }
 *
 *   encoding   "mulaw": G.711, one byte per sample, rate 8000 only. "s16le": signed 16 bits, little endian; rate 8000,
 *              16000, 22050, 24000, 44100 or 48000. The host takes the first it can use and prefers mulaw 8000, which
 *              is what the phone has.
 *   turns      "host": the host listens for pauses and says when a turn is over. "own": the responder listens to the
 *              audio itself and speaks when it likes. What depends on configuration is said by ACTION during start.
 *   speaks_first   turn 1, or the one after a cough, is over as soon as the call has begun, before the caller said a word.
 *   takes_digits   each key the caller presses is a turn of its own: DTMF, then SPEECH_END with VP_LAST.
 *   takes_silence  when nobody speaks the responder is asked (SILENCE, then SPEECH_END with VP_LAST), and the host says
 *              nothing of its own.
 *   schema     the host checks the configuration against it before open. "writeOnly": true marks a secret.
 *
 * The info_json of start:
 *
 *   { "call":     { "sid": "CA...", "from": "+43...", "to": "+1...", "parameters": { "name": "text" } },
 *     "format":   { "encoding": "mulaw", "rate": 8000 },
 *     "language": "en",
 *     "history":  [ {"agent": "Hello. How can", "interrupted": true}, {"caller": "a table for two"}, {"digit": "5"} ],
 *     "variables": { "order": "17" },
 *     "settings": { keys of [voices.NAME] or [transcribers.NAME] but for plugin and fallback } }
 *
 *   format     what a voice has to produce, what a transcriber gets, what a responder gets and gives (mulaw 8000).
 *   language   what is spoken at present.
 *   history    for a responder: what was said so far, if it comes to a call that has begun, as a fallback or again after
 *              it had fallen. Of the agent what was heard, of the caller what a responder was asked about and was not
 *              withdrawn; what it is asked next is not yet among it. The latest 200 entries and 16 KiB.
 *   variables  for a responder: what was "set" before, see ACTION.
 *
 * The data of an ACTION:
 *
 *   {"do": "hang_up"}     end the call once what was said has been heard
 *   {"do": "own_turns"}   during start: "turns" is "own" for this call
 *   {"do": "take", "first": true, "digits": true, "silence": false}   during start: for this call instead of
 *                         "speaks_first", "takes_digits" and "takes_silence"; what is left out stays
 *   {"do": "take", "audio": true}   at any time: the caller's sound from now on, or with false no longer; at the start
 *                         as "hears_audio" says. Each frame costs a call of send and a wake-up of whoever waits for it
 *   {"do": "transfer", "to": "+15550100"}       connect the caller to that number once what was said has been heard;
 *                                               RETURNED tells how it went if he is still there afterwards. + and 3 to 15
 *                                               digits, a short number of 3 to 6 digits, or sip:name@host (also sips:)
 *   {"do": "send_digits", "digits": "1w23#"}    press keys on his line, w is half a second; RETURNED follows
 *   {"do": "voice", "voice": "spanish"}         what is said from now on is said by this one of [voices.NAME]
 *   {"do": "language", "language": "es-ES"}     and in this language, which whoever listens expects from now on
 *   {"do": "silence", "after_ms": 5000}         the next silence is told after so long; 0: the agent's own time again
 *   {"do": "set", "name": "order", "value": "17"}   keep a variable with the call, 64 at most
 *   {"do": "note", "text": "wants a callback"}      keep a note with the call
 *
 * How much the host takes at once, in bytes; what is longer is refused whole, and its log says so: one record of any kind
 * 32240 (the ring), one TEXT of a responder 4000 (one utterance), `name` (and `voice`, `language`) 64, `value` 1000, the
 * `text` of a note 4000.
 *
 * The data of RETURNED: {"after": "transfer", "outcome": "completed"}; `after` is "transfer", "digits" or "stream" (it
 * broke and the caller is connected again), `outcome` is the carrier's word for how the transfer went. Where the call could
 * not go at all, as {"do": "transfer", "to": "nobody"}: {"after": "transfer", "outcome": "failed", "reason": "bad_action: it
 * wants to transfer to ..."}, once the turn is DONE and what was said in it has been heard. Who then wants it where it
 * cannot go again has failed the turn.
 *
 * The data of a FAILED to a responder, at once, when another action is not done: {"do": "voice", "reason": "not_found: it
 * wants to speak by the voice ..."}. It is no turn, and the answer goes on. `reason` is a sentence for a log, with its name.
 *
 * What is put for VP_LANGUAGES_ID: tags for each part, without it every language; "es" there stands for "es-MX" too, and
 * the other way round:
 *
 *   { "tts": ["en-US", "es-ES"], "stt": ["en"] }
 *
 * What vp_catalog.list puts; `id` is what `[voices.NAME]` is given, every other member may be left out:
 *
 *   { "voices": [ {"id": "21m00Tcm4TlvDq8ikWAM", "name": "Rachel", "language": "en", "about": "calm, premade"} ],
 *     "models": [ {"id": "flash", "name": "Flash", "languages": ["en", "de"], "max_characters": 40000} ] }
 *
 * What vp_check.check puts; every member may be left out. With problems the plugin is not opened, and each is shown; the
 * drawing is what `voice-streamer check` shows of what would come of the configuration; the voices are those that it may
 * choose by ACTION, and one that there is not is a problem, too:
 *
 *   { "problems": ["the menu leads nowhere"], "drawing": "main\n  1 -> sales", "voices": ["spanish"] }
 *
 * A problem is a sentence, or {"key": "flow", "line": 3, "text": "the menu leads nowhere"}: line 3 of the text of that key
 * of [plugins.NAME]. The host names the file if the text came from one.
 *
 * Ignore members that you do not know, and so does the host.
 */

#ifdef __cplusplus
}
#endif

#endif /* VOICE_PLUGIN_H */
