//! A daemon whose file is edited while it runs, and plugins that can be told apart by what they say.

use super::{CONFIG, Daemon, binary, until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// Compiles the responder that says `text`, as another library or over one that is there.
pub fn compile(library: &Path, text: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unfinished = library.with_extension("unfinished");
    let compiled = Command::new("cc")
        .args(["-std=c99", "-shared", "-fPIC", "-I"])
        .arg(here.join("../plugin-api/include"))
        .arg(format!("-DTEXT=\"{text}\""))
        .arg("-o")
        .arg(&unfinished)
        .arg(here.join("tests/plugins/says.c"))
        .status()
        .unwrap();
    assert!(compiled.success());
    fs::set_permissions(&unfinished, PermissionsExt::from_mode(0o755)).unwrap();
    // As `cargo build` does it, and `cp`: over what is there.
    fs::copy(&unfinished, library).unwrap();
    fs::remove_file(&unfinished).unwrap();
}

/// A file of tests' own, edited in one place.
pub struct Edited {
    pub daemon: Daemon,
    pub path: PathBuf,
}

impl Edited {
    /// A daemon with [`CONFIG`], and further tables behind it.
    pub fn start(more: &str) -> Edited {
        Edited::of(&format!("{CONFIG}\n{more}"), |_| ())
    }

    pub fn of(text: &str, prepare: impl FnOnce(&Path)) -> Edited {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        prepare(folder.path());
        let path = folder.path().join("config.toml");
        // Looks at untouched content are in the log.
        let text = text.replace(
            "format = \"json\"",
            "format = \"json\"\nlevel = \"info,voice_streamer::config=debug\"",
        );
        fs::write(&path, text).unwrap();
        Edited {
            daemon: Daemon::again(&folder),
            path,
        }
    }

    pub fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// The text with one place changed.
    #[track_caller]
    pub fn with(&self, old: &str, new: &str) -> String {
        let text = self.text();
        assert_eq!(text.matches(old).count(), 1, "{old:?} in\n{text}");
        text.replacen(old, new, 1)
    }

    /// As an editor saves: another file moved over the old one.
    #[track_caller]
    pub fn edit(&self, old: &str, new: &str) {
        let text = self.with(old, new);
        self.save(&text);
    }

    pub fn save(&self, text: &str) {
        let unfinished = self.path.with_extension("new");
        fs::write(&unfinished, text).unwrap();
        fs::rename(&unfinished, &self.path).unwrap();
    }

    pub fn standing(&self) -> Value {
        self.daemon.json("/api/configuration/")
    }

    /// Has the daemon read the file, and waits for it.
    #[track_caller]
    pub fn reload(&self) -> Value {
        let reply = self
            .daemon
            .send("POST", "/api/configuration/reload/", &[], "");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Attempts so far that ended so.
    pub fn attempts(&self, outcome: &str) -> u64 {
        let counts = self.daemon.counts("config_reloads");
        counts.get(outcome).copied().unwrap_or(0)
    }

    /// Waits until this key says this.
    #[track_caller]
    pub fn until_key(&self, key: &str, shown: &str) {
        until(&format!("{key} is {shown}"), || {
            let standing = self.standing();
            (standing["sheet"]["rows"][key]["shown"] == shown).then_some(())
        });
    }

    /// A subcommand about this file and this daemon.
    pub fn command(&self, words: &[&str]) -> Output {
        self.command_about(&self.path, words)
    }

    /// A subcommand about another file and this daemon.
    pub fn command_about(&self, path: &Path, words: &[&str]) -> Output {
        Command::new(binary())
            .args(words)
            .arg("--config")
            .arg(path)
            .arg("--url")
            .arg(format!("http://{}", self.daemon.address))
            .output()
            .unwrap()
    }
}

pub const ONE: &str = "The first one is speaking.";
pub const TWO: &str = "And now it is the second.";
pub const THREE: &str = "Here is the rebuilt third.";

/// Agents that say a sentence: the default one by [plugins.one], beside it [plugins.two].
pub fn sayers(folder: &Path) {
    compile(&folder.join("one.so"), ONE);
    compile(&folder.join("two.so"), TWO);
}

pub fn sayers_config() -> String {
    let config = CONFIG
        .replace("responder = \"echo\"", "responder = \"one\"")
        .replace("greeting = \"Hello, this is the echo.\"", "");
    format!(
        "{config}\n[plugins.one]\nlibrary = \"./one.so\"\n[plugins.two]\nlibrary = \"./two.so\"\n"
    )
}
