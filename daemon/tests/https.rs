//! Calls whose plugins ask by HTTPS: an authority of the user's own is trusted, and a certificate that is not accepted is
//! said in words while the call takes the way for failures. The servers are the test's, and so are their certificates.

#![allow(clippy::unwrap_used)]

mod support;

use fakes::by_hand::Server;
use fakes::tls::{Authority, Identity, Valid, before};
use serde_json::json;
use std::sync::Arc;
use support::callers::{heard, hears_out, record, ring, walking};
use support::{CONFIG, Daemon};
use tempfile::TempDir;
use voice_streamer::phone::{Report, Script, Step};

const HERE: [&str; 1] = ["127.0.0.1"];

/// A call while the server does this.
fn call_while(daemon: &Daemon, steps: Vec<Step>, serve: impl FnOnce()) -> Report {
    std::thread::scope(|scope| {
        let call = scope.spawn(|| ring(daemon, Script::of(steps)));
        serve();
        call.join().unwrap()
    })
}

/// Asks four servers, one after another.
fn flow(ours: &str, unsigned: &str, stale: &str, misnamed: &str) -> String {
    format!(
        r#"
languages = ["en"]
start     = "ours"

[webhook.ours]
url   = "{ours}"
sets  = ["name"]
next  = "hello"
error = "sorry"
[say.hello]
prompt = "Hello, {{name}}."
next   = "unsigned"

[webhook.unsigned]
url   = "{unsigned}"
next  = "sorry"
error = "stale"
[webhook.stale]
url   = "{stale}"
next  = "sorry"
error = "misnamed"
[webhook.misnamed]
url   = "{misnamed}"
next  = "sorry"
error = "bye"

[hang_up.bye]
prompt = "Goodbye."
[hang_up.sorry]
prompt = "Sorry."
"#
    )
}

#[test]
fn a_flow_trusts_its_own_authority_and_takes_the_way_of_errors_from_every_other_certificate() {
    let server = Server::start();
    let (ours, theirs) = (Authority::new("Ours"), Authority::new("Theirs"));
    let shows = |identity: Identity| format!("https://{}/who", before(server.address, identity));
    let flow = flow(
        &shows(ours.certifies(&HERE, Valid::Now)),
        &shows(theirs.certifies(&HERE, Valid::Now)),
        &shows(ours.certifies(&HERE, Valid::Before)),
        &shows(ours.certifies(&["bot.example.com"], Valid::Now)),
    );
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, ours.pem()).unwrap();
    let daemon = walking(&flow, &format!("ca = \"${{file:{}}}\"\n", ca.display()));
    let report = call_while(&daemon, Vec::new(), || {
        let request = server.request();
        assert!(
            request.head.starts_with("POST /who HTTP/1.1\r\n"),
            "{}",
            request.head
        );
        request.says(json!({"set": {"name": "Ann"}}));
    });
    heard(&daemon, &report, &["Hello, Ann.", "Goodbye."]);
    let notes = record(&daemon, &report, "note");
    let words = [
        "unsigned: the webhook failed: nobody who is trusted here has signed its certificate: name your own authority by `ca",
        "stale: the webhook failed: its certificate ran out ",
        "misnamed: the webhook failed: its certificate is for bot.example.com and not for 127.0.0.1: ask by a name that is in",
    ];
    assert_eq!(notes.len(), words.len(), "{notes:#?}");
    for (note, words) in notes.iter().zip(words) {
        assert!(note.starts_with(words), "{note}\n--- wanted: {words}");
    }
    assert!(
        !server.is_asked(),
        "a server that is not trusted was told who calls"
    );
}

/// A daemon whose agent asks this bot, and a flow where the bot fails; `SSL_CERT_FILE` holds this authority.
fn with_bot(url: &str, trusted: &Authority) -> Daemon {
    let config = CONFIG.replacen(
        "responder = \"echo\"",
        "responder = \"bot\"\nfallback_responder = \"desk\"",
        1,
    );
    let bot = format!(
        "[plugins.bot]\nlibrary = \"responder_webhook\"\nurl = \"{url}\"\nevents = [\"digit\"]\n\
         [plugins.desk]\nlibrary = \"responder_flow\"\nflow = '''\nlanguages = [\"en\"]\nstart = \"here\"\n\
         [hang_up.here]\nprompt = \"This is the desk.\"\n'''\n"
    );
    let folder = Arc::new(TempDir::new().unwrap());
    std::fs::write(folder.path().join("config.toml"), config + &bot).unwrap();
    let system = folder.path().join("system.pem");
    std::fs::write(&system, trusted.pem()).unwrap();
    Daemon::prepared(&folder, |run| {
        run.env("SSL_CERT_FILE", &system).env_remove("SSL_CERT_DIR");
    })
}

#[test]
fn a_bot_is_trusted_by_the_systems_certificates_and_replaced_where_it_is_not() {
    let server = Server::start();
    let ours = Authority::new("Ours");
    let steps = || vec![hears_out(), Step::Press('1'), hears_out(), Step::HangUp];

    let good = format!(
        "https://{}/",
        before(server.address, ours.certifies(&HERE, Valid::Now))
    );
    let daemon = with_bot(&good, &ours);
    let report = call_while(&daemon, steps(), || {
        server.request().says(json!({"say": "One it is."}));
    });
    heard(
        &daemon,
        &report,
        &["Hello, this is the echo.", "One it is."],
    );

    let stale = format!(
        "https://{}/",
        before(server.address, ours.certifies(&HERE, Valid::Before))
    );
    let daemon = with_bot(&stale, &ours);
    let report = ring(&daemon, Script::of(steps()));
    heard(
        &daemon,
        &report,
        &["Hello, this is the echo.", "This is the desk."],
    );
    let path = format!(
        "/audio/api/logs/?event=responder_replaced&call={}",
        report.call_sid
    );
    let replaced = daemon.json(&path)["logs"][0]["detail"].to_string();
    for words in [
        "unreachable",
        &stale,
        "its certificate ran out ",
        "renew it there",
    ] {
        assert!(replaced.contains(words), "{replaced}\n--- wanted: {words}");
    }
    assert!(!server.is_asked());
}
