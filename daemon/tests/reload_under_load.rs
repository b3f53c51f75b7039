//! Fifty edits while fifty calls talk: nobody hears of it, and what is not needed any more goes. Alone in its file, so that
//! no other test takes the processor from it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::edited::{Edited, sayers, sayers_config};
use support::{Daemon, phone, spoken_as, until};
use voice_streamer::phone::Swarm;

/// Megabytes of memory that are the daemon's own.
fn resident_mb(daemon: &Daemon) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kb: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kb / 1024.0
}

/// Half of what a frame lasts, in microseconds: callers that send later than this say that the machine is overcommitted.
const BUSY_US: u64 = 10_000;

/// What may stay when all is over, calls' own sound and records among it: less than a megabyte for each edit.
const KEPT_MB: f64 = 40.0;

#[test]
fn fifty_edits_while_fifty_calls_talk_are_not_heard() {
    const CALLS: usize = 50;
    const EDITS: usize = 50;
    // The cheaper detector: what is shown here is about the configuration, not about fifty networks on a small machine.
    let config = sayers_config().replace(
        "barge_in = false",
        "barge_in = false\ndetector = \"energy\"",
    ) + "[limits]\nlateness_ms = 0\ncalls_per_caller = 1000\n";
    let edited = Edited::of(&config, sayers);
    let plan = Swarm {
        calls: CALLS,
        length: Duration::from_secs(14),
        ramp_per_sec: 50,
        speech: Some(spoken_as("Good morning, how are you today?", "en-US").into()),
    };
    let line = edited.daemon.parrot();
    let (all_talk, begun) = mpsc::channel();
    let talking = std::thread::spawn(move || {
        phone(voice_streamer::phone::swarm(&line, &plan, |progress| {
            if progress.set_up == CALLS {
                all_talk.send(()).ok();
            }
        }))
        .unwrap()
    });
    begun.recv_timeout(support::DEADLINE).unwrap();
    let before = resident_mb(&edited.daemon);
    let mut memory = Vec::new();
    let began = Instant::now();
    for n in 0..EDITS {
        // A new generation of the voice, another manner of it, and a live echo that becomes a parrot and back.
        let (workers, speed) = (1 + n % 2, 90 + n % 20);
        let mode = ["parrot", "live"][n % 2];
        let text = config
            .replace(
                "library = \"tts_pico\"",
                &format!("library = \"tts_pico\"\nworkers = {workers}"),
            )
            .replace(
                "voice = \"en-US\"",
                &format!("voice = \"en-US\"\nspeed = {speed}"),
            )
            .replace("mode = \"live\"", &format!("mode = \"{mode}\""));
        edited.save(&text);
        // Some are found by the watcher, after it has settled; most are asked for at once.
        if n % 3 == 2 {
            edited.until_key("voices.english.speed", &speed.to_string());
        } else {
            let last = edited.reload()["last"].clone();
            assert!(last["outcome"] != "refused", "{last}");
        }
        memory.push(resident_mb(&edited.daemon));
    }
    let edits_took = began.elapsed();
    assert_eq!(
        edited.daemon.metric("calls_active"),
        CALLS as u64,
        "all talk to the last edit"
    );
    let report = talking.join().unwrap();
    println!(
        "{EDITS} edits in {edits_took:?} while {} calls talked: {} dropped, {} underruns, {} answers; \
         {before:.1} MB before them, {:.1} MB at most; generator late p99 {} us",
        report.set_up,
        report.dropped,
        report.underruns,
        report.response_ms.len(),
        memory.iter().copied().fold(0.0, f64::max),
        report.generator_late_us.value_at_quantile(0.99),
    );
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!((report.set_up, report.dropped), (CALLS, 0));
    let underruns = edited.daemon.metric("playout_underruns_total");
    // A machine on which even the callers' frames leave late starves everybody, edits or not.
    if report.generator_late_us.value_at_quantile(0.99) < BUSY_US {
        assert_eq!((report.underruns, underruns), (0, 0));
    } else {
        println!("the machine is too busy to tell whether {underruns} underruns come from edits");
    }
    assert!(
        report.response_ms.len() >= CALLS as u64,
        "they hardly talked"
    );
    assert!(edited.attempts("applied") + edited.attempts("unchanged") >= EDITS as u64);
    assert_eq!(edited.attempts("refused"), 0);
    // What nobody needs is closed once its calls are over; what is open is what is in force.
    until("old generations are closed", || {
        let log = edited.daemon.log();
        let (opened, closed) = (
            log.matches("the plugin is open\"").count(),
            log.matches("the plugin is closed\"").count(),
        );
        (opened - closed == 5).then(|| println!("{opened} generations opened, {closed} closed"))
    });
    // While calls talk, a generation lives for as long as one of them has said nothing since, so that how much memory there is
    // depends on who speaks when. What counts is what stays: of fifty generations less than an engine's 5 MB each.
    let after = resident_mb(&edited.daemon);
    println!("{after:.1} MB when all is over");
    assert!(
        after - before < KEPT_MB,
        "memory is kept: {before:.1} MB before, {after:.1} MB when all is over; meanwhile {memory:.1?}"
    );
    edited.daemon.is_whole();
}
