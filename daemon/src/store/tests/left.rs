//! Reading what a daemon left: after its end, after `kill -9`, and not while it lives.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

use std::fs;

use super::super::*;
use super::plate::{call, now_ms, said};

#[tokio::test]
async fn what_a_daemon_left_is_read_and_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), now_ms()).unwrap();
    store.open_call(call("CA1")).await.unwrap();
    store.note(said("CA1", "Hello".to_owned()));
    assert!(store.flush().await);
    let held = Left::open(folder.path()).unwrap_err();
    assert!(matches!(held, LeftError::InUse { .. }), "{held}");
    // As `kill -9` leaves it: never closed in order.
    let torn = tempfile::tempdir().unwrap();
    let file = |folder: &tempfile::TempDir| folder.path().join("calls.redb");
    fs::copy(file(&folder), file(&torn)).unwrap();
    store.close();
    for folder in [folder, torn] {
        let before = fs::read(file(&folder)).unwrap();
        let left = Left::open(folder.path()).unwrap();
        let query = CallQuery {
            limit: 10,
            ..CallQuery::default()
        };
        let calls = left.calls(&query).unwrap().rows;
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!(
            (calls[0].call_sid.as_str(), calls[0].status.as_str()),
            ("CA1", "ringing"),
            "nothing is closed by looking at it"
        );
        let query = EventQuery {
            limit: 10,
            ..EventQuery::default()
        };
        let events = left.events(&query).unwrap().rows;
        assert_eq!(events.len(), 1, "{events:?}");
        let copy = left.copy().to_owned();
        assert!(copy.exists());
        drop(left);
        assert!(!copy.exists());
        assert_eq!(fs::read(file(&folder)).unwrap(), before);
    }
}

#[test]
fn where_nothing_was_left_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let none = Left::open(folder.path()).unwrap_err();
    assert!(none.to_string().contains("calls.redb"), "{none}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
