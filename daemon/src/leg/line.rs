//! One media websocket: what its messages mean before, during and after a call, and the bytes that go out.
//!
//! ```text
//!  Waiting ── start, token spent ──→ Talking ── stop, hang-up, lost ──→ Closing ── peer's close, end, 2 s ──→ Gone
//!     └── no start in time, refused ──────────── │ ───────────────────────↑
//!                                                └── the call goes on ──→ its leg is kept in `Legs`
//! ```
//!
//! The reader task calls in with whole messages, the ticker every 5 ms; both are on the line's own thread, so nothing
//! is locked. Bytes leave by the outbox, and a carrier that takes none of them for two seconds is gone.

use super::leg::Leg;
use super::legs::Legs;
use super::moment::Moment;
use super::outbox::Outbox;
use super::{Arrival, Away, Guest, House, Visit};
use crate::call::Why;
use crate::carrier::twilio::stream as wire;
use crate::carrier::twilio::stream::Message;
use crate::carrier::twilio::webhook::custom_parameters;
use fastwebsockets::OpCode;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::net::tcp::OwnedWriteHalf;
use tracing::{debug, info, warn};

/// Largest message taken; media messages are about 400 bytes. fastwebsockets' own default would be 64 MiB.
pub(super) const MESSAGE_BYTES: usize = 64 << 10;

/// How long the carrier has to answer our close before the connection is dropped.
const CLOSE_MS: u64 = 2000;

/// Messages of one stream that may be ignored before it is closed as not speaking our protocol.
const IGNORED_MESSAGES: u32 = 500;

/// Close codes of RFC 6455 as used here.
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const NOT_TEXT: u16 = 1007;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const OUR_FAULT: u16 = 1011;

    /// Whether a peer that closes with this code has trouble of its own rather than nothing more to say: an internal
    /// error, a restart, overload, a bad gateway.
    pub(super) fn is_trouble(payload: &[u8]) -> bool {
        let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
        matches!(code, Some(1011..=1014))
    }
}

enum State {
    Waiting,
    Talking(Box<Leg>),
    Closing { since: Instant },
    Gone,
}

pub(super) struct Line {
    house: Arc<House>,
    /// The legs of this thread, and this line as they know it.
    legs: Rc<RefCell<Legs>>,
    own: Weak<RefCell<Line>>,
    peer: IpAddr,
    write: OwnedWriteHalf,
    out: Outbox,
    state: State,
    opened: Instant,
    last_message: Instant,
    asked: bool,
    ignored: u32,
    /// When the ticker has to look here; see [`Line::look`].
    look: Rc<Cell<Instant>>,
    /// Has this line ticked at once, from whatever thread.
    bell: Option<Waker>,
}

impl Line {
    pub(super) fn new(
        house: Arc<House>,
        legs: Rc<RefCell<Legs>>,
        own: Weak<RefCell<Line>>,
        peer: IpAddr,
        write: OwnedWriteHalf,
        now: Instant,
    ) -> Line {
        Line {
            house,
            legs,
            own,
            peer,
            write,
            out: Outbox::default(),
            state: State::Waiting,
            opened: now,
            last_message: now,
            asked: false,
            ignored: 0,
            look: Rc::new(Cell::new(now)),
            bell: None,
        }
    }

    /// From the next call on, what a caller waits for rings this bell, to be answered with [`Line::tick`].
    pub(super) fn hang_bell(&mut self, bell: Waker) {
        self.bell = Some(bell);
    }

    /// When [`Line::tick`] is wanted next, kept up to date after every step.
    pub(super) fn look(&self) -> Rc<Cell<Instant>> {
        Rc::clone(&self.look)
    }

    /// Nothing more will happen here; the connection may be dropped.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether messages still mean anything.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. } | State::Gone)
    }

    /// A whole frame from the carrier, unmasked.
    pub(super) fn on_frame(
        &mut self,
        fin: bool,
        opcode: OpCode,
        payload: &[u8],
        moment: &mut Moment<'_>,
    ) {
        self.last_message = moment.now;
        self.asked = false;
        self.out.borrow(moment.scratch);
        match opcode {
            _ if self.is_closing() && opcode != OpCode::Close => {}
            OpCode::Text if fin => self.on_text(payload, moment),
            OpCode::Binary if fin => self.ignore("binary", moment),
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                // Carriers send none, and collecting them is how memory is taken from outside.
                self.close(
                    code::TOO_BIG,
                    "fragmented messages are not taken",
                    Why::StreamLost,
                    moment,
                );
            }
            OpCode::Close => {
                let why = if code::is_trouble(payload) {
                    Why::StreamLost
                } else {
                    Why::CallerHungUp
                };
                self.end_call(why, moment);
                self.flush(moment);
                self.state = State::Gone;
            }
            OpCode::Ping | OpCode::Pong => {}
        }
        self.settle(moment);
        self.out.give_back(moment.scratch);
        self.plan(moment.now);
    }

    /// A frame that RFC 6455 obliges us to send: the answer to a ping or to a close.
    pub(super) fn owe(&mut self, opcode: OpCode, payload: &[u8], moment: &mut Moment<'_>) {
        // The close that answers ours is not answered in its turn: each side says it once, and browsers take a second
        // one for a broken connection.
        if opcode == OpCode::Close && self.is_closing() {
            return;
        }
        self.out.frame(opcode, payload);
        self.flush(moment);
        self.plan(moment.now);
    }

    /// The reading half ended: end of stream or a violation of the websocket protocol.
    pub(super) fn on_end(
        &mut self,
        error: &fastwebsockets::WebSocketError,
        moment: &mut Moment<'_>,
    ) {
        use fastwebsockets::WebSocketError as E;
        let close = match error {
            E::FrameTooLarge | E::PingFrameTooLarge => Some((code::TOO_BIG, "message too large")),
            E::InvalidUTF8 => Some((code::NOT_TEXT, "text is not UTF-8")),
            E::InvalidFragment
            | E::InvalidContinuationFrame
            | E::InvalidCloseFrame
            | E::InvalidCloseCode
            | E::ReservedBitsNotZero
            | E::ControlFrameFragmented
            | E::InvalidValue => Some((code::PROTOCOL, "websocket protocol violated")),
            _ => None,
        };
        if let Some((code, reason)) = close {
            self.close(code, reason, Why::StreamLost, moment);
        }
        self.end_call(Why::StreamLost, moment);
        self.flush(moment);
        self.state = State::Gone;
        self.plan(moment.now);
    }

    /// The daemon ends this call, if it is the one named (or any, if none is).
    pub(super) fn end(&mut self, call_sid: Option<&str>, why: Why, moment: &mut Moment<'_>) {
        let ours = match (&self.state, call_sid) {
            (State::Talking(leg), Some(sid)) => leg.call_sid() == sid,
            (State::Closing { .. } | State::Gone, _) => false,
            (State::Waiting, Some(_)) => false,
            (_, None) => true,
        };
        if ours {
            self.close(code::NORMAL, "", why, moment);
            self.plan(moment.now);
        }
    }

    /// The configuration has changed.
    pub(super) fn let_go(&mut self) {
        if let State::Talking(leg) = &mut self.state {
            leg.let_go();
        }
    }

    /// Plugin rings, deadlines, bytes that wait, peers that keep us waiting: every 5 ms, unless the line is so quiet that
    /// [`Line::look`] says later.
    pub(super) fn tick(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        let mut moves = true;
        match &mut self.state {
            State::Talking(leg) => moves = leg.tick(&mut self.out, moment),
            State::Waiting if now.duration_since(self.opened) > self.house.patience.start() => {
                self.house
                    .metrics
                    .media_ignored
                    .get_or_create(&[("reason", "no_start")])
                    .inc();
                warn!(peer = %self.peer, "a media stream brought no start message in time and is closed");
                self.close(
                    code::POLICY,
                    "no start message in time",
                    Why::StreamLost,
                    moment,
                );
            }
            State::Closing { since }
                if now.duration_since(*since) > Duration::from_millis(CLOSE_MS) =>
            {
                self.state = State::Gone;
            }
            State::Waiting | State::Closing { .. } | State::Gone => {}
        }
        let silent = now.duration_since(self.last_message);
        if silent > self.house.patience.idle() && !self.is_closing() {
            warn!(peer = %self.peer, call = self.call_sid(), silent_s = silent.as_secs(),
                "a media stream went silent and is closed");
            self.close(code::POLICY, "silent for too long", Why::StreamLost, moment);
        } else if silent > self.house.patience.idle() / 3 && !self.asked && !self.is_closing() {
            self.asked = true;
            self.out.frame(OpCode::Ping, b"");
        }
        if moves || !self.out.is_empty() {
            self.settle(moment);
        }
        self.plan(now);
    }

    fn on_text(&mut self, text: &[u8], moment: &mut Moment<'_>) {
        let message = match wire::read(text) {
            Ok(message) => message,
            Err(bad) => return self.ignore(bad.as_str(), moment),
        };
        match (&mut self.state, message) {
            (_, Message::Connected { .. }) => {}
            (State::Waiting, Message::Start(start)) => self.on_start(&start, moment),
            (State::Waiting, _) => self.ignore("before_start", moment),
            (State::Talking(_), Message::Start(_)) => self.ignore("second_start", moment),
            (State::Talking(leg), message) => {
                if message
                    .stream_sid()
                    .is_some_and(|sid| sid != leg.stream_sid())
                {
                    return self.ignore("wrong_stream", moment);
                }
                let out = &mut self.out;
                match message {
                    Message::Media {
                        payload,
                        track_inbound,
                        ..
                    } => {
                        if !track_inbound {
                            return self.ignore("wrong_track", moment);
                        }
                        // Taken out for the moment, because the leg needs the rest of the scratch meanwhile.
                        let mut samples = std::mem::take(&mut moment.scratch.heard);
                        samples.resize(wire::MAX_PAYLOAD_BYTES, 0);
                        let decoded = wire::decode_payload(&payload, &mut samples);
                        if let Ok(count) = decoded {
                            leg.hear(&samples[..count], out, moment);
                        }
                        moment.scratch.heard = samples;
                        if let Err(bad) = decoded {
                            self.ignore(bad.as_str(), moment);
                        }
                    }
                    Message::Dtmf { digit, .. } => leg.digit(digit, out, moment),
                    Message::Mark { name, .. } => {
                        if !leg.marked(&name, out, moment) {
                            self.ignore("unknown_mark", moment);
                        }
                    }
                    Message::Stop { .. } => self.close(code::NORMAL, "", Why::CallerHungUp, moment),
                    Message::Connected { .. } | Message::Start(_) => {}
                }
            }
            (State::Closing { .. } | State::Gone, _) => {}
        }
    }

    fn on_start(&mut self, start: &wire::Start, moment: &mut Moment<'_>) {
        let token = start.parameter("token");
        let place = self.legs.borrow().place();
        let admitted = self
            .house
            .admission
            .spend(token, &start.call_sid, place, moment.now);
        match admitted {
            Ok(mut arrival) => {
                // A stream may bring more of its own; what the webhook was given counts first.
                let own = start.parameters.iter().filter(|(name, _)| name != "token");
                let (own, _) = custom_parameters(own.map(|(name, value)| (&**name, &**value)));
                let before = std::mem::replace(&mut arrival.guest.parameters, own);
                arrival.guest.parameters.extend(before);
                self.arrive(arrival, &start.stream_sid, moment);
            }
            Err(refusal) => {
                warn!(peer = %self.peer, call = %start.call_sid, "a media stream was refused: {refusal}");
                self.house
                    .metrics
                    .webhook_rejected
                    .get_or_create(&[("reason", refusal.as_str())])
                    .inc();
                self.close(
                    code::POLICY,
                    "not announced by our webhook",
                    Why::StreamLost,
                    moment,
                );
            }
        }
    }

    /// The call begins, or goes on with the leg it has.
    fn arrive(&mut self, arrival: Arrival, stream_sid: &str, moment: &mut Moment<'_>) {
        let sid = arrival.guest.call_sid.clone();
        let leg = match arrival.back {
            None => {
                let guest = Guest {
                    ip: self.peer,
                    ..arrival.guest
                };
                let visit = Visit {
                    house: Arc::clone(&self.house),
                    guest,
                };
                let (stream_sid, bell) = (stream_sid.to_owned(), self.bell.clone());
                Box::new(Leg::begin(visit, stream_sid, bell, &mut self.out, moment))
            }
            Some(back) => {
                let parked = self.legs.borrow_mut().unpark(&sid);
                let leg = parked.or_else(|| {
                    // The carrier was faster than we: the stream before this one has broken, and we have not noticed.
                    let before = self.legs.borrow_mut().line_of(&sid)?;
                    before.borrow_mut().give_up_leg(moment)
                });
                let Some(mut leg) = leg else {
                    let reason = "the call has ended meanwhile";
                    return self.close(code::NORMAL, reason, Why::StreamLost, moment);
                };
                let bell = self.bell.clone();
                leg.take_up(stream_sid, self.peer, bell, &back, &mut self.out, moment);
                leg
            }
        };
        self.legs.borrow_mut().talks(sid, Weak::clone(&self.own));
        self.state = State::Talking(leg);
    }

    /// Another stream of this call has come: closes this one and hands over its leg, unless the call ends by it.
    fn give_up_leg(&mut self, moment: &mut Moment<'_>) -> Option<Box<Leg>> {
        let closing = State::Closing { since: moment.now };
        let State::Talking(mut leg) = std::mem::replace(&mut self.state, closing) else {
            return None;
        };
        leg.stop(Why::StreamLost, &mut self.out, moment);
        self.say_close(code::NORMAL, "another stream of this call has come");
        self.flush(moment);
        self.plan(moment.now);
        leg.over().is_none().then_some(leg)
    }

    /// A message that means nothing here: counted; too many of them and the stream is closed.
    fn ignore(&mut self, reason: &'static str, moment: &mut Moment<'_>) {
        self.house
            .metrics
            .media_ignored
            .get_or_create(&[("reason", reason)])
            .inc();
        self.ignored += 1;
        debug!(peer = %self.peer, reason, "a message was ignored");
        if self.ignored == IGNORED_MESSAGES {
            warn!(peer = %self.peer, reason, "{IGNORED_MESSAGES} messages ignored; the stream does not speak our protocol");
            self.close(
                code::POLICY,
                "too many messages without meaning",
                Why::StreamLost,
                moment,
            );
        }
    }

    /// The stream is over for the call: it ends, or its leg is kept until another comes.
    fn end_call(&mut self, why: Why, moment: &mut Moment<'_>) {
        if let State::Talking(leg) = &mut self.state {
            leg.stop(why, &mut self.out, moment);
            self.part(Away::Lost, moment.now);
        }
    }

    /// Lets go of the leg. One that is not over waits for the next stream of its call.
    fn part(&mut self, to: Away, now: Instant) {
        let State::Talking(leg) = std::mem::replace(&mut self.state, State::Closing { since: now })
        else {
            return;
        };
        let mut legs = self.legs.borrow_mut();
        legs.talks_no_more(leg.call_sid());
        if leg.over().is_none() {
            // Known before the carrier sees the close and asks.
            self.house.admission.departed(leg.call_sid(), to, now);
            legs.park(leg, now);
        }
    }

    /// Ends the call and says goodbye in the websocket's way.
    fn close(&mut self, code: u16, reason: &str, why: Why, moment: &mut Moment<'_>) {
        if self.is_closing() {
            return;
        }
        self.end_call(why, moment);
        self.say_close(code, reason);
        self.state = State::Closing { since: moment.now };
    }

    fn say_close(&mut self, code: u16, reason: &str) {
        self.house
            .metrics
            .ws_close
            .get_or_create(&[("code", code)])
            .inc();
        let mut payload = Vec::with_capacity(2 + reason.len());
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
        self.out.frame(OpCode::Close, &payload);
    }

    /// After every step: the core's wish to leave or to hang up, then the bytes.
    fn settle(&mut self, moment: &mut Moment<'_>) {
        if let State::Talking(leg) = &mut self.state {
            if let Some(to) = leg.departure() {
                self.part(to, moment.now);
                self.say_close(code::NORMAL, "");
                return self.flush(moment);
            }
            let over = leg.over();
            if leg.wants_hang_up() || over.is_some() {
                let code = if over == Some(Why::Failed) {
                    code::OUR_FAULT
                } else {
                    code::NORMAL
                };
                let why = over.unwrap_or(Why::ResponderHungUp);
                self.close(code, "", why, moment);
            }
        }
        self.flush(moment);
    }

    /// At the end of every step: when to look here again if nothing comes before.
    fn plan(&self, now: Instant) {
        self.look.set(match &self.state {
            State::Talking(leg) if self.out.is_empty() => leg.look_at(now),
            State::Waiting | State::Talking(_) | State::Closing { .. } | State::Gone => now,
        });
    }

    /// Of the call that talks here; empty if none does.
    fn call_sid(&self) -> &str {
        match &self.state {
            State::Talking(leg) => leg.call_sid(),
            State::Waiting | State::Closing { .. } | State::Gone => "",
        }
    }

    fn flush(&mut self, moment: &mut Moment<'_>) {
        if self.is_gone() {
            return;
        }
        match self.out.flush(&self.write, moment.now) {
            Ok(()) => {}
            Err(lost) => {
                info!(peer = %self.peer, call = self.call_sid(), "a media stream is lost: {lost}");
                // The reader's end follows, or not.
                self.end_call(Why::StreamLost, moment);
                self.state = State::Gone;
            }
        }
    }
}

impl Drop for Line {
    /// A line that was dropped while it talked was ended by a fault of ours.
    fn drop(&mut self) {
        if let State::Talking(leg) = &self.state
            && let Ok(mut legs) = self.legs.try_borrow_mut()
        {
            legs.talks_no_more(leg.call_sid());
        }
    }
}
