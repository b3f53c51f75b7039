//! Both modes through the table. The caller is drawn: one letter per 20 ms frame, `.` for silence; each letter becomes
//! a frame of 160 such bytes, and what comes back is drawn the same way.

#![allow(clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;

use host::{HEAD_BYTES, Opened, Record, Stream, describe, open, sound};
use responder_echo::plugin_table;
use voice_plugin::abi::{kind, level, role, status};

const FRAME: usize = 160;

fn opened(mode: &str) -> Opened {
    open(plugin_table(), &format!(r#"{{"mode":"{mode}"}}"#)).unwrap()
}

fn parrot(plugin: &Opened) -> Stream<'_> {
    plugin.start(role::RESPONDER, "{}").unwrap()
}

/// Plays a drawing: `[` speech starts, `]` it pauses, `!` the turn is over, anything else is a frame.
fn play(stream: &Stream<'_>, turn: u32, drawing: &str) {
    for what in drawing.bytes() {
        let answer = match what {
            b'[' => stream.tell(kind::SPEECH_START, turn, b""),
            b']' => stream.tell(kind::SPEECH_END, turn, b""),
            b'!' => stream.turn_over(turn),
            frame => stream.tell(kind::AUDIO, turn, &[frame; FRAME]),
        };
        assert_eq!(answer, status::OK);
    }
}

/// The sound as a drawing, and what ended it.
fn drawn(records: &[Record]) -> String {
    let sound = sound(records);
    assert_eq!(sound.len() % FRAME, 0);
    let frames = sound.chunks(FRAME).map(|frame| {
        assert!(
            frame.iter().all(|byte| *byte == frame[0]),
            "a frame came back in pieces"
        );
        char::from(frame[0])
    });
    let mut drawing: String = frames.collect();
    for end in records.iter().filter(|record| record.kind != kind::AUDIO) {
        drawing.push_str(if end.kind == kind::DONE {
            "|"
        } else {
            end.text()
        });
    }
    drawing
}

#[test]
fn turn_comes_back_with_its_lead_and_without_the_silence_behind_it() {
    let plugin = opened("parrot");
    // 300 ms of lead are 15 frames, 200 ms of tail are 10.
    let table = [
        ("....................ab[cd]!", ".............abcd"),
        ("..ab[cd]!", "..abcd"),
        ("[cd]...............!", "cd.........."),
    ];
    for (caller, back) in table {
        let stream = parrot(&plugin);
        play(&stream, 1, caller);
        assert_eq!(drawn(&stream.take()), format!("{back}|"), "{caller}");
    }
}

#[test]
fn silence_is_kept_within_the_turn_and_cut_behind_it() {
    let plugin = opened("parrot");
    let table = [
        // Detection lags: the pause is told three frames late, and ten more are kept.
        ("[abc...]....................!", "abc............."),
        // A pause within the turn stays as it was.
        (
            "[abc...]............[def...]....................!",
            "abc...............def.............",
        ),
        // Over without a pause before it: the end of the turn is the pause.
        ("[abc!", "abc"),
        // A pause told twice counts from the first time.
        ("[abc]....................]!", "abc.........."),
    ];
    for (caller, back) in table {
        let stream = parrot(&plugin);
        play(&stream, 1, caller);
        assert_eq!(drawn(&stream.take()), format!("{back}|"), "{caller}");
    }
}

#[test]
fn turn_carries_its_number_and_nothing_of_the_one_before() {
    let plugin = opened("parrot");
    let stream = parrot(&plugin);
    play(&stream, 1, "[abc]!");
    assert_eq!(drawn(&stream.take()), "abc|");
    play(&stream, 2, "..x[yz]............!");
    let records = stream.take();
    assert_eq!(drawn(&records), "..xyz..........|");
    assert!(records.iter().all(|record| record.turn == 2));
    // He went on just before his turn was called over, and too late for the detector: two frames of silence and `a`
    // were not in the last answer, so they are in this one.
    play(&stream, 3, "a[b]............c!");
    assert_eq!(drawn(&stream.take()), "..ab..........|");
    play(&stream, 4, "d[e]!");
    assert_eq!(drawn(&stream.take()), "..cde|");
}

#[test]
fn turn_without_speech_is_done_at_once() {
    let plugin = opened("parrot");
    let stream = parrot(&plugin);
    play(&stream, 1, ".....!");
    assert_eq!(drawn(&stream.take()), "|");
}

#[test]
fn key_is_answered_with_nothing() {
    let plugin = opened("parrot");
    let stream = parrot(&plugin);
    stream.tell(kind::DTMF, 1, b"5");
    assert_eq!(stream.take(), []);
    play(&stream, 1, "[ab");
    stream.tell(kind::DTMF, 1, b"#");
    play(&stream, 1, "c]!");
    assert_eq!(drawn(&stream.take()), "abc|");
}

#[test]
fn longer_than_the_ring_goes_on_where_it_stopped() {
    let plugin = opened("parrot");
    let stream = plugin.start_with(role::RESPONDER, "{}", 4096).unwrap();
    let long: String = ('a'..='z').cycle().take(200).collect();
    play(&stream, 1, &format!("[{long}]!"));
    let mut records = stream.take();
    assert!(
        sound(&records).len() <= 4096,
        "the first ring holds no more"
    );
    loop {
        let more = stream.take();
        if more.is_empty() {
            break;
        }
        records.extend(more);
    }
    assert_eq!(drawn(&records), format!("{long}|"));
}

#[test]
fn cancel_stops_the_answer() {
    let plugin = opened("parrot");
    for told in [true, false] {
        let stream = plugin.start_with(role::RESPONDER, "{}", 4096).unwrap();
        play(&stream, 3, &format!("[{}]!", "a".repeat(200)));
        if told {
            stream.cancel(3);
        } else {
            // Only the ring knows: it is learned at the next record.
            stream.give_up(3);
            stream.tell(kind::WRITABLE, 0, b"");
        }
        assert_eq!(stream.take(), []);
        assert_eq!(stream.take(), []);
        play(&stream, 4, "[b]!");
        assert_eq!(drawn(&stream.take()), "b|");
    }
}

#[test]
fn cancel_of_an_earlier_turn_stops_nothing() {
    let plugin = opened("parrot");
    let stream = plugin.start_with(role::RESPONDER, "{}", 4096).unwrap();
    play(&stream, 3, &format!("[{}]!", "a".repeat(40)));
    stream.tell(kind::CANCEL, 2, b"");
    let records = [stream.take(), stream.take(), stream.take()].concat();
    assert_eq!(drawn(&records), format!("{}|", "a".repeat(40)));
}

#[test]
fn caller_who_interrupts_is_heard_from_his_first_syllable() {
    let plugin = opened("parrot");
    let stream = plugin.start_with(role::RESPONDER, "{}", 4096).unwrap();
    play(&stream, 1, &format!("[{}]!", "a".repeat(200)));
    // The answer is still on its way when he begins, and the detector needs four frames.
    play(&stream, 2, "bcde[f");
    stream.cancel(1);
    play(&stream, 2, "gh]!");
    assert_eq!(drawn(&stream.take()), "bcdefgh|");
}

#[test]
fn who_had_not_finished_is_said_back_from_the_beginning() {
    let plugin = opened("parrot");
    let stream = parrot(&plugin);
    play(&stream, 1, "[ab]..!");
    stream.withdraw(1);
    play(&stream, 2, ".[cd]!");
    stream.withdraw(2);
    play(&stream, 3, "[ef]!");
    assert_eq!(drawn(&stream.take()), "ab...cdef|");
    stream.withdraw(2);
    play(&stream, 4, "[gh]!");
    assert_eq!(drawn(&stream.take()), "gh|", "that is long past");
    play(&stream, 5, "[k]");
    stream.withdraw(5);
    play(&stream, 6, "..................[ij]!");
    assert_eq!(drawn(&stream.take()), "...............ij|", "a cough");
}

#[test]
fn half_a_minute_is_kept_and_the_rest_is_said_to_be_lost() {
    let plugin = opened("parrot");
    let stream = plugin.start_with(role::RESPONDER, "{}", 400_000).unwrap();
    let frames = 30_000 / 20;
    play(
        &stream,
        7,
        &format!("[{}{}]!", "a".repeat(frames), "b".repeat(100)),
    );
    assert_eq!(drawn(&stream.take()), format!("{}|", "a".repeat(frames)));
    let lines: Vec<_> = plugin
        .log()
        .into_iter()
        .filter(|line| line.text.contains("30 s"))
        .collect();
    assert_eq!(lines.len(), 1, "once in a turn: {lines:?}");
    assert_eq!(
        (lines[0].level, lines[0].fields.as_str()),
        (level::WARN, r#"{"turn":7}"#)
    );
    // The next turn has all its room again.
    play(&stream, 8, "[c]!");
    assert_eq!(drawn(&stream.take()), "c|");
}

#[test]
fn odd_pieces_of_sound_are_kept_whole() {
    // Seeded, because lead and turn are rings and edges: whatever the cut, nothing may be lost or doubled.
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    let plugin = opened("parrot");
    let mut random = seed;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for round in 0..100 {
        let stream = parrot(&plugin);
        let mut said = Vec::new();
        for piece in 0..next(40) {
            let bytes = vec![piece as u8; next(700) as usize];
            stream.tell(kind::AUDIO, 1, &bytes);
            said.extend(bytes);
        }
        said.drain(..said.len().saturating_sub(300 * 8));
        stream.tell(kind::SPEECH_START, 1, b"");
        for piece in 0..next(20) {
            let bytes = vec![100 + piece as u8; next(700) as usize];
            stream.tell(kind::AUDIO, 1, &bytes);
            said.extend(bytes);
        }
        stream.turn_over(1);
        assert_eq!(sound(&stream.take()), said, "seed {seed:#x}, round {round}");
    }
}

#[test]
fn live_frames_come_straight_back_and_turns_are_its_own() {
    let plugin = opened("live");
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    let started = stream.take();
    assert_eq!(
        (started[0].kind, started[0].text()),
        (kind::ACTION, r#"{"do":"own_turns"}"#)
    );
    for frame in b"abcdef" {
        stream.tell(kind::AUDIO, 5, &[*frame; FRAME]);
        let back = stream.take();
        assert_eq!(
            (back.len(), back[0].turn, sound(&back)),
            (1, 5, vec![*frame; FRAME])
        );
    }
    play(&stream, 5, "[]!");
    assert_eq!(stream.take(), [], "turns are not its business");
}

#[test]
fn live_frames_without_room_are_lost_and_counted() {
    let plugin = opened("live");
    let stream = plugin.start_with(role::RESPONDER, "{}", 1024).unwrap();
    stream.take();
    play(&stream, 1, "abcde");
    assert_eq!(stream.used(), 2 * (FRAME + HEAD_BYTES));
    assert_eq!(drawn(&stream.take()), "ab");
    play(&stream, 1, "f");
    assert_eq!(drawn(&stream.take()), "f");
    let watch = stream.stop();
    let line = plugin.wait_for_line("frames were lost");
    assert_eq!(
        (line.level, line.fields.as_str()),
        (level::WARN, r#"{"frames":3}"#)
    );
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn parrot_is_the_default_and_takes_no_turns_of_its_own() {
    let plugin = open(plugin_table(), "{}").unwrap();
    let stream = parrot(&plugin);
    assert_eq!(stream.take(), []);
    play(&stream, 1, "[a]!");
    assert_eq!(drawn(&stream.take()), "a|");
}

#[test]
fn wrong_configuration_is_refused_by_name() {
    let cases = [
        (r#"{"mod":"live"}"#, "unknown field `mod`, expected `mode`"),
        (
            r#"{"mode":"lief"}"#,
            "unknown variant `lief`, expected `live` or `parrot`",
        ),
    ];
    for (config, why) in cases {
        let Err(refused) = open(plugin_table(), config) else {
            panic!("opened with {config}")
        };
        assert_eq!(
            refused.text,
            format!("the configuration of the plugin does not fit: {why}")
        );
    }
}

#[test]
fn description_names_the_modes() {
    let json: serde_json::Value = serde_json::from_str(&describe(plugin_table())).unwrap();
    assert_eq!(
        json["responder"],
        serde_json::json!({"hears_audio": true, "turns": "host"})
    );
    let schema = json["schema"].to_string();
    assert!(
        schema.contains(r#""live""#) && schema.contains(r#""parrot""#),
        "{schema}"
    );
    assert_eq!(json["schema"]["additionalProperties"], false);
}
