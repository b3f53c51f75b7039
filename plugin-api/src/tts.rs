//! Voices: text in, sound out. A [`Tts`] author writes `speak`; cancelling, waiting for room in the ring and telling
//! how it ended happen here.
//!
//! The utterances of one stream are spoken in the order in which they were asked for. CANCEL(u) drops the running one
//! and the waiting ones up to u.

use std::future::{pending, Future};
use std::marker::PhantomData;
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{json, Value};
use tokio::time::timeout;

use crate::abi::{failure, flag, kind, role, status, VpEvent};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::export::{schema, Role};
use crate::format::{mulaw, Encoding, Format};
use crate::host::{on_call, Host};
use crate::inbox::{Inbox, Over, Stream, Taken};
use crate::info::{settings, CallInfo, StartInfo};
use crate::out::{failed_text, OutHandle};
use crate::panics::Contained;
use crate::worker::Worker;

/// Bytes handed to the ring at once: 200 ms of µ-law, 50 ms of 16 kHz. Small against the host's 32 KiB, so a barge-in
/// is noticed soon; large against the 16 bytes that each record costs. Even, so no sample is cut.
const PIECE_BYTES: usize = 1600;

/// How long [`Tts::catalog`] may take: below the 10 s that the host waits.
const CATALOG_PATIENCE: Duration = Duration::from_secs(9);

/// A voice.
pub trait Tts: Send + Sync + Sized + 'static {
    /// The keys of `[plugins.NAME]`.
    type Config: DeserializeOwned + JsonSchema;
    /// The keys of `[voices.NAME]`: which voice, how fast.
    type Voice: DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;
    /// What it can produce, the best first. With [`Format::MULAW_8K`] among them the host converts nothing.
    const PRODUCES: &'static [Format];

    /// Makes the instance; the host waits 10 seconds at most. Keys, models and connections are checked here rather
    /// than in the first call.
    fn open(config: Self::Config, host: Host) -> impl Future<Output = Result<Self>>;

    /// The languages it can be told, as `en-GB`: nothing unless it is not to be told any other. Asked once, when it is open.
    /// The host refuses a voice with another; `es-ES` is also `es` and every `es-MX`.
    fn languages(&self) -> Vec<String> {
        Vec::new()
    }

    /// A call with this voice has started: a good moment to make connections. Runs beside the first `speak`.
    fn warm(&self, _voice: &Self::Voice) -> impl Future<Output = ()> {
        async {}
    }

    /// The voices and models that can be chosen from, for `voice-streamer voices`; nothing unless written. Never asked for
    /// by a call. Given up after 9 seconds.
    fn catalog(&self) -> impl Future<Output = Result<Catalog>> {
        async { Ok(Catalog::default()) }
    }

    /// Says one utterance into `out`. A barge-in drops this future at its next `.await`. An error is written to the
    /// log, best with a name ([`Error::named`]); so is success without any sound, for silence on the phone is never right.
    fn speak(&self, say: Say<Self::Voice>, out: &mut Audio) -> impl Future<Output = Result<()>>;
}

/// One utterance to be spoken.
#[derive(Clone, Debug)]
pub struct Say<V> {
    /// The words.
    pub text: String,
    /// Its number in this call.
    pub utterance: u32,
    /// What to produce: one of [`Tts::PRODUCES`].
    pub format: Format,
    /// The keys of the configured voice.
    pub voice: V,
    /// The agent's language, as in `en` or `de-AT`; may be empty.
    pub language: String,
    /// The call.
    pub call: CallInfo,
}

/// Where the sound of one utterance goes.
pub struct Audio {
    inbox: Arc<Inbox>,
    utterance: u32,
    format: Format,
    /// First half of a 16-bit sample whose second half has not come yet.
    half: Option<u8>,
    sounded: bool,
}

impl Audio {
    /// Appends bytes in the agreed format; any length, samples may be cut anywhere between two calls. Waits while the
    /// ring is full, which is how a voice that is faster than speech is slowed down.
    ///
    /// # Errors
    /// The host refuses the bytes. When nobody wants the utterance any more there is no error: the call does not
    /// return, and the future it stands in is dropped.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut bytes = bytes;
        if self.format.bytes_per_sample() == 2 {
            if let (Some(first), Some((&second, rest))) = (self.half, bytes.split_first()) {
                self.put(2, |_, room| room.copy_from_slice(&[first, second]))
                    .await?;
                self.half = None;
                bytes = rest;
            }
            if bytes.len() % 2 == 1 {
                self.half = bytes.last().copied();
                bytes = &bytes[..bytes.len() - 1];
            }
        }
        self.put(bytes.len(), |at, room| {
            room.copy_from_slice(&bytes[at..at + room.len()])
        })
        .await
    }

    /// Appends samples at the agreed rate, written in the agreed encoding; otherwise like [`write`](Audio::write).
    pub async fn write_samples(&mut self, samples: &[i16]) -> Result<()> {
        match self.format.encoding {
            Encoding::Mulaw => {
                self.put(samples.len(), |at, room| {
                    for (byte, sample) in room.iter_mut().zip(&samples[at..]) {
                        *byte = mulaw(*sample);
                    }
                })
                .await
            }
            Encoding::S16le => {
                self.put(samples.len() * 2, |at, room| {
                    for (pair, sample) in room.chunks_exact_mut(2).zip(&samples[at / 2..]) {
                        pair.copy_from_slice(&sample.to_le_bytes());
                    }
                })
                .await
            }
        }
    }

    /// What was agreed on.
    pub fn format(&self) -> Format {
        self.format
    }

    /// `len` bytes in pieces; `fill` gets where a piece starts and the room for it.
    async fn put(&mut self, len: usize, fill: impl Fn(usize, &mut [u8])) -> Result<()> {
        let mut at = 0;
        while at < len {
            let piece = PIECE_BYTES.min(len - at);
            let put = self
                .inbox
                .with_out(|out| out.fill(self.utterance, piece, |room| fill(at, room)));
            match put.await {
                Ok(status::OK) => self.sounded = true,
                Ok(status::CANCELLED) => {
                    self.inbox.cancel(self.utterance);
                    return pending().await;
                }
                Ok(other) => {
                    return Err(Error::new(format!(
                        "the host refused {piece} bytes of audio (status {other})"
                    )))
                }
                // The stream is over; the driver drops us.
                Err(_) => return pending().await,
            }
            at += piece;
        }
        Ok(())
    }
}

/// The [`Role`] of a voice.
pub struct TtsRole<T>(PhantomData<T>);

/// What the instance's thread is asked for.
pub enum Ask<V> {
    /// Drive a stream.
    Stream(Start<V>),
    /// Say what can be chosen from.
    Catalog(SyncSender<Result<Catalog>>),
}

/// What a stream of a voice is started with.
pub struct Start<V> {
    inbox: Arc<Inbox>,
    info: StartInfo,
    voice: V,
}

impl<T: Tts> Role for TtsRole<T> {
    const BIT: u64 = role::TTS;
    const HAS_CATALOG: bool = true;
    const LANGUAGES: Option<&'static str> = Some("tts");
    type Instance = Worker<Ask<T::Voice>>;
    type Stream = Stream;

    fn describe() -> Value {
        json!({
            "tts": { "produces": T::PRODUCES, "schema": schema::<T::Voice>() },
            "schema": schema::<T::Config>(),
        })
    }

    fn open(name: &'static str, host: Host, json: &[u8]) -> Result<Self::Instance> {
        let line = host.clone();
        let drive = move |plugin: Arc<T>, ask| {
            let line = line.clone();
            async move {
                match ask {
                    Ask::Stream(start) => {
                        let sid = start.info.call.sid.clone();
                        on_call(&sid, drive::<T>(plugin, start, line)).await;
                    }
                    Ask::Catalog(answer) => list(&*plugin, &answer).await,
                }
            }
        };
        Worker::open(name, host, json, T::open, T::languages, drive)
    }

    fn start(
        instance: &Self::Instance,
        _: &Host,
        info: StartInfo,
        out: OutHandle,
    ) -> Result<Stream> {
        if !T::PRODUCES.contains(&info.format) {
            let Format { encoding, rate } = info.format;
            return Err(Error::new(format!(
                "this voice does not produce {encoding:?} at {rate} Hz"
            )));
        }
        let voice = settings("voice", info.settings.clone())?;
        let inbox = Arc::new(Inbox::new(out, &[kind::SPEAK], info.format, false));
        // Made before the start is sent, so that the way out is released whatever becomes of it.
        let stream = Stream(inbox.clone());
        instance.start(Ask::Stream(Start { inbox, info, voice }))?;
        Ok(stream)
    }

    fn languages(instance: &Self::Instance) -> &[String] {
        &instance.languages
    }

    fn catalog(instance: &Self::Instance) -> Result<Catalog> {
        let (answer, answered) = sync_channel(1);
        instance.start(Ask::Catalog(answer))?;
        let gone = |_| Err("the plugin's thread ended while it made its list".into());
        answered.recv().unwrap_or_else(gone)
    }

    unsafe fn send(stream: &mut Stream, _: &Host, events: &[VpEvent]) -> i32 {
        // SAFETY: promised by the caller.
        unsafe { stream.0.send(events) }
    }
}

/// The task that answers [`Ask::Catalog`].
async fn list<T: Tts>(plugin: &T, answer: &SyncSender<Result<Catalog>>) {
    let work = Contained::new(async { plugin.catalog().await });
    let listed = match timeout(CATALOG_PATIENCE, work).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(panic)) => Err(Error::panicked(&panic)),
        Err(_) => Err(Error::named(
            failure::TIMEOUT,
            format_args!(
                "the list of voices was not there after {} s",
                CATALOG_PATIENCE.as_secs()
            ),
        )),
    };
    // There is room for the one answer; whether anybody still waits for it is no matter here.
    drop(answer.try_send(listed));
}

/// One stream's task: one utterance after the other.
async fn drive<T: Tts>(plugin: Arc<T>, start: Start<T::Voice>, host: Host) {
    let Start { inbox, info, voice } = start;
    let warming = {
        let (plugin, voice, sid) = (plugin.clone(), voice.clone(), info.call.sid.clone());
        tokio::task::spawn_local(async move { on_call(&sid, plugin.warm(&voice)).await })
    };
    while let Some(taken) = inbox.next(&host).await {
        let Taken::Control {
            turn: utterance,
            text,
            ..
        } = taken
        else {
            continue;
        };
        let say = Say {
            text,
            utterance,
            format: info.format,
            voice: voice.clone(),
            language: info.language.clone(),
            call: info.call.clone(),
        };
        let mut audio = Audio {
            inbox: inbox.clone(),
            utterance,
            format: info.format,
            half: None,
            sounded: false,
        };
        let spoken = {
            let mut work = Contained::new(async { plugin.speak(say, &mut audio).await });
            inbox
                .unless(&mut work, |inbox| inbox.unwanted(utterance))
                .await
        };
        let failure = match spoken {
            None => continue,
            Some(Ok(Ok(()))) if audio.sounded => None,
            Some(Ok(Ok(()))) => Some(format!(
                "{}: the voice finished without sound",
                failure::NO_AUDIO
            )),
            Some(Ok(Err(why))) => Some(why.text().to_owned()),
            Some(Err(panic)) => Some(format!("the voice panicked: {panic}")),
        };
        let mut end = Box::pin(async {
            match &failure {
                None => inbox.emit(kind::DONE, utterance, flag::LAST, &[]).await,
                Some(why) => {
                    inbox
                        .emit(kind::FAILED, utterance, flag::LAST, failed_text(why))
                        .await
                }
            }
        });
        // Taken or cancelled, this utterance is finished; there is nothing to do about a host that refuses.
        let told = inbox.unless(&mut end, |inbox| inbox.unwanted(utterance));
        if let Some(Err(Over)) = told.await {
            break;
        }
    }
    warming.abort();
}
