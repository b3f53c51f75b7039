//! A voice that stays silent, fails or is late, with no other behind it; `voice_line` is about a line of them.

use super::agents::{WHOLE, agent, listener};
use super::chart::{chart, heard, notes};
use super::world::Manner;
use crate::call::input::Why;
use crate::call::output::Note;
use crate::call::settings::Settings;

#[test]
fn an_utterance_without_sound_is_skipped() {
    let silent = |utterance| {
        if utterance == 1 {
            Manner::Silent { after_ms: 100 }
        } else {
            WHOLE
        }
    };
    chart(listener()).voice(silent).shows("tf-+h").plays(
        "
        caller  ssss......................
        reply   ........ttd...............
        bot     ..........22222222........
        log             tf        +
        log              -
        log              t
        ",
    );
}

#[test]
fn a_voice_that_fails_twice_in_a_row_ends_the_call() {
    let world = chart(agent())
        .voice(|_| Manner::Silent { after_ms: 100 })
        .shows("tfnhd")
        .plays(
            "
        caller  ..............
        bot     ..............
        log     tff
        log      th
        log       d
        ",
        );
    assert_eq!(world.done, Some(Why::Failed));
}

#[test]
fn who_hears_nothing_of_an_answer_hears_an_apology() {
    let first = |utterance| {
        if utterance == 1 {
            Manner::Silent { after_ms: 100 }
        } else {
            WHOLE
        }
    };
    chart(listener()).voice(first).shows("tf").plays(
        "
        caller  ssss..................
        reply   ........td............
        bot     ..........22222.......
        log             tf
        log              t
        ",
    );
}

#[test]
fn a_voice_that_fails_now_and_then_does_not_end_the_call() {
    let moody = |utterance| {
        if utterance % 2 == 1 {
            Manner::Silent { after_ms: 100 }
        } else {
            WHOLE
        }
    };
    let world = chart(listener()).voice(moody).shows("tfh").plays(
        "
        caller  ssss.................................
        reply   ........ttttd........................
        bot     ..........2222222244444444...........
        log             tftf                        t
        log              t t
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn a_voice_is_not_late_while_the_line_has_enough_to_play() {
    let greeting = Settings {
        greeting: Some("0123456789".repeat(3)),
        ..agent()
    };
    // The line has all of the first 2 s at 1800 ms, and 1000 ms are allowed from then on.
    let halting = |_| Manner::Speaks {
        after_ms: 100,
        piece_ms: 2000,
        every_ms: 2500,
    };
    chart(greeting).voice(halting).shows("tf").plays(
        "
        caller  .......................................
        bot     .11111111111111111111.....1111111111...
        log     t
        ",
    );
}

#[test]
fn a_voice_that_failed_twice_is_not_asked_again() {
    chart(listener())
        .voice(|_| Manner::Silent { after_ms: 100 })
        .shows("tfh")
        .plays(
            "
        caller  ssss...........
        reply   ........ttttd..
        bot     ...............
        log             tff
        log              th
        ",
        );
}

#[test]
fn a_voice_that_stops_in_the_middle_is_not_waited_for_for_ever() {
    let hangs = |_| Manner::Hangs { given_ms: 300 };
    let world = chart(agent()).voice(hangs).shows("tfk-").plays(
        "
        caller  ..............
        bot     .111..........
        log     t            f
        log                  k
        log                  -
        ",
    );
    assert_eq!(heard(&world), [(1, 300, false)]);
}

#[test]
fn a_voice_that_forgets_its_end_is_not_waited_for_as_one_that_is_slow() {
    let settings = Settings {
        reply_deadline_ms: 10_000,
        voice_deadline_ms: 500,
        ..listener()
    };
    let forgets = |utterance| {
        if utterance == 1 {
            Manner::Hangs { given_ms: 800 }
        } else {
            WHOLE
        }
    };
    let world = chart(settings).voice(forgets).shows("tfk+-").plays(
        "
        caller  ssss..........................
        reply   ........ttd...................
        bot     .........11111111.....22222222
        log             t            f
        log                          k
        log                          t
        log                          -
        ",
    );
    let said = notes(&world).find_map(|note| match note {
        Note::Failed { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(
        said,
        Some(
            "timeout: it gave 800 ms of sound, then nothing for 500 ms and no DONE; going on without it"
        )
    );
    // What was played counts as heard, all of it.
    let told = notes(&world).find_map(|note| match note {
        Note::Heard {
            text, heard_bytes, ..
        } => Some((text.len(), *heard_bytes)),
        _ => None,
    });
    assert_eq!(told, Some((8, 8)));
}
