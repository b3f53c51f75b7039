//! Which number, what is made of it, and how it is put back: half by half, and only where nobody else was.

use super::journal::Journal;
use crate::carrier::twilio::rest::{Half, Number, Rest, RestError, Settings};
use crate::cli::Failure;
use crate::config::Config;

/// Numbers named when there is a choice.
const LISTED: usize = 12;

/// What becomes of a number whose calls shall come to `public_url`. A fallback URL of its own stays: it is for the
/// case that ours does not answer.
pub(super) fn pointed(found: &Settings, public_url: &str) -> Settings {
    let receive_mode = match found.voice_receive_mode.as_str() {
        "fax" => "voice",
        other => other,
    };
    Settings {
        voice_url: format!("{public_url}/twilio/stream/"),
        voice_method: "POST".to_owned(),
        // With either of these the number would not ask our address at all.
        voice_application_sid: String::new(),
        trunk_sid: String::new(),
        voice_receive_mode: receive_mode.to_owned(),
        status_callback: format!("{public_url}/twilio/status/"),
        status_callback_method: "POST".to_owned(),
    }
}

/// The number that was asked for, or the only one there can be.
///
/// # Errors
/// There is none, or there are several and no reason to prefer one: then they are listed.
pub(super) async fn pick(
    rest: &Rest,
    wanted: Option<&str>,
    config: &Config,
) -> Result<Number, Failure> {
    if let Some(wanted) = wanted {
        let wanted = dialled(wanted)?;
        let like = rest.numbers(Some(&wanted)).await.map_err(failure)?;
        if let Some(number) = like
            .into_iter()
            .find(|number| number.phone_number == wanted)
        {
            return Ok(number);
        }
        let all = rest.numbers(None).await.map_err(failure)?;
        let message = format!("the account has no number {wanted}; it has {}", list(&all));
        return Err(Failure::failed(message));
    }
    let mut all = rest.numbers(None).await.map_err(failure)?;
    let configured = |number: &Number| config.numbers.contains_key(&number.phone_number);
    if all.len() > 1 && all.iter().filter(|number| configured(number)).count() == 1 {
        all.retain(configured);
    }
    match all.len() {
        0 => Err(Failure::failed(
            "the account has no phone number yet; buy one in Twilio's console",
        )),
        1 => Ok(all.remove(0)),
        _ => Err(Failure::usage(format!(
            "the account has several numbers; say which with --number: {}",
            list(&all)
        ))),
    }
}

/// A number as people write it, as Twilio writes it.
fn dialled(text: &str) -> Result<String, Failure> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
        .collect();
    let digits = plain.strip_prefix('+').unwrap_or_default();
    // E.164 allows fifteen digits.
    if (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(plain);
    }
    Err(Failure::usage(format!(
        "\"{text}\" is no number; write it with + and the country, such as +15550100"
    )))
}

fn list(numbers: &[Number]) -> String {
    if numbers.is_empty() {
        return "none".to_owned();
    }
    let named = numbers.iter().take(LISTED);
    let named: Vec<&str> = named.map(|number| number.phone_number.as_str()).collect();
    let more = if numbers.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// How a number was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PutBack {
    /// As it was found; either just now, or it had never been changed.
    AsFound,
    /// These halves are somebody else's now, and were left to him; the other is as it was found.
    LeftAlone(Vec<Half>),
    /// The account no longer has the number.
    Gone,
}

/// Puts a number back as the journal says it was found.
///
/// Twilio has no "change if it is still so": what somebody else does between our look and our change, a fraction of a
/// second, is not seen.
///
/// # Errors
/// See [`RestError`]; the debt stands.
pub(super) async fn put_back(rest: &Rest, journal: &Journal) -> Result<PutBack, RestError> {
    let now = match rest.number(&journal.number_sid).await {
        Ok(number) => number.settings,
        Err(RestError::NotFound { .. }) => return Ok(PutBack::Gone),
        Err(error) => return Err(error),
    };
    let (wanted, left) = undone(&now, journal);
    if wanted != now {
        rest.change_number(&journal.number_sid, &now, &wanted)
            .await?;
    }
    Ok(match left.is_empty() {
        true => PutBack::AsFound,
        false => PutBack::LeftAlone(left),
    })
}

/// What a number that is `now` so must become, and the halves that are not ours to change.
fn undone(now: &Settings, journal: &Journal) -> (Settings, Vec<Half>) {
    let (mut wanted, mut left) = (now.clone(), Vec::new());
    for half in Half::BOTH {
        if now.agrees(&journal.found, half) {
            continue;
        }
        if now.agrees(&journal.set, half) {
            wanted.take(&journal.found, half);
        } else {
            left.push(half);
        }
    }
    (wanted, left)
}

/// An address for a message: without a password and without a query, which may hold one.
pub(super) fn shown(url: &str) -> String {
    if url.is_empty() {
        return "nothing".to_owned();
    }
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => plain.to_owned(),
    }
}

/// Whom a number calls, for a message.
pub(super) fn called(settings: &Settings) -> String {
    if !settings.trunk_sid.is_empty() {
        format!("the trunk {}", settings.trunk_sid)
    } else if !settings.voice_application_sid.is_empty() {
        format!("the application {}", settings.voice_application_sid)
    } else {
        shown(&settings.voice_url)
    }
}

/// An error of the API with the exit code it deserves.
pub(super) fn failure(error: RestError) -> Failure {
    let message = error.to_string();
    match error {
        RestError::Credentials { .. } => Failure::permission(message),
        RestError::Busy { .. } | RestError::Unreachable { .. } | RestError::Unanswered { .. } => {
            Failure::temporary(message)
        }
        _ => Failure::failed(message),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::journal::VERSION;
    use super::*;

    fn found() -> Settings {
        Settings {
            voice_url: "https://old.example/voice".to_owned(),
            voice_method: "GET".to_owned(),
            trunk_sid: "TK1".to_owned(),
            voice_receive_mode: "fax".to_owned(),
            status_callback_method: "POST".to_owned(),
            ..Settings::default()
        }
    }

    fn journal() -> Journal {
        Journal {
            version: VERSION,
            account_sid: "AC1".to_owned(),
            number_sid: "PN1".to_owned(),
            number: "+15550100".to_owned(),
            public_url: "https://new.example".to_owned(),
            opened_at_secs: 0,
            closes_at_secs: 0,
            found: found(),
            set: pointed(&found(), "https://new.example"),
        }
    }

    #[test]
    fn a_number_is_pointed_here_whatever_it_did_before() {
        let set = journal().set;
        assert_eq!(set.voice_url, "https://new.example/twilio/stream/");
        assert_eq!(set.status_callback, "https://new.example/twilio/status/");
        assert_eq!(
            (set.voice_method.as_str(), set.voice_receive_mode.as_str()),
            ("POST", "voice")
        );
        assert_eq!(
            (set.trunk_sid.as_str(), set.voice_application_sid.as_str()),
            ("", "")
        );
    }

    #[test]
    fn what_is_ours_is_put_back_and_what_is_not_is_left() {
        let journal = journal();
        assert_eq!(undone(&journal.set, &journal), (found(), vec![]));
        assert_eq!(
            undone(&found(), &journal),
            (found(), vec![]),
            "never changed"
        );

        let mut theirs = journal.set.clone();
        theirs.voice_url = "https://theirs.example/".to_owned();
        let (wanted, left) = undone(&theirs, &journal);
        assert_eq!(left, [Half::Voice]);
        assert_eq!(wanted.voice_url, "https://theirs.example/");
        assert_eq!(wanted.trunk_sid, "", "nothing is added to what they did");
        assert_eq!(wanted.status_callback, "", "the other half was still ours");

        let mut theirs = journal.set.clone();
        theirs.status_callback = "https://theirs.example/".to_owned();
        let (wanted, left) = undone(&theirs, &journal);
        assert_eq!(left, [Half::Status]);
        assert!(wanted.agrees(&found(), Half::Voice));
        assert_eq!(wanted.status_callback, "https://theirs.example/");
    }

    #[test]
    fn a_number_may_be_written_as_people_do() {
        assert_eq!(dialled("+1 (555) 01-00").unwrap(), "+15550100");
        for wrong in ["", "+", "5550100", "+1555010x", "+1234567890123456"] {
            assert!(dialled(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (url, said) in [
            ("", "nothing"),
            ("https://a.example/b", "https://a.example/b"),
            (
                "https://user:canary@a.example/b?key=canary#canary",
                "https://a.example/b",
            ),
            ("https://a.example", "https://a.example"),
            ("odd?canary", "odd"),
        ] {
            assert_eq!(shown(url), said);
        }
    }
}
