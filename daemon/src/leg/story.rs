//! The call's story: each note of the core becomes a row in the store, a number, and a line in the log.
//!
//! Nothing here waits: the store takes rows without blocking and the log line is written between frames, a few times
//! per turn. What the caller and the agent said goes to the store, never to the log.

use super::lineup::Lineup;
use super::rests::RESTING;
use super::starting::REFUSALS;
use super::{Guest, House, Visit};
use crate::call::{Departure, Note, Why};
use crate::store::{CallChange, NewEvent};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{debug, info, warn};
use voice_plugin::abi::failure;

/// The lines of which a note says only the places.
pub(super) struct Lines<'l> {
    pub(super) voices: &'l Lineup,
    pub(super) transcribers: Option<&'l Lineup>,
}

/// Writes down one note.
pub(super) fn tell(visit: &Visit, lines: &Lines<'_>, note: &Note) {
    let Visit { house, guest } = visit;
    let metrics = &house.metrics;
    let (event, text, audio_ms, detail) = match note {
        Note::Said {
            utterance,
            turn,
            text,
        } => {
            debug!(call = %guest.call_sid, utterance, turn, letters = text.len(), "the agent begins to speak");
            return;
        }
        Note::Heard {
            utterance,
            text,
            heard_bytes,
            heard_ms,
            sent_ms,
            whole,
        } => (
            "said",
            text.as_ref(),
            *sent_ms,
            json!({"utterance": utterance, "heard": text.get(..*heard_bytes), "heard_ms": heard_ms, "whole": whole}),
        ),
        Note::CallerStarted { turn } => ("caller_started", "", 0, json!({"turn": turn})),
        Note::TurnEnded {
            turn,
            spoke_ms,
            waited_ms,
            reason,
        } => {
            metrics.turns.inc();
            (
                "turn_ended",
                "",
                *spoke_ms,
                json!({"turn": turn, "waited_ms": waited_ms, "reason": reason}),
            )
        }
        Note::Answered { turn, after_ms } => {
            metrics.turn_latency.observe(*after_ms as f64 / 1000.0);
            (
                "answered",
                "",
                0,
                json!({"turn": turn, "after_ms": after_ms}),
            )
        }
        Note::BargeIn {
            utterance,
            voiced_ms,
        } => {
            metrics.interruptions.inc();
            (
                "barge_in",
                "",
                0,
                json!({"utterance": utterance, "voiced_ms": voiced_ms}),
            )
        }
        Note::Transcript {
            stretch,
            text,
            from_ms,
            to_ms,
            after_ms,
        } => {
            metrics.transcript_delay.observe(*after_ms as f64 / 1000.0);
            debug!(call = %guest.call_sid, stretch, after_ms, letters = text.len(), "the caller's words have come");
            (
                "heard",
                text.as_str(),
                to_ms.saturating_sub(*from_ms),
                json!({"stretch": stretch, "from_ms": from_ms, "to_ms": to_ms, "after_ms": after_ms}),
            )
        }
        Note::Wasted { turn } => {
            metrics.replies_wasted.inc();
            ("wasted", "", 0, json!({"turn": turn}))
        }
        Note::NoWords { spoke_ms } => {
            metrics.turns_without_words.inc();
            ("no_words", "", *spoke_ms, Value::Null)
        }
        Note::Withdrawn { turn } => {
            metrics.turns_withdrawn.inc();
            ("withdrawn", "", 0, json!({"turn": turn}))
        }
        Note::Resumed {
            utterance,
            silent_ms,
            words,
        } => {
            metrics.interruptions_resumed.inc();
            (
                "resumed",
                words.as_str(),
                *silent_ms,
                json!({"utterance": utterance}),
            )
        }
        Note::ResponderReplaced {
            turn,
            responder,
            after_ms,
            reason,
        } => {
            let from = responder_at(guest, *responder);
            let to = responder_at(guest, responder + 1);
            let cause = counted(house, "responder", reason);
            warn!(call = %guest.call_sid, from, to, turn, after_ms, cause,
                "a responder failed, another answers from now on: {reason}");
            (
                "responder_replaced",
                "",
                0,
                json!({"turn": turn, "from": from, "to": to, "after_ms": after_ms, "cause": cause, "error": reason}),
            )
        }
        Note::TranscriberReplaced {
            stretch,
            transcriber,
            after_ms,
            reason,
        } => {
            let name = |place| lines.transcribers.map_or("", |line| line.name(place));
            let (from, to) = (name(*transcriber), name(transcriber + 1));
            let cause = counted(house, "transcriber", reason);
            warn!(call = %guest.call_sid, from, to, stretch, after_ms, cause,
                "a transcriber failed, another hears what follows: {reason}");
            (
                "transcriber_replaced",
                "",
                0,
                json!({"stretch": stretch, "from": from, "to": to, "after_ms": after_ms, "cause": cause,
                    "error": reason}),
            )
        }
        Note::Departed { to } => {
            let (to, what) = match to {
                Some(Departure::Transfer(to)) => ("transfer", to.as_str()),
                Some(Departure::Digits(digits)) => ("digits", digits.as_str()),
                None => ("lost", ""),
            };
            info!(call = %guest.call_sid, to, "the call left its stream");
            ("departed", "", 0, json!({"to": to, "what": what}))
        }
        Note::Returned { after_ms } => {
            info!(call = %guest.call_sid, after_ms, "the call is back on a stream");
            ("returned", "", 0, json!({"after_ms": after_ms}))
        }
        Note::Digit { digit } => ("digit", "", 0, json!({"digit": digit.to_string()})),
        Note::NoInput { count } => ("no_input", "", 0, json!({"count": count})),
        Note::VoiceReplaced {
            utterance,
            turn,
            voice,
            after_ms,
            again,
            reason,
        } => {
            let (from, to) = (lines.voices.name(*voice), lines.voices.name(voice + 1));
            metrics.voice_replacements.inc();
            let cause = counted(house, "voice", reason);
            warn!(call = %guest.call_sid, from, to, after_ms, again, cause,
                "a voice failed, another speaks from now on: {reason}");
            (
                "voice_replaced",
                "",
                0,
                json!({"utterance": utterance, "turn": turn, "from": from, "to": to, "after_ms": after_ms,
                    "again": again, "cause": cause, "error": reason}),
            )
        }
        Note::Failed { step, text } => {
            let cause = counted(house, step, text);
            if cause == Some(RESTING) {
                debug!(call = %guest.call_sid, agent = %guest.agent.name, step, "a step is left out, the call goes on: {text}");
            } else {
                warn!(call = %guest.call_sid, agent = %guest.agent.name, step, cause, "a step failed, the call goes on: {text}");
            }
            (
                "failed",
                "",
                0,
                json!({"step": step, "cause": cause, "error": text}),
            )
        }
        // The end is written by `ended`, once, with the duration.
        Note::Ended { .. } => return,
    };
    row(house, guest, event, text, audio_ms, detail);
}

/// A variable that the responder keeps with the call.
pub(super) fn variable(visit: &Visit, name: &str, value: &str) {
    let Visit { house, guest } = visit;
    house.store.change_call(
        &guest.call_sid,
        CallChange {
            variables: [(name.to_owned(), value.to_owned())].into(),
            at_ms: unix_ms(),
            ..CallChange::default()
        },
    );
    row(house, guest, "variable", value, 0, json!({"name": name}));
}

/// A note that the responder keeps with the call.
pub(super) fn remark(visit: &Visit, text: &str) {
    row(&visit.house, &visit.guest, "note", text, 0, Value::Null);
}

/// One failed: counted as that, unless it rests, for then it was not asked and cannot have failed.
fn counted(house: &House, step: &'static str, reason: &str) -> Option<&'static str> {
    let cause = cause(reason);
    let times = match cause {
        Some(RESTING) => &house.metrics.plugin_rests,
        _ => &house.metrics.plugin_failures,
    };
    times.get_or_create(&[("step", step)]).inc();
    cause
}

fn responder_at(guest: &Guest, place: u32) -> &str {
    let at = usize::try_from(place).unwrap_or(usize::MAX);
    guest.agent.responders().nth(at).unwrap_or("")
}

/// The stream has begun.
pub(super) fn started(visit: &Visit, stream_sid: &str) {
    let Visit { house, guest } = visit;
    house.metrics.calls_active.inc();
    house.store.change_call(
        &guest.call_sid,
        CallChange {
            status: Some("in-progress".into()),
            at_ms: unix_ms(),
            ..CallChange::default()
        },
    );
    row(
        house,
        guest,
        "stream_started",
        "",
        0,
        json!({"stream_sid": stream_sid, "agent": guest.agent.name}),
    );
    info!(call = %guest.call_sid, agent = %guest.agent.name, "call started");
}

/// Another stream of the call has come.
pub(super) fn resumed(visit: &Visit, stream_sid: &str, after: &str) {
    let Visit { house, guest } = visit;
    row(
        house,
        guest,
        "stream_started",
        "",
        0,
        json!({"stream_sid": stream_sid, "agent": guest.agent.name, "after": after}),
    );
    info!(call = %guest.call_sid, after, "the call goes on with another stream");
}

/// The carrier never opened a stream of this call: there is no leg to close its record.
pub fn no_stream(house: &House, guest: &Guest) {
    const REASON: &str = "no_stream";
    warn!(call = %guest.call_sid, "the carrier never opened the stream of this call");
    house
        .metrics
        .calls
        .get_or_create(&[("outcome", REASON)])
        .inc();
    row(house, guest, "call_ended", "", 0, json!({"reason": REASON}));
    house.store.change_call(
        &guest.call_sid,
        CallChange {
            status: Some("failed".into()),
            ended_reason: Some(REASON.into()),
            at_ms: unix_ms(),
            ..CallChange::default()
        },
    );
}

/// The call is over.
pub(super) fn ended(visit: &Visit, why: Why, lasted: Duration, underruns: u32) {
    let Visit { house, guest } = visit;
    let reason = reason(why);
    let duration_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
    house.metrics.calls_active.dec();
    house
        .metrics
        .calls
        .get_or_create(&[("outcome", reason)])
        .inc();
    house.metrics.call_duration.observe(lasted.as_secs_f64());
    house.metrics.playout_underruns.inc_by(u64::from(underruns));
    row(
        house,
        guest,
        "call_ended",
        "",
        0,
        json!({"reason": reason, "duration_ms": duration_ms}),
    );
    house.store.change_call(
        &guest.call_sid,
        CallChange {
            status: Some("completed".into()),
            duration_ms: Some(duration_ms),
            ended_reason: Some(reason.into()),
            at_ms: unix_ms(),
            ..CallChange::default()
        },
    );
    info!(call = %guest.call_sid, reason, duration_ms, underruns, "call ended");
}

fn row(house: &House, guest: &Guest, event: &str, text: &str, audio_ms: u64, detail: Value) {
    house.store.note(NewEvent {
        at_ms: unix_ms(),
        call_sid: guest.call_sid.clone(),
        event: event.into(),
        text: text.into(),
        audio_ms,
        ip: guest.ip.to_string(),
        detail,
    });
}

/// Why something failed, in one word to be counted and looked for: sentences may begin with a name, of the contract or
/// of ours.
fn cause(sentence: &str) -> Option<&'static str> {
    failure::name_of(sentence).or_else(|| {
        let (name, _) = sentence.split_once(": ")?;
        REFUSALS.into_iter().find(|ours| *ours == name)
    })
}

/// One word for the record, the same in store, metric and log.
fn reason(why: Why) -> &'static str {
    match why {
        Why::CallerHungUp => "caller_hung_up",
        Why::StreamLost => "stream_lost",
        Why::Transferred => "transferred",
        Why::ResponderHungUp => "agent_hung_up",
        Why::NoInput => "no_input",
        Why::TooLong => "too_long",
        Why::Failed => "failed",
        Why::Operator => "operator",
        Why::Drained => "drained",
    }
}

/// Milliseconds since 1970, for records that people read.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::cause;

    #[test]
    fn a_failure_has_the_name_its_sentence_begins_with() {
        for (sentence, name) in [
            ("quota: the month is used up", Some("quota")),
            ("no_audio: it finished without sound", Some("no_audio")),
            ("resting: it failed too often", Some("resting")),
            ("whatever: it may mean", None),
            ("quota", None),
            ("", None),
        ] {
            assert_eq!(cause(sentence), name, "{sentence}");
        }
    }
}
