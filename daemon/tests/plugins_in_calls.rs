//! Plugins from outside the workspace: one in C takes part in a call, and libraries that cannot be used are refused
//! with a sentence, before the first call.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::callers::{heard, hears_out, ring};
use support::{CONFIG, Daemon, Raw, compile_plugin, frame_payload};
use tempfile::TempDir;
use voice_streamer::phone::{Script, Step};

/// Compiles the echo of `plugin-api/examples` as its README says.
fn c_echo(folder: &Path) -> PathBuf {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
    let library = folder.join("libc_echo.so");
    let compiled = Command::new("cc")
        .args([
            "-Wall", "-Wextra", "-Werror", "-std=c99", "-shared", "-fPIC", "-I",
        ])
        .arg(api.join("include"))
        .arg("-o")
        .arg(&library)
        .arg(api.join("examples/c_echo/echo.c"))
        .status()
        .unwrap();
    assert!(compiled.success());
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o755)).unwrap();
    library
}

/// Puts a library, or what passes for one, into a folder.
type Make = fn(&Path);

/// A folder with a configuration in which the live echo is `library`.
fn folder(library: &str) -> Arc<TempDir> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = CONFIG.replace(
        "library = \"responder_echo\"\nmode = \"live\"",
        &format!("library = \"{library}\""),
    );
    assert_ne!(config, CONFIG);
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

#[test]
fn a_responder_in_c_takes_part_in_a_call() {
    let folder = folder("./libc_echo.so");
    c_echo(folder.path());
    let daemon = Daemon::again(&folder);
    let mut raw = Raw::call(&daemon, "CA00000000000000000000000000000001");
    for number in 0..50 {
        raw.echoes(number, &frame_payload(number));
    }
    daemon.is_whole();
}

/// The key before is answered before the next is pressed, and the sound of at least half a second lies between them.
#[test]
fn a_responder_is_sent_the_callers_sound_while_it_wants_it() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    compile_plugin("ears", folder.path());
    let config = CONFIG.replacen("responder = \"echo\"", "responder = \"ears\"", 1);
    let plugin = "[plugins.ears]\nlibrary = \"./libears.so\"\n";
    std::fs::write(folder.path().join("config.toml"), config + plugin).unwrap();
    let daemon = Daemon::again(&folder);
    let mut steps = vec![hears_out()];
    for key in "51505".chars() {
        steps.extend([Step::Press(key), hears_out()]);
    }
    steps.push(Step::HangUp);
    let report = ring(&daemon, Script::of(steps));
    let said = [
        "Hello,", "Nothing.", "Nothing.", "Some.", "Some.", "Nothing.",
    ];
    heard(&daemon, &report, &said);
    daemon.is_whole();
}

#[test]
fn a_library_that_cannot_be_used_is_left_out_in_words() {
    let cases: [(&str, Make); 4] = [
        ("no such file", |_| ()),
        ("not a library", |folder| {
            std::fs::write(folder.join("libc_echo.so"), "text").unwrap()
        }),
        ("truncated", |folder| {
            let whole = std::fs::read(c_echo(folder)).unwrap();
            std::fs::write(folder.join("libc_echo.so"), &whole[..whole.len() / 3]).unwrap();
        }),
        ("others may write to it", |folder| {
            let library = c_echo(folder);
            std::fs::set_permissions(library, PermissionsExt::from_mode(0o777)).unwrap();
        }),
    ];
    for (what, make) in cases {
        let folder = folder("./libc_echo.so");
        make(folder.path());
        // Only the agent of another number needs it: the daemon goes on with what is left, and says so.
        let daemon = Daemon::again(&folder);
        let log = daemon.log();
        assert!(
            log.contains("left out") && log.contains("libc_echo.so"),
            "{what}: {log}"
        );
        let (status, twiml) = daemon.webhook("/twilio/stream/", "CA1", "+15550101");
        assert!(
            status == 200 && twiml.contains("<Say") && !twiml.contains("<Connect"),
            "{what}: {twiml}"
        );
        let (status, twiml) = daemon.webhook("/twilio/stream/", "CA2", "+15550100");
        assert!(
            status == 200 && twiml.contains("<Connect"),
            "{what}: {twiml}"
        );

        // The default agent needs it: no start, the exit code of a wrong configuration, and a sentence.
        let path = folder.path().join("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            config.replace("responder = \"echo\"", "responder = \"live\""),
        )
        .unwrap();
        let run = Command::new(support::binary())
            .args(["run", "--config"])
            .arg(&path)
            .arg("--state")
            .arg(folder.path().join("other"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(78), "{what}: {said}");
        assert!(said.contains("libc_echo.so"), "{what}: {said}");
    }
}

#[test]
fn a_wrong_key_of_a_plugin_is_drawn_where_it_stands() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("config.toml");
    std::fs::write(
        &path,
        CONFIG.replace("mode = \"live\"", "mode = \"lively\""),
    )
    .unwrap();
    let check = Command::new(support::binary())
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(78), "{said}");
    assert!(
        said.contains("config.toml:10:8")
            && said.contains("mode = \"lively\"")
            && said.contains('^'),
        "{said}"
    );
}
