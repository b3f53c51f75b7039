//! What the bot answers, from bytes to steps: one JSON object, or a stream of pieces in one of three shapes that its
//! `Content-Type` tells. Pure; `schema/answer.json` says the same for machines.

use serde::Deserialize;
use voice_plugin::abi::limit;

/// Longest answer taken, in all: an hour of speech.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Longest line of a stream.
const MAX_LINE_BYTES: usize = 64 << 10;
/// Longest text for the voice at once; a longer one is given in pieces, which the host cuts at sentences.
pub(crate) const MAX_SAY_BYTES: usize = limit::TEXT_BYTES;
/// Things to do in one answer.
const MAX_ACTIONS: usize = 100;

/// One thing to do, in the order of the answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// A piece of what is said.
    Piece(String),
    Do(Action),
}

/// An entry of `actions`.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    Say {
        text: String,
        #[serde(default)]
        firm: bool,
        #[serde(default)]
        fixed: bool,
    },
    HangUp {},
    Transfer {
        to: String,
    },
    SendDigits {
        digits: String,
    },
    Voice {
        voice: String,
    },
    Language {
        language: String,
    },
    Silence {
        after_ms: u64,
    },
    Set {
        name: String,
        value: String,
    },
    Note {
        text: String,
    },
}

/// An answer, or one line of a stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    say: Option<Say>,
    #[serde(default)]
    piece: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(default)]
    end: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`say` is a text or a list of texts")]
enum Say {
    One(String),
    Many(Vec<String>),
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Json,
    Text,
    Lines,
    Events,
}

impl Shape {
    fn of(content_type: &str) -> Option<Shape> {
        let kind = content_type.split(';').next().unwrap_or("").trim();
        match kind.to_ascii_lowercase().as_str() {
            "" | "application/json" => Some(Shape::Json),
            "text/plain" => Some(Shape::Text),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Shape::Lines)
            }
            "text/event-stream" => Some(Shape::Events),
            _ => None,
        }
    }
}

/// Reads one answer as it comes.
#[derive(Debug)]
pub(crate) struct Reader {
    shape: Shape,
    /// What is not a whole letter, line or answer yet.
    rest: Vec<u8>,
    /// The `data` of an event that is not over.
    data: Option<String>,
    bytes: usize,
    actions: usize,
    over: bool,
}

type Read = Result<Vec<Step>, String>;

impl Reader {
    /// # Errors
    /// A sentence: nobody can read this kind.
    pub(crate) fn new(content_type: &str) -> Result<Reader, String> {
        let shape = Shape::of(content_type).ok_or_else(|| {
            format!(
                "its Content-Type is {:?}; application/json, text/plain, application/x-ndjson and text/event-stream are \
                 understood",
                quoted(content_type)
            )
        })?;
        Ok(Reader {
            shape,
            rest: Vec::new(),
            data: None,
            bytes: 0,
            actions: 0,
            over: false,
        })
    }

    /// Whether it comes in pieces, and each is to be used at once.
    pub(crate) fn is_stream(&self) -> bool {
        self.shape != Shape::Json
    }

    /// Whether the answer has said that nothing more of it comes.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// # Errors
    /// A sentence: it is too long, or not what its `Content-Type` says.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Read {
        self.bytes += bytes.len();
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(format!("it is longer than {MAX_ANSWER_BYTES} bytes"));
        }
        self.rest.extend_from_slice(bytes);
        let mut steps = Vec::new();
        match self.shape {
            Shape::Json => {}
            Shape::Text => {
                let text = self.letters();
                if !text.is_empty() {
                    steps.push(Step::Piece(text));
                }
            }
            Shape::Lines | Shape::Events => {
                while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.rest.drain(..=end).collect();
                    self.line(&line, &mut steps)?;
                }
                if self.rest.len() > MAX_LINE_BYTES {
                    return Err(format!(
                        "one line of it is longer than {MAX_LINE_BYTES} bytes"
                    ));
                }
            }
        }
        Ok(steps)
    }

    /// It has ended.
    ///
    /// # Errors
    /// As for [`feed`](Reader::feed).
    pub(crate) fn finish(&mut self) -> Read {
        let rest = std::mem::take(&mut self.rest);
        let mut steps = Vec::new();
        match self.shape {
            Shape::Json if rest.iter().all(u8::is_ascii_whitespace) => {}
            Shape::Json => self.object(&rest, &mut steps)?,
            Shape::Text if rest.is_empty() => {}
            Shape::Text => steps.push(Step::Piece(String::from_utf8_lossy(&rest).into_owned())),
            Shape::Lines | Shape::Events => {
                self.line(&rest, &mut steps)?;
                self.event(&mut steps)?;
            }
        }
        Ok(steps)
    }

    /// Takes what are whole letters of the rest.
    fn letters(&mut self) -> String {
        let whole = match std::str::from_utf8(&self.rest) {
            // The beginning of a letter whose end is still to come.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let taken: Vec<u8> = self.rest.drain(..whole).collect();
        String::from_utf8_lossy(&taken).into_owned()
    }

    fn line(&mut self, line: &[u8], steps: &mut Vec<Step>) -> Result<(), String> {
        if self.shape == Shape::Lines {
            return if line.iter().all(u8::is_ascii_whitespace) {
                Ok(())
            } else {
                self.object(line, steps)
            };
        }
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            return self.event(steps);
        }
        if let Some(data) = line.strip_prefix("data:") {
            let data = data.strip_prefix(' ').unwrap_or(data);
            match &mut self.data {
                Some(before) => {
                    before.push('\n');
                    before.push_str(data);
                }
                None => self.data = Some(data.to_owned()),
            }
        }
        Ok(())
    }

    /// An event of an event stream is whole: an object, or plain text.
    fn event(&mut self, steps: &mut Vec<Step>) -> Result<(), String> {
        match self.data.take() {
            None => {}
            Some(data) if data == "[DONE]" => self.over = true,
            Some(data) if data.trim_start().starts_with('{') => {
                self.object(data.as_bytes(), steps)?;
            }
            Some(data) => steps.push(Step::Piece(data)),
        }
        Ok(())
    }

    fn object(&mut self, json: &[u8], steps: &mut Vec<Step>) -> Result<(), String> {
        let not_understood = |why: &str| {
            let text = String::from_utf8_lossy(json);
            format!("it is not understood ({why}): {}", quoted(text.trim()))
        };
        // A list would be read as an object without names.
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err(not_understood("no JSON object"));
        }
        let whole: Whole =
            serde_json::from_slice(json).map_err(|error| not_understood(&error.to_string()))?;
        let says = match whole.say {
            None => Vec::new(),
            Some(Say::One(text)) => vec![text],
            Some(Say::Many(texts)) => texts,
        };
        let says = says.into_iter().map(|text| Action::Say {
            text,
            firm: false,
            fixed: false,
        });
        let ends = whole.end.then_some(Action::HangUp {});
        let actions: Vec<Action> = says.chain(whole.actions).chain(ends).collect();
        self.actions += actions.len();
        if self.actions > MAX_ACTIONS {
            return Err(format!("it has more than {MAX_ACTIONS} things to do"));
        }
        let empty =
            |action: &Action| matches!(action, Action::Say { text, .. } if text.trim().is_empty());
        if actions.iter().any(empty) {
            return Err("it says an empty text; leave `say` out to say nothing".to_owned());
        }
        steps.extend(whole.piece.map(Step::Piece));
        steps.extend(actions.into_iter().map(Step::Do));
        Ok(())
    }
}

/// So much of the bot's own words as fits into a sentence of 400 bytes, on one line.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 100;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let short: String = text.chars().take(MOST).map(plain).collect();
    if text.chars().nth(MOST).is_some() {
        short + "…"
    } else {
        short
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(content_type: &str, chunks: &[&[u8]]) -> Read {
        let mut reader = Reader::new(content_type)?;
        let mut steps = Vec::new();
        for chunk in chunks {
            steps.extend(reader.feed(chunk)?);
        }
        steps.extend(reader.finish()?);
        Ok(steps)
    }

    fn say(text: &str) -> Step {
        Step::Do(Action::Say {
            text: text.to_owned(),
            firm: false,
            fixed: false,
        })
    }

    fn piece(text: &str) -> Step {
        Step::Piece(text.to_owned())
    }

    #[test]
    fn a_whole_answer_is_done_in_its_order() {
        let answer = json!({
            "say": ["One.", "Two."],
            "actions": [
                {"do": "language", "language": "es"},
                {"do": "say", "text": "Tres.", "firm": true, "fixed": true},
                {"do": "set", "name": "n", "value": "3"},
                {"do": "transfer", "to": "+15550100"},
            ],
            "end": true,
        });
        let bytes = answer.to_string();
        let (one, two) = bytes.as_bytes().split_at(10);
        let steps = read("application/json; charset=utf-8", &[one, two]).unwrap();
        assert_eq!(steps[..2], [say("One."), say("Two.")]);
        assert_eq!(
            steps[3],
            Step::Do(Action::Say {
                text: "Tres.".into(),
                firm: true,
                fixed: true
            })
        );
        assert_eq!(steps.last(), Some(&Step::Do(Action::HangUp {})));
        assert_eq!(steps.len(), 7);
        assert_eq!(read("", &[b""]).unwrap(), []);
        assert_eq!(read("application/json", &[b"{}"]).unwrap(), []);
    }

    #[test]
    fn every_action_of_the_schema_is_understood_and_no_other() {
        let schema: Value = serde_json::from_str(include_str!("../schema/answer.json")).unwrap();
        let valid = jsonschema::validator_for(&schema).unwrap();
        let whole = |answer: Value| read("", &[answer.to_string().as_bytes()]).is_ok();
        let examples = schema["examples"].as_array().unwrap();
        let named: Vec<&str> = schema["$defs"]["action"]["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| action["properties"]["do"]["const"].as_str().unwrap())
            .collect();
        assert_eq!(named.len(), 9);
        for name in named {
            let used =
                |example: &&Value| example.to_string().contains(&format!("\"do\":\"{name}\""));
            assert!(
                examples.iter().any(|example| used(&example)),
                "no example of {name}"
            );
        }
        for example in examples {
            assert!(
                valid.is_valid(example) && whole(example.clone()),
                "{example}"
            );
        }
        for bad in [
            json!({"sey": "hello"}),
            json!({"say": ""}),
            json!({"say": 5}),
            json!({"actions": [{"do": "dance"}]}),
            json!({"actions": [{"do": "transfer"}]}),
            json!({"actions": [{"do": "hang_up", "now": true}]}),
            json!({"actions": [{"do": "silence", "after_ms": -1}]}),
            json!([]),
            json!("hello"),
        ] {
            assert!(
                !valid.is_valid(&bad) && !whole(bad.clone()),
                "{bad} was taken"
            );
        }
    }

    #[test]
    fn text_comes_through_in_pieces_and_letters_stay_whole() {
        let bytes = "Año 5. ¿Sí?".as_bytes();
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        let steps = read("text/plain", &one_by_one).unwrap();
        let letters: String = steps
            .iter()
            .map(|step| match step {
                Step::Piece(text) => text.as_str(),
                Step::Do(_) => panic!("{step:?}"),
            })
            .collect();
        assert_eq!(letters, "Año 5. ¿Sí?");
        assert_eq!(steps.len(), "Año 5. ¿Sí?".chars().count());
        assert_eq!(read("text/plain", &[b"a\xff", b"\xc3"]).unwrap().len(), 2);
    }

    #[test]
    fn lines_and_events_may_be_cut_anywhere() {
        let lines = b"{\"piece\":\"Good \"}\n\n{\"piece\":\"day.\"}\r\n{\"end\":true}";
        let events = b": hello\nevent: x\ndata: {\"piece\":\"Good \"}\n\ndata: day.\n\ndata: {\"end\":\ndata: true}\n\n\
            data: [DONE]\n\n";
        let expected = [piece("Good "), piece("day."), Step::Do(Action::HangUp {})];
        for (kind, bytes) in [
            ("application/x-ndjson", &lines[..]),
            ("text/event-stream", &events[..]),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
                assert_eq!(read(kind, &chunks).unwrap(), expected, "{kind} by {size}");
            }
        }
        let mut reader = Reader::new("text/event-stream").unwrap();
        reader.feed(b"data: [DONE]\n\n").unwrap();
        assert!(reader.is_over());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut reader = Reader::new("text/plain").unwrap();
        assert!(reader.feed(&vec![b'x'; MAX_ANSWER_BYTES]).is_ok());
        assert!(
            reader
                .feed(b"x")
                .unwrap_err()
                .contains("longer than 262144")
        );
        let mut reader = Reader::new("application/x-ndjson").unwrap();
        assert!(reader.feed(&vec![b' '; MAX_LINE_BYTES]).is_ok());
        assert!(reader.feed(b"x").unwrap_err().contains("one line"));
        let wrong = read("", &[json!({"say": 5}).to_string().as_bytes()]);
        assert!(
            format!("{wrong:?}").contains("`say` is a text or a list of texts"),
            "{wrong:?}"
        );
        let many = |count| json!({"say": vec!["x"; count]}).to_string();
        assert!(read("", &[many(MAX_ACTIONS).as_bytes()]).is_ok());
        assert!(
            read("", &[many(MAX_ACTIONS + 1).as_bytes()])
                .unwrap_err()
                .contains("100 things")
        );
        assert!(
            read("text/html", &[])
                .unwrap_err()
                .contains("\"text/html\"")
        );
        let refused = read("", &["é".repeat(500).as_bytes()]).unwrap_err();
        assert!(refused.len() < 300, "{refused}");
    }
}
