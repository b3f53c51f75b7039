//! The media threads: each a current-thread runtime with its own lines, one ticker, and no lock.
//!
//! The first stream of a call goes to the thread with the fewest lines; its leg stays there, and the later streams of the
//! call come to it. Per line one reader task, sole owner of the
//! reading half: fastwebsockets' `read_frame` loses its place when cancelled, so it is never inside `select!` or
//! `timeout`; to stop it the connection is dropped. Everything that is written is written by `try_write`, from the
//! reader's own message or from the thread's one ticker.
//!
//! What a caller waits for does not wait for the tick: a second task per stream sleeps until a plugin puts out the first
//! sound of an utterance, or the first word of an answer, and looks at once. Everything after it has the playout's lead.

use super::House;
use super::lateness::Lateness;
use super::legs::Legs;
use super::line::{Line, MESSAGE_BYTES};
use super::moment::{Moment, Scratch};
use super::overload::Overload;
use crate::call::Why;
use bytes::Bytes;
use fastwebsockets::{OpCode, Role, WebSocketRead, after_handshake_split};
use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::io::{self, Cursor};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, Chain};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tracing::{error, info, warn};

/// How often rings and deadlines are looked at, at least. A quarter of a frame: what a plugin delivers waits 2.5 ms on
/// average. A deadline in between is not waited for: the end of a turn is one, and the caller hears every millisecond.
const TICK: Duration = Duration::from_millis(5);

/// New streams that may wait for a thread; the acceptor waits beyond it.
const HANDED_OVER: usize = 256;

/// What the kernel may hold of ours: 1.2 s of sound in JSON, so that `clear` is not queued behind much more.
const SEND_BUFFER_BYTES: usize = 16 << 10;

/// Unacknowledged bytes for so long mean a dead peer.
const DEAD_PEER: Duration = Duration::from_secs(10);

/// A stream whose websocket handshake is done.
#[derive(Debug)]
pub struct Accepted {
    /// Non-blocking, taken off the runtime that accepted it.
    pub stream: std::net::TcpStream,
    /// What was read beyond the handshake.
    pub read_ahead: Bytes,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// The number of the thread it wants to come to; without one, or with one that there is not, any will do.
    pub place: Option<usize>,
}

enum Command {
    Serve(Accepted),
    End { call_sid: Option<String>, why: Why },
    LetGo,
    Answer(oneshot::Sender<()>),
}

/// What a thread has to do, as the others see it.
#[derive(Debug, Default)]
struct Load {
    lines: AtomicUsize,
    /// It is more than there is time for.
    is_over: AtomicBool,
}

struct Thread {
    commands: mpsc::Sender<Command>,
    load: Arc<Load>,
    joined: Option<std::thread::JoinHandle<()>>,
}

/// All media threads. Dropping it ends them once their lines are gone.
pub struct MediaThreads {
    threads: Vec<Thread>,
}

impl MediaThreads {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub fn start(count: usize, house: &Arc<House>) -> io::Result<MediaThreads> {
        let mut threads = Vec::new();
        house.admission.carried_by(count.max(1));
        for number in 0..count.max(1) {
            let (commands, inbox) = mpsc::channel(HANDED_OVER);
            let load = Arc::new(Load::default());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (house, own) = (Arc::clone(house), Arc::clone(&load));
            let joined = std::thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || {
                    LocalSet::new().block_on(&runtime, run(number, house, inbox, own));
                })?;
            threads.push(Thread {
                commands,
                load,
                joined: Some(joined),
            });
        }
        Ok(MediaThreads { threads })
    }

    /// Hands a stream to the thread it wants, or to the one with the fewest lines, of those that have time for it if there
    /// are any. False when the threads are gone.
    pub async fn serve(&self, accepted: Accepted) -> bool {
        let wanted = accepted.place.and_then(|place| self.threads.get(place));
        let emptiest = || {
            self.threads.iter().min_by_key(|thread| {
                let Load { lines, is_over } = &*thread.load;
                (
                    is_over.load(Ordering::Relaxed),
                    lines.load(Ordering::Relaxed),
                )
            })
        };
        let Some(thread) = wanted.or_else(emptiest) else {
            return false;
        };
        // Counted here already, so that a burst of streams does not go to one thread.
        thread.load.lines.fetch_add(1, Ordering::Relaxed);
        thread.commands.send(Command::Serve(accepted)).await.is_ok()
    }

    /// Ends one call, or all of them.
    pub async fn end(&self, call_sid: Option<&str>, why: Why) {
        for thread in &self.threads {
            let command = Command::End {
                call_sid: call_sid.map(str::to_owned),
                why,
            };
            if thread.commands.send(command).await.is_err() {
                warn!("a media thread is gone; nothing to end there");
            }
        }
    }

    /// The roster has changed: no call keeps a plugin open that it does not use and that others have no more.
    pub async fn let_go(&self) {
        for thread in &self.threads {
            if thread.commands.send(Command::LetGo).await.is_err() {
                warn!("a media thread is gone; its plugins stay open");
            }
        }
    }

    /// Returns when every thread has been round its loop: true; false when one is gone. Waits for ever for one that is
    /// stuck.
    pub async fn answer(&self) -> bool {
        let mut answers = Vec::with_capacity(self.threads.len());
        for thread in &self.threads {
            let (answer, answered) = oneshot::channel();
            if thread.commands.send(Command::Answer(answer)).await.is_err() {
                return false;
            }
            answers.push(answered);
        }
        for answered in answers {
            if answered.await.is_err() {
                return false;
            }
        }
        true
    }

    /// Lines on all threads, waiting and closing ones included.
    pub fn lines(&self) -> usize {
        self.threads
            .iter()
            .map(|thread| thread.load.lines.load(Ordering::Relaxed))
            .sum()
    }

    /// No more streams; returns when every line is gone.
    pub fn finish(mut self) {
        for thread in &mut self.threads {
            let (closed, _) = mpsc::channel(1);
            thread.commands = closed;
            if let Some(joined) = thread.joined.take()
                && joined.join().is_err()
            {
                error!("a media thread had panicked");
            }
        }
    }
}

type Reader = WebSocketRead<Chain<Cursor<Bytes>, OwnedReadHalf>>;

struct Served {
    line: Rc<RefCell<Line>>,
    /// When the ticker looks at it next. It asks this of every line at every tick, so the answer does not lie in the
    /// line itself, where all but the few that are due would cost several misses of the cache.
    look: Rc<Cell<Instant>>,
    reader: JoinHandle<()>,
    waiter: JoinHandle<()>,
}

/// What the lines of one thread share.
struct Shared {
    /// Of the thread.
    number: usize,
    house: Arc<House>,
    legs: Rc<RefCell<Legs>>,
    scratch: Rc<RefCell<Scratch>>,
    load: Arc<Load>,
}

impl Shared {
    /// This thread has more to do than there is time for, or no longer has.
    fn overloaded(&self, is_over: bool) {
        self.load.is_over.store(is_over, Ordering::Relaxed);
        match self.house.admission.overloaded(is_over) {
            Some(true) => warn!(
                calls = self.house.admission.present(),
                "every media thread comes too late to its calls: new ones hear twilio.busy_text until that is over, those that \
                 run go on. There are more of them than this machine carries (lower limits.calls), or something beside them \
                 takes its time; what is too late says limits.lateness_ms"
            ),
            Some(false) => info!(
                calls = self.house.admission.present(),
                "the media threads are in time again: new calls are let in"
            ),
            None => {}
        }
    }
}

/// What a thread knows of its own lateness.
#[derive(Debug, Default)]
struct Clock {
    lateness: Lateness,
    overload: Overload,
}

async fn run(
    number: usize,
    house: Arc<House>,
    mut commands: mpsc::Receiver<Command>,
    load: Arc<Load>,
) {
    let shared = Shared {
        number,
        house,
        legs: Rc::new(RefCell::new(Legs::new(number))),
        scratch: Rc::default(),
        load,
    };
    let mut lines: Vec<Served> = Vec::new();
    let mut ticker = pin!(tokio::time::sleep(TICK));
    // Looked up once: behind the name is a lock.
    let [frames_in, frames_out] = ["in", "out"].map(|dir| {
        shared
            .house
            .metrics
            .media_frames
            .get_or_create(&[("dir", dir)])
            .clone()
    });
    let mut clock = Clock::default();
    let mut open = true;
    loop {
        let idle = lines.is_empty() && shared.legs.borrow().is_empty();
        if idle && !open {
            return;
        }
        if idle {
            // Nobody to look after: no ticking, and nobody who is kept waiting.
            if let Some(is_over) = clock.overload.rest() {
                shared.overloaded(is_over);
            }
            match commands.recv().await {
                Some(command) => carry_out(command, &shared, &mut lines),
                None => open = false,
            }
            ticker.as_mut().reset(tokio::time::Instant::now() + TICK);
            continue;
        }
        tokio::select! {
            () = &mut ticker => {
                let next = tick(ticker.deadline().into_std(), &shared, &mut lines, &mut clock);
                ticker.as_mut().reset(next.into());
                let counted = std::mem::take(&mut shared.scratch.borrow_mut().counted);
                frames_in.inc_by(counted.frames_in);
                frames_out.inc_by(counted.frames_out);
            }
            command = commands.recv(), if open => match command {
                Some(command) => carry_out(command, &shared, &mut lines),
                None => open = false,
            },
        }
    }
}

/// Looks at what is due. Answers when to come again.
fn tick(due: Instant, shared: &Shared, lines: &mut Vec<Served>, clock: &mut Clock) -> Instant {
    let now = Instant::now();
    let late = now.duration_since(due);
    let metrics = &shared.house.metrics;
    metrics.media_lateness.observe(late.as_secs_f64());
    if let Some(is_over) = clock
        .overload
        .tick(late, shared.house.patience.lateness(), now)
    {
        shared.overloaded(is_over);
    }
    if clock.lateness.tick(late, now) {
        let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        warn!(
            thread = shared.number,
            late_ms,
            lines = lines.len(),
            "a media thread comes too late, so callers hear gaps: there are more calls than this machine carries, or a \
             plugin takes its time"
        );
    }
    let mut next = due + TICK;
    if next <= now {
        next = now + TICK; // what was missed is not made up for
    }
    lines.retain(|served| {
        let wanted = served.look.get();
        if wanted > now {
            next = next.min(wanted);
            return true;
        }
        let mut line = served.line.borrow_mut();
        let whole = look(&mut line, now, &shared.scratch);
        let keep = whole
            && !line.is_gone()
            && !served.reader.is_finished()
            && !served.waiter.is_finished();
        if !keep {
            served.reader.abort();
            served.waiter.abort();
            shared.load.lines.fetch_sub(1, Ordering::Relaxed);
        }
        let wanted = served.look.get();
        if wanted > now {
            next = next.min(wanted);
        }
        keep
    });
    let scratch = &mut shared.scratch.borrow_mut();
    shared.legs.borrow_mut().tick(&mut Moment { now, scratch });
    next
}

/// One look at a line. False: it must not be looked at again.
fn look(line: &mut Line, now: Instant, scratch: &RefCell<Scratch>) -> bool {
    // A panic in one call is that call's end, not the thread's.
    let whole = catch_unwind(AssertUnwindSafe(|| {
        let scratch = &mut scratch.borrow_mut();
        line.tick(&mut Moment { now, scratch });
    }))
    .is_ok();
    if !whole {
        error!(
            "a call was ended by a fault of ours; the others go on. Please report the panic above"
        );
    }
    whole
}

fn carry_out(command: Command, shared: &Shared, lines: &mut Vec<Served>) {
    match command {
        Command::Serve(accepted) => match serve(accepted, shared) {
            Ok(served) => lines.push(served),
            Err(error) => {
                shared.load.lines.fetch_sub(1, Ordering::Relaxed);
                warn!("a media stream was lost while it was handed over: {error}");
            }
        },
        Command::LetGo => {
            for served in lines {
                served.line.borrow_mut().let_go();
            }
            shared.legs.borrow_mut().let_go();
        }
        // Whoever asked may have gone.
        Command::Answer(answer) => drop(answer.send(())),
        Command::End { call_sid, why } => {
            let (now, call_sid) = (Instant::now(), call_sid.as_deref());
            let scratch = &mut shared.scratch.borrow_mut();
            let moment = &mut Moment { now, scratch };
            for served in lines {
                served.line.borrow_mut().end(call_sid, why, moment);
            }
            // Afterwards: a line that lost its stream this very moment has left its leg there.
            shared.legs.borrow_mut().end(call_sid, why, moment);
        }
    }
}

fn serve(accepted: Accepted, shared: &Shared) -> io::Result<Served> {
    let scratch = &shared.scratch;
    let options = socket2::SockRef::from(&accepted.stream);
    options.set_tcp_nodelay(true)?;
    options.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    options.set_tcp_user_timeout(Some(DEAD_PEER))?;
    let (read, write) = TcpStream::from_std(accepted.stream)?.into_split();
    let read = Cursor::new(accepted.read_ahead).chain(read);
    // The writing half of fastwebsockets is not used: frames are formatted into the line's own outbox.
    let (mut reader, _) = after_handshake_split(read, tokio::io::sink(), Role::Server);
    reader.set_max_message_size(MESSAGE_BYTES);
    let line = Rc::new_cyclic(|own| {
        let (house, legs) = (Arc::clone(&shared.house), Rc::clone(&shared.legs));
        let own = Weak::clone(own);
        RefCell::new(Line::new(
            house,
            legs,
            own,
            accepted.peer,
            write,
            Instant::now(),
        ))
    });
    let look = line.borrow().look();
    let waiter = tokio::task::spawn_local(wait_for_bell(Rc::clone(&line), Rc::clone(scratch)));
    let reader =
        tokio::task::spawn_local(read_frames(reader, Rc::clone(&line), Rc::clone(scratch)));
    Ok(Served {
        line,
        look,
        reader,
        waiter,
    })
}

/// Looks at a line whenever its bell rings; ends with it, or with a fault.
async fn wait_for_bell(line: Rc<RefCell<Line>>, scratch: Rc<RefCell<Scratch>>) {
    let mut hung = false;
    poll_fn(|task| {
        let mut line = line.borrow_mut();
        // The waker of this task is the bell: whoever rings it, from whatever thread, has the task polled again.
        let whole = if std::mem::replace(&mut hung, true) {
            look(&mut line, Instant::now(), &scratch)
        } else {
            line.hang_bell(task.waker().clone());
            true
        };
        if whole && !line.is_gone() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

async fn read_frames(mut reader: Reader, line: Rc<RefCell<Line>>, scratch: Rc<RefCell<Scratch>>) {
    loop {
        let owed = &mut |frame: fastwebsockets::Frame<'_>| {
            let (now, scratch) = (Instant::now(), &mut scratch.borrow_mut());
            let moment = &mut Moment { now, scratch };
            line.borrow_mut().owe(frame.opcode, &frame.payload, moment);
            ready(Ok::<(), io::Error>(()))
        };
        let read = reader.read_frame(owed).await;
        let (now, scratch) = (Instant::now(), &mut scratch.borrow_mut());
        let (mut line, moment) = (line.borrow_mut(), &mut Moment { now, scratch });
        match read {
            Ok(frame) => {
                line.on_frame(frame.fin, frame.opcode, &frame.payload, moment);
                if frame.opcode == OpCode::Close || line.is_gone() {
                    return;
                }
            }
            Err(error) => return line.on_end(&error, moment),
        }
    }
}
