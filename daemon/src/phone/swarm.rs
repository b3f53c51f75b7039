//! Many simulated calls on one thread, measuring.
//!
//! Every frame that is sent carries a tag in its samples: a live echo gives it back, so each round trip, each loss and
//! each late frame is seen, however the daemon cuts its messages. Against an agent that does not echo, first sound,
//! answers and underruns are measured instead.
//!
//! It is the load generator of the bench, so it costs about as little as a server can: one ticker that looks only at the
//! calls that are due, one write per frame straight to the kernel, one shared buffer to read into, and nothing parsed
//! but the payload.

mod caller;
mod tag;

use super::dial::{Dialled, Line, PhoneError};
use super::handset::mask_into;
use super::underruns::Underruns;
use crate::carrier::twilio::far_end;
use crate::media::frame::FRAME_MS;
use caller::{Caller, REMEMBERED_FRAMES};
use fastwebsockets::OpCode;
use hdrhistogram::Histogram;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// How often the ticker looks for frames that are due. Finer than a frame, so that a thousand calls do not write at once.
const TICK_MS: u64 = 1;

/// Frames of the last part of a call are not missed: they may be on their way.
const GRACE_MS: u64 = 1000;

/// What all calls talk before anything about frames is counted: the daemon still writes the last of them down, and the
/// frames that waited meanwhile say how long it takes to set up a call and not how long the way is.
const SETTLE_MS: u64 = 1000;

/// Set-ups under way at once.
const DIALLING: usize = 64;

/// Largest message of the daemon that is taken; it sends 100 ms pieces of about 1.2 KB.
const MESSAGE_BYTES: usize = 64 << 10;

/// End of the histograms' range, in µs or ms: an hour in µs. They do not grow by themselves, they saturate.
const LONGEST: u64 = 3_600_000_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct Swarm {
    pub calls: usize,
    /// How long they talk once all are set up, after a second in which nothing about frames is counted.
    pub length: Duration,
    /// New calls per second.
    pub ramp_per_sec: usize,
    /// What every caller says, again and again with pauses as long; nothing but tags without it.
    pub speech: Option<Arc<[u8]>>,
}

/// What was seen.
#[derive(Debug)]
pub struct SwarmReport {
    pub calls: usize,
    pub set_up: usize,
    /// Why calls were not set up, and how often.
    pub failures: BTreeMap<String, usize>,
    /// This and everything else about single frames is counted only once all calls talk.
    pub frames_sent: u64,
    pub frames_back: u64,
    /// Tagged frames that never came back; only counted when any did.
    pub frames_lost: u64,
    pub round_trip_us: Histogram<u64>,
    pub first_audio_us: Histogram<u64>,
    pub response_ms: Histogram<u64>,
    pub set_up_us: Histogram<u64>,
    /// Holes in what agents said, in every call from its start, and the longest of them.
    pub underruns: u64,
    pub longest_underrun_ms: u64,
    /// Calls that the daemon ended before their time.
    pub dropped: usize,
    /// Frames that could not be written because the daemon did not read.
    pub stuck_frames: u64,
    /// Latest sending of a frame behind its time: above a few milliseconds the generator itself is the bottleneck.
    pub generator_late_us: Histogram<u64>,
}

/// How far it is: calls set up, the time for which frames have been counted, and those that came back in it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub set_up: usize,
    pub talked: Duration,
    pub frames_back: u64,
}

/// Rings `calls` times and talks. Wants a current-thread runtime.
///
/// # Errors
/// Only when not a single call could be set up; single failures are in the report.
pub async fn swarm(
    line: &Line,
    plan: &Swarm,
    progress: impl FnMut(Progress),
) -> Result<SwarmReport, PhoneError> {
    LocalSet::new().run_until(run(line, plan, progress)).await
}

struct Field {
    callers: RefCell<Vec<Rc<RefCell<Caller>>>>,
    /// When who sends next, earliest first: all send at the same rhythm, so who has sent goes to the end.
    due: RefCell<VecDeque<(Instant, Rc<RefCell<Caller>>)>>,
    report: RefCell<SwarmReport>,
    buffer: RefCell<Vec<u8>>,
    samples: RefCell<Vec<u8>>,
}

async fn run(
    line: &Line,
    plan: &Swarm,
    mut progress: impl FnMut(Progress),
) -> Result<SwarmReport, PhoneError> {
    let field = Rc::new(Field {
        callers: RefCell::default(),
        due: RefCell::default(),
        report: RefCell::new(SwarmReport::new(plan.calls)),
        buffer: RefCell::new(vec![0; MESSAGE_BYTES]),
        samples: RefCell::new(vec![0; MESSAGE_BYTES]),
    });
    let mut ticker = tokio::time::interval(Duration::from_millis(TICK_MS));
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let began = Instant::now();
    let slots = Arc::new(tokio::sync::Semaphore::new(DIALLING));
    let (mut rung, mut counted_from, mut counts, mut first_failure) = (0, None, false, None);
    let results: Rc<RefCell<Vec<Result<Dialled, PhoneError>>>> = Rc::default();
    let mut answered = 0;
    loop {
        ticker.tick().await;
        let now = Instant::now();
        let due = now.duration_since(began).as_secs_f64() * plan.ramp_per_sec as f64;
        while rung < plan.calls && (rung as f64) <= due {
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                break;
            };
            rung += 1;
            let (mut line, results) = (line.clone(), Rc::clone(&results));
            // Each caller has a number of his own, as in life.
            line.from = format!("+1555{:07}", rung);
            tokio::task::spawn_local(async move {
                let dialled = line.dial().await;
                results.borrow_mut().push(dialled);
                drop(slot);
            });
        }
        for dialled in results.borrow_mut().drain(..) {
            answered += 1;
            match dialled {
                Ok(dialled) => field.join(line, dialled, now),
                Err(error) => {
                    *field
                        .report
                        .borrow_mut()
                        .failures
                        .entry(error.to_string())
                        .or_default() += 1;
                    first_failure.get_or_insert(error);
                }
            }
        }
        if answered == plan.calls && counted_from.is_none() {
            if let (Some(error), 0) = (first_failure.take(), field.callers.borrow().len()) {
                return Err(error);
            }
            counted_from = Some(now + Duration::from_millis(SETTLE_MS));
        }
        if !counts && counted_from.is_some_and(|from| from <= now) {
            counts = true;
            field.count_anew();
        }
        field.tick(now, plan.speech.as_deref());
        let talked =
            counted_from.map_or(Duration::ZERO, |from| now.saturating_duration_since(from));
        let frames_back = field.report.borrow().frames_back;
        progress(Progress {
            set_up: field.callers.borrow().len(),
            talked,
            frames_back,
        });
        if talked >= plan.length {
            break;
        }
    }
    field.hang_up();
    let report = field.report.replace(SwarmReport::new(0));
    Ok(report)
}

impl Field {
    /// A stream is open: `connected`, `start`, and a reader for what comes.
    fn join(self: &Rc<Self>, line: &Line, dialled: Dialled, now: Instant) {
        let mut report = self.report.borrow_mut();
        report.set_up += 1;
        record(&mut report.set_up_us, dialled.webhook);
        let opened = dialled.opened;
        let mut caller = Caller {
            stream: opened.stream,
            stream_sid: opened.stream_sid,
            call_sid: dialled.call_sid,
            account_sid: line.account_sid.clone(),
            sequence: 1,
            frames: 0,
            began: now,
            sent_at: vec![None; REMEMBERED_FRAMES],
            unsent: Vec::new(),
            partial: opened.read_ahead.to_vec(),
            first_audio: false,
            playing_until: None,
            underruns: Underruns::default(),
            marks: VecDeque::new(),
            asked: None,
            over: false,
        };
        let mut text = Vec::new();
        far_end::write_connected(&mut text);
        mask_into(&mut caller.unsent, OpCode::Text, &mut text);
        text.clear();
        let start = far_end::Start {
            stream_sid: &caller.stream_sid,
            call_sid: &caller.call_sid,
            account_sid: &caller.account_sid,
            parameters: &opened.parameters,
        };
        far_end::write_start(&mut text, &start);
        mask_into(&mut caller.unsent, OpCode::Text, &mut text);
        caller.flush();
        let caller = Rc::new(RefCell::new(caller));
        self.callers.borrow_mut().push(Rc::clone(&caller));
        let mut queue = self.due.borrow_mut();
        let due = now + phase(queue.len());
        // At its place and not at the end: whoever is due earlier would wait behind it, again in every round.
        let at = queue.partition_point(|(other, _)| *other <= due);
        queue.insert(at, (due, Rc::clone(&caller)));
        tokio::task::spawn_local(read(Rc::clone(self), caller));
    }

    /// From here on single frames count.
    fn count_anew(&self) {
        let mut report = self.report.borrow_mut();
        report.round_trip_us.reset();
        report.generator_late_us.reset();
        (
            report.frames_sent,
            report.frames_back,
            report.frames_lost,
            report.stuck_frames,
        ) = (0, 0, 0, 0);
        for caller in self.callers.borrow().iter() {
            caller.borrow_mut().sent_at.fill(None);
        }
    }

    /// Everything that is due by `until`.
    fn tick(&self, until: Instant, speech: Option<&[u8]>) {
        let mut report = self.report.borrow_mut();
        let mut queue = self.due.borrow_mut();
        let mut text = Vec::with_capacity(512);
        while queue.front().is_some_and(|(due, _)| *due <= until) {
            let Some((due, shared)) = queue.pop_front() else {
                break;
            };
            let mut caller = shared.borrow_mut();
            if caller.over {
                continue;
            }
            // The frames before this one in the same tick have taken their time.
            let now = Instant::now();
            caller.flush();
            let reads = caller.unsent.is_empty();
            // Marks go back with the next frame: a carrier, too, plays in frames.
            while caller.marks.front().is_some_and(|(due, _)| *due <= now) {
                if let Some((_, name)) = caller.marks.pop_front() {
                    caller.give_back(&name, &mut text);
                }
            }
            record(&mut report.generator_late_us, now.duration_since(due));
            if reads {
                report.frames_lost += u64::from(caller.speak(now, speech, &mut text));
                report.frames_sent += 1;
            } else {
                report.stuck_frames += 1;
                caller.frames += 1;
            }
            caller.flush();
            drop(caller);
            queue.push_back((due + Duration::from_millis(FRAME_MS), shared));
        }
    }

    /// Counts what never came back and leaves.
    fn hang_up(&self) {
        let mut report = self.report.borrow_mut();
        let now = Instant::now();
        for caller in self.callers.borrow().iter() {
            let mut caller = caller.borrow_mut();
            if caller.over {
                report.dropped += 1;
            }
            let (underruns, longest_ms) = std::mem::take(&mut caller.underruns).total();
            report.underruns += u64::from(underruns);
            report.longest_underrun_ms = report.longest_underrun_ms.max(longest_ms);
            let grace = Duration::from_millis(GRACE_MS);
            let missing = caller
                .sent_at
                .iter()
                .flatten()
                .filter(|sent| now.duration_since(**sent) > grace)
                .count();
            report.frames_lost += missing as u64;
            caller.over = true;
            caller.sequence += 1;
            let mut text = Vec::new();
            let Caller {
                stream_sid,
                sequence,
                account_sid,
                call_sid,
                unsent,
                ..
            } = &mut *caller;
            far_end::write_stop(&mut text, stream_sid, *sequence, account_sid, call_sid);
            mask_into(unsent, OpCode::Text, &mut text);
            mask_into(unsent, OpCode::Close, &mut 1000_u16.to_be_bytes());
            caller.flush();
        }
        if report.frames_back == 0 {
            report.frames_lost = 0;
        }
    }
}

async fn read(field: Rc<Field>, caller: Rc<RefCell<Caller>>) {
    loop {
        // Readiness is asked of the socket without holding the caller: the ticker writes meanwhile.
        let ready =
            std::future::poll_fn(|context| caller.borrow().stream.poll_read_ready(context)).await;
        let now = Instant::now();
        let mut caller = caller.borrow_mut();
        let mut buffer = field.buffer.borrow_mut();
        let got = ready.and_then(|()| caller.stream.try_read(&mut buffer));
        match got {
            Ok(0) => caller.over = true,
            Ok(got) => {
                let mut report = field.report.borrow_mut();
                caller.take(
                    &buffer[..got],
                    now,
                    &mut report,
                    &mut field.samples.borrow_mut(),
                );
                // Pings are answered at once.
                caller.flush();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => caller.over = true,
        }
        if caller.over {
            return;
        }
    }
}

/// When in the first 20 ms the caller with this number sends. Spread evenly however many there are: callers set up at a
/// steady rate would otherwise send in a few great bursts, which lines of a real carrier do not.
fn phase(number: usize) -> Duration {
    // Multiples of the golden ratio, without their whole part, never crowd.
    let part = (number as f64 * 0.618_033_988_749_895).fract();
    Duration::from_millis(FRAME_MS).mul_f64(part)
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    // What takes longer than the range counts as its end.
    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

impl SwarmReport {
    fn new(calls: usize) -> SwarmReport {
        let histogram = || {
            // Three digits.
            Histogram::new_with_max(LONGEST, 3)
                .unwrap_or_else(|_| unreachable!("constants the histogram allows"))
        };
        SwarmReport {
            calls,
            set_up: 0,
            failures: BTreeMap::new(),
            frames_sent: 0,
            frames_back: 0,
            frames_lost: 0,
            round_trip_us: histogram(),
            first_audio_us: histogram(),
            response_ms: histogram(),
            set_up_us: histogram(),
            underruns: 0,
            longest_underrun_ms: 0,
            dropped: 0,
            stuck_frames: 0,
            generator_late_us: histogram(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_reported_as_long() {
        let mut report = SwarmReport::new(1);
        for (took, us) in [
            (Duration::from_micros(7), 7),
            (Duration::from_secs(3), 3_000_000),
            (Duration::MAX, LONGEST),
        ] {
            record(&mut report.round_trip_us, took);
            let max = report.round_trip_us.max();
            assert!(max.abs_diff(us) <= us / 1000, "{took:?} became {max} µs");
        }
    }

    #[test]
    fn callers_send_spread_over_the_frame() {
        for callers in [10, 100, 1000] {
            let mut in_each_ms = [0; FRAME_MS as usize];
            for number in 0..callers {
                in_each_ms[phase(number).as_millis() as usize] += 1;
            }
            let (least, most) = (
                in_each_ms.iter().min().unwrap(),
                in_each_ms.iter().max().unwrap(),
            );
            assert!(most - least <= 2, "{callers} callers: {in_each_ms:?}");
        }
    }
}
