//! Twenty secrets go in by every door there is: configuration, `.env`, environment, files, requests. None comes out again
//! by any: not in the log at its most talkative, not in a page, an answer, the database, a core's last words.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use support::operator::Browser;
use support::{CONFIG, DEADLINE, Daemon, Raw, binary, compile_plugin, phone, speech, until};
use tempfile::TempDir;
use voice_streamer::phone::{Line, Script, Step};

/// The secrets, each with the door it goes in by.
const CANARIES: [(&str, &str); 20] = [
    ("twilio.auth_token, from .env", "canary-00-5b1d77c0a1f34e9e"),
    (
        "an api key, from the environment",
        "canary-01-9a0c4c52d7e84d11",
    ),
    ("an api key, from a file", "canary-02-e3b7f0a96d3c4b52"),
    (
        "a key only its schema knows, in plain text",
        "canary-03-0f6a1cde88",
    ),
    (
        "a password within an address, from .env",
        "canary-04-7c2e94b35a6d4f83",
    ),
    (
        "an .env variable nobody names",
        "canary-05-d41d8cd98f00b204",
    ),
    (
        "an environment variable nobody names",
        "canary-06-c4ca4238a0b92382",
    ),
    (
        "a token in an unclosed string",
        "canary-07-c81e728d9d4c2f63",
    ),
    ("a token without quotes", "canary-08-eccbc87e4b5ce2fe"),
    (
        "a key of the wrong type beside it",
        "canary-09-a87ff679a2f3e71d",
    ),
    (
        "a key longer than its schema allows",
        "canary-10-e4da3b7fbbce2345-e4da3b7fbbce2345",
    ),
    ("an .env line that is no line", "canary-11-1679091c5a880faf"),
    (
        "a key under a name that does not exist",
        "canary-12-8f14e45fceea167a",
    ),
    ("Authorization: Bearer", "canary-13-c9f0f895fb98ab91"),
    ("Authorization: Basic", "canary-14-45c48cce2e2d7fbd"),
    ("a cookie", "canary-15-d3d9446802a44259"),
    ("a query", "canary-16-6512bd43d9caa6e0"),
    (
        "a signature that does not match",
        "canary-17-c20ad4d76fe97759",
    ),
    ("a password in a form", "canary-18-c51ce410c124a10e"),
    ("a token in a start message", "canary-19-aab3238922bcc25a"),
];

fn canary(number: usize) -> &'static str {
    CANARIES[number].1
}

const PUBLIC: &str = "https://voice.example.com";

/// Everything that came out, each with the place it came out at.
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.to_owned(), bytes.into()));
    }

    /// Every file below a folder, except those the secrets were put into.
    fn add_files(&mut self, folder: &Path, inputs: &[&str]) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                self.add_files(&path, inputs);
            } else if path.is_file() && !inputs.contains(&name.as_str()) {
                self.add(&path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }

    /// Where each of these was found.
    fn holding(&self, secrets: &[(String, String)]) -> Vec<String> {
        let mut found = Vec::new();
        for (place, bytes) in &self.0 {
            for (what, secret) in secrets {
                if bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes())
                {
                    found.push(format!("{place} holds {what}"));
                }
            }
        }
        found
    }
}

fn config() -> String {
    // Nobody listens at the discard port: requests with the key in them fail, and are told of.
    CONFIG
        .replace("format = \"json\"", "format = \"json\"\nlevel = \"trace\"\nfile = \"logs/debug.log\"")
        .replace("[http]", &format!("[twilio]\nauth_token = \"${{env:DOTENV_TOKEN}}\"\n[http]\npublic_url = \"{PUBLIC}\""))
        + &format!(
            r#"
[plugins.eleven]
library = "tts_elevenlabs"
api_key = "${{env:PROCESS_KEY}}"
base_url = "http://127.0.0.1:9"
[voices.eleven]
plugin = "eleven"
voice = "rachel"
fallback = "english"
[plugins.gossip]
library = "./libgossip.so"
api_key = "${{file:secrets/key}}"
phrase = "{}"
address = "https://user:${{env:DOTENV_PASSWORD}}@example.com/"
[agents.cloud]
responder = "echo"
voice = "eleven"
greeting = "Hello from the cloud."
[numbers."+15550102"]
agent = "cloud"
[agents.gossip]
responder = "gossip"
voice = "english"
[numbers."+15550103"]
agent = "gossip"
"#,
            canary(3)
        )
}

/// Mistakes of somebody who edits secrets: what is replaced in the configuration, and by what.
fn bad_edits() -> Vec<(String, String)> {
    let token = "auth_token = \"${env:DOTENV_TOKEN}\"".to_owned();
    let phrase = format!("phrase = \"{}\"", canary(3));
    vec![
        (token.clone(), format!("auth_token = \"{}", canary(7))),
        (token.clone(), format!("auth_token = {}", canary(8))),
        (token, format!("auth_token = [\"{}\"]", canary(9))),
        (phrase.clone(), format!("phrase = \"{}\"", canary(10))),
        (phrase, format!("api_kee = \"{}\"", canary(12))),
    ]
}

const DOTENV: &str = "DOTENV_TOKEN=canary-00-5b1d77c0a1f34e9e\nDOTENV_PASSWORD='canary-04-7c2e94b35a6d4f83'\n\
                      UNUSED=canary-05-d41d8cd98f00b204\n";

fn folder() -> Arc<TempDir> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("secrets")).unwrap();
    fs::write(at("secrets/key"), canary(2)).unwrap();
    fs::write(at(".env"), DOTENV).unwrap();
    fs::write(at("config.toml"), config()).unwrap();
    compile_plugin("gossip", folder.path());
    folder
}

fn start(folder: &Arc<TempDir>) -> Daemon {
    Daemon::prepared(folder, |run| {
        run.env("PROCESS_KEY", canary(1))
            .env("AWS_SECRET_ACCESS_KEY", canary(6))
            .env("RUST_BACKTRACE", "full");
    })
}

/// The whole answer, head included.
fn ask(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    answer
}

fn ring(line: &Line, steps: Vec<Step>) {
    phone(voice_streamer::phone::call(
        line,
        Script::of(steps),
        |_, _| (),
    ))
    .unwrap();
}

/// Calls with secrets in use, and requests that bring some.
fn everyday(daemon: &Daemon, seen: &mut Seen) -> Vec<(String, String)> {
    let signed = |to: &str| {
        let line = daemon.live().signed(canary(0), PUBLIC);
        Line {
            to: to.into(),
            ..line
        }
    };
    let talk = || {
        vec![
            Step::WaitForAgent { most_ms: 15_000 },
            Step::Say(speech()),
            Step::HangUp,
        ]
    };
    ring(
        &signed("+15550101"),
        vec![Step::Say(speech()), Step::HangUp],
    );
    ring(&signed("+15550102"), talk());
    ring(
        &signed("+15550103"),
        vec![Step::Say(speech()), Step::HangUp],
    );

    // One-time tokens are secrets while they wait.
    let mut tokens = Vec::new();
    for number in 0..3 {
        let sid = format!("CA{number:032x}");
        let twiml = phone(signed("+15550101").webhook(&sid)).unwrap();
        let (_, rest) = twiml.split_once("name=\"token\" value=\"").expect(&twiml);
        tokens.push((
            "a one-time token".to_owned(),
            rest.split('"').next().unwrap().to_owned(),
        ));
    }

    let wrong = format!(
        "Authorization: Bearer {}\r\nProxy-Authorization: Basic {}\r\nCookie: session={}; __Host-session={}\r\n\
         X-Twilio-Signature: {}\r\n",
        canary(13),
        canary(14),
        canary(15),
        canary(15),
        canary(17)
    );
    let form = format!("username=admin&password={0}&csrf={0}", canary(18));
    for path in PATHS {
        for method in ["GET", "POST", "PUT"] {
            let query = if path.contains('?') { "&" } else { "?" };
            let request = format!(
                "{method} {path}{query}token={} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{wrong}Content-Type: \
                 application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                canary(16),
                daemon.address,
                form.len()
            );
            // A page may repeat its own address to whoever asked for it, in links that change one part of it.
            let answer = ask(daemon.address, &request);
            let answer = String::from_utf8_lossy(&answer).replace(canary(16), "");
            seen.add(&format!("{method} {path}, refused"), answer);
        }
    }
    // An upgrade with a signature of the wrong kind is refused; in a daemon without signatures, the token is.
    seen.add(
        "an upgrade",
        ask(
            daemon.address,
            &Raw::handshake(&format!("Connection: close\r\n{wrong}")),
        ),
    );
    tokens
}

/// Where somebody might look.
const PATHS: [&str; 23] = [
    "/",
    "/audio/logs/",
    "/audio/logs/stream/",
    "/audio/api/logs/?limit=1000",
    "/api/calls/?limit=1000",
    "/api/calls/CA1/",
    "/admin/",
    "/admin/sign-in/",
    "/admin/setup/?once=1",
    "/admin/calls/",
    "/admin/voices/",
    "/admin/settings/",
    "/admin/password/",
    "/admin/reload/",
    "/api/configuration/",
    "/api/configuration/reload/",
    "/healthz",
    "/readyz",
    "/readyz?verbose",
    "/metrics",
    "/nowhere",
    "/twilio/stream/",
    "/twilio/status/",
];

/// As this machine sees them, nothing refused, and as the operator does who has signed in.
fn look_around(daemon: &Daemon, operator: &mut Browser<'_>, seen: &mut Seen) {
    for path in ["/admin/calls/", "/admin/voices/", "/admin/settings/"] {
        seen.add(&format!("{path}, signed in"), operator.page(path));
    }
    for path in PATHS {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        seen.add(&format!("GET {path}"), ask(daemon.address, &request));
    }
    let status = fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
    seen.add("the command line", status);
}

fn check(folder: &Path, seen: &mut Seen, what: &str) {
    let output = Command::new(binary())
        .args(["check", "--config"])
        .arg(folder.join("config.toml"))
        .env("PROCESS_KEY", canary(1))
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    seen.add(
        &format!("check, {what}"),
        [output.stdout, output.stderr].concat(),
    );
}

#[test]
fn no_secret_that_goes_in_comes_out_again() {
    let folder = folder();
    let path = folder.path().join("config.toml");
    let mut seen = Seen(Vec::new());
    let daemon = start(&folder);
    let mut secrets: Vec<(String, String)> = CANARIES
        .iter()
        .map(|(what, secret)| ((*what).to_owned(), (*secret).to_owned()))
        .collect();
    secrets.extend(everyday(&daemon, &mut seen));
    let mut operator = Browser::signed_in(&daemon, &[("PROCESS_KEY", canary(1))]);
    look_around(&daemon, &mut operator, &mut seen);
    check(folder.path(), &mut seen, "as it is");

    let refused = || daemon.log().matches("was not taken over").count();
    let mut broken = |what: &str, seen: &mut Seen| {
        let before = refused();
        daemon.signal("HUP");
        until(&format!("the edit is refused: {what}"), || {
            (refused() > before).then_some(())
        });
        look_around(&daemon, &mut operator, seen);
        check(folder.path(), seen, what);
    };
    for (number, (right, wrong)) in bad_edits().iter().enumerate() {
        let edited = config().replacen(right.as_str(), wrong, 1);
        assert_ne!(edited, config());
        fs::write(&path, edited).unwrap();
        broken(&format!("edit {number}"), &mut seen);
    }
    fs::write(&path, config()).unwrap();
    fs::write(
        folder.path().join(".env"),
        format!("{DOTENV}{}\n", canary(11)),
    )
    .unwrap();
    broken("a line of .env", &mut seen);
    fs::write(folder.path().join(".env"), DOTENV).unwrap();

    // Callers who have a token and never come would be waited for.
    daemon.signal("TERM");
    until("it drains", || {
        (daemon.get("/readyz").0 == 503).then_some(())
    });
    let (code, log) = daemon.ends_after("TERM");
    assert_eq!(code, Some(0));
    // Nobody has anything to say at `trace` today; `debug` is heard, so `trace` would be.
    assert!(
        log.contains("\"level\":\"DEBUG\""),
        "the most talkative level"
    );
    assert!(
        log.contains("\"unreachable\""),
        "the cloud was asked, in vain: {log}"
    );
    seen.add("stderr", log);

    // The same in a daemon that believes everybody: its start messages are read. It dies as daemons die.
    let open = config().replace("auth_token = \"${env:DOTENV_TOKEN}\"", "");
    fs::write(&path, open).unwrap();
    let daemon = start(&folder);
    let mut raw = Raw::open(&daemon);
    raw.start("CA00000000000000000000000000000007", canary(19));
    assert!(raw.close_code().is_some());
    let (_, log) = daemon.ends_after("ABRT");
    seen.add("stderr of a crash", log);

    seen.add_files(folder.path(), &["config.toml", ".env", "key"]);
    let places = |part: &str| {
        seen.0
            .iter()
            .filter(|(place, _)| place.contains(part))
            .count()
    };
    assert!(
        places("debug.log") == 1 && places(".redb") >= 1,
        "log file and database were looked at"
    );
    let found = seen.holding(&secrets);
    assert!(
        found.is_empty(),
        "{} places leak:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn the_search_finds_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(
        folder.path().join("deep/file"),
        format!("\0\u{1}{}\0", canary(4)),
    )
    .unwrap();
    let mut seen = Seen(Vec::new());
    seen.add_files(folder.path(), &[]);
    let secrets = [("a password".to_owned(), canary(4).to_owned())];
    assert_eq!(seen.holding(&secrets).len(), 1);
}
