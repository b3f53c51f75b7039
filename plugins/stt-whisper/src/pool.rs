//! The workers: threads that listen, and the queue between them and all calls.
//!
//! ```text
//! call ── ask ──→ queue (bounded): turns that are over first, then pauses ──→ whisper-0 ──→ outcome ──→ call
//! ```
//!
//! A job is one stretch of sound. A caller who paused may go on, so his job is a guess: it waits behind those of turns
//! that are over, and makes room for them. Who drops a [`Ticket`] takes the job back, also while it is worked on. What
//! is asked, and what becomes of the words, is decided by `stretch.rs`.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::model::{Stopped, Text, Watch};
use crate::sound::Sound;

/// Jobs that may wait for each worker, over all calls. One takes a quarter to a whole second, and the host waits two for
/// the words of a turn: what stood further behind would come too late, and is better refused at once.
pub const QUEUE_MAX_JOBS_PER_THREAD: usize = 4;

/// Whatever turns sound into words.
pub(crate) trait Hears: Send + Sync + 'static {
    fn hear(&self, sound: &Sound, language: Option<&str>, watch: &Watch) -> Result<Text, Stopped>;
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Heard {
        text: Text,
        waited: Duration,
        took: Duration,
    },
    /// A guess that had to make room, or found none.
    Dropped,
    /// A turn that found no room.
    Busy,
    /// The worker panicked, or the plugin closes.
    GaveUp,
}

/// Says which job an outcome belongs to.
pub(crate) type JobId = u64;

/// The call's end of a job; dropping it takes the job back.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: JobId,
    job: Arc<About>,
    shared: Arc<Shared>,
}

impl Ticket {
    /// The caller did not go on: it was no guess.
    pub(crate) fn is_over(&self) {
        self.job.over.store(true, Ordering::Relaxed);
    }

    /// The caller went on: if nobody has begun with it, nobody needs to.
    pub(crate) fn is_stale(&self) {
        self.shared
            .queue()
            .jobs
            .retain(|job| !Arc::ptr_eq(&job.about, &self.job));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.job.watch.stop();
        self.is_stale();
    }
}

/// What both ends of a job share.
#[derive(Debug, Default)]
struct About {
    over: AtomicBool,
    watch: Watch,
}

#[derive(Debug)]
struct Job {
    id: JobId,
    about: Arc<About>,
    sound: Sound,
    language: Option<String>,
    /// Room for it is not bounded here: each job puts in one outcome, and the queue bounds the jobs.
    answer: mpsc::UnboundedSender<(JobId, Outcome)>,
    asked: Instant,
}

impl Job {
    fn end(self, outcome: Outcome) {
        // A call that is over does not listen any more.
        self.answer.send((self.id, outcome)).ok();
    }
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    next_id: JobId,
    closing: bool,
    /// What the workers are at, to be broken off at the end.
    working: Vec<Arc<About>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    most: usize,
}

/// The workers, running until this is dropped; dropping breaks off what they are at and waits for them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `threads` workers, `whisper-0` and so on.
    pub(crate) fn open(ear: Arc<impl Hears>, threads: usize) -> std::io::Result<Pool> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            most: threads.max(1) * QUEUE_MAX_JOBS_PER_THREAD,
        });
        let mut pool = Pool {
            shared: shared.clone(),
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let (ear, shared) = (ear.clone(), shared.clone());
            let thread = std::thread::Builder::new()
                .name(format!("whisper-{number}"))
                .spawn(move || work(&*ear, &shared))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Puts a job into the queue; its outcome comes through `answer`. `over`: the turn is over, this is no guess.
    pub(crate) fn ask(
        &self,
        sound: Sound,
        language: Option<&str>,
        over: bool,
        answer: &mpsc::UnboundedSender<(JobId, Outcome)>,
    ) -> Ticket {
        let about = Arc::new(About {
            over: AtomicBool::new(over),
            watch: Watch::default(),
        });
        let mut queue = self.shared.queue();
        let id = queue.next_id;
        queue.next_id += 1;
        let job = Job {
            id,
            about: about.clone(),
            sound,
            language: language.map(str::to_owned),
            answer: answer.clone(),
            asked: Instant::now(),
        };
        let is_guess = |job: &Job| !job.about.over.load(Ordering::Relaxed);
        let room = queue.jobs.len() < self.shared.most;
        let guess = queue.jobs.iter().position(is_guess).filter(|_| !room);
        let refused = if room {
            queue.jobs.push_back(job);
            None
        } else if let Some(dropped) = guess.and_then(|at| queue.jobs.remove(at)) {
            queue.jobs.push_back(job);
            Some((dropped, Outcome::Dropped))
        } else {
            Some((
                job,
                if over {
                    Outcome::Busy
                } else {
                    Outcome::Dropped
                },
            ))
        };
        drop(queue);
        if let Some((job, outcome)) = refused {
            job.end(outcome);
        }
        self.shared.wake.notify_one();
        Ticket {
            id,
            job: about,
            shared: self.shared.clone(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.queue();
            queue.closing = true;
            for job in queue.jobs.drain(..) {
                job.end(Outcome::GaveUp);
            }
            for about in &queue.working {
                about.watch.stop();
            }
        }
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches what panics in it; if one is dead all the same there is nothing left to wait for.
            thread.join().ok();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under this lock.
        self.queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for the next job: the oldest of a turn that is over, else the oldest guess. `None` when the plugin closes.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.closing {
                return None;
            }
            let over = queue
                .jobs
                .iter()
                .position(|job| job.about.over.load(Ordering::Relaxed));
            if let Some(job) = queue.jobs.remove(over.unwrap_or(0)) {
                queue.working.push(job.about.clone());
                return Some(job);
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

/// One worker's life.
fn work(ear: &impl Hears, shared: &Shared) {
    yield_to_media();
    while let Some(job) = shared.next() {
        let begun = Instant::now();
        let hear = || ear.hear(&job.sound, job.language.as_deref(), &job.about.watch);
        let heard = catch_unwind(AssertUnwindSafe(hear));
        shared
            .queue()
            .working
            .retain(|about| !Arc::ptr_eq(about, &job.about));
        let waited = begun - job.asked;
        job.end(match heard {
            Ok(Ok(text)) => Outcome::Heard {
                text,
                waited,
                took: begun.elapsed(),
            },
            // Taken back, or the end: nobody reads it then.
            Ok(Err(Stopped)) | Err(_) => Outcome::GaveUp,
        });
    }
}

/// Lets the threads that move sound go first where processors are scarce: words may be late, sound may not.
fn yield_to_media() {
    #[cfg(target_os = "linux")]
    // SAFETY: takes numbers only; 0 is the calling thread, because on Linux each has a priority of its own. If it is
    // refused, everything works as before.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 5);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use voice_plugin::prelude::Format;

    /// Says which job it is at, and waits to be told to go on; the words are the job's letter.
    struct Led {
        at: Sender<char>,
        go: Mutex<Receiver<()>>,
    }

    impl Hears for Led {
        fn hear(
            &self,
            sound: &Sound,
            language: Option<&str>,
            watch: &Watch,
        ) -> Result<Text, Stopped> {
            let letter = char::from(sound.bytes[0]);
            self.at.send(letter).unwrap();
            if letter == '!' {
                panic!("as the test wants it");
            }
            if letter == 'w' {
                while watch.look().is_ok() {
                    std::thread::yield_now();
                }
                return Err(Stopped);
            }
            self.go.lock().unwrap().recv().map_err(|_| Stopped)?;
            Ok(Text {
                words: format!("{letter}{}", language.unwrap_or_default()),
                ..Text::default()
            })
        }
    }

    struct Bench {
        // Before the pool: its workers wait for it.
        go: Option<Sender<()>>,
        pool: Pool,
        at: Receiver<char>,
        answer: mpsc::UnboundedSender<(JobId, Outcome)>,
        outcomes: mpsc::UnboundedReceiver<(JobId, Outcome)>,
    }

    impl Bench {
        fn new(threads: usize) -> Bench {
            let ((at, heard), (go, wait)) = (channel(), channel());
            let (answer, outcomes) = mpsc::unbounded_channel();
            let led = Led {
                at,
                go: Mutex::new(wait),
            };
            Bench {
                go: Some(go),
                pool: Pool::open(Arc::new(led), threads).unwrap(),
                at: heard,
                answer,
                outcomes,
            }
        }

        fn ask(&self, letter: char, over: bool) -> Ticket {
            let sound = Sound {
                format: Format::MULAW_8K,
                bytes: vec![letter as u8],
            };
            self.pool.ask(sound, Some("-en"), over, &self.answer)
        }

        /// Lets the worker finish what it is at, and says what came of it.
        fn finish(&mut self) -> String {
            self.go.as_ref().unwrap().send(()).unwrap();
            self.outcome().1
        }

        fn outcome(&mut self) -> (JobId, String) {
            let (id, outcome) = self.outcomes.blocking_recv().unwrap();
            let said = match outcome {
                Outcome::Heard { text, .. } => text.words,
                other => format!("{other:?}"),
            };
            (id, said)
        }
    }

    #[test]
    fn turns_that_are_over_come_before_guesses() {
        let mut bench = Bench::new(1);
        let _tickets = [
            bench.ask('a', false),
            bench.ask('b', false),
            bench.ask('c', true),
            bench.ask('d', true),
        ];
        // Whatever it took first is at work already.
        let first = bench.at.recv().unwrap();
        let mut order = vec![first];
        for _ in 0..3 {
            bench.finish();
            order.push(bench.at.recv().unwrap());
        }
        assert_eq!(bench.finish(), format!("{}-en", order[3]));
        let rest: String = order[1..].iter().collect();
        assert!(
            ["cdb", "cda", "dab"].contains(&rest.as_str()),
            "{first} {rest}"
        );
    }

    #[test]
    fn guess_that_became_the_end_is_no_guess_any_more() {
        let mut bench = Bench::new(1);
        let _first = bench.ask('a', true);
        assert_eq!(bench.at.recv(), Ok('a'));
        let (_b, c) = (bench.ask('b', false), bench.ask('c', false));
        c.is_over();
        bench.finish();
        assert_eq!(bench.at.recv(), Ok('c'));
    }

    #[test]
    fn full_queue_drops_its_oldest_guess_and_then_refuses() {
        let mut bench = Bench::new(0);
        let mut tickets = vec![
            bench.ask('a', true),
            bench.ask('b', false),
            bench.ask('c', false),
        ];
        while tickets.len() < QUEUE_MAX_JOBS_PER_THREAD {
            tickets.push(bench.ask('x', true));
        }
        tickets.push(bench.ask('d', false));
        assert_eq!(bench.outcome(), (tickets[1].id, "Dropped".into()));
        tickets.push(bench.ask('e', true));
        assert_eq!(bench.outcome(), (tickets[2].id, "Dropped".into()));
        let d = tickets.len() - 2;
        tickets.push(bench.ask('f', true));
        assert_eq!(bench.outcome(), (tickets[d].id, "Dropped".into()));
        for (over, refusal) in [(true, "Busy"), (false, "Dropped")] {
            let ticket = bench.ask('g', over);
            assert_eq!(bench.outcome(), (ticket.id, refusal.into()));
        }
        // Whoever goes makes room.
        tickets.remove(0);
        tickets.push(bench.ask('h', true));
        assert!(bench.outcomes.try_recv().is_err());
    }

    #[test]
    fn job_taken_back_is_broken_off_or_never_begun() {
        let mut bench = Bench::new(1);
        let working = bench.ask('w', true);
        assert_eq!(bench.at.recv(), Ok('w'));
        let waiting = bench.ask('b', true);
        let _last = bench.ask('c', true);
        drop(waiting);
        drop(working);
        assert_eq!(bench.outcome().1, "GaveUp");
        assert_eq!(bench.at.recv(), Ok('c'));
        assert_eq!(bench.finish(), "c-en");
    }

    #[test]
    fn worker_outlives_a_panic() {
        let mut bench = Bench::new(1);
        let _tickets = [bench.ask('!', true), bench.ask('a', true)];
        assert_eq!(bench.outcome().1, "GaveUp");
        assert_eq!(bench.finish(), "a-en");
    }

    #[test]
    fn closing_breaks_off_and_answers_everybody() {
        let mut bench = Bench::new(1);
        let tickets = [bench.ask('w', true), bench.ask('b', true)];
        assert_eq!(bench.at.recv(), Ok('w'));
        bench.pool = Bench::new(0).pool;
        assert_eq!([bench.outcome().1, bench.outcome().1], ["GaveUp", "GaveUp"]);
        drop(tickets);
    }
}
