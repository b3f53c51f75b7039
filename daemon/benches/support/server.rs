//! A server under test as a process of its own, pinned to one core, and what the kernel knows about it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the servers run. The bench has [`OUR_CORE`] to itself.
const SERVER_CORE: &str = "0";

/// Where everything else runs.
const OUR_CORE: &str = "1";

/// How long a server may take to listen.
const START_SECS: u64 = 20;

/// Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident; a page that is mapped twice counts twice, as those of the plugins' rings are.
    pub(crate) rss: u64,
    /// Each page once, and shared ones by their share.
    pub(crate) pss: u64,
}

/// Pins this process to its core, and lets it and its children open as many files as the system allows.
/// The answer is a sentence if that did not work: figures are then not worth much.
pub(crate) fn pin_ourselves() -> Option<String> {
    let pid = std::process::id().to_string();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    if let Some(hard) = files.and_then(|line| line.split_whitespace().nth(1)) {
        let nofile = format!("--nofile={hard}:{hard}");
        run("prlimit", ["--pid", &pid, &nofile].map(OsStr::new)).err()
    } else {
        None
    }
    .or_else(|| {
        run(
            "taskset",
            ["-a", "-p", "-c", OUR_CORE, &pid].map(OsStr::new),
        )
        .err()
    })
}

/// The daemon that was asked for, or the one built with the bench, with these plugins beside it.
pub(crate) fn daemon(asked_for: Option<&Path>, plugins: &[&str]) -> io::Result<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_voice-streamer"));
    let daemon = asked_for.unwrap_or(built);
    let beside = daemon.parent().unwrap_or(Path::new("."));
    match plugins.iter().find(|plugin| !beside.join(plugin).exists()) {
        Some(missing) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "{} has no {missing}; build it first: cargo build --release --workspace",
                beside.display()
            ),
        )),
        None => Ok(daemon.to_owned()),
    }
}

/// Compiles a plugin in C into `folder`; `source` is named from this package on. Its name there.
pub(crate) fn compile_plugin(folder: &Path, source: &str) -> io::Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = package.join(source);
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let plugin = folder.join(format!("lib{stem}.so"));
    let include = package.join("../plugin-api/include");
    run(
        "cc",
        [
            "-shared".as_ref(),
            "-fPIC".as_ref(),
            "-O1".as_ref(),
            "-I".as_ref(),
            include.as_os_str(),
            "-o".as_ref(),
            plugin.as_os_str(),
            source.as_os_str(),
        ],
    )
    .map_err(io::Error::other)?;
    // Writable for nobody else, whatever the umask: the daemon refuses it otherwise.
    run("chmod", ["755".as_ref(), plugin.as_os_str()]).map_err(io::Error::other)?;
    Ok(plugin)
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}

impl Server {
    /// The daemon with this configuration, which may name what else lies in `folder`.
    pub(crate) async fn daemon(
        binary: &Path,
        folder: tempfile::TempDir,
        configuration: &str,
    ) -> io::Result<Server> {
        let config = folder.path().join("config.toml");
        fs::write(&config, configuration)?;
        let state = folder.path().join("state");
        Server::start(folder, |address| {
            let mut command = pinned(binary);
            command.args(["run", "--listen", &address.to_string(), "--config"]);
            command.arg(config).arg("--state").arg(state);
            command
        })
        .await
    }

    /// Whatever listens at the address it is told; waits until it does.
    pub(crate) async fn start(
        folder: tempfile::TempDir,
        command: impl FnOnce(SocketAddr) -> Command,
    ) -> io::Result<Server> {
        let address = free_address()?;
        let mut command = command(address);
        let log = File::create(folder.path().join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Server {
            child,
            address,
            folder,
        };
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if server.child.try_wait()?.is_some()
                || began.elapsed() > Duration::from_secs(START_SECS)
            {
                return Err(io::Error::other(format!(
                    "the server did not start: {}",
                    server.last_words()
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// The process; `taskset` has become the server by then.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The body of its answer to a plain GET.
    pub(crate) async fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => Err(io::Error::other(format!("{path}: {answer}"))),
        }
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// What it occupies now.
    pub(crate) fn memory(&self) -> Memory {
        let rollup =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap_or_default();
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kb = line
                .and_then(|line| line.split_whitespace().next())
                .and_then(|kb| kb.parse::<u64>().ok());
            kb.unwrap_or(0) * 1024
        };
        Memory {
            rss: bytes("Rss:"),
            pss: bytes("Pss:"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to save in either case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// This program on the servers' core.
pub(crate) fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

/// A port nobody has at the moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
