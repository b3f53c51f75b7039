//! What is asked of the API, spelled out: method, path below the host, form body. The account's sid is part of each path.

use super::number::Settings;
use crate::carrier::twilio::{form, is_sid};

/// Numbers asked for at once; the API gives no more.
const PAGE_SIZE: &str = "1000";

/// One request, without host and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    /// A form to post; without one it is a `GET`.
    pub(super) body: Option<String>,
    /// What is being tried, for messages: "cannot {what}".
    pub(super) what: String,
}

fn account(sid: &str, rest: &str) -> String {
    format!("/2010-04-01/Accounts/{sid}/{rest}")
}

/// The account's numbers, or those that contain `like`; the first page of them.
pub(super) fn numbers(account_sid: &str, like: Option<&str>) -> Request {
    let mut query = vec![("PageSize", PAGE_SIZE)];
    query.extend(like.map(|number| ("PhoneNumber", number)));
    let path = account(account_sid, "IncomingPhoneNumbers.json");
    Request {
        path: format!("{path}?{}", form::encode(&query)),
        body: None,
        what: "list the account's numbers".to_owned(),
    }
}

/// The page after one, by the address that page gave. Only a path below this account is followed: the credentials go
/// with the request.
pub(super) fn next_page(account_sid: &str, uri: &str) -> Option<Request> {
    let below = uri.strip_prefix(&account(account_sid, ""))?;
    let plain = below
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    (plain && !below.contains("..")).then(|| Request {
        path: uri.to_owned(),
        body: None,
        what: "list the account's numbers".to_owned(),
    })
}

/// One number by its sid.
pub(super) fn number(account_sid: &str, sid: &str) -> Request {
    Request {
        path: account(
            account_sid,
            &format!("IncomingPhoneNumbers/{}.json", named(sid)),
        ),
        body: None,
        what: format!("read the settings of the number {}", named(sid)),
    }
}

/// Makes `wanted` of a number that was `found` so.
pub(super) fn change_number(
    account_sid: &str,
    sid: &str,
    found: &Settings,
    wanted: &Settings,
) -> Request {
    Request {
        body: Some(form::encode(&wanted.changes_from(found))),
        what: format!("change the settings of the number {}", named(sid)),
        ..number(account_sid, sid)
    }
}

/// One call by its sid.
pub(super) fn call(account_sid: &str, sid: &str) -> Request {
    Request {
        path: account(account_sid, &format!("Calls/{}.json", named(sid))),
        body: None,
        what: format!("read the call {}", named(sid)),
    }
}

/// Ends a call, whether it rings or talks.
pub(super) fn end_call(account_sid: &str, sid: &str) -> Request {
    Request {
        body: Some(form::encode(&[("Status", "completed")])),
        what: format!("end the call {}", named(sid)),
        ..call(account_sid, sid)
    }
}

/// A sid as part of a path. What cannot be one names nothing, rather than something else.
fn named(sid: &str) -> &str {
    if is_sid(sid) { sid } else { "-" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "AC00000000000000000000000000000001";

    #[test]
    fn requests_are_spelled_as_the_api_has_them() {
        let asked = numbers(ACCOUNT, Some("+15550100"));
        assert_eq!(
            asked.path,
            format!(
                "/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json?PageSize=1000&PhoneNumber=%2B15550100"
            )
        );
        assert_eq!(asked.body, None);
        let wanted = Settings {
            voice_url: "https://a.example/twilio/stream/".to_owned(),
            ..Settings::default()
        };
        let change = change_number(ACCOUNT, "PN1", &Settings::default(), &wanted);
        assert_eq!(
            change.path,
            format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN1.json")
        );
        assert_eq!(
            change.body.as_deref(),
            Some("VoiceUrl=https%3A%2F%2Fa.example%2Ftwilio%2Fstream%2F")
        );
        let end = end_call(ACCOUNT, "CA1");
        assert_eq!(
            end.path,
            format!("/2010-04-01/Accounts/{ACCOUNT}/Calls/CA1.json")
        );
        assert_eq!(end.body.as_deref(), Some("Status=completed"));
    }

    #[test]
    fn no_sid_leads_out_of_the_account() {
        for sid in ["../../x", "CA1/Streams", "", "CA1?x", "CA1#"] {
            assert!(
                call(ACCOUNT, sid).path.ends_with("/Calls/-.json"),
                "{sid:?}"
            );
        }
    }

    #[test]
    fn only_pages_of_this_account_are_followed() {
        let page = format!(
            "/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json?Page=1&PageToken=PAx"
        );
        assert_eq!(
            next_page(ACCOUNT, &page).map(|request| request.path),
            Some(page)
        );
        for uri in [
            "https://evil.example/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json".to_owned(),
            "//evil.example/".to_owned(),
            "/2010-04-01/Accounts/AC2/IncomingPhoneNumbers.json".to_owned(),
            format!("/2010-04-01/Accounts/{ACCOUNT}/../AC2/IncomingPhoneNumbers.json"),
            format!("/2010-04-01/Accounts/{ACCOUNT}/x y"),
            String::new(),
        ] {
            assert_eq!(next_page(ACCOUNT, &uri), None, "{uri}");
        }
    }
}
