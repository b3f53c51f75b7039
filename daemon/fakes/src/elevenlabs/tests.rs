//! That the stand-in catches what it is there to catch, over plain sockets. Everything else is shown by the plugin's
//! tests and by the official client.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{ElevenLabs, KEY, VOICE};

/// Status and JSON of what is answered to these lines.
fn asked(service: &ElevenLabs, line: &str, key: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(service.base().trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: x\r\nxi-api-key: {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn what_the_document_does_not_know_is_refused_and_written_down() {
    let service = ElevenLabs::start(0).unwrap();
    let speech = format!("POST /v1/text-to-speech/{VOICE}/stream?output_format=ulaw_8000");
    let table = [
        (
            "GET /v1/voice".to_owned(),
            "",
            404,
            "the specification has no such path",
        ),
        ("PUT /v1/models".to_owned(), "", 405, "for GET only"),
        ("GET /v2/voices?size=3".to_owned(), "", 422, "query.size"),
        (
            speech.replace("8000", "8001"),
            r#"{"text":"x"}"#,
            422,
            "query.output_format",
        ),
        (
            speech.clone(),
            r#"{"txet":"x"}"#,
            422,
            "\"text\" is a required property",
        ),
        (
            speech.clone(),
            r#"{"text":"x","voice_settings":{"speed":2}}"#,
            422,
            "voice_settings.speed",
        ),
        (speech.clone(), "{", 422, "it is no JSON"),
    ];
    for (line, body, status, violation) in table {
        let (found, json) = asked(&service, &line, KEY, body);
        assert_eq!(found, status, "{line} {body}: {json}");
        assert!(
            status != 422 || json["detail"][0]["loc"].is_array(),
            "{json}"
        );
        let violations = service.seen().violations;
        assert!(
            violations.iter().any(|v| v.contains(violation)),
            "{line} {body}: {violations:?}"
        );
    }
    // A wrong key is a client's business and no violation.
    let before = service.seen().violations.len();
    let (status, json) = asked(&service, &speech, "sk_other", r#"{"text":"x"}"#);
    assert_eq!(
        (status, &json["detail"]["code"]),
        (401, &json!("invalid_api_key"))
    );
    assert_eq!(service.seen().violations.len(), before);
}
