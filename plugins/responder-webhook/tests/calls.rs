//! The plugin through its table, against an HTTP server whose every byte a test decides: what the bot is asked, what
//! becomes of its answers in every shape, and that an interruption drops the request at once.

#![allow(clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;

use fakes::by_hand::Server;
use host::{Opened, Record, Stream, open};
use responder_webhook::plugin_table;
use serde_json::{Value, json};
use voice_plugin::abi::{failure, flag, kind, role, status};

fn opened(bot: &Server, more: Value) -> Opened {
    let mut config = json!({"url": bot.url(), "events": ["digit", "silence"]});
    let keys = config.as_object_mut().unwrap();
    keys.extend(more.as_object().unwrap().clone());
    open(plugin_table(), &config.to_string()).unwrap()
}

fn start(plugin: &Opened) -> Stream<'_> {
    let info = json!({
        "call": {"sid": "CA1", "from": "+15550100", "to": "+15550101", "parameters": {"shop": "7"}},
        "language": "en",
    });
    plugin.start(role::RESPONDER, &info.to_string()).unwrap()
}

fn says(stream: &Stream<'_>, turn: u32, words: &str) {
    assert_eq!(stream.tell(kind::TEXT, turn, words.as_bytes()), status::OK);
    stream.turn_over(turn);
}

fn drawn(records: &[Record]) -> Vec<String> {
    let word = |record: &Record| match record.kind {
        kind::TEXT if record.flags == flag::FIRM | flag::FIXED => {
            format!("firm, fixed {}", record.text())
        }
        kind::TEXT => record.text().to_owned(),
        kind::PARTIAL => format!("piece {}", record.text()),
        kind::ACTION => record.text().to_owned(),
        kind::DONE => "done".to_owned(),
        kind::FAILED => format!("failed {}", record.text()),
        other => format!("kind {other}"),
    };
    // What it wants of the host comes before the first turn.
    records
        .iter()
        .filter(|record| record.turn > 0)
        .map(word)
        .collect()
}

fn until_done(stream: &Stream<'_>) -> Vec<String> {
    drawn(&stream.take_until(kind::DONE))
}

fn failed(stream: &Stream<'_>) -> String {
    let drawn = drawn(&stream.take_until(kind::FAILED));
    drawn
        .last()
        .unwrap()
        .strip_prefix("failed ")
        .unwrap()
        .to_owned()
}

#[test]
fn a_turn_is_posted_and_its_answer_said() {
    let bot = Server::start();
    let plugin = opened(
        &bot,
        json!({"headers": ["Authorization: Bearer canary"], "signing_secret": "Jefe"}),
    );
    let stream = start(&plugin);
    says(&stream, 1, "a taxi please");
    let request = bot.request();
    assert!(
        request
            .head
            .starts_with("POST /bot?token=canary HTTP/1.1\r\n")
    );
    assert!(
        request.head.contains("authorization: Bearer canary\r\n"),
        "{}",
        request.head
    );
    assert!(request.head.contains("x-voice-streamer-signature: sha256="));
    assert!(!request.raw.contains("canary"));
    let body = &request.body;
    assert_eq!(
        (&body["event"], &body["text"]),
        (&json!("turn"), &json!("a taxi please"))
    );
    assert_eq!(body["call"]["parameters"]["shop"], "7");
    request.says(json!({
        "say": ["Of course.", "One moment."],
        "actions": [{"do": "say", "text": "Do not hang up.", "firm": true, "fixed": true}, {"do": "set", "name": "n", "value": "1"}],
    }));
    assert_eq!(
        until_done(&stream),
        [
            "Of course.",
            "One moment.",
            "firm, fixed Do not hang up.",
            r#"{"do":"set","name":"n","value":"1"}"#,
            "done"
        ]
    );
    // The next one, on the same connection, knows what was said and kept.
    stream.tell(kind::DTMF, 2, b"5");
    stream.turn_over(2);
    let request = bot.request();
    assert_eq!(request.body["digit"], "5");
    assert_eq!(request.body["variables"], json!({"n": "1"}));
    assert_eq!(
        request.body["history"],
        json!([
            {"caller": "a taxi please"},
            {"agent": "Of course. One moment. Do not hang up.", "interrupted": false}
        ])
    );
    request.says(json!({"end": true}));
    assert_eq!(until_done(&stream), [r#"{"do":"hang_up"}"#, "done"]);
    // Nothing to say is an answer too.
    stream.turn_over(3);
    bot.request().answer("204 No Content", "", "");
    assert_eq!(until_done(&stream), ["done"]);
}

#[test]
fn a_stream_is_said_while_it_comes() {
    let bot = Server::start();
    let plugin = opened(&bot, json!({}));
    for (mime, chunks) in [
        ("text/plain", ["Good day. ", "I am", " here."]),
        (
            "application/x-ndjson",
            [
                "{\"piece\":\"Good day. \"}\n",
                "{\"piece\":\"I am\"}\n",
                "{\"piece\":\" here.\"}",
            ],
        ),
        (
            "text/event-stream",
            ["data: Good day. \n\n", "data: I am\n\n", "data:  here.\n\n"],
        ),
    ] {
        let stream = start(&plugin);
        stream.turn_over(1);
        let mut request = bot.request();
        request.begin(mime);
        request.chunk(chunks[0]);
        // It is said before the rest exists.
        assert_eq!(
            drawn(&stream.take_until(kind::PARTIAL)),
            ["piece Good day. "],
            "{mime}"
        );
        request.chunk(chunks[1]);
        request.chunk(chunks[2]);
        request.write("0\r\n\r\n");
        request.done();
        let rest = until_done(&stream);
        let joined = rest.join("").replace("piece ", "");
        assert_eq!(joined, "I am here.done", "{mime}");
    }
}

#[test]
fn an_interruption_drops_the_request_and_the_next_tells_what_was_heard() {
    let bot = Server::start();
    let plugin = opened(&bot, json!({}));
    let stream = start(&plugin);
    // Before it answered.
    stream.turn_over(1);
    let waiting = bot.request();
    stream.cancel(1);
    waiting.wait_until_dropped();
    // In the middle of its answer.
    stream.turn_over(2);
    let mut speaking = bot.request();
    speaking.begin("text/plain");
    speaking.chunk("I can tell you a long story. ");
    stream.take_until(kind::PARTIAL);
    let mut cancel = voice_plugin::abi::VpEvent::new(kind::CANCEL, 2, b"I can tell");
    cancel.flags = 0;
    assert_eq!(stream.send(&[cancel]), status::OK);
    speaking.wait_until_dropped();
    says(&stream, 3, "shorter please");
    let request = bot.request();
    assert_eq!(
        request.body["history"],
        json!([{"agent": "I can tell", "interrupted": true}])
    );
    request.says(json!({"say": "Yes."}));
    assert_eq!(until_done(&stream), ["Yes.", "done"]);
}

#[test]
fn what_goes_wrong_has_a_name_and_the_address_without_its_secrets() {
    let bot = Server::start();
    let plugin = opened(&bot, json!({}));
    let stream = start(&plugin);
    let rows = [
        (
            "401 No",
            "text/plain",
            "who are you",
            failure::AUTH,
            "HTTP 401: who are you",
        ),
        ("404 No", "text/plain", "", failure::NOT_FOUND, "HTTP 404"),
        ("429 No", "text/plain", "", failure::BUSY, "HTTP 429"),
        ("422 No", "text/plain", "", failure::BAD_REQUEST, "HTTP 422"),
        (
            "500 No",
            "text/html",
            "<b>oh</b>",
            failure::SERVER,
            "HTTP 500: <b>oh</b>",
        ),
        (
            "302 Found",
            "text/html",
            "",
            failure::SERVER,
            "redirects are not followed",
        ),
        (
            "200 OK",
            "text/html",
            "<b>",
            failure::SERVER,
            "Content-Type is \"text/html\"",
        ),
        (
            "200 OK",
            "application/json",
            "{\"say\":",
            failure::SERVER,
            "not understood",
        ),
        (
            "200 OK",
            "application/json",
            "{\"say\":\" \"}",
            failure::SERVER,
            "empty text",
        ),
        (
            "200 OK",
            "text/plain",
            "",
            failure::SERVER,
            "without a word",
        ),
    ];
    for (turn, (status, mime, body, name, words)) in (1..).zip(rows) {
        stream.turn_over(turn);
        bot.request().answer(status, mime, body);
        let sentence = failed(&stream);
        assert_eq!(failure::name_of(&sentence), Some(name), "{sentence}");
        assert!(sentence.contains(words), "{sentence}");
        assert!(
            sentence.contains(&format!("http://{}/bot", bot.address)),
            "{sentence}"
        );
        assert!(!sentence.contains("canary"), "{sentence}");
    }
    stream.turn_over(50);
    let long = "x".repeat(300 << 10);
    bot.request().answer("200 OK", "application/json", &long);
    let sentence = failed(&stream);
    assert!(sentence.contains("longer than 262144 bytes"), "{sentence}");
    // The call goes on.
    stream.turn_over(51);
    bot.request().says(json!({"say": "Here I am."}));
    assert_eq!(until_done(&stream), ["Here I am.", "done"]);
}

#[test]
fn a_bot_that_is_slow_stalls_or_is_not_there_fails_the_turn() {
    let bot = Server::start();
    let plugin = opened(&bot, json!({"timeout_ms": 100, "stall_ms": 100}));
    let stream = start(&plugin);
    stream.turn_over(1);
    let silent = bot.request();
    let sentence = failed(&stream);
    assert!(
        sentence.starts_with("timeout: no answer from "),
        "{sentence}"
    );
    drop(silent);
    stream.turn_over(2);
    let mut stalled = bot.request();
    stalled.begin("text/plain");
    stalled.chunk("I ");
    let sentence = failed(&stream);
    assert!(sentence.starts_with("cut: "), "{sentence}");
    assert!(
        sentence.contains("nothing more came for 100 ms"),
        "{sentence}"
    );
    let nobody = Server::nobody();
    let config = json!({"url": format!("http://{nobody}/bot")}).to_string();
    let plugin = open(plugin_table(), &config).unwrap();
    let stream = start(&plugin);
    stream.turn_over(1);
    let sentence = failed(&stream);
    assert!(
        sentence.starts_with("unreachable: no answer from http://127.0.0.1:"),
        "{sentence}"
    );
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_costs_no_turn() {
    let bot = Server::start();
    let plugin = opened(&bot, json!({}));
    let stream = start(&plugin);
    stream.turn_over(1);
    let request = bot.request();
    let again = request.answer.try_clone().unwrap();
    request.says(json!({"say": "One."}));
    assert_eq!(until_done(&stream), ["One.", "done"]);
    stream.turn_over(2);
    // It is read and then closed without an answer.
    let lost = bot.request();
    let number = lost.body["request"].clone();
    again.shutdown(std::net::Shutdown::Both).unwrap();
    drop(lost);
    let second = bot.request();
    assert_eq!(second.body["request"], number);
    second.says(json!({"say": "Two."}));
    assert_eq!(until_done(&stream), ["Two.", "done"]);
}

#[test]
fn the_end_of_a_call_is_told_if_it_is_wanted() {
    let bot = Server::start();
    let plugin = opened(&bot, json!({"events": ["end"]}));
    let stream = start(&plugin);
    stream.turn_over(1);
    bot.request().says(json!({"say": "One."}));
    until_done(&stream);
    // A key is no turn of this bot's: what is over is his speech.
    stream.tell(kind::DTMF, 2, b"5");
    stream.turn_over(2);
    let request = bot.request();
    assert_eq!(request.body["event"], "turn");
    request.says(json!({}));
    until_done(&stream);
    let watch = stream.stop();
    let request = bot.request();
    assert_eq!(request.body["event"], "end");
    assert_eq!(request.body["history"][0]["agent"], "One.");
    request.says(json!({}));
    drop(plugin);
    watch.assert_released_once();
}
