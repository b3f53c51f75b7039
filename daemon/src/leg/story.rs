//! The call's story: each note of the core becomes a row in the store, a number, and a line in the log.
//!
//! Nothing here waits: the store takes rows without blocking and the log line is written between frames, a few times
//! per turn. What the caller and the agent said goes to the store, never to the log.

use super::voices::{self, Voices};
use super::{Guest, House};
use crate::call::{Note, Why};
use crate::store::{CallChange, NewEvent};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::{debug, info, warn};
use voice_plugin::abi::failure;

/// Writes down one note. `line`: the agent's voices, of which a note says only the places.
pub(super) fn tell(house: &House, guest: &Guest, line: &Voices, note: &Note) {
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
        Note::Transcript { .. }
        | Note::Wasted { .. }
        | Note::Resumed { .. }
        | Note::ResponderReplaced { .. }
        | Note::TranscriberReplaced { .. }
        | Note::Departed { .. }
        | Note::Returned { .. } => return,
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
            let (from, to) = (line.name(*voice), line.name(voice + 1));
            let cause = cause(reason);
            metrics.voice_replacements.inc();
            // A voice that rests was not asked, so it cannot have failed.
            if cause != Some(voices::RESTING) {
                metrics
                    .plugin_failures
                    .get_or_create(&[("step", "voice")])
                    .inc();
            }
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
            metrics
                .plugin_failures
                .get_or_create(&[("step", step)])
                .inc();
            let cause = cause(text);
            warn!(call = %guest.call_sid, step, cause, "a step failed, the call goes on: {text}");
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

/// The stream has begun.
pub(super) fn started(house: &House, guest: &Guest, stream_sid: &str) {
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
pub(super) fn resumed(house: &House, guest: &Guest, stream_sid: &str, after: &str) {
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
pub(super) fn ended(house: &House, guest: &Guest, why: Why, lasted: Duration, underruns: u32) {
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
        voices::REFUSALS.into_iter().find(|ours| *ours == name)
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
