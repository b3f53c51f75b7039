//! Live configuration: the file is edited while calls go on. What changed is heard, what did not is not touched, and a
//! mistake changes nothing and says where it is.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, mpsc};
use support::callers::{found, record};
use support::edited::{Edited, ONE, THREE, TWO, compile, sayers, sayers_config};
use support::{
    Bystander, CONFIG, Daemon, Dice, Raw, compile_plugin, phone, speech, spoken_as, token_in, until,
};
use voice_streamer::config::{self, Env};
use voice_streamer::phone::{Happening, Line, Report, Script, Step};

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// Rings, says something twice, and does `meanwhile` when the first answer has been heard.
fn two_turns(line: &Line, meanwhile: impl FnOnce() + Send + 'static) -> (Report, Vec<u64>) {
    let (answered, when) = mpsc::channel();
    let edits = std::thread::spawn(move || {
        when.recv().unwrap();
        meanwhile();
    });
    let mut answers = Vec::new();
    let wait = Step::WaitForAgent { most_ms: 10_000 };
    let steps = vec![
        Step::Say(speech()),
        wait.clone(),
        // The edit is noticed, settled and applied within this; the test looks whether it was.
        Step::Pause { ms: 2500 },
        Step::Say(speech()),
        wait,
        Step::HangUp,
    ];
    let script = Script::of(steps);
    let report = phone(voice_streamer::phone::call(
        line,
        script,
        |ms, happening| {
            if *happening == Happening::AgentSilent {
                answers.push(ms);
                answered.send(()).ok();
            }
        },
    ))
    .unwrap();
    edits.join().unwrap();
    (report, answers)
}

/// What the agent said in a call, in order.
fn texts(daemon: &Daemon, call_sid: &str) -> Vec<String> {
    let logs = daemon.json(&format!("/audio/api/logs/?call={call_sid}&event=said"));
    let rows = logs["logs"].as_array().unwrap();
    let text = |row: &Value| row["response_text"].as_str().unwrap().to_owned();
    rows.iter().rev().map(text).collect()
}

/// A call in which nobody says anything any more, when another build or model of what it spoke with and was heard by comes.
#[test]
fn a_silent_call_keeps_no_old_plugin_in_memory() {
    let plugins = ["moody", "scribe"];
    let own = "responder = \"echo\"\nvoice = \"low\"\ntranscriber = \"first\"";
    let config = CONFIG.replacen("responder = \"echo\"\nvoice = \"english\"", own, 1);
    assert_ne!(config, CONFIG);
    let tables = plugins.map(|name| format!("[plugins.{name}]\nlibrary = \"./lib{name}.so\"\n"));
    let more = "[voices.low]\nplugin = \"moody\"\n[transcribers.first]\nplugin = \"scribe\"\nsays = \"words\"\n";
    let edited = Edited::of(&(config + &tables.concat() + more), |folder| {
        for plugin in plugins {
            compile_plugin(plugin, folder);
        }
    });
    let sid = "CA5110000000000000000000000000000a";
    let (_, twiml) = edited.daemon.webhook("/twilio/stream/", sid, "+15550100");
    let mut raw = Raw::open(&edited.daemon);
    raw.start(sid, &token_in(&twiml));
    until("the greeting is said", || {
        let said = texts(&edited.daemon, sid);
        (said == ["Hello, this is the echo."]).then_some(())
    });
    let mut text = edited.text();
    for plugin in plugins {
        let library = format!("lib{plugin}.so\"");
        text = text.replace(&library, &format!("{library}\nmodel = \"two\""));
    }
    edited.save(&text);
    edited.reload();
    until("both have been closed", || {
        let log = edited.daemon.log();
        let closed = |plugin: &&str| {
            let closed =
                |line: &str| line.contains("the plugin is closed") && line.contains(*plugin);
            log.lines().any(closed)
        };
        plugins.iter().all(closed).then_some(())
    });
    assert_eq!(
        edited.daemon.metric("calls_active"),
        1,
        "and the call goes on"
    );
    raw.stop();
    edited.daemon.is_whole();
}

#[test]
fn a_voice_changes_within_a_call_and_a_responder_with_the_next() {
    let edited = Arc::new(Edited::of(&sayers_config(), sayers));
    let editor = Arc::clone(&edited);
    let (report, answers) = two_turns(&edited.daemon.parrot(), move || {
        let text = editor
            .with("voice = \"en-US\"", "voice = \"en-GB\"")
            .replace("responder = \"one\"", "responder = \"two\"");
        editor.save(&text);
        editor.until_key("voices.english.voice", "\"en-GB\"");
    });
    assert_eq!((report.violations, report.underruns), (0, 0));
    // The last word fades away before it is over.
    let (first, second) = report.heard.split_at((answers[0] as usize + 1000) * 8);
    for (turn, heard, sounds_like, and_not) in [
        ("first", first, "en-US", "en-GB"),
        ("second", second, "en-GB", "en-US"),
    ] {
        let right = found(heard, &spoken_as(ONE, sounds_like));
        let wrong = found(heard, &spoken_as(ONE, and_not));
        println!("{turn} turn: {right:.3} like {sounds_like}, {wrong:.3} like {and_not}");
        assert!(right > 0.9 && wrong < 0.6, "{turn}: {right} {wrong}");
    }
    // The running call kept its responder, the next one has the new one.
    assert_eq!(texts(&edited.daemon, &report.call_sid), [ONE, ONE]);
    let diff = edited.standing()["last"]["diff"].to_string();
    assert!(
        diff.contains("next_utterance") && diff.contains("next_call"),
        "{diff}"
    );

    // And a rebuilt library over the old one is picked up: nobody restarts, nobody reloads.
    let before = edited.standing()["plugins"].clone();
    compile(&edited.path.with_file_name("two.so"), THREE);
    until("the rebuilt library is in force", || {
        let now = &edited.standing()["plugins"];
        (now["two"]["sha256"] != before["two"]["sha256"]).then_some(())
    });
    let now = edited.standing();
    assert_eq!(
        now["plugins"]["one"], before["one"],
        "the others are kept open"
    );
    assert_eq!(now["last"]["diff"][0]["key"], "plugins.two");
    let line = edited.daemon.parrot();
    let script = Script::of(vec![
        Step::Say(speech()),
        Step::WaitForAgent { most_ms: 10_000 },
        Step::HangUp,
    ]);
    let report = phone(voice_streamer::phone::call(&line, script, |_, _| ())).unwrap();
    assert_eq!(texts(&edited.daemon, &report.call_sid), [THREE]);
    edited.daemon.is_whole();
}

#[test]
fn another_transcriber_hears_the_next_stretch_and_the_words_of_the_first_are_kept() {
    let config = CONFIG.replacen(
        "responder = \"echo\"",
        "responder = \"echo\"\ntranscriber = \"ears\"",
        1,
    );
    let config = config
        + "[plugins.scribe]\nlibrary = \"./libscribe.so\"\n[plugins.wide]\nlibrary = \"./libscribe_wide.so\"\n\
           [transcribers.ears]\nplugin = \"scribe\"\nsays = \"By the first.\"\n";
    let edited = Arc::new(Edited::of(&config, |folder| {
        for plugin in ["scribe", "scribe_wide"] {
            compile_plugin(plugin, folder);
        }
    }));
    let editor = Arc::clone(&edited);
    let (report, _) = two_turns(&edited.daemon.parrot(), move || {
        let text = editor.with("plugin = \"scribe\"", "plugin = \"wide\"");
        editor.save(&text.replace("By the first.", "By the second."));
        editor.until_key("transcribers.ears.says", "\"By the second.\"");
    });
    let heard = record(&edited.daemon, &report, "heard");
    assert_eq!(heard, ["By the first.", "By the second."]);
    assert_eq!(edited.daemon.counts("plugin_failures").len(), 0);
}

#[test]
fn a_broken_edit_changes_nothing_and_says_where() {
    let edited = Edited::start("");
    let bystander = Bystander::call(&edited.daemon);
    let before = edited.standing();
    for (n, (old, new, place, message)) in [
        (
            "barge_in = false",
            "barge_in = no",
            "config.toml:23:12",
            "^",
        ),
        (
            "voice = \"english\"\ngreeting",
            "voice = \"englisch\"\ngreeting",
            "config.toml:19:9",
            "did you mean",
        ),
        (
            "mode = \"live\"",
            "mode = \"lively\"",
            "config.toml:11:8",
            "^^^^^^^^",
        ),
        (
            "library = \"tts_pico\"",
            "library = \"tts_picco\"",
            "config.toml:13:11",
            "libtts_picco.so",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let good = edited.text();
        edited.edit(old, new);
        until("the edit is refused", || {
            (edited.attempts("refused") == n as u64 + 1).then_some(())
        });
        let (status, ready) = edited.daemon.get("/readyz?verbose");
        assert_eq!(status, 200, "a bad edit does not make it unready: {ready}");
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let last = &ready["configuration"]["last"];
        let error = last["error"].as_str().unwrap();
        println!("{error}\n");
        assert_eq!(last["outcome"], "refused");
        assert!(
            error.contains(place) && error.contains('^') && error.contains(message),
            "{error}"
        );
        assert!(
            error.contains(&format!("| {}", new.lines().next().unwrap())),
            "{error}"
        );
        until("the log says it too", || {
            edited.daemon.log().contains(place).then_some(())
        });
        assert_eq!(edited.daemon.metric("config_last_reload_successful"), 0);
        let (_, plain) = edited.daemon.get("/readyz");
        assert!(
            !plain.contains("configuration"),
            "plain stays plain: {plain}"
        );
        for kept in ["sheet", "plugins", "in_force_since_ms"] {
            assert_eq!(edited.standing()[kept], before[kept], "{kept}");
        }
        // Back to what is in force: nothing new, and all is well again.
        edited.save(&good);
        until("the file is whole again", || {
            (edited.attempts("unchanged") == n as u64 + 1).then_some(())
        });
        assert_eq!(edited.daemon.metric("config_last_reload_successful"), 1);
    }
    bystander.was_untouched();
    edited.daemon.is_whole();
}

/// One way to change a file, given its path and the new text.
type Save = fn(&Path, &str);

#[test]
fn however_a_file_is_saved_it_is_read_once() {
    let ways: [(&str, Save); 6] = [
        ("moved over the old one", |path, text| {
            let new = path.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(&new, path).unwrap();
        }),
        ("truncated and written", |path, text| {
            fs::write(path, text).unwrap()
        }),
        ("written in two halves", |path, text| {
            use std::io::Write;
            let mut file = fs::File::create(path).unwrap();
            let (a, b) = text.split_at(text.len() / 2);
            file.write_all(a.as_bytes()).unwrap();
            file.sync_all().unwrap();
            file.write_all(b.as_bytes()).unwrap();
        }),
        ("the editor's backup dance", |path, text| {
            let backup = path.with_extension("toml~");
            fs::rename(path, &backup).unwrap();
            fs::write(path, text).unwrap();
            fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
            fs::remove_file(&backup).unwrap();
        }),
        ("removed and put back", |path, text| {
            fs::remove_file(path).unwrap();
            fs::write(path, text).unwrap();
        }),
        (
            "a link swapped, as a mounted ConfigMap does",
            |path, text| {
                let folder = path.parent().unwrap();
                let version = folder.join(format!("..{}", text.len()));
                fs::create_dir(&version).unwrap();
                fs::write(version.join("config.toml"), text).unwrap();
                let next = folder.join("..data_next");
                symlink(&version, &next).unwrap();
                fs::rename(&next, folder.join("..data")).unwrap();
                if !path.is_symlink() {
                    let link = folder.join("link");
                    symlink("..data/config.toml", &link).unwrap();
                    fs::rename(&link, path).unwrap();
                }
            },
        ),
    ];
    let edited = Edited::start("");
    let mut said = "Hello, this is the echo.".to_owned();
    // The last one twice: first the file becomes a link, then only what it leads to changes.
    for (n, (way, save)) in ways.iter().chain([&ways[5]]).enumerate() {
        let next = format!("{} Once more{}", "Hello.", "!".repeat(n + 1));
        save(&edited.path, &edited.with(&said, &next));
        edited.until_key("agents.default.greeting", &format!("\"{next}\""));
        println!("{way}: {}", edited.standing()["last"]["took_ms"]);
        assert_eq!(edited.attempts("applied"), n as u64 + 1, "{way}");
        said = next;
    }
    assert_eq!(
        (edited.attempts("unchanged"), edited.attempts("refused")),
        (0, 0)
    );
}

/// One way to touch a file.
type Touch = fn(&Path);

#[test]
fn what_leaves_the_content_alone_is_no_edit() {
    let edited = Edited::start("");
    let looks = || {
        edited
            .daemon
            .log()
            .matches("their content is the same")
            .count()
    };
    let ways: [(&str, Touch); 4] = [
        ("chmod", |path| {
            fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
        }),
        ("touch", |path| {
            let file = fs::File::options().append(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        }),
        ("saved as it is", |path| {
            let text = fs::read(path).unwrap();
            fs::write(path, text).unwrap();
        }),
        ("gone", |path| {
            fs::rename(path, path.with_extension("away")).unwrap()
        }),
    ];
    for (n, (way, change)) in ways.iter().enumerate() {
        change(&edited.path);
        until(&format!("somebody looked after: {way}"), || {
            (looks() > n).then_some(())
        });
        assert!(edited.daemon.counts("config_reloads").is_empty(), "{way}");
    }
    until("the log says that it is gone", || {
        let log = edited.daemon.log();
        log.contains("a file of the configuration is gone")
            .then_some(())
    });
    fs::rename(edited.path.with_extension("away"), &edited.path).unwrap();
    until("somebody looked after it came back", || {
        (looks() > ways.len()).then_some(())
    });
    assert!(edited.daemon.counts("config_reloads").is_empty());
    edited.edit("this is the echo", "this is the parrot");
    edited.until_key("agents.default.greeting", "\"Hello, this is the parrot.\"");
}

#[test]
fn a_secret_and_a_dotenv_are_part_of_the_file() {
    let text = CONFIG.replace("mode = \"live\"", "mode = \"${env:ECHO_MODE}\"")
        + "\n[twilio]\nfallback_text = \"${file:fallback.txt}\"\n";
    let edited = Edited::of(&text, |folder| {
        fs::write(folder.join(".env"), "ECHO_MODE=live\n").unwrap();
        fs::write(folder.join("fallback.txt"), "Sorry, canary one.\n").unwrap();
    });
    let generation = edited.standing()["plugins"]["live"]["generation"].clone();
    fs::write(edited.path.with_file_name(".env"), "ECHO_MODE=parrot\n").unwrap();
    until("the new mode is in force", || {
        (edited.attempts("applied") == 1).then_some(())
    });
    assert_ne!(
        edited.standing()["plugins"]["live"]["generation"],
        generation
    );
    fs::write(
        edited.path.with_file_name("fallback.txt"),
        "Sorry, canary two.\n",
    )
    .unwrap();
    until("the new text is in force", || {
        (edited.attempts("applied") == 2).then_some(())
    });
    let standing = edited.standing().to_string();
    assert!(
        !standing.contains("canary") && standing.contains("•••"),
        "{standing}"
    );
    assert!(!edited.daemon.log().contains("canary"));
}

#[test]
fn a_signal_and_a_command_take_the_same_path() {
    let edited = Edited::start("");
    let check = edited.command(&["check"]);
    assert!(
        said(&check.stdout).contains("has it in force already"),
        "{check:?}"
    );

    // Another file is checked before it takes the place of this one.
    let draft = edited.path.with_file_name("draft.toml");
    fs::write(
        &draft,
        edited.with("this is the echo", "this is the parrot"),
    )
    .unwrap();
    let line = "~ agents.default.greeting: \"Hello, this is the echo.\" → \"Hello, this is the parrot.\"  \
                (at the next call)";
    let check = said(&edited.command_about(&draft, &["check"]).stdout);
    println!("{check}");
    assert!(check.contains(line), "{check}");
    assert!(
        edited.daemon.counts("config_reloads").is_empty(),
        "checking touches nothing"
    );
    fs::rename(&draft, &edited.path).unwrap();
    let reload = edited.command(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    let reload = said(&reload.stdout);
    println!("{reload}");
    // On a busy machine the watcher may have been first; then there is nothing left to tell.
    assert!(
        reload.contains(line) || reload.contains("says nothing new"),
        "{reload}"
    );
    assert_eq!(edited.attempts("applied"), 1);
    edited.until_key("agents.default.greeting", "\"Hello, this is the parrot.\"");

    edited.edit("end_of_turn_ms = 700", "end_of_turn_ms = 800");
    edited.daemon.signal("HUP");
    edited.until_key("agents.default.turn.end_of_turn_ms", "800");

    // What waits for a restart is said, once, and stays said.
    edited.edit("[log]", "[media]\nthreads = 1\n[log]");
    let reload = said(&edited.command(&["reload"]).stdout);
    assert!(
        reload.contains("waiting for a restart") && reload.contains("media.threads: 0 → 1"),
        "{reload}"
    );
    assert_eq!(
        edited.standing()["sheet"]["rows"]["media.threads"]["shown"],
        "0"
    );
    assert_eq!(edited.reload()["last"]["outcome"], "unchanged");
    assert_eq!(edited.standing()["waiting"][0]["key"], "media.threads");

    edited.edit("barge_in = false", "barge_in = \"no\"");
    let reload = edited.command(&["reload"]);
    assert_eq!(reload.status.code(), Some(78));
    assert!(said(&reload.stderr).contains("^^^^"), "{reload:?}");
    // Pages of others may not ask for it.
    let foreign = [("Origin", "https://evil.example")];
    let reply = edited
        .daemon
        .send("POST", "/api/configuration/reload/", &foreign, "");
    assert_eq!(reply.status, 403);
    edited.daemon.is_whole();
}

#[test]
fn limits_and_the_log_level_take_effect_at_once() {
    let edited = Edited::start("[limits]\ncalls = 10\n");
    assert!(
        edited
            .daemon
            .webhook("/twilio/stream/", "CA1", "+15550100")
            .1
            .contains("<Connect")
    );
    edited.edit("calls = 10", "calls = 1");
    edited.reload();
    let (_, twiml) = edited.daemon.webhook("/twilio/stream/", "CA2", "+15550100");
    assert!(twiml.contains("All lines are busy"), "{twiml}");
    assert!(
        !edited.daemon.log().contains("a connection ended"),
        "that is for debugging"
    );
    edited.edit("info,voice_streamer::config=debug", "trace");
    edited.reload();
    until("the log is louder", || {
        edited
            .daemon
            .log()
            .contains("\"level\":\"TRACE\"")
            .then_some(())
    });
}

#[test]
fn a_plugin_left_out_at_the_start_does_not_lock_the_configuration() {
    let edited = Edited::of(
        &CONFIG.replace(
            "library = \"responder_echo\"\nmode = \"live\"",
            "library = \"./two.so\"",
        ),
        |_| (),
    );
    assert!(edited.standing()["left_out"]["live"].is_string());
    edited.edit("this is the echo", "this is the parrot");
    assert_eq!(edited.reload()["last"]["outcome"], "applied");
    // The same edit may not add another one that is not there.
    edited.edit(
        "[voices.english]",
        "[plugins.more]\nlibrary = \"./three.so\"\n[voices.english]",
    );
    let last = edited.reload()["last"].clone();
    assert_eq!(last["outcome"], "refused");
    assert!(
        last["error"].as_str().unwrap().contains("three.so"),
        "{last}"
    );
    edited.save(
        &edited
            .text()
            .replace("[plugins.more]\nlibrary = \"./three.so\"\n", ""),
    );
    // Once it is there, it comes in.
    compile(&edited.path.with_file_name("two.so"), TWO);
    assert_eq!(edited.reload()["left_out"], serde_json::json!({}));
    assert!(edited.standing()["plugins"]["live"]["generation"].is_u64());
}

#[test]
fn a_hundred_broken_variants_leave_it_whole() {
    let edited = Edited::start("");
    let bystander = Bystander::call(&edited.daemon);
    let good = edited.text();
    let before = edited.standing();
    let mut dice = Dice::new(0xbad);
    let mut refused = 0;
    while refused < 100 {
        let bytes = dice.damage(&good);
        // Harmless damage, in a comment or a sentence, is another story.
        let text = String::from_utf8_lossy(&bytes);
        if String::from_utf8(bytes.clone()).is_ok()
            && config::parse(&text, &edited.path, &Env::default()).is_ok()
        {
            continue;
        }
        fs::write(&edited.path, &bytes).unwrap();
        let last = edited.reload()["last"].clone();
        assert_eq!(last["outcome"], "refused", "{text}");
        let error = last["error"].as_str().unwrap();
        assert!(
            error.contains("config.toml:") && error.contains('^'),
            "{error}\nin\n{text}"
        );
        refused += 1;
    }
    assert_eq!(edited.daemon.metric("config_last_reload_successful"), 0);
    for kept in ["sheet", "plugins", "in_force_since_ms"] {
        assert_eq!(edited.standing()[kept], before[kept], "{kept}");
    }
    edited.save(&good);
    assert_eq!(edited.reload()["last"]["outcome"], "unchanged");
    bystander.was_untouched();
    edited.daemon.is_whole();
}
