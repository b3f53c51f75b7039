//! More than the machine carries: who rings hears the busy sentence, who talks goes on, and when it is over the door is open.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::{CONFIG, Daemon, Raw, compile_plugin, frame_payload, until};

/// A daemon with one media thread, which the live agent keeps for 60 ms with each frame.
fn slow(limits: &str) -> Daemon {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    compile_plugin("slow", folder.path());
    let config = CONFIG.replace(
        "library = \"responder_echo\"\nmode = \"live\"",
        "library = \"./libslow.so\"",
    );
    assert_ne!(config, CONFIG);
    let more = format!("[media]\nthreads = 1\n[limits]\ncalls_per_caller = 1000\n{limits}");
    std::fs::write(folder.path().join("config.toml"), config + &more).unwrap();
    Daemon::again(&folder)
}

fn sid(number: u32) -> String {
    format!("CA{number:032x}")
}

#[test]
fn new_callers_hear_the_busy_sentence_until_the_media_threads_are_in_time() {
    let daemon = slow("lateness_ms = 20\n");
    let mut raw = Raw::call(&daemon, &sid(0));
    let mut number = 0;
    let shed = || daemon.counts("calls_shed");
    let busy = until("the door is shut", || {
        number += 1;
        raw.media(number, &frame_payload(number));
        raw.settles();
        let (status, twiml) = daemon.webhook("/twilio/stream/", &sid(number), "+15550101");
        assert_eq!(status, 200, "{twiml}");
        shed().contains_key("overload").then_some(twiml)
    });
    assert!(busy.contains("All lines are busy"), "{busy}");
    assert!(daemon.log().contains("lower limits.calls"));
    // Who talks goes on, and a call that was let in before may begin.
    raw.settles();
    Raw::call(&daemon, &sid(1)).settles();

    raw.stop();
    drop(raw);
    until("the door is open", || {
        number += 1;
        let (_, twiml) = daemon.webhook("/twilio/stream/", &sid(number), "+15550101");
        twiml.contains("<Connect>").then_some(())
    });
    daemon.is_whole();
}
