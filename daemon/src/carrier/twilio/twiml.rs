//! TwiML: the documents we answer a webhook with, and what the simulated phone understands of them.
//!
//! Few documents are enough: connect the call to our media websocket (after some keys, if they are wanted), dial a number,
//! say a sentence and hang up, hang up, refuse. Everything that is text is escaped here, so callers pass plain text and
//! plain URLs. How the phone follows a document verb by verb is in [`super::verbs`].
//!
//! A bidirectional `<Stream>` blocks; what follows `<Connect>` runs when our side closes the websocket, and also when it
//! broke or could not be opened, but not when the caller hangs up. That is the place of the [`Fallback`].

use super::cut;
use super::xml::{self, Element};

/// Most characters of a parameter, name and value together; Twilio asks for less than 500.
pub const MAX_PARAMETER_CHARS: usize = 499;

/// Most keys pressed in one `<Play>`, waits included: longer than any extension or account number.
pub const MAX_KEYS: usize = 64;

/// Most characters Twilio speaks in one `<Say>`; what is longer is cut.
pub const MAX_SAY_CHARS: usize = 4096;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>";
const TAIL: &str = "</Response>";

/// Why a document could not be written or understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTwiml {
    #[error(
        "the stream parameter {name:?} has {chars} characters with its name, Twilio takes {MAX_PARAMETER_CHARS}; \
         the call cannot be connected with it"
    )]
    ParameterTooLong { name: String, chars: usize },
    #[error(
        "{url:?} cannot be a stream's URL: it must begin with wss:// (ws:// for the simulated phone) and have no query \
         or fragment, which Twilio drops; check http.public_url"
    )]
    StreamUrl { url: String },
    #[error("the answer to the webhook is not TwiML: at byte {at}, {what}")]
    NotXml { at: usize, what: &'static str },
    #[error(
        "the answer to the webhook is not TwiML: its first element is <{name}> and not <Response>"
    )]
    NotAResponse { name: String },
    #[error("the answer to the webhook does not connect the call to a stream; instead: {instead}")]
    NoStream {
        /// The verbs of the document with the text they carry, cut to a line.
        instead: String,
    },
}

/// What the caller gets when the stream has ended or could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback<'a> {
    /// A sentence in Twilio's own voice, then the end of the call. An empty language is Twilio's default.
    Say {
        text: &'a str,
        language: &'a str,
    },
    /// Another webhook decides.
    Redirect(&'a str),
    Hangup,
}

/// A stream to connect a call to.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Our media websocket as the carrier reaches it.
    pub stream_url: &'a str,
    /// Absolute URL that is told when the stream begins, ends or fails.
    pub status_callback: Option<&'a str>,
    /// Pressed on the caller's line first. Signs that are no keys (`0`–`9`, `A`–`D`, `*`, `#`; `w` and `W` wait for half a
    /// second and for one) are left out, and so is what comes after [`MAX_KEYS`].
    pub keys: &'a str,
    /// Handed back in `start`. The only way to pass data: Twilio drops query strings.
    pub parameters: &'a [(&'a str, &'a str)],
    pub fallback: Fallback<'a>,
}

impl Answer<'_> {
    /// The whole document.
    ///
    /// # Errors
    /// A parameter or URL that the carrier would not take; the call would fail later and with less words.
    pub fn document(&self) -> Result<String, BadTwiml> {
        let url = self.stream_url;
        if !(url.starts_with("wss://") || url.starts_with("ws://")) || url.contains(['?', '#']) {
            return Err(BadTwiml::StreamUrl {
                url: url.to_owned(),
            });
        }
        let mut out = String::from(HEAD);
        let keys: String = self.keys.chars().filter(is_key).take(MAX_KEYS).collect();
        if !keys.is_empty() {
            out.push_str("<Play");
            xml::write_attribute(&mut out, "digits", &keys);
            out.push_str(" />");
        }
        out.push_str("<Connect><Stream");
        if let Some(callback) = self.status_callback {
            xml::write_attribute(&mut out, "statusCallback", callback);
        }
        xml::write_attribute(&mut out, "url", url);
        if self.parameters.is_empty() {
            out.push_str(" /></Connect>");
        } else {
            out.push('>');
            for (name, value) in self.parameters {
                let chars = name.chars().count() + value.chars().count();
                if chars > MAX_PARAMETER_CHARS {
                    return Err(BadTwiml::ParameterTooLong {
                        name: cut(name, 64).to_owned(),
                        chars,
                    });
                }
                out.push_str("<Parameter");
                xml::write_attribute(&mut out, "name", name);
                xml::write_attribute(&mut out, "value", value);
                out.push_str(" />");
            }
            out.push_str("</Stream></Connect>");
        }
        match self.fallback {
            Fallback::Say { text, language } => write_say(&mut out, text, language),
            Fallback::Redirect(url) => {
                out.push_str("<Redirect");
                xml::write_attribute(&mut out, "method", "POST");
                out.push('>');
                xml::write_text(&mut out, url);
                out.push_str("</Redirect>");
            }
            Fallback::Hangup => out.push_str("<Hangup />"),
        }
        out.push_str(TAIL);
        Ok(out)
    }
}

/// Connects the call to a stream; [`Answer`] without a status callback.
///
/// # Errors
/// As [`Answer::document`].
pub fn connect(
    stream_url: &str,
    parameters: &[(&str, &str)],
    fallback: &Fallback<'_>,
) -> Result<String, BadTwiml> {
    Answer {
        stream_url,
        status_callback: None,
        keys: "",
        parameters,
        fallback: *fallback,
    }
    .document()
}

/// Answers the call with a sentence in Twilio's own voice and ends it. An empty language is Twilio's default.
pub fn say_and_hang_up(text: &str, language: &str) -> String {
    let mut out = String::from(HEAD);
    write_say(&mut out, text, language);
    out.push_str("<Hangup />");
    out.push_str(TAIL);
    out
}

/// Ends the call.
pub fn hang_up() -> String {
    format!("{HEAD}<Hangup />{TAIL}")
}

/// Connects the caller to a number or a SIP address, which is taken as it is: whoever wants him transferred has looked
/// whether it can be dialled. `action` is asked what to do when that is over.
/// Without a `caller_id` the one who is called sees the caller's own number.
pub fn dial(number: &str, caller_id: Option<&str>, action: &str) -> String {
    let mut out = String::from(HEAD);
    out.push_str("<Dial");
    xml::write_attribute(&mut out, "action", action);
    if let Some(caller_id) = caller_id {
        xml::write_attribute(&mut out, "callerId", caller_id);
    }
    xml::write_attribute(&mut out, "method", "POST");
    out.push('>');
    if is_sip(number) {
        out.push_str("<Sip>");
        xml::write_text(&mut out, number);
        out.push_str("</Sip>");
    } else {
        xml::write_text(&mut out, number);
    }
    out.push_str("</Dial>");
    out.push_str(TAIL);
    out
}

fn is_sip(number: &str) -> bool {
    number.starts_with("sip:") || number.starts_with("sips:")
}

/// A key of a telephone, or a wait; what Twilio takes in its error 13430.
fn is_key(c: &char) -> bool {
    c.is_ascii_digit() || matches!(c, 'A'..='D' | '*' | '#' | 'w' | 'W')
}

fn write_say(out: &mut String, text: &str, language: &str) {
    out.push_str("<Say");
    if !language.is_empty() {
        xml::write_attribute(out, "language", language);
    }
    out.push('>');
    xml::write_text(out, cut(text, MAX_SAY_CHARS));
    out.push_str("</Say>");
}

/// A `<Connect><Stream>` as the phone finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub url: String,
    pub status_callback: Option<String>,
    /// In the order of the document.
    pub parameters: Vec<(String, String)>,
    /// Names of the verbs that run after the stream.
    pub rest: Vec<String>,
}

/// Finds the stream in a document, as the carrier would: the first `<Connect>` that holds one.
///
/// # Errors
/// [`BadTwiml::NoStream`] if the document does something else with the call, with what it does; the others if it is no
/// TwiML.
pub fn read_connect(document: &str) -> Result<Connect, BadTwiml> {
    let root = read_response(document)?;
    let found = (0..root.children.len()).find_map(|at| connect_at(&root, at));
    found.unwrap_or_else(|| {
        Err(BadTwiml::NoStream {
            instead: summary(&root),
        })
    })
}

/// The document's `<Response>`.
pub(super) fn read_response(document: &str) -> Result<Element, BadTwiml> {
    let root = xml::read(document).map_err(|bad| BadTwiml::NotXml {
        at: bad.at,
        what: bad.what,
    })?;
    if root.name != "Response" {
        return Err(BadTwiml::NotAResponse {
            name: cut(&root.name, 64).to_owned(),
        });
    }
    Ok(root)
}

/// The verb at this place, if it connects to a stream.
pub(super) fn connect_at(root: &Element, at: usize) -> Option<Result<Connect, BadTwiml>> {
    let verb = root
        .children
        .get(at)
        .filter(|verb| verb.name == "Connect")?;
    let stream = verb.children.iter().find(|child| child.name == "Stream")?;
    let url = stream.attribute("url").unwrap_or_default().to_owned();
    if url.is_empty() {
        return Some(Err(BadTwiml::StreamUrl { url }));
    }
    let parameters = stream
        .children
        .iter()
        .filter(|child| child.name == "Parameter");
    let attribute =
        |element: &Element, name| element.attribute(name).unwrap_or_default().to_owned();
    Some(Ok(Connect {
        url,
        status_callback: stream.attribute("statusCallback").map(str::to_owned),
        parameters: parameters
            .map(|p| (attribute(p, "name"), attribute(p, "value")))
            .collect(),
        rest: root.children[at + 1..]
            .iter()
            .map(|verb| verb.name.clone())
            .collect(),
    }))
}

fn summary(root: &Element) -> String {
    let verbs: Vec<_> = root
        .children
        .iter()
        .map(|verb| match verb.text.trim() {
            "" => verb.name.clone(),
            text => format!("{} {text:?}", verb.name),
        })
        .collect();
    if verbs.is_empty() {
        "nothing".to_owned()
    } else {
        cut(&verbs.join(", "), 200).to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "wss://voice.example.com/twilio/media";

    fn sample(name: &str) -> String {
        let samples: serde_json::Value = serde_json::from_str(include_str!(
            "../../../tests/data/twilio/twiml_samples.json"
        ))
        .unwrap();
        let sample = samples
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["name"] == name);
        sample.unwrap()["xml"].as_str().unwrap().to_owned()
    }

    #[test]
    fn connect_is_what_twilios_own_library_writes() {
        let parameters = [("bot", "front desk"), ("note", "Tom & \"Jerry\" <x> 'y'")];
        let document = connect(URL, &parameters, &Fallback::Hangup).unwrap();
        let expected = sample("connect_stream").replace(TAIL, "<Hangup /></Response>");
        assert_eq!(document, expected);
    }

    #[test]
    fn each_fallback_follows_the_stream() {
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Connect><Stream \
                    url=\"wss://voice.example.com/twilio/media\" /></Connect>";
        for (fallback, verb) in [
            (
                Fallback::Say {
                    text: "Zoë & <co>",
                    language: "en-GB",
                },
                "<Say language=\"en-GB\">Zoë &amp; &lt;co&gt;</Say>",
            ),
            (
                Fallback::Say {
                    text: "Sorry.",
                    language: "",
                },
                "<Say>Sorry.</Say>",
            ),
            (
                Fallback::Redirect("https://h/p?a=1&b=2"),
                "<Redirect method=\"POST\">https://h/p?a=1&amp;b=2</Redirect>",
            ),
            (Fallback::Hangup, "<Hangup />"),
        ] {
            assert_eq!(
                connect(URL, &[], &fallback).unwrap(),
                format!("{head}{verb}</Response>")
            );
        }
    }

    #[test]
    fn status_callback_is_named_on_the_stream() {
        let answer = Answer {
            stream_url: URL,
            status_callback: Some("https://h/twilio/stream-status/?a&b"),
            keys: "",
            parameters: &[("token", "9f86d0")],
            fallback: Fallback::Hangup,
        };
        let document = answer.document().unwrap();
        assert_eq!(
            document,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Connect><Stream \
             statusCallback=\"https://h/twilio/stream-status/?a&amp;b\" url=\"wss://voice.example.com/twilio/media\">\
             <Parameter name=\"token\" value=\"9f86d0\" /></Stream></Connect><Hangup /></Response>"
        );
        let read = read_connect(&document).unwrap();
        assert_eq!(read.status_callback.as_deref(), answer.status_callback);
    }

    #[test]
    fn sentence_is_said_then_the_call_ends() {
        assert_eq!(
            say_and_hang_up("All lines\u{8} are busy.", "en-US"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say language=\"en-US\">All lines are busy.</Say>\
             <Hangup /></Response>"
        );
        let long = say_and_hang_up(&"é".repeat(MAX_SAY_CHARS + 1), "");
        assert_eq!(long.matches('é').count(), MAX_SAY_CHARS);
    }

    #[test]
    fn keys_are_pressed_before_the_stream_and_nothing_else_is() {
        let document = |keys| {
            let answer = Answer {
                stream_url: URL,
                status_callback: None,
                keys,
                parameters: &[],
                fallback: Fallback::Hangup,
            };
            answer.document().unwrap()
        };
        let plain = connect(URL, &[], &Fallback::Hangup).unwrap();
        let played =
            |keys| plain.replace("<Connect>", &format!("<Play digits=\"{keys}\" /><Connect>"));
        assert_eq!(document("ww12*#WD"), played("ww12*#WD"));
        assert_eq!(document("1-2\"/><Say>3"), played("123"));
        assert_eq!(document("hello"), plain);
        assert_eq!(document(&"1".repeat(65)), played(&"1".repeat(MAX_KEYS)));
    }

    #[test]
    fn transfers_and_keys_are_what_twilios_own_library_writes() {
        let answer = Answer {
            stream_url: "wss://voice.example.com/ws/audio/stream/3/",
            status_callback: None,
            keys: "ww12#",
            parameters: &[("token", "9f86d0")],
            fallback: Fallback::Redirect("https://voice.example.com/twilio/resume/2/"),
        };
        assert_eq!(answer.document().unwrap(), sample("keys_connect_redirect"));
        let caller_id = Some("+15550100");
        assert_eq!(
            dial("+15550199", caller_id, "https://h/a?b&c"),
            sample("dial_caller_id")
        );
        assert_eq!(dial("sip:desk@h;a=1&b", None, "/a"), sample("dial_sip"));
        assert_eq!(hang_up(), format!("{HEAD}<Hangup />{TAIL}"));
    }

    #[test]
    fn parameter_of_five_hundred_characters_is_refused() {
        let value = "é".repeat(MAX_PARAMETER_CHARS - 5);
        assert!(connect(URL, &[("token", &value)], &Fallback::Hangup).is_ok());
        let value = format!("{value}x");
        let error = connect(URL, &[("ok", "1"), ("token", &value)], &Fallback::Hangup).unwrap_err();
        assert_eq!(
            error,
            BadTwiml::ParameterTooLong {
                name: "token".into(),
                chars: 500
            }
        );
    }

    #[test]
    fn stream_url_that_twilio_would_not_open_is_refused() {
        for url in ["https://h/p", "/p", "", "wss://h/p?token=1", "wss://h/p#x"] {
            let error = connect(url, &[], &Fallback::Hangup).unwrap_err();
            assert_eq!(error, BadTwiml::StreamUrl { url: url.into() });
        }
        assert!(
            connect(
                "ws://127.0.0.1:8080/ws/audio/stream/",
                &[],
                &Fallback::Hangup
            )
            .is_ok()
        );
    }

    #[test]
    fn phone_finds_the_stream_in_every_sample_that_connects() {
        let read = read_connect(&sample("connect_stream")).unwrap();
        assert_eq!(read.url, URL);
        let note = ("note".to_owned(), "Tom & \"Jerry\" <x> 'y'".to_owned());
        assert_eq!(
            read.parameters,
            [("bot".to_owned(), "front desk".to_owned()), note]
        );
        assert_eq!(read.rest, [""; 0]);

        let read = read_connect(&sample("connect_stream_action_then_say")).unwrap();
        assert_eq!(read.rest, ["Say", "Hangup"]);
        assert_eq!(
            read.status_callback.as_deref(),
            Some("https://voice.example.com/twilio/stream-status")
        );
    }

    #[test]
    fn phone_says_what_it_was_told_instead_of_a_stream() {
        for (name, instead) in [
            ("start_stream", "Start, Pause"),
            ("reject", "Reject"),
            ("empty", "nothing"),
            ("say_unicode", "Say \"Zoë: 東京 😀\""),
        ] {
            assert_eq!(
                read_connect(&sample(name)),
                Err(BadTwiml::NoStream {
                    instead: instead.into()
                }),
                "{name}"
            );
        }
        assert_eq!(
            read_connect("<html><body/></html>"),
            Err(BadTwiml::NotAResponse {
                name: "html".into()
            })
        );
        assert_eq!(
            read_connect("Not Found"),
            Err(BadTwiml::NotXml {
                at: 0,
                what: "an element was expected"
            })
        );
        assert_eq!(
            read_connect("<Response><Connect><Stream/></Connect></Response>"),
            Err(BadTwiml::StreamUrl { url: String::new() })
        );
    }

    proptest! {
        #[test]
        fn phone_reads_back_any_parameter(name in "[^\\p{C}]{1,40}", value in "[^\\p{C}]{0,400}") {
            let document = connect(URL, &[(&name, &value)], &Fallback::Hangup).unwrap();
            let read = read_connect(&document).unwrap();
            prop_assert_eq!(read.parameters, [(name, value)]);
            prop_assert_eq!(read.rest, ["Hangup"]);
        }
    }
}
