//! Responders that take their time: the caller's turns in, words or sound out, from a future on the plugin's own
//! thread. For work without waiting there is `inline.rs`.

use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{json, Value};

use crate::abi::{flag, kind, limit, role, status, VpEvent};
use crate::catalog::Checked;
use crate::error::{Error, Result};
use crate::export::{schema, Role};
use crate::format::Format;
use crate::host::{on_call, Host};
use crate::inbox::{Inbox, Over, Stream, Taken};
use crate::info::{config, CallInfo, Said, StartInfo};
use crate::out::{failed_text, OutHandle, HANG_UP};
use crate::panics::Contained;
use crate::worker::Worker;

/// How long `run` may go on once its call is over, to write something down or close a connection.
const RUN_GRACE: Duration = Duration::from_secs(5);
/// Sound handed over at once by [`Call::play`]: 200 ms.
const PIECE_BYTES: usize = 1600;

/// A responder.
pub trait Responder: Send + Sync + Sized + 'static {
    /// The keys of `[plugins.NAME]`.
    type Config: DeserializeOwned + JsonSchema;
    /// Whether it wants the caller's sound as [`Event::Audio`]; else it gets along with turns and words. One that wants it
    /// now and then says so by [`Responder::wants`] and [`Call::hear_audio`]: each frame is a wake-up of its thread.
    const HEARS_AUDIO: bool = false;
    /// Whether it says the first words: turn 1 is over as soon as the call has begun (after the agent's greeting, if
    /// there is one), before the caller has said anything.
    const SPEAKS_FIRST: bool = false;
    /// Whether each key is a turn of its own: [`Event::Digit`], then [`Event::TurnOver`].
    const TAKES_DIGITS: bool = false;
    /// Whether it is asked when nobody speaks: [`Event::Silence`], then [`Event::TurnOver`]. Else the host asks the
    /// caller, as the agent's `no_input_text` says.
    const TAKES_SILENCE: bool = false;

    /// What a configuration comes to, for those in whose keys much can be wrong: told to the host before anything is
    /// opened, as many sentences as there are. `open` refuses by itself what is wrong.
    fn check(config: &Self::Config) -> Checked {
        let _ = config;
        Checked::default()
    }

    /// What an instance with this configuration wants, where that is less or more than the constants say.
    fn wants(config: &Self::Config) -> Wants {
        let _ = config;
        Wants::of::<Self>()
    }

    /// Makes the instance; the host waits 10 seconds at most.
    fn open(config: Self::Config, host: Host) -> impl Future<Output = Result<Self>>;

    /// Answers one call until [`Call::next`] says `None`. After that it has 5 seconds to finish. If it ends before
    /// the call does, every later turn is told to the host as failed.
    fn run(&self, call: Call) -> impl Future<Output = Result<()>>;
}

/// What is told to a responder beside what the caller says: the first three as turns of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// As [`Responder::SPEAKS_FIRST`].
    pub first: bool,
    /// As [`Responder::TAKES_DIGITS`].
    pub digits: bool,
    /// As [`Responder::TAKES_SILENCE`].
    pub silence: bool,
    /// As [`Responder::HEARS_AUDIO`], from the beginning; without that constant there is none.
    pub audio: bool,
}

impl Wants {
    /// What the constants say.
    fn of<R: Responder>() -> Wants {
        Wants {
            first: R::SPEAKS_FIRST,
            digits: R::TAKES_DIGITS,
            silence: R::TAKES_SILENCE,
            audio: R::HEARS_AUDIO,
        }
    }
}

/// What is to be known of words that are said with [`Call::say_as`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// The caller cannot interrupt them.
    pub firm: bool,
    /// They are the same in other calls, and their sound may be kept.
    pub fixed: bool,
}

/// What happens in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The caller has finished: answer, and say [`Call::done`].
    TurnOver {
        /// His turn.
        turn: u32,
    },
    /// What he said, final. Comes before the turn is over, if a transcriber listens at all.
    Text {
        /// His turn.
        turn: u32,
        /// His words.
        text: String,
    },
    /// What he said so far, to be replaced by what follows. Where keys are turns also what he said before the key that is
    /// this turn: once more behind [`Digit`](Event::Digit), and again later if more of it becomes known.
    Partial {
        /// His turn.
        turn: u32,
        /// His words.
        text: String,
    },
    /// He began to speak.
    SpeechStart,
    /// He paused; his turn is not over yet.
    SpeechEnd,
    /// He pressed a key: one of `0-9 * # A-D`.
    Digit(char),
    /// Nobody has spoken for a while; only with [`Responder::TAKES_SILENCE`].
    Silence {
        /// How often in a row.
        count: u32,
    },
    /// The call was elsewhere (a transfer, digits that were sent) and is back, or could not go there, or its stream broke
    /// and it is connected again. After a transfer or digits a [`TurnOver`](Event::TurnOver) follows.
    Returned {
        /// `transfer`, `digits` or `stream`.
        after: String,
        /// How a transfer went, in the carrier's word: `completed`, `busy`, `no-answer`, `failed`, `canceled`.
        outcome: String,
        /// Why it did not go at all, a sentence for a log, where the outcome is `failed` for that: what was asked for is no
        /// number, or no keys. To ask for such a thing again in answer to this fails the turn.
        reason: String,
    },
    /// Something that was asked for is not done, and the answer goes on: a voice that there is not, a note that is too
    /// long. It is no turn.
    Refused {
        /// As in the contract: `voice`, `language`, `set`, `note`.
        action: String,
        /// Why, a sentence for a log.
        reason: String,
    },
    /// He interrupted: nothing more is wanted for this turn and those before it.
    Cancelled {
        /// The last unwanted turn.
        turn: u32,
        /// What he heard of the answer to it.
        heard: String,
        /// He had not finished: the turn is none, and what he said in it comes again with what he goes on to say, unless
        /// he presses a key instead. To be forgotten is what was asked, and what was done about it. Or it was a cough,
        /// and nothing was asked.
        withdrawn: bool,
    },
    /// He heard this utterance to its end.
    Heard {
        /// Its number.
        utterance: u32,
    },
    /// His sound, µ-law 8000 Hz, usually 20 ms; only with [`Responder::HEARS_AUDIO`], and only while it is wanted. When
    /// the responder is two seconds behind, the oldest is dropped and the log says so.
    Audio(Vec<u8>),
}

/// One call, as a responder sees it.
///
/// What is said goes to the turn that was over last; if the caller has interrupted it, words are dropped without an
/// error and [`Event::Cancelled`] comes next.
pub struct Call {
    inbox: Arc<Inbox>,
    info: StartInfo,
    host: Host,
}

impl Call {
    /// The next event; `None` once the call is over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let (kind, flags, turn, text) = match self.inbox.next(&self.host).await? {
                Taken::Audio { bytes, .. } => return Some(Event::Audio(bytes)),
                Taken::Control {
                    kind,
                    flags,
                    turn,
                    text,
                } => (kind, flags, turn, text),
            };
            return Some(match kind {
                kind::SPEECH_END if flags & flag::LAST != 0 => Event::TurnOver { turn },
                kind::SPEECH_END => Event::SpeechEnd,
                kind::SPEECH_START => Event::SpeechStart,
                kind::TEXT => Event::Text { turn, text },
                kind::PARTIAL => Event::Partial { turn, text },
                kind::CANCEL => Event::Cancelled {
                    turn,
                    heard: text,
                    withdrawn: flags & flag::WITHDRAWN != 0,
                },
                kind::SILENCE => Event::Silence {
                    count: text.parse().unwrap_or(1),
                },
                kind::RETURNED => {
                    let Returned {
                        after,
                        outcome,
                        reason,
                    } = serde_json::from_str(&text).unwrap_or_default();
                    Event::Returned {
                        after,
                        outcome,
                        reason,
                    }
                }
                kind::FAILED => {
                    let Refused { action, reason } =
                        serde_json::from_str(&text).unwrap_or_default();
                    Event::Refused { action, reason }
                }
                kind::MARK => Event::Heard { utterance: turn },
                kind::DTMF => match text.chars().next() {
                    Some(digit) => Event::Digit(digit),
                    None => continue,
                },
                _ => continue,
            });
        }
    }

    /// Words for the voice, one utterance of at most [`limit::TEXT_BYTES`]; a longer one is not said, which the host's log
    /// tells. May be said several times in a turn.
    ///
    /// # Errors
    /// The call is over, or there are more than [`limit::RECORD_BYTES`].
    pub async fn say(&mut self, words: &str) -> Result<()> {
        self.put(kind::TEXT, 0, words.as_bytes()).await
    }

    /// As [`say`](Call::say), and the caller cannot interrupt it.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn say_firmly(&mut self, words: &str) -> Result<()> {
        let firm = true;
        let wording = Wording { firm, fixed: false };
        self.say_as(words, wording).await
    }

    /// As [`say`](Call::say), for words that are the same in other calls, as those of a menu are: the host may keep their
    /// sound, and the next caller hears it at once and without a request to the voice's maker. Not for what was made of
    /// the caller's words, name or number.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn say_fixed(&mut self, words: &str) -> Result<()> {
        let fixed = true;
        let wording = Wording { firm: false, fixed };
        self.say_as(words, wording).await
    }

    /// As [`say`](Call::say), firm or fixed or both.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn say_as(&mut self, words: &str, Wording { firm, fixed }: Wording) -> Result<()> {
        let flag = |flag, set| if set { flag } else { 0 };
        let flags = flag(flag::FIRM, firm) | flag(flag::FIXED, fixed);
        self.put(kind::TEXT, flags, words.as_bytes()).await
    }

    /// A piece of an answer that is still being made, as a language model writes it: the host joins the pieces and
    /// speaks each sentence as soon as it is whole, the rest with [`done`](Call::done).
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn say_piece(&mut self, piece: &str) -> Result<()> {
        self.put(kind::PARTIAL, 0, piece.as_bytes()).await
    }

    /// As [`say_piece`](Call::say_piece), for words that are the same in other calls: a sentence all of whose pieces are
    /// is as one of [`say_fixed`](Call::say_fixed).
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn say_fixed_piece(&mut self, piece: &str) -> Result<()> {
        let piece = piece.as_bytes();
        self.put(kind::PARTIAL, flag::FIXED, piece).await
    }

    /// Sound of the responder's own, µ-law 8000 Hz; waits while the host has enough of it.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn play(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.put(kind::AUDIO, 0, piece).await?;
        }
        Ok(())
    }

    /// The answer to this turn is complete.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn done(&mut self) -> Result<()> {
        let turn = self.turn();
        self.inbox.answered();
        taken(self.inbox.emit(kind::DONE, turn, flag::LAST, &[]).await, 0)
    }

    /// This turn is not answered, and why: a sentence for the log, cut at 400 bytes. The next one may be. Where another
    /// responder stands behind this one in the configuration, it answers instead.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn failed(&mut self, why: &str) -> Result<()> {
        let turn = self.turn();
        self.inbox.answered();
        let why = failed_text(why);
        let answer = self.inbox.emit(kind::FAILED, turn, flag::LAST, why).await;
        taken(answer, why.len())
    }

    /// End the call once the caller has heard what was said so far.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn hang_up(&mut self) -> Result<()> {
        self.put(kind::ACTION, 0, HANG_UP).await
    }

    /// Connect the caller to this number once he has heard what was said so far. If he is still there afterwards,
    /// [`Event::Returned`] comes. What [`is_dialable`](crate::dial::is_dialable) is not is refused, and comes back so, too.
    ///
    /// # Errors
    /// As for [`say`](Call::say), and for a `to` that no record holds.
    pub async fn transfer(&mut self, to: &str) -> Result<()> {
        self.act(json!({"do": "transfer", "to": to})).await
    }

    /// Press these keys on the caller's line: `0-9 * # A-D`, `w` is half a second. [`Event::Returned`] comes after it.
    ///
    /// # Errors
    /// As for [`transfer`](Call::transfer).
    pub async fn send_digits(&mut self, digits: &str) -> Result<()> {
        self.act(json!({"do": "send_digits", "digits": digits}))
            .await
    }

    /// What is said from now on is said by this one of the configuration's `[voices.NAME]`.
    ///
    /// # Errors
    /// As for [`transfer`](Call::transfer).
    pub async fn use_voice(&mut self, name: &str) -> Result<()> {
        self.act(json!({"do": "voice", "voice": name})).await
    }

    /// What is said from now on is in this language, as in `es` or `es-ES`, and so is what is expected to be heard.
    ///
    /// # Errors
    /// As for [`transfer`](Call::transfer).
    pub async fn use_language(&mut self, language: &str) -> Result<()> {
        self.act(json!({"do": "language", "language": language}))
            .await
    }

    /// The next [`Event::Silence`] comes when nobody has spoken for so long; 0: the agent's own `no_input_ms` again.
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn silence_after(&mut self, ms: u64) -> Result<()> {
        self.act(json!({"do": "silence", "after_ms": ms})).await
    }

    /// Whether the caller's sound comes as [`Event::Audio`] from now on; what is on its way already may still come. Only
    /// for responders with [`Responder::HEARS_AUDIO`].
    ///
    /// # Errors
    /// As for [`say`](Call::say).
    pub async fn hear_audio(&mut self, wanted: bool) -> Result<()> {
        let audio = self.inbox.hear_audio(wanted);
        self.act(json!({"do": "take", "audio": audio})).await
    }

    /// Keeps a variable with the call's record: a name of at most [`limit::NAME_BYTES`] and a value of at most
    /// [`limit::VALUE_BYTES`]. A longer one is not kept, which the host's log tells.
    ///
    /// # Errors
    /// As for [`transfer`](Call::transfer).
    pub async fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.act(json!({"do": "set", "name": name, "value": value}))
            .await
    }

    /// Keeps a note with the call's record, at most [`limit::NOTE_BYTES`]. A longer one is not kept, which the host's log
    /// tells.
    ///
    /// # Errors
    /// As for [`transfer`](Call::transfer).
    pub async fn note(&mut self, text: &str) -> Result<()> {
        self.act(json!({"do": "note", "text": text})).await
    }

    async fn put(&mut self, kind: u16, flags: u16, data: &[u8]) -> Result<()> {
        let answer = self.inbox.emit(kind, self.turn(), flags, data).await;
        taken(answer, data.len())
    }

    async fn act(&mut self, action: Value) -> Result<()> {
        let json = action.to_string();
        self.put(kind::ACTION, 0, json.as_bytes()).await
    }

    /// Whether the caller has interrupted the turn that is being answered: time to stop a long answer.
    pub fn interrupted(&self) -> bool {
        self.inbox.unwanted(self.turn())
    }

    /// The turn that is being answered, or else the one of the last event.
    pub fn turn(&self) -> u32 {
        self.inbox.unanswered().unwrap_or_else(|| self.inbox.turn())
    }

    /// The call.
    pub fn info(&self) -> &CallInfo {
        &self.info.call
    }

    /// What was said in the call before this responder came to it, oldest first: as a fallback, or again after it had
    /// fallen. Empty where it answers from the beginning.
    pub fn history(&self) -> &[Said] {
        &self.info.history
    }

    /// The variables that were kept with the call before that.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.info.variables
    }

    /// The agent's language; may be empty.
    pub fn language(&self) -> &str {
        &self.info.language
    }
}

/// The data of RETURNED.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Returned {
    after: String,
    outcome: String,
    reason: String,
}

/// The data of FAILED.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Refused {
    #[serde(rename = "do")]
    action: String,
    reason: String,
}

/// The host's answer to a record of so many bytes, for the author: an unwanted turn is no error.
pub(crate) fn taken(answer: core::result::Result<i32, Over>, bytes: usize) -> Result<()> {
    match answer {
        Ok(status::OK | status::CANCELLED) => Ok(()),
        Ok(_) if bytes > limit::RECORD_BYTES => Err(Error::new(format!(
            "{bytes} bytes are more than the host takes at once ({}; a text has at most {} bytes): say them in several",
            limit::RECORD_BYTES,
            limit::TEXT_BYTES,
        ))),
        Ok(other) => Err(Error::new(format!(
            "the host refused what was said (status {other})"
        ))),
        Err(Over) => Err("the call is over".into()),
    }
}

/// Drives one `run` to its end. Before the end of the call that is the end of the stream, which the host is told with
/// FAILED outside all turns, so that it starts another; until it has stopped this one, its turns are answered here, so that
/// nobody waits for nothing.
pub(crate) async fn attend(
    what: &str,
    run: impl Future<Output = Result<()>>,
    inbox: &Inbox,
    host: &Host,
) {
    let mut work = Contained::new(run);
    let ended = match inbox.unless(&mut work, Inbox::ended).await {
        Some(ended) => ended,
        // The call is over. What is still to be done has its time.
        None => match tokio::time::timeout(RUN_GRACE, &mut work).await {
            Ok(ended) => ended,
            Err(_) => {
                return host.warn(&format!(
                    "the {what} was still at work 5 s after its call; it was dropped"
                ));
            }
        },
    };
    if inbox.ended() {
        // Nobody is left to tell but the log, and most often it only learned of the end in the middle of something.
        if let Ok(Err(why)) = ended {
            host.debug(&format!("the {what} ended with its call, saying: {why}"));
        }
        return;
    }
    drop(work);
    let why = match ended {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why.text().to_owned()),
        Err(panic) => Some(format!("the {what} panicked: {panic}")),
    };
    let sent = match (&why, inbox.unanswered()) {
        (None, None) => Ok(status::OK),
        (None, Some(turn)) => inbox.emit(kind::DONE, turn, flag::LAST, &[]).await,
        (Some(why), turn) => {
            let turn = turn.unwrap_or_else(|| inbox.turn());
            inbox
                .emit(kind::FAILED, turn, flag::LAST, failed_text(why))
                .await
        }
    };
    // What it failed of has been said, unless it was outside all turns and is the same record.
    let said = why.is_some() && inbox.unanswered().is_none() && inbox.turn() == 0;
    let why = match why {
        None => format!("the {what} has ended before the call"),
        Some(why) => format!("the {what} has ended before the call: {why}"),
    };
    if sent.is_err() {
        return;
    }
    inbox.answered();
    let over = async { said || inbox.emit(kind::FAILED, 0, flag::LAST, &[]).await.is_ok() };
    if !over.await {
        return;
    }
    while inbox.next(host).await.is_some() {
        if let Some(turn) = inbox.unanswered() {
            inbox.answered();
            if inbox
                .emit(kind::FAILED, turn, flag::LAST, failed_text(&why))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// The [`Role`] of a responder.
pub struct ResponderRole<R>(PhantomData<R>);

/// An opened instance.
pub struct Instance {
    worker: Worker<Call>,
    wants: Wants,
}

impl<R: Responder> Role for ResponderRole<R> {
    const BIT: u64 = role::RESPONDER;
    type Instance = Instance;
    type Stream = Stream;

    fn describe() -> Value {
        json!({
            "responder": {
                "hears_audio": R::HEARS_AUDIO,
                "turns": "host",
                "speaks_first": R::SPEAKS_FIRST,
                "takes_digits": R::TAKES_DIGITS,
                "takes_silence": R::TAKES_SILENCE,
            },
            "schema": schema::<R::Config>(),
        })
    }

    const HAS_CHECK: bool = true;

    fn check(json: &[u8]) -> Result<Checked> {
        Ok(R::check(&config(json)?))
    }

    fn open(name: &'static str, host: Host, json: &[u8]) -> Result<Self::Instance> {
        let mut wants = R::wants(&config(json)?);
        wants.audio &= R::HEARS_AUDIO;
        let drive = |plugin: Arc<R>, call: Call| async move {
            let (inbox, host) = (call.inbox.clone(), call.host.clone());
            let sid = call.info().sid.clone();
            let run = async { plugin.run(call).await };
            on_call(&sid, attend("responder", run, &inbox, &host)).await;
        };
        let worker = Worker::open(name, host, json, R::open, |_| Vec::new(), drive)?;
        Ok(Instance { worker, wants })
    }

    fn start(
        instance: &Self::Instance,
        host: &Host,
        info: StartInfo,
        mut out: OutHandle,
    ) -> Result<Stream> {
        const AUDIO_AND_TURNS: &[u16] = &[
            kind::AUDIO,
            kind::SPEECH_START,
            kind::SPEECH_END,
            kind::TEXT,
            kind::PARTIAL,
            kind::DTMF,
            kind::SILENCE,
            kind::RETURNED,
            kind::FAILED,
            kind::CANCEL,
            kind::MARK,
        ];
        let takes = if R::HEARS_AUDIO {
            AUDIO_AND_TURNS
        } else {
            &AUDIO_AND_TURNS[1..]
        };
        if info.format != Format::MULAW_8K {
            return Err("a responder works with µ-law at 8000 Hz".into());
        }
        let usual = Wants::of::<R>();
        let Wants {
            first,
            digits,
            silence,
            audio,
        } = instance.wants;
        if instance.wants != usual {
            let mut take =
                json!({"do": "take", "first": first, "digits": digits, "silence": silence});
            if audio != usual.audio {
                take["audio"] = json!(audio);
            }
            // The ring is new: there is room.
            out.emit(kind::ACTION, 0, 0, take.to_string().as_bytes());
        }
        let inbox = Arc::new(Inbox::new(out, takes, info.format, audio));
        let stream = Stream(inbox.clone());
        instance.worker.start(Call {
            inbox,
            info,
            host: host.clone(),
        })?;
        Ok(stream)
    }

    unsafe fn send(stream: &mut Stream, _: &Host, events: &[VpEvent]) -> i32 {
        // SAFETY: promised by the caller.
        unsafe { stream.0.send(events) }
    }
}
