//! Where pauses wait to be judged: one queue for all calls of an instance and one thread that works it off, so that
//! neither a media thread nor another call's events ever wait for the network. An opinion is worth something only at
//! once: a newer pause of a call takes the place of its older one, and of what does not fit the oldest is given up.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// Pauses that may wait: at a tenth of a second each the last of them is judged after as long as any caller is waited
/// for.
pub(crate) const MAX_WAITING: usize = 16;

/// Something that judges.
pub(crate) type Judge = dyn FnMut(&[i16]) -> Result<f32, String>;

struct Pause {
    call: u64,
    sound: Vec<i16>,
    answer: oneshot::Sender<Result<f32, String>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Pause>,
    closed: bool,
    calls: u64,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue and its thread.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    /// Makes the judge on the new thread, and waits for it.
    ///
    /// # Errors
    /// That of the judge's making.
    pub(crate) fn open(
        make: impl FnOnce() -> Result<Box<Judge>, String> + Send + 'static,
    ) -> Result<Desk, String> {
        let shared = Arc::new(Shared::default());
        let (told, made) = std::sync::mpsc::sync_channel(1);
        let inside = Arc::clone(&shared);
        let work = move || {
            yield_to_media();
            match make() {
                Ok(judge) => {
                    if told.send(Ok(())).is_ok() {
                        work(&inside, judge);
                    }
                }
                // Nobody waits any more only if the opening has been given up.
                Err(why) => drop(told.send(Err(why))),
            }
        };
        let thread = std::thread::Builder::new()
            .name("smart-turn".to_owned())
            .spawn(work)
            .map_err(|e| format!("cannot start a thread for the model: {e}"))?;
        let desk = Desk {
            shared,
            thread: Some(thread),
        };
        match made.recv() {
            Ok(Ok(())) => Ok(desk),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("the model's thread ended while the model was loaded".to_owned()),
        }
    }

    /// A number for a call, to be said with each of its pauses.
    pub(crate) fn call(&self) -> u64 {
        let mut queue = self.shared.queue();
        queue.calls += 1;
        queue.calls
    }

    /// Has a pause judged. The answer never comes if a newer one of the call is asked about, or if there are too many.
    pub(crate) fn ask(&self, call: u64, sound: Vec<i16>) -> oneshot::Receiver<Result<f32, String>> {
        let (answer, receiver) = oneshot::channel();
        let pause = Pause {
            call,
            sound,
            answer,
        };
        let mut queue = self.shared.queue();
        // Whoever no longer waits for an answer has dropped his end of it.
        queue
            .waiting
            .retain(|older| older.call != call && !older.answer.is_closed());
        queue.waiting.push_back(pause);
        if queue.waiting.len() > MAX_WAITING {
            queue.waiting.pop_front();
        }
        drop(queue);
        self.shared.changed.notify_one();
        receiver
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_one();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            // The panic is in the log already; the thread is gone, which is what was wanted.
        }
    }
}

fn work(shared: &Shared, mut judge: Box<Judge>) {
    loop {
        let mut queue = shared.queue();
        let pause = loop {
            if queue.closed {
                return;
            }
            match queue.waiting.pop_front() {
                Some(pause) => break pause,
                None => {
                    queue = shared
                        .changed
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(queue);
        if !pause.answer.is_closed() {
            // The caller may have gone on meanwhile.
            drop(pause.answer.send(judge(&pause.sound)));
        }
    }
}

/// Lets the threads that move sound go first where processors are scarce: an opinion may be late, sound may not.
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

    /// A desk whose judge says what it is at and waits to be told to go on; its opinion is the first sample.
    fn led() -> (Desk, Receiver<i16>, Sender<()>) {
        let (at, seen) = channel();
        let (go, led) = channel();
        let desk = Desk::open(move || {
            Ok(Box::new(move |sound: &[i16]| {
                at.send(sound[0]).unwrap();
                led.recv().unwrap();
                Ok(f32::from(sound[0]))
            }))
        });
        (desk.unwrap(), seen, go)
    }

    #[test]
    fn a_newer_pause_of_a_call_takes_the_place_of_the_older_one() {
        let (desk, seen, go) = led();
        let (one, other) = (desk.call(), desk.call());
        let busy = desk.ask(other, vec![1]);
        assert_eq!(seen.recv().unwrap(), 1);
        let older = desk.ask(one, vec![2]);
        let newer = desk.ask(one, vec![3]);
        go.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), 3);
        go.send(()).unwrap();
        assert_eq!(busy.blocking_recv().unwrap(), Ok(1.0));
        assert!(older.blocking_recv().is_err());
        assert_eq!(newer.blocking_recv().unwrap(), Ok(3.0));
    }

    #[test]
    fn of_too_many_the_oldest_is_given_up_and_of_the_unwanted_all() {
        let (desk, seen, go) = led();
        let ask = |n: i16| desk.ask(desk.call(), vec![n]);
        let _busy = ask(0);
        assert_eq!(seen.recv().unwrap(), 0);
        let mut answers: VecDeque<_> = (1..=MAX_WAITING as i16 + 1).map(ask).collect();
        assert!(answers.pop_front().unwrap().blocking_recv().is_err());
        // The caller goes on: what he is asked about is not judged.
        drop(answers.pop_front());
        go.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), 3);
        go.send(()).unwrap();
        assert_eq!(
            answers.pop_front().unwrap().blocking_recv().unwrap(),
            Ok(3.0)
        );
        drop(go);
    }

    #[test]
    fn a_judge_that_cannot_be_made_says_why() {
        let refused = Desk::open(|| Err("no model".to_owned())).err();
        assert_eq!(refused.as_deref(), Some("no model"));
    }
}
