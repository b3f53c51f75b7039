//! Responders without waiting: plain calls on the host's media thread, borrowed data, no queue and no runtime. For
//! echo, digits and signal work; whatever could take 100 µs belongs into a [`Responder`](crate::prelude::Responder).

use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{json, Value};

use crate::abi::{flag, kind, role, status, VpEvent};
use crate::error::Result;
use crate::export::{schema, Role};
use crate::host::{on_call_at_once, Host};
use crate::info::{config, StartInfo};
use crate::out::{Out, OutHandle};
use crate::panics::contain;

/// A responder that answers at once. One value per call; what calls have in common is [`Shared`](Inline::Shared).
pub trait Inline: Send + Sized + 'static {
    /// The keys of `[plugins.NAME]`.
    type Config: DeserializeOwned + JsonSchema;
    /// The opened plugin, made once.
    type Shared: Send + Sync + 'static;
    /// Whether it wants the caller's sound as [`InlineEvent::Audio`].
    const HEARS_AUDIO: bool;

    /// Makes the instance, on a control thread; may take up to 10 seconds.
    fn open(config: Self::Config, host: Host) -> Result<Self::Shared>;

    /// A call begins. On the media thread, as everything below: never wait.
    fn start(shared: &Arc<Self::Shared>, info: &StartInfo, out: &mut Out<'_>) -> Result<Self>;

    /// Something happens. A panic in here costs this one event: the turn is told as failed and the next event comes.
    fn on(&mut self, event: InlineEvent<'_>, out: &mut Out<'_>);
}

/// What happens in a call; the data is lent for the length of `on`. `at` is the media clock: samples at 8 kHz since
/// the carrier's stream began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InlineEvent<'a> {
    /// Sound of the caller, µ-law 8000 Hz, usually 20 ms; only with [`Inline::HEARS_AUDIO`].
    Audio {
        /// The turn it belongs to.
        turn: u32,
        /// The media clock at its first sample.
        at: u64,
        /// One byte per sample.
        bytes: &'a [u8],
    },
    /// The caller began to speak. Noticed late: he began some 100 ms before.
    SpeechStart {
        /// The turn.
        turn: u32,
        /// The media clock.
        at: u64,
    },
    /// He paused; with `last` his turn is over: answer it and say [`Out::done`].
    SpeechEnd {
        /// The turn.
        turn: u32,
        /// The media clock.
        at: u64,
        /// Whether the turn is over.
        last: bool,
    },
    /// What he said, final.
    Text {
        /// The turn.
        turn: u32,
        /// His words.
        text: &'a str,
    },
    /// What he said so far, to be replaced by what follows.
    Partial {
        /// The turn.
        turn: u32,
        /// His words.
        text: &'a str,
    },
    /// He pressed a key: one of `0-9 * # A-D`.
    Digit {
        /// The turn.
        turn: u32,
        /// The key.
        digit: char,
    },
    /// Nothing more is wanted for this turn and those before it.
    Cancelled {
        /// The last unwanted turn.
        turn: u32,
        /// What the caller heard of the answer to it.
        heard: &'a str,
        /// The turn is none: what was said in it comes again with the rest.
        withdrawn: bool,
    },
    /// He heard this utterance to its end.
    Heard {
        /// Its number.
        utterance: u32,
    },
    /// The ring that was [`Sent::Full`](crate::prelude::Sent::Full) has room again.
    Writable,
}

/// The [`Role`] of an inline responder.
pub struct InlineRole<I>(PhantomData<I>);

/// One call at work. The author's value comes first: it is dropped before its way out.
pub struct Stream<I> {
    /// None only while dropping.
    inline: Option<I>,
    out: OutHandle,
    /// The call's name, for the log.
    sid: Arc<str>,
}

impl<I: Inline> Role for InlineRole<I> {
    const BIT: u64 = role::RESPONDER;
    type Instance = Arc<I::Shared>;
    type Stream = Stream<I>;

    fn describe() -> Value {
        json!({
            "responder": { "hears_audio": I::HEARS_AUDIO, "turns": "host" },
            "schema": schema::<I::Config>(),
        })
    }

    fn open(_: &'static str, host: Host, json: &[u8]) -> Result<Self::Instance> {
        Ok(Arc::new(I::open(config(json)?, host)?))
    }

    fn start(
        shared: &Self::Instance,
        _: &Host,
        info: StartInfo,
        mut out: OutHandle,
    ) -> Result<Stream<I>> {
        let sid = Arc::from(info.call.sid.as_str());
        let inline = on_call_at_once(&sid, || I::start(shared, &info, &mut Out::new(&mut out)))?;
        Ok(Stream {
            inline: Some(inline),
            out,
            sid,
        })
    }

    unsafe fn send(stream: &mut Stream<I>, _: &Host, events: &[VpEvent]) -> i32 {
        let mut answer = status::OK;
        for event in events {
            // SAFETY: promised by the caller; what is lent ends with this turn of the loop.
            let data = unsafe { event.data.bytes() };
            let Some(read) = read::<I>(event, data) else {
                continue;
            };
            let Stream { inline, out, sid } = &mut *stream;
            let Some(inline) = inline else { continue };
            let on = || on_call_at_once(sid, || inline.on(read, &mut Out::new(out)));
            if let Err(panic) = contain(on) {
                answer = status::PANIC;
                // A full ring or an unwanted turn: the host learns of the panic from our answer as well.
                Out::new(out).failed(event.turn, &format!("the responder panicked: {panic}"));
            }
        }
        answer
    }
}

impl<I> Drop for Stream<I> {
    /// What the author says when his call ends is said in it.
    fn drop(&mut self) {
        let inline = self.inline.take();
        on_call_at_once(&self.sid, || drop(inline));
    }
}

/// The event for the author; `None` for what he did not ask for, what came after this crate, and broken text.
fn read<'a, I: Inline>(event: &VpEvent, data: &'a [u8]) -> Option<InlineEvent<'a>> {
    let (turn, at) = (event.turn, event.at);
    Some(match event.kind {
        kind::AUDIO if I::HEARS_AUDIO => InlineEvent::Audio {
            turn,
            at,
            bytes: data,
        },
        kind::SPEECH_START => InlineEvent::SpeechStart { turn, at },
        kind::SPEECH_END => InlineEvent::SpeechEnd {
            turn,
            at,
            last: event.flags & flag::LAST != 0,
        },
        kind::TEXT => InlineEvent::Text {
            turn,
            text: std::str::from_utf8(data).ok()?,
        },
        kind::PARTIAL => InlineEvent::Partial {
            turn,
            text: std::str::from_utf8(data).ok()?,
        },
        kind::DTMF => InlineEvent::Digit {
            turn,
            digit: char::from(*data.first()?),
        },
        kind::CANCEL => InlineEvent::Cancelled {
            turn,
            heard: std::str::from_utf8(data).unwrap_or(""),
            withdrawn: event.flags & flag::WITHDRAWN != 0,
        },
        kind::MARK => InlineEvent::Heard { utterance: turn },
        kind::WRITABLE => InlineEvent::Writable,
        _ => return None,
    })
}
