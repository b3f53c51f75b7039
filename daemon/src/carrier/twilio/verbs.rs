//! A TwiML document as the carrier follows it, verb by verb; for the simulated phone. What the verbs do is the phone's
//! business; here they are read.
//!
//! `<Connect>` blocks while the stream lasts. What follows it runs when our side closes the stream, when it breaks and
//! when it could not be opened; when the caller hangs up, nothing runs any more.

use super::twiml::{BadTwiml, Connect, connect_at, read_response};
use super::xml::Element;

/// One thing the carrier is told to do with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Open a media stream and wait for its end.
    Connect(Connect),
    /// Speak this.
    Say(String),
    /// Press these keys on the caller's line.
    Keys(String),
    /// Connect the caller to a number or a SIP address, then ask `action`, if there is one, what to do.
    Dial {
        number: String,
        action: Option<String>,
    },
    /// Ask this address what to do.
    Redirect(String),
    Hangup,
    /// Anything else, by its name: passed over.
    Other(String),
}

/// The verbs of a document in order. When they run out the call ends.
///
/// # Errors
/// It is no TwiML, or a stream without an address.
pub fn read(document: &str) -> Result<Vec<Verb>, BadTwiml> {
    let root = read_response(document)?;
    let verbs = root.children.iter().enumerate().map(|(at, verb)| {
        Ok(match verb.name.as_str() {
            "Connect" => match connect_at(&root, at) {
                Some(connect) => Verb::Connect(connect?),
                None => Verb::Other(verb.name.clone()),
            },
            "Say" => Verb::Say(verb.text.trim().to_owned()),
            "Play" => match verb.attribute("digits") {
                Some(keys) => Verb::Keys(keys.to_owned()),
                None => Verb::Other(verb.name.clone()),
            },
            "Dial" => Verb::Dial {
                number: dialled(verb),
                action: verb.attribute("action").map(str::to_owned),
            },
            "Redirect" => Verb::Redirect(verb.text.trim().to_owned()),
            "Hangup" => Verb::Hangup,
            name => Verb::Other(name.to_owned()),
        })
    });
    verbs.collect()
}

/// The text of the verb, or of the noun in it.
fn dialled(verb: &Element) -> String {
    let noun = verb.children.first();
    let text = noun.map_or(verb.text.as_str(), |noun| noun.text.as_str());
    text.trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::twiml::{self, Answer, Fallback};
    use super::*;

    #[test]
    fn everything_we_write_is_followed() {
        let answer = Answer {
            stream_url: "wss://h/s/",
            status_callback: None,
            keys: "w12#",
            parameters: &[("token", "9f86d0")],
            fallback: Fallback::Redirect("/twilio/resume/1/"),
        };
        let document = answer.document().unwrap();
        let connect = twiml::read_connect(&document).unwrap();
        assert_eq!(connect.rest, ["Redirect"]);
        assert_eq!(
            read(&document).unwrap(),
            [
                Verb::Keys("w12#".into()),
                Verb::Connect(connect),
                Verb::Redirect("/twilio/resume/1/".into()),
            ]
        );
        for number in ["+15550199", "sip:desk@example.com"] {
            let dial = Verb::Dial {
                number: number.into(),
                action: Some("/a/?b&c".into()),
            };
            assert_eq!(read(&twiml::dial(number, None, "/a/?b&c")).unwrap(), [dial]);
        }
        assert_eq!(
            read(&twiml::say_and_hang_up("Good bye.", "en-US")).unwrap(),
            [Verb::Say("Good bye.".into()), Verb::Hangup]
        );
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_no_twiml_is_refused() {
        let document =
            "<Response><Pause/><Connect><Room>a</Room></Connect><Play>a.wav</Play></Response>";
        let names = ["Pause", "Connect", "Play"];
        let others = names.map(|name| Verb::Other(name.into()));
        assert_eq!(read(document).unwrap(), others);
        assert!(read("<html/>").is_err() && read("Not Found").is_err());
        let empty = "<Response><Connect><Stream/></Connect></Response>";
        assert!(matches!(read(empty), Err(BadTwiml::StreamUrl { .. })));
    }
}
