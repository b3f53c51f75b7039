//! The judge judged: by small documents of our own, and by the two specifications we hold, whole.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{OpenApi, Request, Unknown};

const ELEVENLABS: &str = include_str!("../../specs/elevenlabs_openapi.json");
const TWILIO: &str = include_str!("../../specs/twilio_api_v2010.calls.json");

fn twilio() -> OpenApi {
    OpenApi::parse(TWILIO).unwrap()
}

const AC: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PN: &str = "PNbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A form posted to Twilio below the account, and what is wrong with it.
fn posted(path: &str, form: &str) -> Vec<String> {
    let path = format!("/2010-04-01/Accounts/{AC}/{path}");
    let request = Request {
        method: "POST",
        path: &path,
        headers: &[(
            "Content-Type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )],
        body: form.as_bytes(),
        ..Request::default()
    };
    words(&twilio(), &request)
}

fn words(judge: &OpenApi, request: &Request<'_>) -> Vec<String> {
    let asked = judge.check(request).unwrap();
    asked.violations.iter().map(ToString::to_string).collect()
}

/// A synthesis asked for with this query and body, and what is wrong with it.
fn spoken(query: &str, body: Value) -> Vec<String> {
    let body = body.to_string();
    let request = Request {
        method: "POST",
        path: "/v1/text-to-speech/v1/stream",
        query,
        headers: &[("content-type", "application/json")],
        body: body.as_bytes(),
    };
    words(&OpenApi::parse(ELEVENLABS).unwrap(), &request)
}

#[test]
fn a_good_form_passes_and_is_read() {
    let path = format!("/2010-04-01/Accounts/{AC}/Calls.json");
    let request = Request {
        method: "POST",
        path: &path,
        headers: &[("content-type", "application/x-www-form-urlencoded")],
        body: b"To=%2B1555&From=%2B1666&Timeout=60&StatusCallbackEvent=initiated&StatusCallbackEvent=answered&Url=http%3A%2F%2Fx%2F",
        ..Request::default()
    };
    let asked = twilio().check(&request).unwrap();
    assert_eq!(asked.violations, []);
    assert_eq!(
        asked.template,
        "/2010-04-01/Accounts/{AccountSid}/Calls.json"
    );
    assert_eq!(asked.path["AccountSid"], AC);
    assert_eq!(asked.form("To"), Some("+1555"));
    let events = asked
        .form
        .iter()
        .filter(|(name, _)| name == "StatusCallbackEvent");
    assert_eq!(events.count(), 2);
}

#[test]
fn each_fault_of_a_form_is_named() {
    let calls = "Calls.json";
    let table: &[(&str, &str, &str)] = &[
        (calls, "To=1", "form.From: it is required and missing"),
        (
            calls,
            "To=1&From=2&Tineout=3",
            "form.Tineout: the specification knows no such name",
        ),
        (
            calls,
            "To=1&To=2&From=3",
            "form.To: it is no list, and is sent more than once",
        ),
        (
            calls,
            "To=1&From=2&Timeout=soon",
            "form.Timeout: \"soon\" is not of type \"integer\"",
        ),
        (
            calls,
            "To=1&From=2&Method=PUT",
            "form.Method: \"PUT\" is not one of",
        ),
        (
            calls,
            "To=1&From=2&ApplicationSid=x",
            "form.ApplicationSid:",
        ),
        (
            &format!("IncomingPhoneNumbers/{PN}.json"),
            "VoiceURL=x",
            "form.VoiceURL: the specification knows",
        ),
        ("IncomingPhoneNumbers/PNxx.json", "VoiceUrl=x", "path.Sid:"),
    ];
    for (path, form, expected) in table {
        let found = posted(path, form);
        assert!(
            found.iter().any(|what| what.starts_with(expected)),
            "{form}: expected {expected}, found {found:?}"
        );
    }
}

#[test]
fn an_empty_value_clears_a_url() {
    let number = format!("IncomingPhoneNumbers/{PN}.json");
    let found = posted(&number, "VoiceUrl=&VoiceMethod=POST&VoiceApplicationSid=");
    // The specification wants 34 letters of an application; the service takes none to clear it, and so must the
    // stand-in, which knows.
    assert!(
        found
            .iter()
            .all(|what| what.starts_with("form.VoiceApplicationSid")),
        "{found:?}"
    );
}

#[test]
fn literal_paths_win_and_methods_are_told() {
    let judge = twilio();
    let at = |method, path: &str| {
        let path = format!("/2010-04-01/Accounts/{AC}/{path}");
        let request = Request {
            method,
            path: &path,
            ..Request::default()
        };
        judge.check(&request).map(|asked| asked.template)
    };
    assert!(
        at("GET", "IncomingPhoneNumbers/Local.json")
            .unwrap()
            .ends_with("/Local.json")
    );
    assert!(
        at("GET", &format!("IncomingPhoneNumbers/{PN}.json"))
            .unwrap()
            .ends_with("/{Sid}.json")
    );
    assert_eq!(at("GET", "Nothing.json"), Err(Unknown::Path));
    let Err(Unknown::Method { allowed }) = at("PUT", "Calls.json") else {
        panic!("PUT is not in the specification");
    };
    assert_eq!(allowed, ["GET", "POST"]);
}

#[test]
fn queries_are_judged_by_type_and_name() {
    let judge = twilio();
    let path = format!("/2010-04-01/Accounts/{AC}/IncomingPhoneNumbers.json");
    let asked = |query| {
        words(
            &judge,
            &Request {
                method: "GET",
                path: &path,
                query,
                ..Request::default()
            },
        )
    };
    assert_eq!(
        asked("PhoneNumber=%2B15005550006&PageSize=50&Beta=true"),
        [""; 0]
    );
    assert_eq!(
        asked("PageSize=0"),
        ["query.PageSize: 0 is less than the minimum of 1"]
    );
    assert_eq!(
        asked("Pagesize=1"),
        ["query.Pagesize: the specification knows no such name"]
    );
    assert_eq!(
        asked("Beta=maybe"),
        ["query.Beta: \"maybe\" is not of type \"boolean\""]
    );
}

#[test]
fn each_fault_of_a_json_body_is_named() {
    let good = json!({"text": "Hi.", "voice_settings": {"stability": 0.5}, "seed": 7});
    assert_eq!(spoken("output_format=ulaw_8000", good), [""; 0]);
    let table = [
        ("", json!({}), "body: \"text\" is a required property"),
        (
            "",
            json!({"text": 3}),
            "body.text: 3 is not of type \"string\"",
        ),
        (
            "",
            json!({"text": "", "voice": "x"}),
            "body: Additional properties are not allowed ('voice' was unexpected)",
        ),
        (
            "",
            json!({"text": "", "apply_text_normalization": "maybe"}),
            "body.apply_text_normalization: \"maybe\" is not one of",
        ),
        (
            "",
            json!({"text": "", "voice_settings": {"stabilty": 1}}),
            "body.voice_settings: ",
        ),
        (
            "output_format=ulaw_8001",
            json!({"text": ""}),
            "query.output_format: \"ulaw_8001\" is not one of",
        ),
    ];
    for (query, body, expected) in table {
        let found = spoken(query, body.clone());
        assert!(
            found.iter().any(|what| what.starts_with(expected)),
            "{body}: expected {expected}, found {found:?}"
        );
    }
}

#[test]
fn a_body_of_another_type_or_none_is_a_violation() {
    let judge = OpenApi::parse(ELEVENLABS).unwrap();
    let request = Request {
        method: "POST",
        path: "/v1/text-to-speech/v/stream",
        ..Request::default()
    };
    assert_eq!(words(&judge, &request), ["body: it is required and empty"]);
    let typed = Request {
        body: b"{\"text\":\"\"}",
        ..request
    };
    assert_eq!(
        words(&judge, &typed),
        ["header.content-type: \"\" is not one of application/json"]
    );
    let broken = Request {
        body: b"{",
        headers: &[("content-type", "application/json")],
        ..request
    };
    assert!(words(&judge, &broken)[0].starts_with("body: it is no JSON"));
}

#[test]
fn answers_are_judged_too() {
    let judge = OpenApi::parse(ELEVENLABS).unwrap();
    let answer = |status, json: Value| judge.check_answer("GET", "/v2/voices", status, &json);
    assert!(!answer(200, json!({})).unwrap().is_empty());
    let empty = json!({"voices": [], "has_more": false, "total_count": 0, "next_page_token": null});
    assert_eq!(answer(200, empty), Ok(Vec::new()));
    assert!(answer(418, json!({})).is_err());
}

#[test]
fn examples_of_the_specification_pass_but_for_the_eight_that_are_known_to_break_it() {
    let judge = twilio();
    let document: Value = serde_json::from_str(TWILIO).unwrap();
    let (mut seen, mut broken) = (0, 0);
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                let examples = answer["content"]["application/json"]["examples"].as_object();
                for example in examples
                    .into_iter()
                    .flatten()
                    .map(|(_, example)| &example["value"])
                {
                    let status = status.parse().unwrap();
                    let found = judge
                        .check_answer(method, template, status, example)
                        .unwrap();
                    seen += 1;
                    broken += usize::from(!found.is_empty());
                }
            }
        }
    }
    assert_eq!((seen, broken), (47, 8));
}

#[test]
fn documents_that_cannot_be_judged_by_are_refused_in_words() {
    let told = |document: Value| OpenApi::new(document).err().unwrap();
    assert!(told(json!({"swagger": "2.0"})).contains("3.0 or 3.1"));
    assert!(told(json!({"openapi": "3.1.0"})).contains("no paths"));
    let outside = json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [
        {"name": "x", "in": "query", "schema": {"$ref": "other.json#/x"}}]}}}});
    assert!(told(outside).contains("other.json"));
}
