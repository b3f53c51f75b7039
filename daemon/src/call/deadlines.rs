//! What the clock brings: every deadline of a call, once, with what is done when it has come. A deadline is never armed or
//! disarmed but read off the state, so none can be forgotten; and a row that is waited for is a row that is dealt with.

use super::input::Why;
use super::machine::{Call, Floor};
use super::output::Timer;
use super::time::CallTime;

/// Its name, when it comes as things stand, and what is done then.
type Deadline = (
    Timer,
    fn(&Call) -> Option<CallTime>,
    fn(&mut Call, CallTime),
);

/// Those that hold whether the call has a stream or not.
const ALWAYS: [Deadline; 2] = [
    // Comes twice: for the goodbye, and for its end.
    (Timer::MaxCall, Call::max_call_deadline, Call::too_long),
    (Timer::Return, Call::return_deadline, |call, now| {
        call.end(now, Why::StreamLost);
    }),
];

/// Those that wait for the stream with the rest of the conversation. Of several that have come, one behind the other.
const IN_A_STREAM: [Deadline; 9] = [
    // Whatever is told, `settle` sends what may be sent.
    (Timer::Pace, |call| call.pace.at, |_, _| {}),
    (Timer::Endpoint, Call::ear_deadline, Call::ear_timeout),
    (
        Timer::PluginDeadline,
        Call::transcriber_deadline,
        Call::transcriber_is_late,
    ),
    // Behind the transcriber, whose words it may have waited for.
    (Timer::Resume, Call::resume_deadline, Call::resume),
    (
        Timer::PluginDeadline,
        Call::responder_deadline,
        Call::responder_is_late,
    ),
    (Timer::PluginDeadline, Call::moment_deadline, |call, _| {
        call.one_moment();
    }),
    (
        Timer::PluginDeadline,
        Call::voice_deadline,
        Call::voice_is_late,
    ),
    (Timer::NoInput, Call::no_input_deadline, Call::nobody_speaks),
    (
        Timer::MarkOverdue,
        |call| call.playout.due(),
        Call::mark_is_overdue,
    ),
];

impl Call {
    /// When to call `handle_timeout` if nothing happens before, and what for. After it was called, this lies ahead.
    pub fn poll_timeout(&self) -> Option<(CallTime, Timer)> {
        if self.floor == Floor::Ended {
            return None;
        }
        let in_a_stream = IN_A_STREAM.iter().filter(|_| self.away.is_none());
        (ALWAYS.iter().chain(in_a_stream))
            .filter_map(|(timer, deadline, _)| Some((deadline(self)?, *timer)))
            .min_by_key(|(deadline, _)| *deadline)
    }

    /// The deadline of `poll_timeout` has come. Too early a call does nothing.
    pub fn handle_timeout(&mut self, now: CallTime) {
        if self.is_deaf() {
            return;
        }
        let now = self.tick(now);
        let due = |deadline: Option<CallTime>| deadline.is_some_and(|deadline| deadline <= now);
        for (_, deadline, come) in ALWAYS {
            while self.floor != Floor::Ended && due(deadline(self)) {
                come(self, now);
            }
        }
        if self.floor == Floor::Ended || self.away.is_some() {
            return;
        }
        for (_, deadline, come) in IN_A_STREAM {
            if due(deadline(self)) {
                come(self, now);
            }
        }
        self.settle(now);
    }
}
