//! The room as a whole, against libraries built from C: what a plugin may do wrong, and what becomes of it.

#![allow(clippy::unwrap_used)]

use super::fixtures::Bench;
use super::*;
use arc_swap::ArcSwap;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use voice_plugin::abi::{kind, role};

fn said(stream: &mut Stream) -> Option<(u16, u32, String)> {
    let record = stream.next()?;
    let said = (
        record.kind,
        record.turn,
        String::from_utf8_lossy(record.data).into_owned(),
    );
    stream.take();
    Some(said)
}

fn line(text: &str) -> Option<(u16, u32, String)> {
    Some((kind::TEXT, 1, text.to_owned()))
}

// ---- loading ----

#[test]
fn a_library_says_who_it_is_and_is_loaded_once() {
    let bench = Bench::new();
    let path = bench.build("echo", &["VERSION=\"once\""], "echo");
    let library = bench.load(&path).unwrap();
    assert_eq!((library.name(), library.version()), ("test-echo", "once"));
    assert_eq!(library.roles(), role::RESPONDER | role::TTS);
    assert!(library.describe().hears_audio);
    assert_eq!(library.describe().tts_produces, [Format::LINE]);
    let kept = bench
        .keep_dir()
        .join(format!("test-{}.so", &library.hash()[..16]));
    assert_eq!(fs::read(kept).unwrap(), fs::read(&path).unwrap());
    let other_place = bench.keep_dir().with_file_name("elsewhere.so");
    fs::copy(&path, &other_place).unwrap();
    let builds = resident_builds();
    assert!(Arc::ptr_eq(&library, &bench.load(&other_place).unwrap()));
    assert!(builds >= 1);
}

#[test]
fn a_library_with_one_fault_is_refused_in_words_that_name_it() {
    let bench = Bench::new();
    for (fault, words) in [
        ("NO_ENTRY", "has no symbol `voice_plugin`"),
        ("SERVES=2", "does not serve plugin ABI 1"),
        (
            "ABI=2",
            "speaks plugin ABI 2, this daemon speaks 1: update the daemon",
        ),
        (
            "ABI=0",
            "speaks plugin ABI 0, this daemon speaks 1: build the plugin",
        ),
        ("SIZE=79", "table of 79 bytes, ABI 1 has at least 80"),
        ("NULL_MEMBER=name", "leaves `name` null"),
        ("NULL_MEMBER=version", "leaves `version` null"),
        ("NULL_MEMBER=open", "leaves `open` null"),
        ("NULL_MEMBER=close", "leaves `close` null"),
        ("NULL_MEMBER=start", "leaves `start` null"),
        ("NULL_MEMBER=send", "leaves `send` null"),
        ("NULL_MEMBER=stop", "leaves `stop` null"),
        ("NAME=\"\"", "`name` that is not a short UTF-8 string"),
        ("NAME=\"\\xff\"", "`name` that is not a short UTF-8 string"),
        ("LONG_NAME", "`name` that is not a short UTF-8 string"),
        (
            "ROLES=8",
            "neither voice, responder nor transcriber (roles 0x8)",
        ),
        (
            "JSON=\"[]\"",
            "describes itself wrongly (it is not a JSON object)",
        ),
        ("TIMES=2", "put 2 times"),
        ("ANSWER=VP_ERROR", "`describe` answered -1"),
        ("ANSWER=VP_PANIC", "it panicked"),
        ("GIANT=1048577", "longer than 1048576"),
    ] {
        let path = bench.build("faulty", &[fault], "faulty");
        let no = bench
            .load(&path)
            .map_or_else(|no| no.to_string(), |_| "loaded".to_owned());
        assert!(no.contains(words), "{fault}: {no}");
        assert!(
            no.starts_with(&format!("plugin test: library {}: ", path.display())),
            "{no}"
        );
    }
    for fine in [
        "NULL_MEMBER=describe",
        "TIMES=0",
        "SIZE=80",
        "SIZE=1000",
        "ROLES=12",
    ] {
        let path = bench.build("faulty", &[fine], "fine");
        assert!(bench.load(&path).is_ok(), "{fine}");
    }
}

#[test]
fn a_library_whose_entry_hangs_is_given_up_and_others_load() {
    let bench = Bench::new();
    let path = bench.build("faulty", &["HANG"], "hang");
    let no = Library::load_within(Duration::ZERO, "test", &path, &bench.keep_dir(), None);
    assert!(matches!(no, Err(LoadProblem::Overrun { .. })), "{no:?}");
    bench.echo();
}

#[test]
fn a_missing_dependency_is_reported_in_the_linkers_words() {
    let bench = Bench::new();
    // Found at load and not at the first call, because everything is bound at once.
    let path = bench.build("faulty", &["UNBOUND"], "unbound");
    let no = bench.load(&path).unwrap_err().to_string();
    assert!(
        no.contains("nobody_has_this") && no.contains("has to be installed"),
        "{no}"
    );
}

/// The reason for describing libraries in a child process one day; until then this is what happens.
#[test]
fn a_constructor_that_crashes_takes_its_process_with_it() {
    let child = std::env::var_os("LOAD_THE_CRASHING_ONE");
    let bench = Bench::new();
    if child.is_some() {
        let path = bench.build("faulty", &["CRASH"], "crash");
        // Does not return.
        panic!("{:?}", bench.load(&path));
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([
        "--exact",
        "plugin::tests::a_constructor_that_crashes_takes_its_process_with_it",
    ]);
    let ended = again
        .env("LOAD_THE_CRASHING_ONE", "1")
        .output()
        .unwrap()
        .status;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&ended),
        Some(libc::SIGABRT),
        "{ended}"
    );
}

// ---- opening and closing ----

#[test]
fn a_plugin_that_will_not_open_says_why() {
    let bench = Bench::new();
    let library = bench.echo();
    let no = |config: &str| {
        Generation::open(Arc::clone(&library), "voice", config)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        no("{\"refuse\":1}"),
        "plugin voice refuses its configuration: no such voice (code 42)"
    );
    assert_eq!(
        no("{\"panic\":1}"),
        "plugin voice panicked while opening: no such voice"
    );
    assert!(no("{\"silent\":1}").ends_with("it did not say why"));
    assert!(
        no("{\"endless\":1}").contains(&"x".repeat(251)),
        "a sentence without an end is cut"
    );
}

#[test]
fn a_plugin_lists_what_can_be_chosen_from_or_says_why_not() {
    let bench = Bench::new();
    let listed = |n: u32| {
        let listed = bench.open(&format!("{{\"lists\":{n}}}")).catalog();
        listed.map_err(|no| no.to_string())
    };
    let voices = serde_json::json!({"voices": [{"id": "v1"}]});
    assert_eq!(listed(1), Ok(Some(voices)));
    for (n, said) in [
        (2, "what it listed is no JSON"),
        (3, "it was put 2 times"),
        (4, "plugin test cannot list its voices: auth: who are you?"),
        (5, "it did not say why"),
    ] {
        let no = listed(n).unwrap_err();
        assert!(no.contains(said), "{n}: {no}");
    }
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().unwrap()
}

fn letter(pipe: &mut PipeReader) -> u8 {
    let mut letter = [0];
    pipe.read_exact(&mut letter).unwrap();
    letter[0]
}

#[test]
fn the_last_holder_closes_the_instance() {
    let bench = Bench::new();
    let (mut closed, by_plugin) = pipe();
    let generation = bench.open(&format!("{{\"closed\":{}}}", by_plugin.as_raw_fd()));
    let mut stream = generation.start(role::RESPONDER, "x").unwrap();
    drop(generation);
    // Were it closed by now, it would have freed what `send` uses.
    stream.send(kind::TEXT, 0, 1, 0, b"").unwrap();
    assert_eq!(said(&mut stream), line("1.0.0 x at 0"));
    drop(stream);
    assert_eq!(letter(&mut closed), b'c');
}

#[test]
fn a_plugin_that_opens_too_late_is_given_up_and_closed_again() {
    let bench = Bench::new();
    let (gate, mut opener) = pipe();
    let (mut closed, by_plugin) = pipe();
    let config = format!(
        "{{\"gate\":{},\"closed\":{}}}",
        gate.as_raw_fd(),
        by_plugin.as_raw_fd()
    );
    let no = Generation::open_within(Duration::ZERO, bench.echo(), "slow", &config).unwrap_err();
    assert!(
        no.to_string().contains("plugin slow did not open within"),
        "{no}"
    );
    opener.write_all(b"o").unwrap();
    assert_eq!(letter(&mut closed), b'c');
}

#[test]
fn generations_are_numbered_upwards() {
    let bench = Bench::new();
    let (first, second) = (bench.open("{}"), bench.open("{}"));
    assert!(0 < first.number() && first.number() < second.number());
}

// ---- starting ----

#[test]
fn a_stream_that_does_not_start_says_why_and_costs_nothing() {
    let bench = Bench::new();
    let generation = bench.open("{}");
    let no = |role, info: &str| {
        generation
            .start(role, info)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(no(role::STT, "").contains("plugin test is no transcriber"));
    assert!(no(role::STT << 1, "").contains("no player of any known role"));
    assert!(no(role::TTS | role::RESPONDER, "").contains("no player of any known role"));
    assert_eq!(
        no(role::TTS, "refuse"),
        "plugin test did not start: too many calls"
    );
    assert_eq!(generation.panics(), 0);
    assert_eq!(
        no(role::TTS, "panic"),
        "plugin test panicked while starting: too many calls"
    );
    assert_eq!(generation.panics(), 1);
    for _ in 0..OUTS_MAX {
        no(role::TTS, "refuse");
    }
    assert!(
        generation.start(role::TTS, "").is_ok(),
        "none of these is still held"
    );
}

#[test]
fn a_hanging_plugin_is_given_no_new_stream() {
    let bench = Bench::new();
    let generation = bench.open("{}");
    generation.health().mark_hung();
    let no = generation.start(role::TTS, "").map(drop).unwrap_err();
    assert!(matches!(no, StartError::Hung { .. }), "{no}");
}

#[test]
fn a_plugin_that_never_releases_is_stopped_at_the_bound() {
    let bench = Bench::new();
    let generation = bench.open("{}");
    let mut streams = Vec::new();
    for _ in 0..OUTS_MAX {
        streams.push(generation.start(role::TTS, "leak").unwrap());
    }
    drop(streams);
    let no = generation.start(role::TTS, "").map(drop).unwrap_err();
    assert!(no.to_string().contains("holds 4096 streams"), "{no}");
}

// ---- at work ----

#[test]
fn what_goes_into_the_echo_comes_out_in_place() {
    let bench = Bench::new();
    let mut stream = bench.open("{}").start(role::RESPONDER, "call").unwrap();
    assert!(stream.is_idle());
    for frame in 0..1_000u32 {
        let sound = [frame as u8; 160];
        stream
            .send(kind::AUDIO, 1, 0, u64::from(frame) * 160, &sound)
            .unwrap();
        assert!(!stream.is_idle());
        let record = stream.next().unwrap();
        assert_eq!(
            (record.kind, record.flags, record.turn),
            (kind::AUDIO, 1, 0)
        );
        assert_eq!(record.data, sound);
        stream.take();
        assert!(stream.is_idle());
    }
    stream.send(kind::TEXT, 0, 1, 77, b"").unwrap();
    assert_eq!(said(&mut stream), line("1.0.0 call at 77"));
}

#[test]
fn a_voice_far_ahead_waits_for_room_and_goes_on() {
    let bench = Bench::new();
    let mut stream = bench.open("{}").start(role::TTS, "").unwrap();
    const ALL: usize = 200_000;
    stream
        .send(kind::SPEAK, 0, 3, 0, ALL.to_string().as_bytes())
        .unwrap();
    let mut heard = 0;
    while let Some(record) = stream.next() {
        if record.kind == kind::DONE {
            break;
        }
        let part = record.data.len().min(160);
        assert_eq!(record.data[..part], [3; 160][..part]);
        heard += part;
        stream.take_part(part);
    }
    assert_eq!(heard, ALL);
    stream.take();
    stream.send(kind::DTMF, 0, 0, 0, b"0").unwrap();
    let (_, _, writables) = said(&mut stream).unwrap();
    // 32 records of 1000 bytes fill the ring; every half of it that is heard is one WRITABLE.
    let writables: usize = writables.parse().unwrap();
    assert!((8..=16).contains(&writables), "{writables}");
}

#[test]
fn after_a_barge_in_nothing_of_the_old_turn_is_heard() {
    let bench = Bench::new();
    let mut stream = bench.open("{}").start(role::TTS, "").unwrap();
    stream.send(kind::SPEAK, 0, 4, 0, b"100000").unwrap();
    assert_eq!(stream.next().unwrap().turn, 4);
    stream.cancel(4, 0, &[]);
    let expected = (kind::TEXT, 5, "told; late answer got 2".to_owned());
    assert_eq!(said(&mut stream), Some(expected));
    assert_eq!(said(&mut stream), None);
    stream.send(kind::SPEAK, 0, 5, 0, b"3").unwrap();
    assert_eq!(
        said(&mut stream),
        Some((kind::AUDIO, 5, "\u{5}\u{5}\u{5}".to_owned()))
    );
    assert_eq!(said(&mut stream), Some((kind::DONE, 5, String::new())));
    stream.cancel(0, 0, &[]);
    assert_eq!(
        said(&mut stream),
        None,
        "turn 0 is never cancelled, and nobody is told so"
    );
}

#[test]
fn a_fault_is_told_once_and_ends_the_stream() {
    let bench = Bench::new();
    let generation = bench.open("{}");
    for (digit, fault, panics) in [(b"1", Fault::Panicked, 1), (b"2", Fault::Refused(-1), 1)] {
        let mut stream = generation.start(role::RESPONDER, "").unwrap();
        stream.send(kind::TEXT, 0, 1, 0, b"").unwrap();
        assert_eq!(stream.send(kind::DTMF, 0, 0, 0, digit), Err(fault));
        assert_eq!(generation.panics(), panics);
        assert_eq!(stream.send(kind::TEXT, 0, 1, 0, b""), Err(Fault::Gone));
        stream.cancel(1, 0, &[]);
        assert_eq!(stream.fault(), Some(Fault::Gone));
        assert_eq!(said(&mut stream), None, "half an answer is not shown");
        assert!(stream.is_idle());
    }
    let mut stream = generation.start(role::RESPONDER, "").unwrap();
    stream
        .send(kind::DTMF, 0, 0, 0, b"3")
        .expect("an event it does not know is no fault");
    stream
        .send(0x8000, 0, 0, 0, b"")
        .expect("nor is one nobody knows");
}

#[test]
fn an_out_released_twice_or_late_harms_nobody() {
    let bench = Bench::new();
    let (mut closed, by_plugin) = pipe();
    let generation = bench.open(&format!("{{\"closed\":{}}}", by_plugin.as_raw_fd()));
    drop(generation.start(role::TTS, "double").unwrap());
    drop(generation.start(role::TTS, "leak").unwrap());
    let mut stream = generation.start(role::TTS, "").unwrap();
    stream.send(kind::TEXT, 0, 1, 0, b"").unwrap();
    assert_eq!(said(&mut stream), line("1.0.0  at 0"));
    drop((stream, generation));
    assert_eq!(letter(&mut closed), b'c');
}

// ---- swapping ----

#[test]
fn a_rebuilt_plugin_serves_new_calls_while_old_ones_keep_theirs() {
    let bench = Bench::new();
    let open = |version: &str| {
        // The same path every time, as a developer would have it.
        let path = bench.build("echo", &[&format!("VERSION=\"{version}\"")], "voice");
        Generation::open(bench.load(&path).unwrap(), "voice", "{}").unwrap()
    };
    let mut old = open("swap-1").start(role::TTS, "old").unwrap();
    let mut new = open("swap-2").start(role::TTS, "new").unwrap();
    for (stream, expected) in [(&mut old, "swap-1 old at 0"), (&mut new, "swap-2 new at 0")] {
        stream.send(kind::TEXT, 0, 1, 0, b"").unwrap();
        assert_eq!(said(stream), line(expected));
    }
    assert!(old.generation().number() < new.generation().number());
    assert_eq!(new.generation().library().version(), "swap-2");
    assert!(resident_builds() >= 2);
}

/// Readers on several threads while a writer swaps: a call always finds a plugin that answers.
#[test]
fn swapping_under_load_never_leaves_a_call_without_a_plugin() {
    let bench = Bench::new();
    let library = bench.echo();
    let open = || Generation::open(Arc::clone(&library), "voice", "{}").unwrap();
    let current = Arc::new(ArcSwap::new(open()));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let (current, done) = (Arc::clone(&current), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut calls = 0;
                while !done.load(Ordering::Relaxed) || calls == 0 {
                    let mut stream = current.load_full().start(role::TTS, "x").unwrap();
                    stream.send(kind::TEXT, 0, 1, 0, b"").unwrap();
                    assert_eq!(said(&mut stream), line("1.0.0 x at 0"));
                    calls += 1;
                }
            })
        })
        .collect();
    for _ in 0..50 {
        current.store(open());
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().unwrap();
    }
}
