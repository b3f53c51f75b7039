//! The store among processes and on real file systems: a child killed at twenty random moments, a tmpfs that is full, a damaged
//! file, a folder that is taken.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::*;
use super::plate::{Random, call, now_ms, said, sids, status, texts, until};

#[test]
fn a_damaged_file_is_moved_aside_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.redb");
    std::fs::write(&file, "not a database at all").unwrap();
    let store = Store::open(folder.path(), now_ms()).unwrap();
    let aside = folder
        .path()
        .join(format!("calls.redb.damaged-{}", now_ms()));
    assert_eq!(store.health().set_aside, aside.display().to_string());
    assert_eq!(
        std::fs::read_to_string(aside).unwrap(),
        "not a database at all"
    );
    assert!(store.health().ok);
}

#[test]
fn two_daemons_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _held = Store::open(folder.path(), now_ms()).unwrap();
    let refused = Store::open(folder.path(), now_ms());
    assert!(
        matches!(refused, Err(OpenError::InUse { .. })),
        "{refused:?}"
    );
    let said = refused.err().unwrap().to_string();
    let holder = format!("is in use by process {}; stop", std::process::id());
    assert!(said.contains(&holder), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("store");
    let said = [Store::writable(&below), Store::open(&below, 0).map(drop)];
    for said in said.map(|refused| refused.unwrap_err().to_string()) {
        let start = format!(
            "the folder of the store (store.path), {}, cannot be written: ",
            below.display()
        );
        assert!(said.starts_with(&start), "{said}");
    }
    let new = folder.path().join("a/b");
    Store::writable(&new).unwrap();
    assert!(!folder.path().join("a").exists(), "nothing is made");
}

/// Names the folder in which [`child_that_writes_until_killed`] is to write.
const CHILD_FOLDER: &str = "VOICE_STREAMER_TEST_STORE";

/// Not a test by itself: [`kill_minus_nine_loses_nothing_acknowledged`] runs it in a process of its own. It tells its parent each
/// call that the store has acknowledged.
#[tokio::test]
async fn child_that_writes_until_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else {
        return;
    };
    let store = Store::open(Path::new(&folder), now_ms()).unwrap();
    let mut out = io::stdout();
    for n in store.health().rows.. {
        let sid = format!("CA{n}");
        store.note(said(&sid, n.to_string()));
        store.open_call(call(&sid)).await.unwrap();
        store
            .update_call(&sid, status("in-progress"))
            .await
            .unwrap();
        if writeln!(out, "acknowledged {sid}").is_err() {
            return;
        }
    }
}

#[test]
fn kill_minus_nine_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::seeded(20);
    let mut acknowledged: Vec<String> = vec![];
    let (_crate, here) = module_path!().split_once("::").unwrap();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                &format!("{here}::child_that_writes_until_killed"),
            ])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let wanted = acknowledged.len() + 1 + random.below(40) as usize;
        let mut told = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        while acknowledged.len() < wanted {
            let line = told
                .next()
                .unwrap_or_else(|| panic!("round {round}: the child ended by itself"));
            acknowledged.extend(line.split("acknowledged ").nth(1).map(str::to_owned));
        }
        // It goes on writing while it is killed: this is some moment of some commit.
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged
            .extend(told.filter_map(|line| line.split("acknowledged ").nth(1).map(str::to_owned)));

        let store = Store::open(folder.path(), now_ms() + 5).unwrap();
        assert_eq!(store.health().set_aside, "", "round {round}");
        for sid in &acknowledged {
            let call = store
                .call(sid)
                .unwrap()
                .unwrap_or_else(|| panic!("round {round}: {sid} is lost"));
            assert_eq!(
                (call.status.as_str(), call.ended_reason.as_str()),
                ("failed", RESTARTED),
                "round {round}"
            );
        }
        let mut unique = sids(&store);
        let all = unique.len();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), all, "round {round}: a call twice");
        store.close();
    }
}

/// A tmpfs of 16 MB, unmounted in the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, and the reason printed, where this may not be done: mounting needs root.
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => return Some(SmallDisk(folder)),
            Ok(output) => eprintln!(
                "skipped: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            Err(reason) => eprintln!("skipped: mount: {reason}"),
        }
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status()
            .ok();
    }
}

#[tokio::test]
async fn a_real_full_disk_heals_too() {
    let Some(small) = SmallDisk::mount() else {
        return;
    };
    let store = Store::open(&small.0.path().join("store"), now_ms()).unwrap();
    store.open_call(call("CA0")).await.unwrap();
    let ballast = small.0.path().join("ballast");
    let mut filling = std::fs::File::create(&ballast).unwrap();
    while filling.write_all(&[7; 4096]).is_ok() {}

    let mut sent = vec![];
    let mut opened = vec!["CA0".to_owned()];
    while store.health().ok {
        let n = opened.len();
        opened.push(format!("CA{n}"));
        sent.push(format!("{n} {}", "x".repeat(3000)));
        store.note(said("CA0", sent[n - 1].clone()));
        match store.open_call(call(&opened[n])).await {
            Ok(_) | Err(WriteError::Slow { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    until("the readers have the database again", || {
        store.call("CA0").is_ok_and(|call| call.is_some())
    });
    assert!(
        store.health().last_error.contains("os error 28"),
        "{}",
        store.health().last_error
    );
    let freed = Instant::now();
    std::fs::remove_file(&ballast).unwrap();
    drop(filling);
    until("the store has healed", || store.health().ok);
    eprintln!(
        "healed {:?} after space was freed, {} events",
        freed.elapsed(),
        sent.len()
    );
    assert!(store.flush().await);
    assert_eq!(texts(&store), sent);
    assert_eq!(sids(&store), opened);
    assert_eq!(store.health().dropped, 0);
}
