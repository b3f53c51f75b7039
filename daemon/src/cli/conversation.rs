//! A call as `phone` shows it: what was said and heard, line by line, in the order in which it happened.
//!
//! ```text
//!  0:00.0        stream started                         what the telephone sees by itself
//!  0:07.5  agent Hello, this is the echo.               what the daemon wrote down, if we may read it
//!  0:12.1  you   "Good morning."
//! ```
//!
//! Pure: happenings of the phone and rows of the daemon's events in, lines out. A line has the time at which it was over,
//! as the row has: an agent who is interrupted has not said what stands in his text. Without rows the telephone tells
//! only who speaks and who is silent; with them that is left out.
//!
//! Not here: asking for the rows, and the terminal's colours.

use super::remote::{field, printable};
use crate::phone::Happening;
use serde_json::Value;
use std::fmt;

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Agent,
    You,
    /// What happened to the call.
    Nobody,
}

/// One line, printable as it is: no control characters, whoever said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Since the first stream began.
    pub(super) ms: u64,
    pub(super) who: Who,
    pub(super) words: String,
}

/// A call under way, and the lines of it that have not been taken.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The daemon's rows are told: who speaks and who is silent is not.
    has_rows: bool,
    call_sid: Option<String>,
    lines: Vec<Told>,
    /// The newest row told.
    newest: u64,
    /// When the first stream began, by the daemon's clock.
    began_ms: Option<i64>,
    /// Somebody writes down the caller's words.
    written: bool,
    /// The utterance that the caller took the floor from.
    interrupted: Option<u64>,
    over: bool,
}

impl Conversation {
    /// A call whose rows will be told, or of which nothing is known but what the telephone sees.
    pub(super) fn new(has_rows: bool) -> Conversation {
        Conversation {
            has_rows,
            ..Conversation::default()
        }
    }

    /// The call, once it is rung.
    pub(super) fn call_sid(&self) -> Option<&str> {
        self.call_sid.as_deref()
    }

    /// The newest row that was told: those after it are to be asked for.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The daemon has written down the call's end.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The telephone saw something.
    pub(super) fn happened(&mut self, ms: u64, happening: &Happening) {
        let (who, words) = match happening {
            Happening::WebhookAnswered { call_sid, .. } => {
                self.call_sid = Some(call_sid.clone());
                (Who::Nobody, happening.to_string())
            }
            // Marks come several times a second and tell a person nothing.
            Happening::MarkReturned(_) => return,
            Happening::AgentSpeaks
            | Happening::AgentSilent
            | Happening::CallerSpeaks
            | Happening::CallerSilent
            | Happening::Cleared { .. }
                if self.has_rows =>
            {
                return;
            }
            Happening::AgentSpeaks => (Who::Agent, "speaks".into()),
            Happening::AgentSilent => (Who::Agent, "is silent".into()),
            Happening::CallerSpeaks => (Who::You, "speak".into()),
            Happening::CallerSilent => (Who::You, "are silent".into()),
            Happening::Pressed(key) => (Who::You, format!("press {key}")),
            Happening::CallerHungUp => (Who::You, "hang up".into()),
            Happening::Started
            | Happening::Cleared { .. }
            | Happening::Violation(_)
            | Happening::StreamBroke
            | Happening::StreamRefused(_)
            | Happening::DaemonClosed(_)
            | Happening::Followed(_) => (Who::Nobody, happening.to_string()),
        };
        self.line(ms, who, &words);
    }

    /// The daemon wrote down these rows of the call, newest first, as its API lists them.
    pub(super) fn rows(&mut self, rows: &[Value]) {
        for row in rows.iter().rev() {
            self.newest = self.newest.max(row["id"].as_u64().unwrap_or(0));
            let Ok(at) = field(row, "timestamp").parse::<jiff::Timestamp>() else {
                continue;
            };
            let at_ms = at.as_millisecond();
            if row["event"] == "stream_started" {
                self.began_ms.get_or_insert(at_ms);
            }
            let Some((who, words)) = self.told(row) else {
                continue;
            };
            let since = at_ms.saturating_sub(self.began_ms.unwrap_or(at_ms));
            self.line(u64::try_from(since).unwrap_or(0), who, &words);
        }
    }

    /// What there is to say about a row.
    fn told(&mut self, row: &Value) -> Option<(Who, String)> {
        let detail = &row["detail"];
        let text = field(row, "response_text");
        let seconds = || format!("{:.1} s", row["audio_length"].as_f64().unwrap_or(0.0));
        let told = match row["event"].as_str().unwrap_or("") {
            "said" => (Who::Agent, self.said(row, &text)),
            "barge_in" => {
                self.interrupted = detail["utterance"].as_u64();
                return None;
            }
            "heard" => {
                self.written = true;
                if text.is_empty() {
                    return None;
                }
                (Who::You, format!("\"{text}\""))
            }
            // Otherwise his words are there, or on their way.
            "turn_ended" if !self.written => (Who::You, format!("spoke for {}", seconds())),
            "no_words" => (Who::You, format!("{} of sound without words", seconds())),
            "no_input" => (Who::You, "said nothing".into()),
            "resumed" => (Who::Agent, "goes on: that was no interruption".into()),
            "failed" => {
                let (step, error) = (field(detail, "step"), field(detail, "error"));
                (Who::Nobody, format!("the {step} failed: {error}"))
            }
            "voice_replaced" | "responder_replaced" | "transcriber_replaced" => {
                let [from, to, error] = ["from", "to", "error"].map(|name| field(detail, name));
                let words = format!("{from} failed, {to} has its place from now on: {error}");
                (Who::Nobody, words)
            }
            "variable" => (
                Who::Nobody,
                format!("kept: {} = {text}", field(detail, "name")),
            ),
            "note" => (Who::Nobody, format!("note: {text}")),
            "call_ended" => {
                self.over = true;
                let reason = field(detail, "reason");
                // That is seen from here.
                if reason == "caller_hung_up" {
                    return None;
                }
                (Who::Nobody, format!("the call is over: {reason}"))
            }
            _ => return None,
        };
        Some(told)
    }

    /// What the agent said, as far as it was heard.
    fn said(&self, row: &Value, text: &str) -> String {
        let detail = &row["detail"];
        let heard_ms = detail["heard_ms"].as_u64().unwrap_or(0);
        let heard_for = format!("{:.1} s", heard_ms as f64 / 1000.0);
        let whole = detail["whole"] != false;
        if whole && !text.is_empty() {
            return text.to_owned();
        }
        if whole {
            return format!("{heard_for} of sound");
        }
        let by_caller = self.interrupted == detail["utterance"].as_u64();
        let cut = if by_caller { "interrupted" } else { "cut off" };
        match field(detail, "heard") {
            heard if !heard.is_empty() => format!("{cut} after \"{heard}\""),
            _ if text.is_empty() => format!("{cut} after {heard_for} of sound"),
            _ => format!("{cut} before a word of \"{text}\""),
        }
    }

    fn line(&mut self, ms: u64, who: Who, words: &str) {
        self.lines.push(Told {
            ms,
            who,
            words: printable(words),
        });
    }

    /// The lines before `ms`, in their order; each once. What is over by then has been told by now, by both sides.
    pub(super) fn before(&mut self, ms: u64) -> Vec<Told> {
        // Stable: what was told first stays first.
        self.lines.sort_by_key(|line| line.ms);
        let later = self
            .lines
            .split_off(self.lines.partition_point(|line| line.ms < ms));
        std::mem::replace(&mut self.lines, later)
    }
}

/// The name in front of a line; as long as the others.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Who::Agent => "agent",
            Who::You => "you",
            Who::Nobody => "",
        })
    }
}

/// `0:07.5`: minutes, seconds, tenths.
pub(super) fn clock(ms: u64) -> String {
    let tenths = ms / 100;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

/// Words in lines of at most `columns`, cut between them; what is longer by itself stays whole.
pub(super) fn wrapped(words: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.len() - 1;
        let width = console::measure_text_width(&lines[line]);
        if width > 0 && width + 1 + console::measure_text_width(word) > columns {
            lines.push(word.to_owned());
        } else {
            if width > 0 {
                lines[line].push(' ');
            }
            lines[line].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A row `ms` after the call began.
    fn row(ms: u64, event: &str, text: &str, audio_length: f64, detail: Value) -> Value {
        json!({
            "id": ms, "timestamp": format!("2026-11-28T12:00:{:02}.{:03}Z", ms / 1000, ms % 1000), "event": event,
            "response_text": text, "audio_length": audio_length, "detail": detail,
        })
    }

    /// Everything, a line each.
    fn drawn(conversation: &mut Conversation) -> Vec<String> {
        let lines = conversation.before(u64::MAX).into_iter();
        lines
            .map(|line| format!("{} {:5} {}", clock(line.ms), line.who, line.words))
            .collect()
    }

    #[test]
    fn what_both_sides_tell_stands_in_the_order_in_which_it_happened() {
        let mut conversation = Conversation::new(true);
        let rung = Happening::WebhookAnswered {
            ms: 3.1,
            call_sid: "CA1".into(),
        };
        for (ms, happening) in [
            (0, rung),
            (0, Happening::Started),
            (40, Happening::AgentSpeaks),
            (3100, Happening::MarkReturned("7".into())),
            (4000, Happening::Pressed('1')),
            (8000, Happening::CallerHungUp),
        ] {
            conversation.happened(ms, &happening);
        }
        assert_eq!(conversation.call_sid(), Some("CA1"));
        // The daemon's clock is another: what counts is when it saw the stream start.
        let heard = json!({"utterance": 1, "heard": "Hello.", "whole": true});
        conversation.rows(&[
            row(
                9000,
                "call_ended",
                "",
                0.0,
                json!({"reason": "caller_hung_up"}),
            ),
            row(8000, "turn_ended", "", 2.0, Value::Null),
            row(7900, "heard", "hours please", 2.0, Value::Null),
            row(4000, "said", "Hello.", 3.0, heard),
            row(1000, "stream_started", "", 0.0, Value::Null),
            row(900, "call_opened", "", 0.0, Value::Null),
        ]);
        assert_eq!(
            (conversation.newest(), conversation.is_over()),
            (9000, true)
        );
        let early = conversation.before(3000);
        assert_eq!(early.len(), 2, "{early:?}");
        assert_eq!(
            drawn(&mut conversation),
            [
                "0:03.0 agent Hello.",
                "0:04.0 you   press 1",
                "0:06.9 you   \"hours please\"",
                "0:08.0 you   hang up",
            ]
        );
        assert_eq!(drawn(&mut conversation), [""; 0], "each is told once");
    }

    #[test]
    fn without_rows_the_telephone_tells_who_speaks() {
        let mut conversation = Conversation::new(false);
        conversation.happened(40, &Happening::AgentSpeaks);
        conversation.happened(900, &Happening::CallerSpeaks);
        conversation.happened(950, &Happening::Cleared { unplayed_ms: 120 });
        assert_eq!(
            drawn(&mut conversation),
            [
                "0:00.0 agent speaks",
                "0:00.9 you   speak",
                "0:00.9       daemon clears 120 ms not yet played",
            ]
        );
    }

    #[test]
    fn rows_are_told_as_people_talk() {
        let cut = |heard| json!({"utterance": 2, "heard": heard, "heard_ms": 800, "whole": false});
        let whole = json!({"utterance": 2, "heard": "", "heard_ms": 2400, "whole": true});
        let failed = json!({"step": "voice", "cause": "quota", "error": "quota: used up"});
        let replaced = json!({"from": "rachel", "to": "english", "error": "late"});
        for (event, text, detail, told) in [
            ("said", "", whole, "agent 2.4 s of sound"),
            ("said", "A b.", cut("A"), "agent cut off after \"A\""),
            (
                "said",
                "A b.",
                cut(""),
                "agent cut off before a word of \"A b.\"",
            ),
            ("said", "", cut(""), "agent cut off after 0.8 s of sound"),
            ("turn_ended", "", Value::Null, "you   spoke for 2.5 s"),
            ("heard", "", Value::Null, ""),
            (
                "no_words",
                "",
                Value::Null,
                "you   2.5 s of sound without words",
            ),
            (
                "failed",
                "",
                failed,
                "      the voice failed: quota: used up",
            ),
            (
                "voice_replaced",
                "",
                replaced,
                "      rachel failed, english has its place from now on: late",
            ),
            (
                "variable",
                "Ann",
                json!({"name": "who"}),
                "      kept: who = Ann",
            ),
            (
                "call_ended",
                "",
                json!({"reason": "no_input"}),
                "      the call is over: no_input",
            ),
            ("answered", "", Value::Null, ""),
        ] {
            let mut conversation = Conversation::new(true);
            conversation.rows(&[row(0, event, text, 2.5, detail)]);
            let drawn = drawn(&mut conversation).concat();
            assert_eq!(drawn.strip_prefix("0:00.0 ").unwrap_or(""), told, "{event}");
        }
    }

    #[test]
    fn who_takes_the_floor_interrupts_that_utterance_and_no_other() {
        let mut conversation = Conversation::new(true);
        let said =
            |utterance, heard| json!({"utterance": utterance, "heard": heard, "whole": false});
        conversation.rows(&[
            row(3, "said", "C d.", 1.0, said(3, "C")),
            row(2, "said", "A b.", 1.0, said(2, "A")),
            row(1, "barge_in", "", 0.0, json!({"utterance": 2})),
        ]);
        assert_eq!(
            drawn(&mut conversation),
            [
                "0:00.0 agent interrupted after \"A\"",
                "0:00.0 agent cut off after \"C\"",
            ]
        );
    }

    #[test]
    fn strangers_cannot_write_to_the_terminal() {
        let mut conversation = Conversation::new(true);
        let text = "Hi\u{1b}[2J\r\nthere\u{9b}1m \u{202e}olleh\u{7f}";
        conversation.rows(&[row(0, "heard", text, 1.0, Value::Null)]);
        conversation.happened(1, &Happening::Followed("say \u{1b}]0;x\u{7}".into()));
        assert_eq!(
            drawn(&mut conversation),
            [
                "0:00.0 you   \"Hi[2J there1m olleh\"",
                "0:00.0       carrier: say ]0;x",
            ]
        );
    }

    #[test]
    fn times_are_read_like_a_clock() {
        for (ms, shown) in [
            (0, "0:00.0"),
            (1_250, "0:01.2"),
            (59_999, "0:59.9"),
            (725_900, "12:05.9"),
        ] {
            assert_eq!(clock(ms), shown);
        }
    }

    #[test]
    fn long_words_are_cut_between_them_by_what_they_take_on_the_screen() {
        for (words, columns, lines) in [
            ("one two three", 80, "one two three"),
            ("one two three", 7, "one two|three"),
            ("unbreakable it is", 5, "unbreakable|it is"),
            ("日本 語です", 6, "日本|語です"),
            ("", 5, ""),
        ] {
            assert_eq!(wrapped(words, columns).join("|"), lines);
        }
    }
}
