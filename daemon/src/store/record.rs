//! The records and their bounds: what a call and an event look like in the store, and how a change meets a call.
//! No table, no thread, no clock; the words inside (which status, which event) belong to whoever writes them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name kept: sids, numbers, statuses, agents, event names, addresses. A carrier's sid has 34 bytes, a SIP address seldom 100.
pub const MAX_NAME_BYTES: usize = 256;
/// Variables of one call; more are not kept. A form has a few dozen fields.
pub const MAX_VARIABLES: usize = 64;
/// Longest value of a variable.
const MAX_VALUE_BYTES: usize = 1000;
/// Longest text of an event: about ten minutes of speech in words, far above one utterance.
pub const MAX_TEXT_BYTES: usize = 8 << 10;
/// Longest detail of an event, as JSON. A longer one is replaced by `{"too_long_bytes": n}`.
pub const MAX_DETAIL_BYTES: usize = 16 << 10;
/// Deepest nesting of a detail. serde_json refuses to *read* more than 128 levels, so what is deeper must not be written.
const MAX_DETAIL_DEPTH: usize = 32;

/// One call, as kept.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default)]
pub struct CallRecord {
    /// Given out by the store, rising, from 1; also the cursor of lists.
    pub id: u64,
    /// The carrier's name of the call; one record per name.
    pub call_sid: String,
    /// Who calls.
    pub from_number: String,
    /// Who is called.
    pub to_number: String,
    /// `queued`, `ringing`, `in-progress`, or a final one: `completed`, `busy`, `failed`, `no-answer`, `canceled`.
    pub status: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// Who answers.
    pub agent: String,
    /// Length in ms; 0 while unknown.
    pub duration_ms: u64,
    /// When it was opened, unix ms.
    pub created_at_ms: u64,
    /// When it was last changed, unix ms.
    pub updated_at_ms: u64,
    /// Why it ended; empty while it runs.
    pub ended_reason: String,
    /// What the responder kept with it, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// A call to be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewCall {
    /// The carrier's name of the call. A name that is already known opens nothing.
    pub call_sid: String,
    /// Who calls.
    pub from_number: String,
    /// Who is called.
    pub to_number: String,
    /// As in [`CallRecord::status`]; an unknown word is kept as `queued`.
    pub status: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// Who answers.
    pub agent: String,
    /// Now, unix ms.
    pub at_ms: u64,
}

/// What is new about a call; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallChange {
    /// As in [`CallRecord::status`]. Only forward: an earlier status and an unknown word leave the old one.
    pub status: Option<String>,
    /// Length in ms.
    pub duration_ms: Option<u64>,
    /// Why the call ended.
    pub ended_reason: Option<String>,
    /// Who called, corrected by hand.
    pub from_number: Option<String>,
    /// Who was called, corrected by hand.
    pub to_number: Option<String>,
    /// Variables to be kept; others stay.
    pub variables: BTreeMap<String, String>,
    /// Now, unix ms.
    pub at_ms: u64,
}

/// One event, as kept.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Event {
    /// Given out by the store, rising in the order of arrival, from 1; also the cursor of lists.
    pub id: u64,
    /// When it happened, unix ms. Clocks jump: order by `id`.
    pub at_ms: u64,
    /// The call it belongs to; empty when to none.
    pub call_sid: String,
    /// What happened, one word.
    pub event: String,
    /// What was said, if anything.
    pub text: String,
    /// Length of the audio it speaks of, ms.
    pub audio_ms: u64,
    /// The peer's address, if known.
    pub ip: String,
    /// More: an object, or null.
    pub detail: serde_json::Value,
}

/// An event to be kept; its fields are those of [`Event`]. This is also its form on the disk, where the id is the key.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct NewEvent {
    pub at_ms: u64,
    pub call_sid: String,
    pub event: String,
    pub text: String,
    pub audio_ms: u64,
    pub ip: String,
    pub detail: serde_json::Value,
}

/// Statuses of a call that may still go on; the index by status is asked for these at every start.
pub(crate) const RUNNING: [&str; 3] = ["queued", "ringing", "in-progress"];
const FINAL: [&str; 5] = ["completed", "busy", "failed", "no-answer", "canceled"];

/// How far a call has come, or `None` for a word we do not know. All final ones rank alike: a carrier's late callback knows
/// better than "failed: daemon_restarted", so it may still correct it.
fn rank(status: &str) -> Option<usize> {
    RUNNING
        .iter()
        .position(|s| *s == status)
        .or_else(|| is_final(status).then_some(RUNNING.len()))
}

/// Whether a call with this status is over.
pub fn is_final(status: &str) -> bool {
    FINAL.contains(&status)
}

/// Cuts at a character's edge, in place: what is kept never exceeds `max` bytes.
fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let edge = (0..=max)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(edge);
        text.shrink_to_fit();
    }
}

/// A name within its bound. Applied to stored and to asked-for names alike, so a cut one is still found.
pub(crate) fn name(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, MAX_NAME_BYTES);
    text
}

fn deeper_than(value: &serde_json::Value, levels: usize) -> bool {
    use serde_json::Value::{Array, Object};
    match value {
        Array(items) => levels == 0 || items.iter().any(|v| deeper_than(v, levels - 1)),
        Object(fields) => levels == 0 || fields.values().any(|v| deeper_than(v, levels - 1)),
        _ => false,
    }
}

impl NewCall {
    /// The record this call starts with.
    pub(crate) fn into_record(self, id: u64) -> CallRecord {
        CallRecord {
            id,
            call_sid: self.call_sid,
            from_number: self.from_number,
            to_number: self.to_number,
            status: self.status,
            direction: self.direction,
            agent: self.agent,
            duration_ms: 0,
            created_at_ms: self.at_ms,
            updated_at_ms: self.at_ms,
            ended_reason: String::new(),
            variables: BTreeMap::new(),
        }
    }

    pub(crate) fn bounded(mut self) -> NewCall {
        for field in [
            &mut self.call_sid,
            &mut self.from_number,
            &mut self.to_number,
            &mut self.direction,
            &mut self.agent,
        ] {
            cut(field, MAX_NAME_BYTES);
        }
        if rank(&self.status).is_none() {
            self.status = RUNNING[0].to_owned();
        }
        self
    }
}

impl CallChange {
    pub(crate) fn bounded(mut self) -> CallChange {
        self.status = self.status.filter(|s| rank(s).is_some());
        let texts = [
            &mut self.ended_reason,
            &mut self.from_number,
            &mut self.to_number,
        ];
        for text in texts.into_iter().flatten() {
            cut(text, MAX_NAME_BYTES);
        }
        let variables = std::mem::take(&mut self.variables).into_iter();
        let bounded = |(variable, mut value): (String, String)| {
            cut(&mut value, MAX_VALUE_BYTES);
            (name(&variable), value)
        };
        self.variables = variables.take(MAX_VARIABLES).map(bounded).collect();
        self
    }
}

impl CallRecord {
    /// Applies a change. Doing it twice is the same as doing it once, so a write whose outcome is unknown can be repeated.
    pub(crate) fn apply(&mut self, change: &CallChange) {
        if let Some(status) = &change.status
            && rank(status) >= rank(&self.status)
        {
            self.status.clone_from(status);
        }
        if let Some(duration_ms) = change.duration_ms {
            self.duration_ms = duration_ms;
        }
        for (field, new) in [
            (&mut self.ended_reason, &change.ended_reason),
            (&mut self.from_number, &change.from_number),
            (&mut self.to_number, &change.to_number),
        ] {
            if let Some(new) = new {
                field.clone_from(new);
            }
        }
        for (name, value) in &change.variables {
            // One at a time and by number only, so that doing it again comes to the same.
            if self.variables.len() < MAX_VARIABLES || self.variables.contains_key(name) {
                self.variables.insert(name.clone(), value.clone());
            }
        }
        self.updated_at_ms = self.updated_at_ms.max(change.at_ms);
    }
}

impl NewEvent {
    pub(crate) fn bounded(mut self) -> NewEvent {
        cut(&mut self.call_sid, MAX_NAME_BYTES);
        cut(&mut self.event, MAX_NAME_BYTES);
        cut(&mut self.ip, MAX_NAME_BYTES);
        cut(&mut self.text, MAX_TEXT_BYTES);
        if deeper_than(&self.detail, MAX_DETAIL_DEPTH) {
            self.detail = serde_json::json!({ "too_deep": true });
        } else if !self.detail.is_null() {
            let bytes = serde_json::to_vec(&self.detail).map_or(usize::MAX, |json| json.len());
            if bytes > MAX_DETAIL_BYTES {
                self.detail = serde_json::json!({ "too_long_bytes": bytes });
            } else if !self.detail.is_object() {
                self.detail = serde_json::json!({ "value": self.detail });
            }
        }
        self
    }

    pub(crate) fn into_event(self, id: u64) -> Event {
        Event {
            id,
            at_ms: self.at_ms,
            call_sid: self.call_sid,
            event: self.event,
            text: self.text,
            audio_ms: self.audio_ms,
            ip: self.ip,
            detail: self.detail,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_status_only_goes_forward() {
        //   from           told            becomes
        let table = [
            ("queued", "ringing", "ringing"),
            ("ringing", "in-progress", "in-progress"),
            ("in-progress", "ringing", "in-progress"),
            ("in-progress", "completed", "completed"),
            ("ringing", "no-answer", "no-answer"),
            ("completed", "in-progress", "completed"),
            ("failed", "queued", "failed"),
            ("failed", "completed", "completed"),
            ("in-progress", "levitating", "in-progress"),
            ("a word of a later version", "completed", "completed"),
        ];
        for (from, told, becomes) in table {
            let mut call = CallRecord {
                status: from.into(),
                ..CallRecord::default()
            };
            let change = CallChange {
                status: Some(told.into()),
                ..CallChange::default()
            };
            call.apply(&change.bounded());
            assert_eq!(call.status, becomes, "{from} told {told}");
        }
    }

    #[test]
    fn an_unknown_status_opens_a_call_as_queued() {
        let call = NewCall {
            status: "initiated".into(),
            ..NewCall::default()
        };
        assert_eq!(call.bounded().status, "queued");
    }

    #[test]
    fn long_strings_are_cut_at_a_characters_edge() {
        for text in [
            "ñ".repeat(MAX_TEXT_BYTES),
            "x".repeat(MAX_TEXT_BYTES * 2),
            "😀".repeat(9_000),
        ] {
            let event = NewEvent {
                text,
                call_sid: "é".repeat(999),
                ..NewEvent::default()
            }
            .bounded();
            assert!((MAX_TEXT_BYTES - 3..=MAX_TEXT_BYTES).contains(&event.text.len()));
            assert!((MAX_NAME_BYTES - 3..=MAX_NAME_BYTES).contains(&event.call_sid.len()));
        }
    }

    #[test]
    fn an_oversized_detail_is_replaced_by_its_size() {
        let fits = serde_json::json!({ "a": "x".repeat(MAX_DETAIL_BYTES - 8) });
        let event = NewEvent {
            detail: fits.clone(),
            ..NewEvent::default()
        }
        .bounded();
        assert_eq!(event.detail, fits);
        let detail = serde_json::json!({ "a": "x".repeat(MAX_DETAIL_BYTES - 7) });
        let event = NewEvent {
            detail,
            ..NewEvent::default()
        }
        .bounded();
        assert_eq!(
            event.detail,
            serde_json::json!({ "too_long_bytes": MAX_DETAIL_BYTES + 1 })
        );
    }

    #[test]
    fn a_detail_too_deep_to_read_back_is_not_written() {
        let mut detail = serde_json::json!({});
        for _ in 0..120 {
            detail = serde_json::json!({ "in": detail });
        }
        let event = NewEvent {
            detail,
            ..NewEvent::default()
        }
        .bounded();
        assert_eq!(event.detail, serde_json::json!({ "too_deep": true }));
    }

    #[test]
    fn a_detail_is_an_object_or_null() {
        let bounded = |detail| {
            NewEvent {
                detail,
                ..NewEvent::default()
            }
            .bounded()
            .detail
        };
        assert_eq!(bounded(serde_json::json!(null)), serde_json::json!(null));
        assert_eq!(
            bounded(serde_json::json!([1, 2])),
            serde_json::json!({ "value": [1, 2] })
        );
    }

    #[test]
    fn variables_are_kept_up_to_a_bound_and_may_change_at_it() {
        let set = |name: &str, value: &str| {
            let change = CallChange {
                variables: [(name.to_owned(), value.to_owned())].into(),
                ..CallChange::default()
            };
            change.bounded()
        };
        let mut call = CallRecord::default();
        for n in 0..=MAX_VARIABLES {
            call.apply(&set(&n.to_string(), "v"));
        }
        call.apply(&set("0", &"é".repeat(MAX_VALUE_BYTES)));
        assert_eq!(call.variables.len(), MAX_VARIABLES);
        assert_eq!(call.variables["0"].len(), MAX_VALUE_BYTES);
        let json = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<CallRecord>(&json).unwrap(), call);
        let plain = serde_json::to_string(&CallRecord::default()).unwrap();
        assert!(!plain.contains("variables"), "{plain}");
    }

    #[test]
    fn a_record_of_an_older_build_is_still_read() {
        let call: CallRecord =
            serde_json::from_str(r#"{"id":7,"call_sid":"CA7","new_field":1}"#).unwrap();
        assert_eq!(
            (call.id, call.call_sid.as_str(), call.agent.as_str()),
            (7, "CA7", "")
        );
    }

    fn any_change() -> impl Strategy<Value = CallChange> {
        let status = prop::sample::select([&RUNNING[..], &FINAL[..], &["nonsense"]].concat());
        let reason = prop::sample::select(vec!["hang-up", "timeout"]);
        let variables = prop::collection::btree_map("[ab]", "[xy]", 0..3);
        (
            prop::option::of(status),
            prop::option::of(0..9u64),
            prop::option::of(reason),
            0..9u64,
            variables,
        )
            .prop_map(|(status, duration_ms, reason, at_ms, variables)| {
                let (status, ended_reason) = (status.map(Into::into), reason.map(Into::into));
                CallChange {
                    status,
                    duration_ms,
                    ended_reason,
                    at_ms,
                    variables,
                    ..CallChange::default()
                }
                .bounded()
            })
    }

    proptest! {
        #[test]
        fn repeating_a_row_of_changes_is_the_same_as_making_it_once(changes in prop::collection::vec(any_change(), 0..9)) {
            let mut once = CallRecord { status: "queued".into(), ..CallRecord::default() };
            changes.iter().for_each(|c| once.apply(c));
            let mut twice = once.clone();
            changes.iter().for_each(|c| twice.apply(c));
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn what_is_bounded_can_be_read_back(text in ".*", ip in ".*", key in ".*") {
            let event = NewEvent { text, ip, detail: serde_json::json!({ key: 1 }), ..NewEvent::default() }.bounded();
            let json = serde_json::to_vec(&event).unwrap();
            prop_assert_eq!(serde_json::from_slice::<NewEvent>(&json).unwrap(), event);
        }
    }
}
