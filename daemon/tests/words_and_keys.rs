//! A caller who says something and then presses a key ("my name is Ann", #): the key decides, and what he said is not
//! lost. A whole call through the simulated phone; the bot is a server in the test's hand, and a transcriber in C writes
//! down what it was told to, the end of it after the key.

#![allow(clippy::unwrap_used)]

mod support;

use fakes::by_hand::Server;
use serde_json::{Value, json};
use std::sync::Arc;
use support::callers::{hears_out, ring};
use support::{CONFIG, Daemon, compile_plugin, speech, until};
use voice_streamer::phone::{Script, Step};

#[test]
fn words_before_a_key_are_in_the_record_and_in_the_bots_history() {
    let bot = Server::start();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    compile_plugin("scribe", folder.path());
    let config = CONFIG
        .replacen(
            "responder = \"echo\"",
            "responder = \"bot\"\ntranscriber = \"scribe\"",
            1,
        )
        .replacen("greeting = \"Hello, this is the echo.\"\n", "", 1);
    let more = format!(
        "[plugins.bot]\nlibrary = \"responder_webhook\"\nurl = \"{}\"\n[plugins.scribe]\nlibrary = \"./libscribe.so\"\n\
         [transcribers.scribe]\nplugin = \"scribe\"\npartial = \"My name\"\nsays = \"My name is Ann.\"\n",
        bot.url()
    );
    std::fs::write(folder.path().join("config.toml"), config + &more).unwrap();
    let daemon = Daemon::again(&folder);
    let script = Script::of(vec![
        hears_out(),
        Step::Say(speech()),
        Step::Press('#'),
        hears_out(),
        Step::Press('1'),
        hears_out(),
        Step::HangUp,
    ]);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| ring(&daemon, script));
        let asked = |event: &str, digit: Value| {
            let request = bot.request();
            assert_eq!(
                (&request.body["event"], &request.body["digit"]),
                (&json!(event), &digit)
            );
            request
        };
        asked("start", Value::Null).says(json!({"say": "Say your name and press the hash key."}));
        let key = asked("digit", json!("#"));
        assert_eq!(key.body["text"], "My name");
        let rows = format!(
            "/audio/api/logs/?event=heard&call={}",
            key.body["call"]["sid"].as_str().unwrap()
        );
        until("his words are in the record", || {
            let logs = daemon.json(&rows)["logs"].clone();
            (logs[0]["response_text"] == "My name is Ann.").then_some(())
        });
        key.says(json!({"say": "Press 1 if that is right."}));
        let next = asked("digit", json!("1"));
        assert_eq!(
            next.body["history"],
            json!([
                {"agent": "Say your name and press the hash key.", "interrupted": false},
                {"caller": "My name is Ann."},
                {"digit": "#"},
                {"agent": "Press 1 if that is right.", "interrupted": false},
            ])
        );
        next.says(json!({"say": "Thank you."}));
        asked("end", Value::Null).says(json!({}));
        call.join().unwrap();
    });
}
