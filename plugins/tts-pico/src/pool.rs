//! The workers: threads that own engines, and the queue of texts between them and the calls.
//!
//! ```text
//! call ── begin ──→ queue (bounded) ──→ pico-0: engines en-US, es-ES ──→ frames ──→ call
//! call ── begin ──→                 ──→ pico-1: engines en-US        ──→ frames ──→ call
//! ```
//!
//! Pico is 250 times faster than speech, and a call takes sound no faster than it is heard. So a worker never waits
//! for a call: what it makes goes into a channel with room for a whole piece, and it turns to the next text; otherwise
//! two callers listening to two long answers would keep everybody else silent. A call that goes away closes its
//! channel, which the worker sees before its next step. What is said, and in which manner, is decided elsewhere.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::engine::{Engine, Manner, SAMPLE_RATE};
use crate::error::PicoError;
use crate::onset::Onset;
use crate::text::Plain;
use crate::voices::VoiceName;

/// Texts that wait for a worker, over all calls. At 20 ms of work for a usual sentence the last of them waits about
/// half a second with two workers; longer is worse than an error that lets the agent do something else.
pub const QUEUE_MAX_TEXTS: usize = 64;

/// The most sound one piece of text may make: 400 bytes of "%" at half speed would come to eight minutes.
pub const PIECE_MAX_SECS: u32 = 120;

/// What a worker hands over at once: 20 ms.
const FRAME_SAMPLES: usize = (SAMPLE_RATE / 50) as usize;

const PIECE_MAX_FRAMES: usize = PIECE_MAX_SECS as usize * 50;

/// All full frames, the rest, and the end: a worker never finds its channel full.
const CHANNEL_ROOM: usize = PIECE_MAX_FRAMES + 2;

/// Voices a worker keeps loaded, 5 MB each; with more in use the one not used for longest is loaded again (3 ms).
const ENGINES_PER_WORKER: usize = 3;

/// One piece of text to be spoken.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) voice: VoiceName,
    pub(crate) manner: Manner,
    pub(crate) text: Plain,
    /// The first piece of an utterance: silence before it is cut.
    pub(crate) first: bool,
}

/// The workers, running until this is dropped; dropping waits for them, which takes a few milliseconds.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something was put into the queue, or it closes.
    wake: Condvar,
    /// One permit for each text that may wait; a text gives it back when a worker takes it.
    room: Arc<Semaphore>,
    /// As `Queue::closing`, for a worker in the middle of a text.
    closing: AtomicBool,
}

#[derive(Default)]
struct Queue {
    texts: VecDeque<Job>,
    /// The voices asked for last, the latest at the end; idle workers load them. At most [`ENGINES_PER_WORKER`].
    wanted: Vec<VoiceName>,
    closing: bool,
}

struct Job {
    ask: Ask,
    out: mpsc::Sender<Heard>,
    _place: OwnedSemaphorePermit,
}

/// What a worker sends: frames, then one end.
enum Heard {
    Frame(Vec<i16>),
    End(Result<(), PicoError>),
}

/// The sound of one piece, as it is made. Dropping it ends the work.
pub(crate) struct Voicing(mpsc::Receiver<Heard>);

impl Voicing {
    /// The next frame, 20 ms of samples or less; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<i16>>, PicoError> {
        match self.0.recv().await {
            Some(Heard::Frame(samples)) => Ok(Some(samples)),
            Some(Heard::End(how)) => how.map(|()| None),
            // The worker panicked, or the pool closes.
            None => Err(PicoError::GaveUp),
        }
    }
}

impl Pool {
    /// Starts `workers` threads, `pico-0` and so on.
    pub(crate) fn open(workers: usize) -> Result<Pool, PicoError> {
        let mut pool = Pool {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                wake: Condvar::new(),
                room: Arc::new(Semaphore::new(QUEUE_MAX_TEXTS)),
                closing: AtomicBool::new(false),
            }),
            threads: Vec::with_capacity(workers),
        };
        for number in 0..workers {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("pico-{number}"))
                .spawn(move || work(&shared))
                .map_err(PicoError::NoThread)?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Loads a voice on every worker that has nothing else to do.
    pub(crate) fn warm(&self, voice: VoiceName) {
        self.shared.queue().want(voice);
        self.shared.wake.notify_all();
    }

    /// Puts the first piece of an utterance into the queue.
    ///
    /// # Errors
    /// [`PicoError::Busy`] when too many are waiting.
    pub(crate) fn begin(&self, ask: Ask) -> Result<Voicing, PicoError> {
        // Texts nobody waits for any longer make room first.
        self.shared.queue().texts.retain(|job| !job.out.is_closed());
        let place = self.shared.room.clone().try_acquire_owned();
        let place = place.map_err(|_| PicoError::Busy {
            workers: self.threads.len(),
        })?;
        Ok(self.put(ask, place))
    }

    /// Puts a further piece into the queue, waiting for room: an utterance that was begun is not broken off.
    pub(crate) async fn go_on(&self, ask: Ask) -> Result<Voicing, PicoError> {
        let place = self.shared.room.clone().acquire_owned().await;
        // The semaphore is never closed.
        Ok(self.put(ask, place.map_err(|_| PicoError::GaveUp)?))
    }

    fn put(&self, ask: Ask, place: OwnedSemaphorePermit) -> Voicing {
        let (out, heard) = mpsc::channel(CHANNEL_ROOM);
        let mut queue = self.shared.queue();
        queue.want(ask.voice);
        queue.texts.push_back(Job {
            ask,
            out,
            _place: place,
        });
        drop(queue);
        self.shared.wake.notify_one();
        Voicing(heard)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        {
            let mut queue = self.shared.queue();
            queue.closing = true;
            queue.texts.clear();
        }
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches what panics in it; if one is dead all the same there is nothing left to wait for.
            thread.join().ok();
        }
    }
}

/// What a worker does next.
enum Task {
    Speak(Job),
    Load(VoiceName),
    Close,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under this lock.
        self.queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for something to do; loading what `engines` lacks comes after speaking.
    fn next(&self, engines: &[Engine]) -> Task {
        let mut queue = self.queue();
        loop {
            if queue.closing {
                return Task::Close;
            }
            if let Some(job) = queue.texts.pop_front() {
                return Task::Speak(job);
            }
            let lacking = |v: &&VoiceName| !engines.iter().any(|e| e.voice() == **v);
            if let Some(voice) = queue.wanted.iter().find(lacking) {
                return Task::Load(*voice);
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

impl Queue {
    fn want(&mut self, voice: VoiceName) {
        self.wanted.retain(|v| *v != voice);
        if self.wanted.len() == ENGINES_PER_WORKER {
            self.wanted.remove(0);
        }
        self.wanted.push(voice);
    }
}

/// One worker's life.
fn work(shared: &Shared) {
    // The one used last at the end.
    let mut engines: Vec<Engine> = Vec::with_capacity(ENGINES_PER_WORKER);
    loop {
        match shared.next(&engines) {
            Task::Close => return,
            Task::Load(voice) => {
                if load(&mut engines, voice).is_err() {
                    // Said to the call that speaks with it; here only not tried over and over.
                    shared.queue().wanted.retain(|v| *v != voice);
                }
            }
            Task::Speak(Job { ask, out, _place }) => {
                drop(_place);
                let spoken = catch_unwind(AssertUnwindSafe(|| {
                    let engine = load(&mut engines, ask.voice)?;
                    speak(engine, &ask, &out, &shared.closing)
                }));
                match spoken {
                    // Broken off in the middle: that was no end.
                    Ok(_) if shared.closing.load(Ordering::Relaxed) => return,
                    // A receiver that is gone needs no end either.
                    Ok(how) => drop(out.try_send(Heard::End(how))),
                    Err(_) => engines.clear(),
                }
            }
        }
    }
}

/// The engine of a voice, made if it is not there.
fn load(engines: &mut Vec<Engine>, voice: VoiceName) -> Result<&mut Engine, PicoError> {
    let engine = match engines.iter().position(|e| e.voice() == voice) {
        Some(at) => engines.remove(at),
        None => {
            if engines.len() == ENGINES_PER_WORKER {
                engines.remove(0);
            }
            Engine::open(voice)?
        }
    };
    engines.push(engine);
    let last = engines.len() - 1;
    Ok(&mut engines[last])
}

/// Says one piece into its channel, until it ends or nobody listens.
fn speak(
    engine: &mut Engine,
    ask: &Ask,
    out: &mpsc::Sender<Heard>,
    closing: &AtomicBool,
) -> Result<(), PicoError> {
    let mut onset = if ask.first {
        Onset::at_volume(ask.manner.volume)
    } else {
        Onset::begun()
    };
    let mut frame = Vec::with_capacity(FRAME_SAMPLES * 2);
    let mut frames = 0;
    engine.say(&ask.text, ask.manner, |samples| {
        // Looked at after silent steps, too: the longest text is thought over for a tenth of a second before it sounds.
        if out.is_closed() || closing.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        onset.pass(samples, &mut frame);
        while frame.len() >= FRAME_SAMPLES {
            let rest = frame.split_off(FRAME_SAMPLES);
            let full = std::mem::replace(&mut frame, rest);
            frames += 1;
            if frames > PIECE_MAX_FRAMES || out.try_send(Heard::Frame(full)).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if frames > PIECE_MAX_FRAMES {
        return Err(PicoError::Endless);
    }
    onset.end(&mut frame);
    if !frame.is_empty() {
        // There is room, so this fails only when nobody listens any more.
        out.try_send(Heard::Frame(frame)).ok();
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::pieces;

    const SENTENCE: &str = "Thank you for calling, please tell me how I can help you.";

    fn ask(text: &str) -> Ask {
        Ask {
            voice: VoiceName::EnUs,
            manner: Manner::NATURAL,
            text: pieces(text).unwrap().remove(0),
            first: true,
        }
    }

    async fn heard(mut voicing: Voicing) -> Result<Vec<i16>, PicoError> {
        let mut all = Vec::new();
        while let Some(samples) = voicing.next().await? {
            assert!(!samples.is_empty() && samples.len() <= FRAME_SAMPLES);
            all.extend(samples);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn all_workers_make_the_same_sound() {
        let pool = Pool::open(4).unwrap();
        pool.warm(VoiceName::EnUs);
        let voicings: Vec<Voicing> = (0..16)
            .map(|_| pool.begin(ask(SENTENCE)).unwrap())
            .collect();
        let mut sounds = Vec::new();
        for voicing in voicings {
            sounds.push(heard(voicing).await.unwrap());
        }
        assert!(sounds[0].len() > SAMPLE_RATE as usize);
        assert!(sounds.iter().all(|sound| *sound == sounds[0]));
    }

    #[tokio::test]
    async fn a_full_queue_says_so_and_has_room_again_when_callers_go() {
        // Nobody works here, so what is put in stays in.
        let pool = Pool::open(0).unwrap();
        let mut waiting: Vec<Voicing> = (0..QUEUE_MAX_TEXTS)
            .map(|_| pool.begin(ask("Hello")).unwrap())
            .collect();
        let refused = pool.begin(ask("Hello")).err().unwrap();
        assert!(matches!(refused, PicoError::Busy { .. }));
        assert!(refused.to_string().starts_with("all voices are busy"));
        waiting.pop();
        assert!(pool.begin(ask("Hello")).is_ok());
    }

    #[tokio::test]
    async fn a_voice_that_is_not_listened_to_stops() {
        let mut engine = Engine::open(VoiceName::EnUs).unwrap();
        // Three frames fit, the fourth finds nobody.
        let (out, mut heard) = mpsc::channel(3);
        speak(&mut engine, &ask(SENTENCE), &out, &AtomicBool::new(false)).unwrap();
        drop(out);
        let mut frames = 0;
        while heard.recv().await.is_some() {
            frames += 1;
        }
        assert_eq!(frames, 3);
    }

    #[tokio::test]
    async fn a_caller_who_goes_leaves_the_worker_to_the_next() {
        let pool = Pool::open(1).unwrap();
        let alone = heard(pool.begin(ask(SENTENCE)).unwrap()).await.unwrap();
        let long = "This sentence is never heard to its end. ".repeat(9);
        for _ in 0..20 {
            let mut voicing = pool.begin(ask(&long)).unwrap();
            assert!(voicing.next().await.unwrap().is_some());
            drop(voicing);
            let next = heard(pool.begin(ask(SENTENCE)).unwrap()).await.unwrap();
            assert_eq!(next, alone);
        }
    }

    #[tokio::test]
    async fn closing_ends_what_is_being_said() {
        let pool = Pool::open(1).unwrap();
        let long = "This sentence is never heard to its end. ".repeat(9);
        let mut speaking = pool.begin(ask(&long)).unwrap();
        assert!(speaking.next().await.unwrap().is_some());
        let waiting = pool.begin(ask(&long)).unwrap();
        drop(pool);
        assert!(matches!(heard(waiting).await, Err(PicoError::GaveUp)));
    }

    #[tokio::test]
    async fn a_text_that_makes_sound_without_end_is_cut_off() {
        let pool = Pool::open(1).unwrap();
        let mut ask = ask(&"7% ".repeat(130));
        ask.manner.speed = 50;
        let mut voicing = pool.begin(ask).unwrap();
        let mut frames = 0;
        let end = loop {
            match voicing.next().await {
                Ok(Some(_)) => frames += 1,
                end => break end,
            }
        };
        assert!(
            matches!(end, Err(PicoError::Endless)),
            "{end:?} after {frames} frames"
        );
        assert_eq!(frames, PIECE_MAX_FRAMES);
    }

    #[tokio::test]
    async fn more_voices_than_a_worker_keeps_are_spoken_all_the_same() {
        let pool = Pool::open(1).unwrap();
        let mut first_round = Vec::new();
        for round in 0..2 {
            for (number, voice) in VoiceName::ALL.into_iter().enumerate() {
                let ask = Ask {
                    voice,
                    ..ask("Hello")
                };
                let sound = heard(pool.begin(ask).unwrap()).await.unwrap();
                if round == 0 {
                    first_round.push(sound);
                } else {
                    assert!(sound == first_round[number], "{voice:?}");
                }
            }
        }
    }

    #[test]
    fn the_voices_wanted_last_are_remembered() {
        let mut queue = Queue::default();
        for voice in VoiceName::ALL {
            queue.want(voice);
        }
        queue.want(VoiceName::DeDe);
        assert_eq!(
            queue.wanted,
            [VoiceName::FrFr, VoiceName::ItIt, VoiceName::DeDe]
        );
    }
}
