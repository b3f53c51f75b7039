//! What waits for the disk, in two lanes: what changes calls, and events. Bounded in records and bytes; pushing never waits for
//! the disk, only for a lock held for microseconds. It neither reads nor writes anything itself.
//!
//! ```text
//! open_call, update_call, change_call ─→ control ─┐
//!                                                 ├─ take(≤ 1000 rows) ─→ writer ─→ done
//! note ────────────────────────────────→ events ──┘
//! ```
//!
//! At the bound: an event is dropped and counted. A new call is refused already at half of the control lane, so the other half is
//! kept for the changes of calls that run; only when that is full too is a change lost, counted, and its call closed as failed
//! by the next start of the daemon.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::account::AccountChange;
use super::record::{CallChange, CallRecord, NewCall};

/// Events that may wait: at 20 calls that write 4 a second, a disk may be away for a quarter of an hour.
pub const QUEUE_EVENTS: usize = 65_536;
/// Memory that waiting events may take together, so that 65,536 long texts are not half a gigabyte.
pub const QUEUE_EVENTS_BYTES: usize = 64 << 20;
/// Requests about calls that may wait. One is about 300 bytes, so 20 MB at worst.
pub const QUEUE_CONTROL: usize = 65_536;
/// Above this many waiting requests a new call is refused: what is left belongs to the calls already open.
pub const QUEUE_OPENS: usize = QUEUE_CONTROL / 2;
/// Rows in one commit. The disk takes 4 ms for 1 row or for 1000; the rows themselves take 10 µs each, so a full batch holds whoever
/// comes next up for some 15 ms.
pub(crate) const BATCH_ROWS: usize = 1000;

/// What is asked of the tables, events apart.
#[derive(Debug)]
pub(crate) enum What {
    Open(NewCall),
    Change(String, CallChange),
    Account(AccountChange),
    /// Forget what is older than this, unix ms.
    Prune(u64),
}

/// Answered once it is durable, or at once when it is known that this will take long.
pub(crate) type Answer = Result<Option<CallRecord>, Postponed>;

/// It stays queued, but nobody should wait for it.
#[derive(Debug)]
pub(crate) struct Postponed;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) what: What,
    pub(crate) waiter: Option<oneshot::Sender<Answer>>,
}

/// An event in its form on the disk: encoding happens in the caller's thread, before the lock.
#[derive(Debug)]
pub(crate) struct QueuedEvent {
    pub(crate) call_sid: String,
    pub(crate) json: Vec<u8>,
}

impl QueuedEvent {
    /// Its share of [`QUEUE_EVENTS_BYTES`]: the two buffers and the two handles to them.
    fn size_bytes(&self) -> usize {
        self.call_sid.capacity() + self.json.capacity() + size_of::<QueuedEvent>()
    }
}

/// The rows of one commit, in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) control: Vec<Request>,
    pub(crate) events: Vec<QueuedEvent>,
}

/// Why a push was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

#[derive(Debug, Default)]
struct State {
    control: VecDeque<Request>,
    events: VecDeque<QueuedEvent>,
    /// Taken by the writer and not yet durable; they count against the bounds.
    control_in_hand: usize,
    events_in_hand: usize,
    /// Of all events, waiting and in hand.
    events_bytes: usize,
    /// Somebody awaits one of `control`.
    urgent: bool,
    /// Requests and events ever pushed and ever made durable; a flush waits for one pair to reach the other.
    pushed: [u64; 2],
    done: [u64; 2],
    flushes: Vec<([u64; 2], oneshot::Sender<()>)>,
    /// The last commit failed: nobody is kept waiting.
    trouble: bool,
    closing: bool,
    /// The writer is gone.
    finished: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// How long a lone event waits for company before a commit is spent on it.
    linger: Duration,
}

impl Queue {
    pub(crate) fn new(linger: Duration) -> Queue {
        Queue {
            state: Mutex::default(),
            wake: Condvar::new(),
            linger,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two halves of a change; a poisoned lock is still in order.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push_event(&self, event: QueuedEvent) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closing {
            return Err(Refused::Closed);
        }
        let size = event.size_bytes();
        if state.events.len() + state.events_in_hand >= QUEUE_EVENTS
            || state.events_bytes + size > QUEUE_EVENTS_BYTES
        {
            return Err(Refused::Full);
        }
        state.events_bytes += size;
        state.pushed[1] += 1;
        state.events.push_back(event);
        // The first wakes an idle writer, the thousandth ends its lingering; in between it knows already.
        if state.events.len() == 1 || state.events.len() == BATCH_ROWS {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(crate) fn push_request(&self, mut request: Request) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closing {
            return Err(Refused::Closed);
        }
        let bound = match request.what {
            What::Open(_) => QUEUE_OPENS,
            What::Change(..) | What::Account(_) | What::Prune(_) => QUEUE_CONTROL,
        };
        if state.control.len() + state.control_in_hand >= bound {
            return Err(Refused::Full);
        }
        if state.trouble {
            postpone(&mut request);
        }
        state.urgent |= request.waiter.is_some();
        state.pushed[0] += 1;
        state.control.push_back(request);
        if state.urgent || state.control.len() == 1 || state.control.len() == BATCH_ROWS {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Resolves when everything pushed so far is durable; fails when the writer ends before.
    pub(crate) fn flushed(&self) -> oneshot::Receiver<()> {
        let (answer, flushed) = oneshot::channel();
        let mut state = self.lock();
        if !state.finished {
            let until = state.pushed;
            state.flushes.push((until, answer));
            state.answer_flushes();
            self.wake.notify_one();
        }
        flushed
    }

    /// Records that are not durable yet.
    pub(crate) fn len(&self) -> usize {
        let state = self.lock();
        state.control.len() + state.control_in_hand + state.events.len() + state.events_in_hand
    }

    /// Records the writer holds and has not made durable.
    #[cfg(test)]
    pub(crate) fn in_hand(&self) -> usize {
        let state = self.lock();
        state.control_in_hand + state.events_in_hand
    }

    /// Fills `batch`, waiting for work; at once when somebody awaits it, else a lone event lingers for company.
    /// False when the queue is closed and empty: the writer may go.
    pub(crate) fn take(&self, batch: &mut Batch) -> bool {
        let mut state = self.lock();
        let mut since: Option<Instant> = None;
        loop {
            let waiting = state.control.len() + state.events.len();
            if waiting == 0 && state.closing {
                return false;
            }
            let now =
                state.urgent || state.closing || !state.flushes.is_empty() || waiting >= BATCH_ROWS;
            if waiting > 0 && now {
                break;
            }
            if waiting == 0 {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let lingered = since.get_or_insert_with(Instant::now).elapsed();
            let Some(left) = self
                .linger
                .checked_sub(lingered)
                .filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let control = state.control.len().min(BATCH_ROWS);
        batch.control.extend(state.control.drain(..control));
        let events = state.events.len().min(BATCH_ROWS - control);
        batch.events.extend(state.events.drain(..events));
        state.control_in_hand = batch.control.len();
        state.events_in_hand = batch.events.len();
        state.urgent = state.control.iter().any(|request| request.waiter.is_some());
        true
    }

    /// The batch taken last is durable.
    pub(crate) fn done(&self, batch: &Batch) {
        let mut state = self.lock();
        state.done[0] += batch.control.len() as u64;
        state.done[1] += batch.events.len() as u64;
        state.events_bytes -= batch
            .events
            .iter()
            .map(QueuedEvent::size_bytes)
            .sum::<usize>();
        state.control_in_hand = 0;
        state.events_in_hand = 0;
        state.trouble = false;
        state.answer_flushes();
    }

    /// The disk refuses. Whoever waits is told so, now and until [`Queue::done`]; what they brought stays queued.
    pub(crate) fn trouble(&self, batch: &mut Batch) {
        let mut state = self.lock();
        state.trouble = true;
        state.urgent = false;
        batch
            .control
            .iter_mut()
            .chain(&mut state.control)
            .for_each(postpone);
    }

    /// Waits, for the writer's next attempt. True when the queue is closing, and then at once.
    pub(crate) fn pause(&self, length: Duration) -> bool {
        let begun = Instant::now();
        let mut state = self.lock();
        while !state.closing {
            let Some(left) = length
                .checked_sub(begun.elapsed())
                .filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.closing
    }

    /// Nothing more is accepted; the writer writes what there is and goes.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_all();
    }

    /// The writer's last word: whatever is left is let go, whoever waits hears that the store is closed. Returns how many records.
    pub(crate) fn finish(&self) -> usize {
        let mut state = self.lock();
        let left =
            state.control.len() + state.control_in_hand + state.events.len() + state.events_in_hand;
        *state = State {
            closing: true,
            finished: true,
            ..State::default()
        };
        left
    }
}

fn postpone(request: &mut Request) {
    if let Some(waiter) = request.waiter.take() {
        // The asker may have given up already; then there is nobody to tell.
        waiter.send(Err(Postponed)).ok();
    }
}

impl State {
    fn answer_flushes(&mut self) {
        let done = self.done;
        for (until, answer) in std::mem::take(&mut self.flushes) {
            if done[0] >= until[0] && done[1] >= until[1] {
                answer.send(()).ok();
            } else {
                self.flushes.push((until, answer));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(Duration::ZERO)
    }

    fn event(bytes: usize) -> QueuedEvent {
        QueuedEvent {
            call_sid: String::new(),
            json: vec![0; bytes],
        }
    }

    fn change() -> Request {
        Request {
            what: What::Change("CA1".into(), CallChange::default()),
            waiter: None,
        }
    }

    fn open() -> (Request, oneshot::Receiver<Answer>) {
        let (waiter, answer) = oneshot::channel();
        (
            Request {
                what: What::Open(NewCall::default()),
                waiter: Some(waiter),
            },
            answer,
        )
    }

    #[test]
    fn events_are_bounded_in_number_also_while_in_hand() {
        let queue = queue();
        for _ in 0..QUEUE_EVENTS {
            queue.push_event(event(1)).unwrap();
        }
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch));
        assert_eq!(batch.events.len(), BATCH_ROWS);
        assert_eq!(queue.push_event(event(1)), Err(Refused::Full));
        assert_eq!(queue.len(), QUEUE_EVENTS);
        queue.done(&batch);
        assert_eq!(queue.len(), QUEUE_EVENTS - BATCH_ROWS);
        assert_eq!(queue.push_event(event(1)), Ok(()));
    }

    #[test]
    fn events_are_bounded_in_bytes_and_the_bytes_come_back() {
        let queue = queue();
        let big = 1 << 20;
        let fit = (0..)
            .take_while(|_| queue.push_event(event(big)).is_ok())
            .count();
        assert_eq!(fit, QUEUE_EVENTS_BYTES / (big + size_of::<QueuedEvent>()));
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch));
        queue.done(&batch);
        let again = (0..)
            .take_while(|_| queue.push_event(event(big)).is_ok())
            .count();
        assert_eq!(again, fit);
    }

    #[test]
    fn new_calls_leave_room_for_the_changes_of_running_ones() {
        let queue = queue();
        for _ in 0..QUEUE_OPENS {
            queue.push_request(open().0).unwrap();
        }
        assert_eq!(queue.push_request(open().0), Err(Refused::Full));
        for _ in QUEUE_OPENS..QUEUE_CONTROL {
            queue.push_request(change()).unwrap();
        }
        assert_eq!(queue.push_request(change()), Err(Refused::Full));
    }

    #[test]
    fn a_batch_is_bounded_and_keeps_the_order() {
        let queue = queue();
        for n in 0..BATCH_ROWS * 2 {
            queue
                .push_event(QueuedEvent {
                    call_sid: n.to_string(),
                    json: vec![],
                })
                .unwrap();
        }
        for _ in 0..10 {
            queue.push_request(change()).unwrap();
        }
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch));
        assert_eq!(
            (batch.control.len(), batch.events.len()),
            (10, BATCH_ROWS - 10)
        );
        assert!(
            batch
                .events
                .iter()
                .enumerate()
                .all(|(n, e)| e.call_sid == n.to_string())
        );
    }

    #[test]
    fn trouble_frees_whoever_waits_and_keeps_what_they_brought() {
        let queue = queue();
        let (first, mut first_answer) = open();
        queue.push_request(first).unwrap();
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch));
        let (second, mut second_answer) = open();
        queue.push_request(second).unwrap();
        queue.trouble(&mut batch);
        let (third, mut third_answer) = open();
        queue.push_request(third).unwrap();
        for answer in [&mut first_answer, &mut second_answer, &mut third_answer] {
            assert!(matches!(answer.try_recv(), Ok(Err(Postponed))));
        }
        assert_eq!(queue.len(), 3);
    }

    #[test]
    fn a_flush_waits_for_both_lanes_and_not_for_what_comes_later() {
        let queue = queue();
        queue.push_event(event(1)).unwrap();
        queue.push_request(change()).unwrap();
        let mut flushed = queue.flushed();
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch));
        queue.push_event(event(1)).unwrap();
        assert!(flushed.try_recv().is_err());
        queue.done(&batch);
        assert_eq!(flushed.try_recv(), Ok(()));
    }

    #[test]
    fn an_empty_queue_is_flushed_at_once() {
        assert_eq!(queue().flushed().try_recv(), Ok(()));
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has_and_accepts_nothing() {
        let queue = queue();
        queue.push_event(event(1)).unwrap();
        queue.close();
        assert_eq!(queue.push_event(event(1)), Err(Refused::Closed));
        assert_eq!(queue.push_request(change()), Err(Refused::Closed));
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch));
        queue.done(&batch);
        assert!(!queue.take(&mut Batch::default()));
    }

    #[test]
    fn a_finished_queue_keeps_nobody_waiting() {
        let queue = queue();
        let (request, mut answer) = open();
        queue.push_request(request).unwrap();
        let mut flushed = queue.flushed();
        assert_eq!(queue.finish(), 1);
        assert!(matches!(
            answer.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ));
        assert!(matches!(
            flushed.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ));
        assert!(matches!(
            queue.flushed().try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ));
    }
}
