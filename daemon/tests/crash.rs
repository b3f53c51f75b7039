//! `kill -9` in the middle of calls: the daemon comes back, what an API reader had seen is still there, and no call
//! stays "in progress" for ever.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Daemon, Raw, frame_payload, until};

/// Calls under way at each kill.
const CALLS: u32 = 20;

#[test]
fn nothing_that_was_seen_is_lost_by_kill_nine() {
    let kills: u32 = std::env::var("VS_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(20);
    let mut daemon = Daemon::start("[limits]\ncalls_per_caller = 1000\n");
    let folder = Arc::clone(daemon.folder());
    let mut seen: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..kills {
        let mut calls: Vec<Raw> = (0..CALLS)
            .map(|number| {
                let mut raw = Raw::call(&daemon, &format!("CA{:032x}", round * 1000 + number));
                raw.echoes(number, &frame_payload(number));
                raw
            })
            .collect();
        // Some end before, some are in the middle of ending, most just talk.
        for raw in calls.iter_mut().take(round as usize % 5) {
            let sid = raw.stream_sid.clone();
            raw.text(&format!(
                r#"{{"event":"stop","sequenceNumber":"9","stop":{{"accountSid":"AC1","callSid":"CA1"}},"streamSid":"{sid}"}}"#
            ));
        }
        let logs = daemon.json("/audio/api/logs/?limit=1000");
        for row in logs["logs"].as_array().unwrap() {
            seen.insert(row["id"].as_u64().unwrap(), row.to_string());
        }
        let known = daemon.json("/api/calls/?limit=1000")["calls"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(
            known,
            ((round + 1) * CALLS) as usize,
            "every admitted call is on record"
        );
        daemon.kill();

        daemon = Daemon::again(&folder);
        until("it is ready again", || {
            (daemon.get("/readyz").0 == 200).then_some(())
        });
        let calls = daemon.json("/api/calls/?limit=1000");
        let calls = calls["calls"].as_array().unwrap();
        assert_eq!(calls.len(), known, "a call was lost");
        for call in calls {
            assert!(
                ["completed", "failed"].contains(&call["status"].as_str().unwrap()),
                "left open: {call}"
            );
        }
        let logs = daemon.json("/audio/api/logs/?limit=1000");
        let now: BTreeMap<u64, String> = logs["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["id"].as_u64().unwrap(), row.to_string()))
            .collect();
        let oldest = now.keys().next().copied().unwrap_or(0);
        for (id, row) in seen.range(oldest..) {
            assert_eq!(now.get(id), Some(row), "row {id} is lost or changed");
        }
    }
}
