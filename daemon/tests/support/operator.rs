//! The operator: somebody at a browser who signs in to `/admin/`, and the command line that makes his account.

use super::{Daemon, Reply, binary};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

pub const PASSWORD: &str = "correct horse";
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Somebody at a browser: keeps one cookie and sends forms.
pub struct Browser<'d> {
    pub daemon: &'d Daemon,
    pub cookie: String,
}

impl Browser<'_> {
    pub fn at(daemon: &Daemon) -> Browser<'_> {
        Browser {
            daemon,
            cookie: String::new(),
        }
    }

    /// With the account `ana`, made on the command line, which reads the configuration and so wants its environment.
    pub fn signed_in<'d>(daemon: &'d Daemon, environment: &[(&str, &str)]) -> Browser<'d> {
        let folder = daemon.folder();
        let made = admin_in(folder.path(), environment, &["add", "ana"], PASSWORD);
        assert!(made.0, "{made:?}");
        let mut browser = Browser::at(daemon);
        let reply = browser.sign_in("ana", PASSWORD);
        assert_eq!(reply.status, 303, "{reply:?}");
        browser
    }

    pub fn send(&mut self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let mut headers = vec![("Cookie", self.cookie.as_str())];
        headers.extend(more);
        let reply = self.daemon.send(method, path, &headers, body);
        let given = reply.header("set-cookie");
        if let Some(cookie) = given.filter(|cookie| cookie.contains("voice_session=")) {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        reply
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    #[track_caller]
    pub fn page(&mut self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        reply.body
    }

    pub fn post(&mut self, path: &str, body: &str) -> Reply {
        self.send("POST", path, &[FORM], body)
    }

    pub fn sign_in(&mut self, name: &str, password: &str) -> Reply {
        let body = format!("name={name}&password={}", password.replace(' ', "+"));
        self.post("/admin/sign-in/", &body)
    }

    /// The token in the forms of a page.
    #[track_caller]
    pub fn form_token(&mut self) -> String {
        let page = self.page("/admin/calls/");
        field(&page, "form_token")
    }

    pub fn is_in(&mut self) -> bool {
        let reply = self.get("/admin/calls/");
        let door = reply.header("location").unwrap_or("").to_owned();
        assert!(
            reply.status == 200 || door.starts_with("/admin/sign-in/"),
            "{reply:?}"
        );
        reply.status == 200
    }
}

#[track_caller]
pub fn field(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .expect(page);
    rest.split('"').next().unwrap().to_owned()
}

/// The command line beside this daemon: whether it succeeded, and what it printed.
pub fn admin(daemon: &Daemon, arguments: &[&str], stdin: &str) -> (bool, String) {
    admin_in(daemon.folder().path(), &[], arguments, stdin)
}

pub fn admin_in(
    folder: &Path,
    environment: &[(&str, &str)],
    arguments: &[&str],
    stdin: &str,
) -> (bool, String) {
    let mut child = Command::new(binary())
        .envs(environment.iter().copied())
        .arg("--config")
        .arg(folder.join("config.toml"))
        .arg("admin")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no password may be gone already.
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    (done.status.success(), said.concat())
}
