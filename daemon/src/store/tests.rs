//! What the store promises whoever uses it, on a disk that works. Disks that do not are in `faults`, on the disk of `plate`;
//! processes that are killed, and real full disks, in `process`.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

mod faults;
mod left;
mod plate;
mod process;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn call(sid: &str) -> NewCall {
    NewCall {
        call_sid: sid.into(),
        from_number: "+34600000000".into(),
        to_number: "+12025550100".into(),
        status: "ringing".into(),
        direction: "inbound".into(),
        agent: "parrot".into(),
        at_ms: 100,
    }
}

fn change(status: &str) -> CallChange {
    CallChange {
        status: Some(status.into()),
        at_ms: 200,
        ..CallChange::default()
    }
}

fn event(sid: &str, event: &str) -> NewEvent {
    NewEvent {
        at_ms: 150,
        call_sid: sid.into(),
        event: event.into(),
        ..NewEvent::default()
    }
}

fn ids(page: &Page<Event>) -> Vec<u64> {
    page.rows.iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn a_repeated_webhook_opens_one_call() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    let first = store.open_call(call("CA1")).await.unwrap();
    store
        .update_call("CA1", change("in-progress"))
        .await
        .unwrap();
    let again = store
        .open_call(NewCall {
            agent: "another".into(),
            at_ms: 900,
            ..call("CA1")
        })
        .await
        .unwrap();
    assert_eq!(
        again,
        CallRecord {
            status: "in-progress".into(),
            updated_at_ms: 200,
            ..first.clone()
        }
    );
    assert_eq!(
        (first.id, first.created_at_ms, first.agent.as_str()),
        (1, 100, "parrot")
    );
    assert_eq!(store.health().rows, 1);
}

#[tokio::test]
async fn a_final_status_stays_final() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    store.open_call(call("CA1")).await.unwrap();
    let ended = CallChange {
        duration_ms: Some(7),
        ended_reason: Some("hang-up".into()),
        ..change("completed")
    };
    store.update_call("CA1", ended).await.unwrap();
    let late = store
        .update_call("CA1", change("in-progress"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            late.status.as_str(),
            late.duration_ms,
            late.ended_reason.as_str()
        ),
        ("completed", 7, "hang-up")
    );
}

#[tokio::test]
async fn a_change_of_an_unknown_call_finds_nothing() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    assert_eq!(
        store.update_call("CA9", change("completed")).await,
        Ok(None)
    );
}

#[tokio::test]
async fn a_restart_closes_the_calls_that_were_open() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for (sid, status) in [
        ("CA1", "ringing"),
        ("CA2", "in-progress"),
        ("CA3", "completed"),
    ] {
        store.open_call(call(sid)).await.unwrap();
        store.update_call(sid, change(status)).await.unwrap();
    }
    store.note(NewEvent {
        call_sid: "CA2".into(),
        at_ms: 1234,
        ..NewEvent::default()
    });
    store.close();
    for start_ms in [5000, 6000] {
        let store = Store::open(folder.path(), start_ms).unwrap();
        let now = |sid| {
            let call = store.call(sid).unwrap().unwrap();
            (call.status, call.ended_reason, call.updated_at_ms)
        };
        assert_eq!(now("CA1"), ("failed".into(), RESTARTED.into(), 5000));
        assert_eq!(now("CA2"), ("failed".into(), RESTARTED.into(), 5000));
        assert_eq!(now("CA3"), ("completed".into(), String::new(), 200));
        let call = store.call("CA2").unwrap().unwrap();
        let lasted_ms = 1234 - call.created_at_ms;
        assert_eq!(call.duration_ms, lasted_ms, "until its last event");
        let said = EventQuery {
            event: Some(RESTARTED_EVENT.into()),
            limit: 9,
            ..EventQuery::default()
        };
        let said = store.events(said).unwrap().rows;
        let said: Vec<_> = said
            .iter()
            .map(|e| (e.call_sid.as_str(), e.at_ms, &e.detail["status_before"]))
            .collect();
        assert_eq!(
            said,
            [
                ("CA2", 5000, &"in-progress".into()),
                ("CA1", 5000, &"ringing".into())
            ]
        );
    }
}

#[tokio::test]
async fn ids_go_on_after_a_restart() {
    let folder = folder();
    for n in 1..4 {
        let store = Store::open(folder.path(), 1).unwrap();
        store.note(event("", "tick"));
        let opened = store
            .open_call(NewCall {
                status: "completed".into(),
                ..call(&format!("CA{n}"))
            })
            .await
            .unwrap();
        assert_eq!(opened.id, n);
        assert!(store.flush().await);
        assert_eq!(
            store
                .events(EventQuery {
                    limit: 1,
                    ..EventQuery::default()
                })
                .unwrap()
                .rows[0]
                .id,
            n
        );
    }
}

#[tokio::test]
async fn paging_while_rows_arrive_has_no_gap_and_no_repetition() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for n in 0..25 {
        store.note(event(
            ["CA1", "CA2"][n % 2],
            ["said", "heard", "digit"][n % 3],
        ));
    }
    assert!(store.flush().await);
    //                       by event      by call       expected ids, newest first
    let queries: [(Option<&str>, Option<&str>, Vec<u64>); 4] = [
        (None, None, (1..=25).rev().collect()),
        (
            Some("said"),
            None,
            (1..=25).filter(|id| (id - 1) % 3 == 0).rev().collect(),
        ),
        (
            None,
            Some("CA2"),
            (1..=25).filter(|id| id % 2 == 0).rev().collect(),
        ),
        (
            Some("said"),
            Some("CA2"),
            (1..=25)
                .filter(|id| (id - 1) % 3 == 0 && id % 2 == 0)
                .rev()
                .collect(),
        ),
    ];
    for (event_name, sid, expected) in queries {
        for limit in [1, 2, 7, 25, 99] {
            let mut seen = vec![];
            let mut query = EventQuery {
                limit,
                before: Some(26),
                ..EventQuery::default()
            };
            (query.event, query.call_sid) = (event_name.map(Into::into), sid.map(Into::into));
            loop {
                let page = store.events(query.clone()).unwrap();
                assert!(page.rows.len() <= limit);
                seen.extend(ids(&page));
                store.note(event("CA2", "said"));
                assert!(store.flush().await);
                query.before = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{event_name:?} {sid:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn following_the_log_misses_nothing_however_fast_it_grows() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    let (mut after, mut seen) = (0, vec![]);
    for round in 0..6 {
        for _ in 0..[7, 0, 1, 3, 0, 0][round] {
            store.note(event("CA1", "said"));
        }
        assert!(store.flush().await);
        let page = store
            .events(EventQuery {
                after: Some(after),
                limit: 3,
                ..EventQuery::default()
            })
            .unwrap();
        assert!(ids(&page).is_sorted_by(|a, b| a > b));
        after = page.rows.first().map_or(after, |event| event.id);
        seen.extend(ids(&page).into_iter().rev());
    }
    assert_eq!(seen, (1..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_backward_range_is_an_empty_page() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    store.note(event("CA1", "said"));
    assert!(store.flush().await);
    for (before, after) in [
        (Some(0), None),
        (Some(1), Some(9)),
        (None, Some(u64::MAX)),
        (Some(1), Some(u64::MAX)),
    ] {
        for call_sid in [None, Some("CA1".to_owned())] {
            let page = store
                .events(EventQuery {
                    before,
                    after,
                    call_sid,
                    limit: 9,
                    event: None,
                    ..EventQuery::default()
                })
                .unwrap();
            assert_eq!(
                page,
                Page {
                    rows: vec![],
                    next: None
                },
                "{before:?} {after:?}"
            );
        }
    }
    for status in [None, Some("ringing".to_owned())] {
        assert_eq!(
            store
                .calls(CallQuery {
                    before: Some(0),
                    status,
                    limit: 9,
                    ..CallQuery::default()
                })
                .unwrap()
                .rows,
            []
        );
    }
}

#[tokio::test]
async fn calls_are_found_by_name_number_and_time() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for n in 1..=9_u64 {
        let new = NewCall {
            from_number: format!("+1555010{n}"),
            to_number: "+34910000000".into(),
            at_ms: n * 100,
            ..call(&format!("CAab{n}"))
        };
        store.open_call(new).await.unwrap();
    }
    let list = |query: CallQuery| {
        let page = store.calls(CallQuery { limit: 4, ..query }).unwrap();
        (
            page.rows.iter().map(|call| call.id).collect::<Vec<_>>(),
            page.next,
        )
    };
    let search = |text: &str| CallQuery {
        search: Some(text.into()),
        ..CallQuery::default()
    };
    assert_eq!(list(search("caAB7")), (vec![7], None));
    assert_eq!(list(search("5550103")), (vec![3], None));
    assert_eq!(list(search("+3491")), (vec![9, 8, 7, 6], Some(6)));
    assert_eq!(list(search("nobody")), (vec![], None));
    let between = CallQuery {
        from_ms: Some(300),
        until_ms: Some(500),
        ..CallQuery::default()
    };
    assert_eq!(list(between), (vec![4, 3], None));
}

#[tokio::test]
async fn calls_are_listed_newest_first_by_status_and_by_cursor() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for n in 1..=9 {
        store.open_call(call(&format!("CA{n}"))).await.unwrap();
        if n % 3 == 0 {
            store
                .update_call(&format!("CA{n}"), change("busy"))
                .await
                .unwrap();
        }
    }
    let list = |status: Option<&str>, before, limit| {
        let page = store
            .calls(CallQuery {
                status: status.map(Into::into),
                before,
                limit,
                ..CallQuery::default()
            })
            .unwrap();
        (
            page.rows.iter().map(|call| call.id).collect::<Vec<_>>(),
            page.next,
        )
    };
    assert_eq!(list(None, None, 4), (vec![9, 8, 7, 6], Some(6)));
    assert_eq!(list(None, Some(6), 4), (vec![5, 4, 3, 2], Some(2)));
    assert_eq!(list(None, Some(2), 4), (vec![1], None));
    assert_eq!(list(Some("busy"), None, 2), (vec![9, 6], Some(6)));
    assert_eq!(list(Some("busy"), Some(6), 2), (vec![3], None));
    assert_eq!(list(Some("ringing"), None, 99).0, [8, 7, 5, 4, 2, 1]);
    assert_eq!(list(Some("no such"), None, 99), (vec![], None));
    assert_eq!(list(None, None, 0).0.len(), 1);
}

#[tokio::test]
async fn a_page_is_bounded() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for _ in 0..MAX_PAGE_ROWS + 1 {
        store.note(event("", "tick"));
    }
    assert!(store.flush().await);
    let page = store
        .events(EventQuery {
            limit: usize::MAX,
            ..EventQuery::default()
        })
        .unwrap();
    assert_eq!((page.rows.len(), page.next), (MAX_PAGE_ROWS, Some(2)));
}

#[tokio::test]
async fn a_rare_event_is_found_page_by_page_and_no_page_looks_at_too_much() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    store.note(event("", "rare"));
    for _ in 0..MAX_SCAN_ROWS + 10 {
        store.note(event("", "tick"));
    }
    assert!(store.flush().await);
    let query = EventQuery {
        event: Some("rare".into()),
        limit: 5,
        ..EventQuery::default()
    };
    let first = store.events(query.clone()).unwrap();
    assert_eq!((first.rows.len(), first.next), (0, Some(12)));
    let second = store
        .events(EventQuery {
            before: first.next,
            ..query
        })
        .unwrap();
    assert_eq!((ids(&second), second.next), (vec![1], None));
}

#[tokio::test]
async fn a_cut_sid_still_finds_its_call() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    let long = "C".repeat(MAX_NAME_BYTES * 2);
    store.open_call(call(&long)).await.unwrap();
    store.note(event(&long, "said"));
    assert!(
        store
            .update_call(&long, change("completed"))
            .await
            .unwrap()
            .is_some()
    );
    assert!(store.flush().await);
    assert_eq!(store.call(&long).unwrap().unwrap().status, "completed");
    let of_call = EventQuery {
        call_sid: Some(long),
        limit: 5,
        ..EventQuery::default()
    };
    assert_eq!(store.events(of_call).unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_closed_store_says_so_and_counts_what_it_is_given() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    let other = store.clone();
    store.note(event("CA1", "kept"));
    store.close();
    other.note(event("CA1", "lost"));
    other.change_call("CA1", change("completed"));
    assert_eq!(
        other.open_call(call("CA1")).await,
        Err(WriteError::Closed {
            call_sid: "CA1".into()
        })
    );
    assert_eq!(other.calls(CallQuery::default()), Err(ReadError::NotOpen));
    assert!(!other.flush().await);
    assert_eq!(
        (other.health().dropped, other.health().dropped_changes),
        (3, 2)
    );
    let store = Store::open(folder.path(), 1).unwrap();
    assert_eq!(
        store.events(EventQuery::default()).unwrap().rows[0].event,
        "kept"
    );
}

#[tokio::test]
async fn the_last_handle_writes_what_is_queued() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for _ in 0..2500 {
        store.clone().note(event("CA1", "said"));
    }
    drop(store);
    assert_eq!(Store::open(folder.path(), 1).unwrap().health().rows, 2500);
}

#[tokio::test]
async fn each_commit_is_told_once() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    store.on_commit(Box::new(move |took| tell.send(took).unwrap()));
    store.open_call(call("CA1")).await.unwrap();
    store.open_call(call("CA2")).await.unwrap();
    let health = store.health();
    store.close();
    assert_eq!((health.commits, told.iter().count()), (2, 2));
}

#[tokio::test]
async fn pruning_runs_to_its_end_in_the_background() {
    let folder = folder();
    let store = Store::open(folder.path(), 1).unwrap();
    for _ in 0..12_000 {
        store.note(event("CA1", "said"));
    }
    assert!(store.flush().await);
    store.prune(1000);
    // Each flush covers the piece that the one before asked for.
    for _ in 0..4 {
        assert!(store.flush().await);
    }
    assert_eq!(store.health().rows, 0);
    store.note(event("CA1", "said"));
    assert!(store.flush().await);
    assert_eq!(
        store.events(EventQuery::default()).unwrap().rows[0].id,
        12_001
    );
}
