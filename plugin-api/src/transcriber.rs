//! Transcribers: sound in, words out. Turn-taking is the host's; a transcriber only says what it heard in which turn.
//!
//! Its turns are the stretches of the caller's speech, numbered from 1: what he says while the agent speaks is one too,
//! and so is a cough. Each wants one final text, and an empty one says that there were no words.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{json, Value};

use crate::abi::{flag, kind, role, VpEvent};
use crate::error::{Error, Result};
use crate::export::{schema, Role};
use crate::format::Format;
use crate::host::{on_call, Host};
use crate::inbox::{Inbox, Stream, Taken};
use crate::info::{settings, CallInfo, StartInfo};
use crate::out::{failed_text, OutHandle};
use crate::responder::{attend, taken};
use crate::worker::Worker;

/// A transcriber.
pub trait Transcriber: Send + Sync + Sized + 'static {
    /// The keys of `[plugins.NAME]`.
    type Config: DeserializeOwned + JsonSchema;
    /// The keys of `[transcribers.NAME]`: language model, hints.
    type Settings: DeserializeOwned + JsonSchema + Send + 'static;
    /// What it can listen to, the best first.
    const ACCEPTS: &'static [Format];

    /// Makes the instance; the host waits 10 seconds at most.
    fn open(config: Self::Config, host: Host) -> impl Future<Output = Result<Self>>;

    /// The languages it can be told, as `en`: nothing unless it is not to be told any other. Asked once, when it is open. The
    /// host refuses a configuration with another; `es` is also every `es-MX`.
    fn languages(&self) -> Vec<String> {
        Vec::new()
    }

    /// Listens to one call until [`Listening::next`] says `None`. After that it has 5 seconds to finish.
    fn run(&self, call: Listening<Self::Settings>) -> impl Future<Output = Result<()>>;
}

/// What a transcriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// Sound of the caller in the agreed format, usually 20 ms. When the transcriber is two seconds behind, the oldest
    /// is dropped and the log says so.
    Audio(Vec<u8>),
    /// The caller began to speak.
    SpeechStart,
    /// He paused; with `last` his turn is over and its final text is waited for.
    SpeechEnd {
        /// Whether the turn is over.
        last: bool,
    },
}

/// One call, as a transcriber hears it.
pub struct Listening<S> {
    inbox: Arc<Inbox>,
    info: StartInfo,
    settings: S,
    host: Host,
}

impl<S> Listening<S> {
    /// The next thing heard; `None` once the call is over.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            return Some(match self.inbox.next(&self.host).await? {
                Taken::Audio { bytes, .. } => Heard::Audio(bytes),
                Taken::Control {
                    kind: kind::SPEECH_START,
                    ..
                } => Heard::SpeechStart,
                Taken::Control {
                    kind: kind::SPEECH_END,
                    flags,
                    ..
                } => Heard::SpeechEnd {
                    last: flags & flag::LAST != 0,
                },
                Taken::Control { .. } => continue,
            });
        }
    }

    /// The turn to which what was heard last belongs.
    pub fn turn(&self) -> u32 {
        self.inbox.turn()
    }

    /// Words so far, to be replaced by the next ones.
    ///
    /// # Errors
    /// The call is over or the host refuses the words.
    pub async fn partial(&mut self, turn: u32, words: &str) -> Result<()> {
        taken(
            self.inbox
                .emit(kind::PARTIAL, turn, 0, words.as_bytes())
                .await,
            words.len(),
        )
    }

    /// At a pause: how likely it is that the caller has finished, from 0 to 1.
    ///
    /// # Errors
    /// As for [`partial`](Listening::partial).
    pub async fn finished(&mut self, turn: u32, likely: f32) -> Result<()> {
        let likely = format!("{:.3}", likely.clamp(0.0, 1.0));
        taken(
            self.inbox
                .emit(kind::FINISHED, turn, 0, likely.as_bytes())
                .await,
            likely.len(),
        )
    }

    /// There are no words for this turn, and why: a sentence for the log, cut at 400 bytes.
    ///
    /// # Errors
    /// As for [`partial`](Listening::partial).
    pub async fn failed(&mut self, turn: u32, why: &str) -> Result<()> {
        self.inbox.answered();
        taken(
            self.inbox
                .emit(kind::FAILED, turn, flag::LAST, failed_text(why))
                .await,
            0,
        )
    }

    /// The final words of a turn; an empty text if there were none.
    ///
    /// # Errors
    /// As for [`partial`](Listening::partial).
    pub async fn text(&mut self, turn: u32, words: &str) -> Result<()> {
        self.inbox.answered();
        taken(
            self.inbox
                .emit(kind::TEXT, turn, flag::LAST, words.as_bytes())
                .await,
            words.len(),
        )
    }

    /// The keys of the configured transcriber.
    pub fn settings(&self) -> &S {
        &self.settings
    }

    /// In which format the sound comes.
    pub fn format(&self) -> Format {
        self.info.format
    }

    /// The agent's language; may be empty.
    pub fn language(&self) -> &str {
        &self.info.language
    }

    /// The call.
    pub fn info(&self) -> &CallInfo {
        &self.info.call
    }
}

/// The [`Role`] of a transcriber.
pub struct SttRole<T>(PhantomData<T>);

impl<T: Transcriber> Role for SttRole<T> {
    const BIT: u64 = role::STT;
    const LANGUAGES: Option<&'static str> = Some("stt");
    type Instance = Worker<Listening<T::Settings>>;
    type Stream = Stream;

    fn describe() -> Value {
        json!({
            "stt": { "accepts": T::ACCEPTS, "schema": schema::<T::Settings>() },
            "schema": schema::<T::Config>(),
        })
    }

    fn open(name: &'static str, host: Host, json: &[u8]) -> Result<Self::Instance> {
        let drive = |plugin: Arc<T>, call: Listening<T::Settings>| async move {
            let (inbox, host) = (call.inbox.clone(), call.host.clone());
            let sid = call.info().sid.clone();
            let run = async { plugin.run(call).await };
            on_call(&sid, attend("transcriber", run, &inbox, &host)).await;
        };
        Worker::open(name, host, json, T::open, T::languages, drive)
    }

    fn languages(instance: &Self::Instance) -> &[String] {
        &instance.languages
    }

    fn start(
        instance: &Self::Instance,
        host: &Host,
        info: StartInfo,
        out: OutHandle,
    ) -> Result<Stream> {
        if !T::ACCEPTS.contains(&info.format) {
            let Format { encoding, rate } = info.format;
            return Err(Error::new(format!(
                "this transcriber does not listen to {encoding:?} at {rate} Hz"
            )));
        }
        let settings = settings("transcriber", info.settings.clone())?;
        let takes = &[kind::AUDIO, kind::SPEECH_START, kind::SPEECH_END];
        let inbox = Arc::new(Inbox::new(out, takes, info.format, true));
        let stream = Stream(inbox.clone());
        instance.start(Listening {
            inbox,
            info,
            settings,
            host: host.clone(),
        })?;
        Ok(stream)
    }

    unsafe fn send(stream: &mut Stream, _: &Host, events: &[VpEvent]) -> i32 {
        // SAFETY: promised by the caller.
        unsafe { stream.0.send(events) }
    }
}
