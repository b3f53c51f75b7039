//! A plugin that is asked to check its keys and panics, talks nonsense or takes its time: neither `check` nor a running
//! daemon goes down with it, and whoever reads the answer learns which plugin it was. By a responder in C.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use support::edited::Edited;
use support::{CONFIG, binary, compile_plugin, phone, until};
use voice_streamer::phone::{Script, Step};

fn config(does: &str) -> String {
    format!("{CONFIG}\n[plugins.checks]\nlibrary = \"./libchecks.so\"\ndoes = \"{does}\"\n")
}

#[test]
fn check_says_which_plugin_could_not_check_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    compile_plugin("checks", folder.path());
    let path = folder.path().join("config.toml");
    let check = |does: &str| {
        std::fs::write(&path, config(does)).unwrap();
        let mut check = Command::new(binary());
        check.args(["check", "--config"]).arg(&path);
        let said = check.env_remove("RUST_LOG").output().unwrap();
        let text = [said.stdout, said.stderr].concat();
        (said.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, said) = check("fine");
    assert_eq!(code, Some(0), "{said}");
    let drawn = "plugin checks: checks 1.0, responder\n  main\n    1 -> sales\n";
    assert!(said.contains(drawn), "{said}");
    for (does, words) in [
        (
            "finds",
            "it refuses its configuration:\n  no\n  gate, line 4: no",
        ),
        (
            "panics",
            "it could not check its keys: it panicked; the plugin has to be corrected",
        ),
        (
            "puts garbage",
            "it could not check its keys: what it put is not what the contract says: expected value at line 1",
        ),
        (
            "puts twice",
            "it could not check its keys: it was put 2 times",
        ),
    ] {
        let (code, said) = check(does);
        assert_eq!(code, Some(78), "{said}");
        let place = "config.toml:32:11: [plugins.checks]: ";
        assert!(said.contains(&format!("{place}{words}")), "{said}");
    }
}

#[test]
fn check_says_which_languages_a_voice_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let voice = "[voices.other]\nplugin = \"pico\"\nlanguage = \"ja-JP\"\n";
    std::fs::write(&path, format!("{CONFIG}\n{voice}")).unwrap();
    let mut check = Command::new(binary());
    check.args(["check", "--config"]).arg(&path);
    let said = check.env_remove("RUST_LOG").output().unwrap();
    let text = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert_eq!(said.status.code(), Some(78), "{text}");
    let place =
        "config.toml:33:12: voices.other.language: the plugin \"pico\" does not know \"ja-JP\"";
    assert!(text.contains(place), "{text}");
    assert!(
        text.contains("= it knows en-US, en-GB, es-ES, de-DE, fr-FR, it-IT"),
        "{text}"
    );
}

#[test]
fn a_running_daemon_keeps_what_it_has_and_answers_meanwhile() {
    let edited = Edited::of(&config("fine"), |folder| {
        compile_plugin("checks", folder);
    });
    let rings = || {
        let script = Script::of(vec![Step::WaitForAgent { most_ms: 15_000 }, Step::HangUp]);
        let report = phone(voice_streamer::phone::call(
            &edited.daemon.parrot(),
            script,
            |_, _| (),
        ));
        assert_eq!(report.unwrap().violations, 0);
    };
    for does in ["panics", "puts garbage", "puts bytes", "puts much", "fails"] {
        edited.save(&edited.text().replace("\"fine\"", &format!("\"{does}\"")));
        let told = edited.reload().to_string();
        assert!(
            told.contains("it could not check its keys"),
            "{does}: {told}"
        );
        edited.save(&edited.text().replace(&format!("\"{does}\""), "\"fine\""));
    }
    rings();
    // It waits until we let it; callers do not.
    let gate = edited.path.with_file_name("gate");
    let waits = format!("\"waits\"\ngate = \"{}\"", gate.display());
    edited.edit("does = \"fine\"", &format!("does = {waits}"));
    until("the plugin is asked", || {
        gate.with_file_name("gate-asked").exists().then_some(())
    });
    rings();
    std::fs::write(&gate, "").unwrap();
    edited.until_key("plugins.checks.does", "\"waits\"");
    rings();
    assert_eq!(edited.daemon.get("/healthz").0, 200);
}
