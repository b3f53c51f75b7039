//! `tunnel`: the number points here for as long as the tunnel is open, and is left as it was found, whatever happens.
//!
//! Twilio is played by a stand-in that checks every request; the daemon and the command are the real ones.

#![allow(clippy::unwrap_used)]

mod support;

use fakes::twilio::{ACCOUNT, Fault, TOKEN, Twilio};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use support::{CONFIG, Daemon, phone, until};

/// A call of which only the webhook is asked.
const CALL: &str = "CA00000000000000000000000000000001";

/// A daemon that checks signatures and has no public address of its own.
fn daemon_without_address() -> Daemon {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = format!("{CONFIG}\n[twilio]\nauth_token = \"12345\"\n");
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    Daemon::again(&folder)
}

#[test]
fn a_tunnel_lends_its_address_for_as_long_as_it_is_open() {
    let daemon = daemon_without_address();
    let own = format!("http://{}", daemon.address);
    let lent = "https://lent.example";
    let asked_by = |url: &str| phone(daemon.live().signed("12345", url).webhook(CALL));
    let refused = |url: &str| asked_by(url).is_err_and(|error| error.to_string().contains("403"));

    let unsigned = daemon.webhook("/twilio/stream/", CALL, "+15550101").0;
    assert_eq!(unsigned, 403, "no address is no reason to let anybody in");
    assert!(refused(lent));
    assert!(
        asked_by(&own).is_ok(),
        "somebody on this machine who has the token"
    );

    let file = daemon.folder().path().join("state/tunnel.url");
    std::fs::write(&file, lent).unwrap();
    let twiml = until("the lent address counts", || {
        let call = "CA00000000000000000000000000000002";
        phone(daemon.live().signed("12345", lent).webhook(call)).ok()
    });
    assert!(
        twiml.contains("wss://lent.example/ws/audio/stream/"),
        "{twiml}"
    );
    assert!(refused(&own), "one address at a time");
    let unsigned = daemon.webhook("/twilio/stream/", CALL, "+15550101").0;
    assert_eq!(unsigned, 403);

    std::fs::remove_file(&file).unwrap();
    until("the lent address is forgotten", || asked_by(&own).ok());
    assert!(refused(lent));
    daemon.is_whole();
}

/// What the number was before: everything the tunnel must change is set, so that nothing is put back by chance.
fn settle_in(twilio: &Twilio) -> String {
    let sid = twilio.add_number("+15550100");
    for (setting, value) in [
        (
            "voice_url",
            json!("https://user:canary-password@old.example/voice?key=canary-key"),
        ),
        ("voice_method", json!("GET")),
        ("trunk_sid", json!("TK00000000000000000000000000000001")),
        ("voice_receive_mode", json!("fax")),
        ("voice_fallback_url", json!("https://old.example/fallback")),
        ("status_callback", json!("https://old.example/status")),
        ("status_callback_method", json!("GET")),
    ] {
        twilio.set(&sid, setting, value);
    }
    sid
}

/// A Twilio, a daemon, and the command between them.
struct World {
    twilio: Twilio,
    daemon: Daemon,
    sid: String,
    before: Value,
}

impl World {
    fn new() -> World {
        let twilio = Twilio::start(0).unwrap();
        let sid = settle_in(&twilio);
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let (base, dotenv) = (twilio.base(), format!("TWILIO_AUTH_TOKEN={TOKEN}\n"));
        let config = format!(
            "{CONFIG}\n[twilio]\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"${{env:TWILIO_AUTH_TOKEN}}\"\napi_url = \"{base}\"\n"
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        std::fs::write(folder.path().join(".env"), dotenv).unwrap();
        let daemon = Daemon::again(&folder);
        let before = twilio.number(&sid);
        World {
            twilio,
            daemon,
            sid,
            before,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.daemon.address)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.daemon.folder().path().join("state").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(support::binary());
        command
            .args(["--config"])
            .arg(self.daemon.folder().path().join("config.toml"))
            .arg("tunnel")
            .args(arguments)
            .env_remove("RUST_LOG")
            .env_remove("TWILIO_AUTH_TOKEN")
            .env_remove("NGROK_AUTHTOKEN")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// `tunnel start` by the daemon's own address, with more.
    fn start(&self, more: &[&str]) -> Command {
        let url = self.url();
        let mut arguments = vec!["start", &url, "--to", &url];
        arguments.extend(more);
        self.command(&arguments)
    }

    /// A tunnel that is open, and says so.
    fn open(&self, more: &[&str]) -> Open {
        let open = Open::new(self.start(more));
        until("it says that the number calls here", || {
            let said = open.said.lock().unwrap();
            assert!(!said.contains("voice-streamer: "), "{said}");
            said.contains(&format!(" calls {} now", self.url()))
                .then_some(())
        });
        assert!(self.points_here());
        open
    }

    fn points_here(&self) -> bool {
        self.twilio.number(&self.sid)["voice_url"] == format!("{}/twilio/stream/", self.url())
    }

    /// The number is as it was, to the letter, and nothing is owed.
    #[track_caller]
    fn is_as_before(&self, when: &str) {
        assert_eq!(self.twilio.number(&self.sid), self.before, "{when}");
        for name in ["tunnel.json", "tunnel.url"] {
            assert!(!self.file(name).exists(), "{name} is left, {when}");
        }
    }

    /// Every request was as Twilio's document wants it, and nothing panicked.
    #[track_caller]
    fn is_whole(&self) {
        assert_eq!(self.twilio.violations(), Vec::<String>::new());
        self.daemon.is_whole();
    }
}

/// A running `tunnel start`, and what it has said so far; killed when dropped.
struct Open {
    child: Child,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Open {
    fn new(mut start: Command) -> Open {
        let mut child = start.spawn().unwrap();
        let said: Arc<Mutex<String>> = Arc::default();
        let (kept, lines) = (
            Arc::clone(&said),
            BufReader::new(child.stderr.take().unwrap()).lines(),
        );
        let listener = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *kept.lock().unwrap() += &format!("{line}\n");
            }
        });
        Open {
            child,
            said,
            listener: Some(listener),
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// `kill -9`.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> Said {
        let status = self.child.wait().unwrap();
        self.listener.take().unwrap().join().unwrap();
        Said::of(Output {
            status,
            stdout: Vec::new(),
            stderr: self.said.lock().unwrap().clone().into_bytes(),
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a command came to. Secrets in it fail the test that looks.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let said = Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        for canary in [TOKEN, "canary-password", "canary-key"] {
            assert!(
                !format!("{said:?}").contains(canary),
                "{canary} is shown: {said:?}"
            );
        }
        said
    }

    #[track_caller]
    fn has(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(words), "not said: {words}\n{}", self.err);
    }
}

#[test]
fn the_number_calls_here_until_the_time_is_over() {
    let world = World::new();
    let open = world.open(&["-d", "2s"]);
    let number = world.twilio.number(&world.sid);
    let url = world.url();
    assert_eq!(number["status_callback"], format!("{url}/twilio/status/"));
    assert_eq!(
        number["trunk_sid"],
        Value::Null,
        "a trunk would overrule the address"
    );
    assert_eq!(number["voice_receive_mode"], "voice");
    assert_eq!(
        number["voice_fallback_url"],
        world.before["voice_fallback_url"]
    );

    // A call arrives as Twilio would send it to that address.
    let line = world.daemon.live().signed(TOKEN, &url);
    assert!(phone(line.webhook(CALL)).unwrap().contains("<Stream"));

    let status = world.run(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["open"], true);
    assert_eq!(status["number_points_here"], true);
    assert_eq!(status["number"], "+15550100");

    let said = open.end();
    said.has(0, "The time is over");
    said.has(0, "+15550100 is as it was found");
    world.is_as_before("after its time");
    let status: Value = serde_json::from_str(&world.run(&["status", "--json"]).out).unwrap();
    assert_eq!(status, json!({"open": false, "stale": false}));
    world.is_whole();
}

#[test]
fn every_orderly_end_puts_the_number_back() {
    let world = World::new();
    for signal in ["INT", "TERM", "HUP"] {
        let open = world.open(&[]);
        open.signal(signal);
        open.end().has(0, "is as it was found");
        world.is_as_before(signal);
    }
    let open = world.open(&[]);
    world
        .start(&[])
        .output()
        .map(Said::of)
        .unwrap()
        .has(75, "is open already, in process");
    world.run(&["stop"]).has(0, "is closed");
    open.end().has(0, "Closed by tunnel stop");
    world.is_as_before("stop");
    world.run(&["stop"]).has(0, "nothing is owed");
    world.is_whole();
}

/// Kills the command at its `nth` request to Twilio, before or after Twilio acted on it; whether it came so far.
fn killed_at(world: &World, nth: usize, fault: Fault) -> bool {
    world.twilio.fault(nth, fault);
    let mut open = Open::new(world.start(&["-d", "1s"]));
    let held = until("it is held or done", || {
        if world.twilio.held().try_recv().is_ok() {
            return Some(true);
        }
        open.child.try_wait().unwrap().map(|_| false)
    });
    open.kill();
    world.twilio.no_faults();
    held
}

#[test]
fn killed_at_any_step_the_next_command_leaves_the_number_as_it_was() {
    let world = World::new();
    for fault in [Fault::Hold, Fault::HoldAfter] {
        let mut steps = 0;
        while killed_at(&world, steps + 1, fault) {
            steps += 1;
            let when = format!("killed at request {steps}, {fault:?}");
            // By turns: whatever is run next pays the debt.
            if steps % 2 == 0 {
                world.run(&["stop"]).has(0, "");
            } else {
                let open = world.open(&[]);
                open.signal("INT");
                open.end().has(0, "is as it was found");
            }
            world.is_as_before(&when);
        }
        // Listed, changed; then looked at and changed back.
        assert_eq!(steps, 4, "{fault:?}: {:?}", world.twilio.asked());
        world.is_as_before("not killed at all");
    }

    // While it counts down, no request is under way.
    world.open(&[]).kill();
    assert!(world.points_here());
    let status: Value = serde_json::from_str(&world.run(&["status", "--json"]).out).unwrap();
    assert_eq!(
        (&status["open"], &status["stale"]),
        (&json!(false), &json!(true))
    );
    let status = world.run(&["status"]);
    assert!(status.out.contains("TUNNEL WAS KILLED"), "{status:?}");
    world.run(&["stop"]).has(0, "+15550100 is as it was found");
    world.is_as_before("killed while open");
    world.is_whole();
}

#[test]
fn what_somebody_else_changed_meanwhile_is_left_alone() {
    let world = World::new();
    let open = world.open(&[]);
    world
        .twilio
        .set(&world.sid, "voice_url", json!("https://theirs.example/"));
    open.signal("INT");
    open.end().has(
        0,
        "somebody changed +15550100 meanwhile, so it was left alone",
    );
    let number = world.twilio.number(&world.sid);
    assert_eq!(number["voice_url"], "https://theirs.example/");
    assert_eq!(number["trunk_sid"], Value::Null);
    assert_eq!(
        number["status_callback"], world.before["status_callback"],
        "this was still ours"
    );
    assert!(!world.file("tunnel.json").exists());

    // The number is given back while a tunnel holds it.
    world
        .twilio
        .set(&world.sid, "voice_url", world.before["voice_url"].clone());
    let open = world.open(&[]);
    world.twilio.remove_number(&world.sid);
    open.signal("TERM");
    open.end().has(0, "no longer in the account");
    world.is_whole();
}

#[test]
fn twilio_may_fail_and_the_number_comes_back_all_the_same() {
    let world = World::new();
    // 1 list, 2 change; then 3 look, 4 change back. What is asked once more shifts the rest.
    for (nth, fault) in [
        (1, Fault::Answer(429)),
        (2, Fault::Answer(429)),
        (2, Fault::Answer(500)),
        (2, Fault::AnswerAfter(500)),
        (2, Fault::CutAfter),
        (4, Fault::Answer(503)),
        (4, Fault::AnswerAfter(503)),
        (4, Fault::Cut),
        (4, Fault::CutAfter),
    ] {
        world.twilio.fault(nth, fault);
        let said = world.start(&["-d", "1s"]).output().map(Said::of).unwrap();
        said.has(0, "is as it was found");
        world.is_as_before(&format!("{nth} {fault:?}"));
    }
    // Nothing was begun: nothing is to be undone.
    world.twilio.fault(1, Fault::Answer(500));
    world
        .start(&[])
        .output()
        .map(Said::of)
        .unwrap()
        .has(75, "list the account's numbers");
    // Refused after the journal was written: put back, which is to say looked at.
    world.twilio.fault(2, Fault::Answer(400));
    world
        .start(&[])
        .output()
        .map(Said::of)
        .unwrap()
        .has(1, "is as it was found");
    world.is_as_before("refused");
    world.is_whole();
}

#[test]
fn what_is_missing_is_said_before_anything_is_changed() {
    let world = World::new();
    let url = world.url();
    world
        .run(&["start", &url, "--to", &url, "--number", "+15550199"])
        .has(1, "has no number +15550199; it has +15550100");
    world
        .run(&["start", &url, "--to", &url, "--number", "x"])
        .has(2, "is no number");
    world
        .run(&["start", "http://x.example", "--to", &url])
        .has(2, "https://");
    world
        .run(&["start", "--to", &url])
        .has(2, "NGROK_AUTHTOKEN");
    world
        .run(&["start", &url, "--to", &url, "-d", "0s"])
        .has(2, "between 1s and");
    world
        .run(&["start", &url, "--to", "http://127.0.0.1:1"])
        .has(69, "Start it first");

    // An address that leads to something else, and one that leads nowhere.
    let (other, nowhere) = (world.twilio.base(), "http://127.0.0.1:1");
    world
        .run(&["start", &other, "--to", &url])
        .has(69, "does not lead to the daemon");
    world
        .run(&["start", nowhere, "--to", &url])
        .has(69, "does not lead to the daemon");

    world.is_as_before("nothing was begun");
    let asked = world.twilio.asked();
    let changed = |asked: &String| asked.starts_with("POST /2010-04-01/");
    assert!(!asked.iter().any(changed), "{asked:?}");
}

#[test]
fn among_several_numbers_the_configured_one_is_meant() {
    let world = World::new();
    world.twilio.page_rows(1);
    world.twilio.add_number("+15550102");
    let url = world.url();
    world
        .run(&["start", &url, "--to", &url])
        .has(2, "--number: +15550100, +15550102");

    // The configuration names this one.
    let configured = world.twilio.add_number("+15550101");
    let said = world.start(&["-d", "1s"]).output().map(Said::of).unwrap();
    said.has(0, "+15550101 is as it was found: it calls nothing");
    assert_eq!(world.twilio.number(&configured)["voice_url"], "");
    let said = world
        .start(&["-d", "1s", "--number", "+1 555-0100"])
        .output()
        .map(Said::of)
        .unwrap();
    said.has(0, "+15550100 is as it was found");
    world.is_as_before("chosen by hand");
    world.is_whole();
}

#[test]
fn wrong_credentials_are_said_with_the_keys_to_look_at() {
    let world = World::new();
    let dotenv = world.daemon.folder().path().join(".env");
    std::fs::write(&dotenv, "TWILIO_AUTH_TOKEN=canary-wrong-token\n").unwrap();
    let said = world.start(&[]).output().map(Said::of).unwrap();
    said.has(77, "twilio.auth_token");
    assert!(!said.err.contains("canary-wrong-token"), "{}", said.err);
    world.is_as_before("refused");

    // The account is right, but the daemon was started with another token.
    let other = World::new();
    let config = other.daemon.folder().path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let foreign = text.replace(&other.twilio.base(), &world.twilio.base());
    std::fs::write(&config, foreign.replace("${env:TWILIO_AUTH_TOKEN}", TOKEN)).unwrap();
    std::fs::write(&dotenv, format!("TWILIO_AUTH_TOKEN={TOKEN}\n")).unwrap();
    let wrong = daemon_without_address();
    let at = format!("http://{}", wrong.address);
    world
        .run(&["start", &at, "--to", &at])
        .has(77, "does not take what is signed");
    world.is_as_before("the daemon knows another token");

    let without = text.replace("account_sid", "# account_sid");
    std::fs::write(&config, without).unwrap();
    other.run(&["stop"]).has(0, "nothing is owed");
    other
        .start(&[])
        .output()
        .map(Said::of)
        .unwrap()
        .has(78, "twilio.account_sid is not set");
}

#[test]
fn a_damaged_journal_or_a_disk_that_refuses_changes_nothing() {
    let world = World::new();
    let journal = world.file("tunnel.json");
    std::fs::write(&journal, "{\"version\":1,").unwrap();
    for command in ["stop", "status"] {
        world.run(&[command]).has(1, "cannot be understood");
    }
    world
        .start(&[])
        .output()
        .map(Said::of)
        .unwrap()
        .has(1, "remove the file");
    assert!(world.twilio.asked().is_empty(), "Twilio was not even asked");
    std::fs::remove_file(&journal).unwrap();

    // Also root cannot write a file where a folder is.
    let in_the_way = world.file("tunnel.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let said = world.start(&[]).output().map(Said::of).unwrap();
    said.has(1, "tunnel.json cannot be written");
    said.has(1, "Nothing was changed");
    world.is_as_before("no journal, no change");
    std::fs::remove_dir(&in_the_way).unwrap();

    // Full once the tunnel is open: the number is put back, and the rest is said.
    let open = world.open(&[]);
    std::fs::remove_file(world.file("tunnel.url")).unwrap();
    std::fs::create_dir(world.file("tunnel.url")).unwrap();
    open.signal("INT");
    open.end().has(75, "is as it was, but");
    assert_eq!(world.twilio.number(&world.sid), world.before);
    std::fs::remove_dir(world.file("tunnel.url")).unwrap();
    world.run(&["stop"]).has(0, "+15550100 is as it was found");
    world.is_as_before("once the disk works again");
    world.is_whole();
}

#[test]
fn the_auth_token_is_nowhere_on_disk_and_in_no_log() {
    let world = World::new();
    let open = world.open(&[]);
    let state = world.daemon.folder().path().join("state");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(TOKEN.len())
                .any(|window| window == TOKEN.as_bytes());
            assert!(!found, "{}", path.display());
            looked_at += 1;
        }
    }
    assert!(looked_at >= 3, "journal, lock and address at least");
    open.signal("TERM");
    open.end().has(0, "is as it was found");
    assert!(!world.daemon.log().contains(TOKEN));

    let mut traced = world.start(&["-d", "1s"]);
    let said = traced
        .env("RUST_LOG", "trace")
        .output()
        .map(Said::of)
        .unwrap();
    said.has(0, "is as it was found");
}
