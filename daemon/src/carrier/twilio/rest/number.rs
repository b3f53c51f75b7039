//! A phone number of the account, and the settings of it that decide who answers: the ones a tunnel borrows.

use serde::{Deserialize, Deserializer, Serialize};

/// One of the account's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// `PN…`, its name in the API.
    pub sid: String,
    /// As callers dial it, `+15550100`.
    pub phone_number: String,
    pub settings: Settings,
}

/// Whom a number asks what to do, and whom it tells how a call went. What is not set is an empty text here; Twilio
/// itself says `null` or `""` as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(default, deserialize_with = "text")]
    pub voice_url: String,
    #[serde(default, deserialize_with = "text")]
    pub voice_method: String,
    /// While this or a trunk is set, `voice_url` is not asked.
    #[serde(default, deserialize_with = "text")]
    pub voice_application_sid: String,
    #[serde(default, deserialize_with = "text")]
    pub trunk_sid: String,
    /// `voice` or `fax`; a fax number does not ask `voice_url` either.
    #[serde(default, deserialize_with = "text")]
    pub voice_receive_mode: String,
    #[serde(default, deserialize_with = "text")]
    pub status_callback: String,
    #[serde(default, deserialize_with = "text")]
    pub status_callback_method: String,
}

/// The settings that only make sense together: a method belongs to its URL, and a trunk overrules both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Who answers.
    Voice,
    /// Who is told.
    Status,
}

impl Half {
    pub const BOTH: [Half; 2] = [Half::Voice, Half::Status];
}

impl Settings {
    /// Every setting under the name by which a request sets it.
    pub(super) fn fields(&self) -> [(&'static str, &str); 7] {
        [
            ("VoiceUrl", &self.voice_url),
            ("VoiceMethod", &self.voice_method),
            ("VoiceApplicationSid", &self.voice_application_sid),
            ("TrunkSid", &self.trunk_sid),
            ("VoiceReceiveMode", &self.voice_receive_mode),
            ("StatusCallback", &self.status_callback),
            ("StatusCallbackMethod", &self.status_callback_method),
        ]
    }

    /// What must be sent to make `self` of `found`: the settings that differ, and no others. An empty value clears.
    pub(super) fn changes_from<'a>(&'a self, found: &Settings) -> Vec<(&'static str, &'a str)> {
        let pairs = self.fields().into_iter().zip(found.fields());
        pairs
            .filter(|((_, wanted), (_, found))| wanted != found)
            .map(|(wanted, _)| wanted)
            .collect()
    }

    /// Whether one half is the same in both.
    pub fn agrees(&self, other: &Settings, half: Half) -> bool {
        match half {
            Half::Voice => {
                self.voice_url == other.voice_url
                    && self.voice_method == other.voice_method
                    && self.voice_application_sid == other.voice_application_sid
                    && self.trunk_sid == other.trunk_sid
                    && self.voice_receive_mode == other.voice_receive_mode
            }
            Half::Status => {
                self.status_callback == other.status_callback
                    && self.status_callback_method == other.status_callback_method
            }
        }
    }

    /// Takes one half from `other`.
    pub fn take(&mut self, other: &Settings, half: Half) {
        let theirs = other.clone();
        match half {
            Half::Voice => {
                self.voice_url = theirs.voice_url;
                self.voice_method = theirs.voice_method;
                self.voice_application_sid = theirs.voice_application_sid;
                self.trunk_sid = theirs.trunk_sid;
                self.voice_receive_mode = theirs.voice_receive_mode;
            }
            Half::Status => {
                self.status_callback = theirs.status_callback;
                self.status_callback_method = theirs.status_callback_method;
            }
        }
    }
}

/// `null` is the empty text.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_not_set_reads_the_same_however_twilio_says_it() {
        let absent = settings("{}");
        assert_eq!(absent, Settings::default());
        assert_eq!(settings(r#"{"voice_url":null,"trunk_sid":""}"#), absent);
    }

    #[test]
    fn only_what_differs_is_sent_and_clearing_is_sent_as_nothing() {
        let found =
            settings(r#"{"voice_url":"https://old/","voice_method":"POST","trunk_sid":"TK1"}"#);
        let wanted = settings(r#"{"voice_url":"https://new/","voice_method":"POST"}"#);
        assert_eq!(
            wanted.changes_from(&found),
            [("VoiceUrl", "https://new/"), ("TrunkSid", "")]
        );
        assert!(wanted.changes_from(&wanted).is_empty());
    }

    #[test]
    fn each_half_is_compared_and_taken_whole() {
        let ours = settings(
            r#"{"voice_url":"a","voice_method":"b","voice_application_sid":"c","trunk_sid":"d",
            "voice_receive_mode":"e","status_callback":"f","status_callback_method":"g"}"#,
        );
        for half in Half::BOTH {
            let mut other = Settings::default();
            assert!(!ours.agrees(&other, half), "{half:?}");
            other.take(&ours, half);
            assert!(ours.agrees(&other, half), "{half:?}");
        }
        for (at, _) in ours.fields().iter().enumerate() {
            let mut changed = serde_json::to_value(&ours).unwrap();
            let key = changed.as_object().unwrap().keys().nth(at).unwrap().clone();
            changed[&key] = "other".into();
            let changed: Settings = serde_json::from_value(changed).unwrap();
            let agreeing = Half::BOTH
                .into_iter()
                .filter(|half| ours.agrees(&changed, *half));
            assert_eq!(agreeing.count(), 1, "{key} belongs to one half");
        }
    }
}
