//! A line of voices: the agent's own, and those that take over from it.

use super::agents::{WHOLE, listener};
use super::chart::{chart, heard, notes};
use super::world::{Event, Manner, World};
use crate::call::input::Why;
use crate::call::output::{Note, Output};
use crate::call::settings::Settings;

/// Refuses after 100 ms.
const REFUSES: Manner = Manner::Fails {
    after_ms: 100,
    given_ms: 0,
};

/// Never makes a sound.
const SILENT: Manner = Manner::Hangs { given_ms: 0 };

fn always(manner: Manner) -> Box<dyn FnMut(u32) -> Manner> {
    Box::new(move |_| manner)
}

/// The agent with a line of voices, patient with a silent one for half a second.
fn lined() -> Settings {
    Settings {
        voice_deadline_ms: 500,
        voice_rest_ms: 2000,
        ..listener()
    }
}

/// The voices asked for, in order, by their places in the line.
fn places(world: &World) -> Vec<u32> {
    let voices = world.log.iter().filter_map(|(_, output)| match output {
        Output::Speak { voice, .. } => Some(*voice),
        _ => None,
    });
    voices.collect()
}

#[test]
fn a_voice_that_refuses_is_replaced_in_the_same_turn_with_the_same_words() {
    let world = chart(lined())
        .voices([always(REFUSES), always(WHOLE)])
        .shows("rtvk+f")
        .plays(
            "
        caller  ssss..................
        reply   ........td............
        bot     ..........22222222....
        log            rtv        +
        log              k
        log              t
        ",
        );
    let replaced = notes(&world).find(|note| matches!(note, Note::VoiceReplaced { .. }));
    assert_eq!(
        replaced,
        Some(&Note::VoiceReplaced {
            utterance: 1,
            turn: 1,
            voice: 0,
            after_ms: 100,
            again: true,
            reason: "it lost its voice".into(),
        })
    );
    let texts = world.log.iter().filter_map(|(_, output)| match output {
        Output::Speak { text, .. } => Some(text.as_ref()),
        _ => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["abcdefgh"; 2]);
    assert_eq!(heard(&world), [(2, 800, true)]);
}

#[test]
fn a_silent_voice_is_replaced_when_its_deadline_has_passed() {
    chart(lined())
        .voices([always(SILENT), always(WHOLE)])
        .shows("tvk+")
        .plays(
            "
        caller  ssss.......................
        reply   ........td.................
        bot     ..............22222222.....
        log             t    v        +
        log                  k
        log                  t
        ",
        );
}

#[test]
fn a_voice_without_a_fallback_has_the_patience_of_old() {
    chart(lined()).voice(|_| SILENT).shows("tvkf").plays(
        "
        caller  ssss................
        reply   ........td..........
        bot     ....................
        log             t         f
        log                       k
        log                       t
        ",
    );
}

#[test]
fn a_voice_that_finishes_without_sound_is_replaced_and_what_it_babbles_later_is_not_heard() {
    let babbles = Manner::Babbles { after_ms: 100 };
    let world = chart(lined())
        .voices([always(babbles), always(WHOLE)])
        .shows("tv+f")
        .plays(
            "
        caller  ssss...................
        reply   ........td.............
        bot     ..........22222222.....
        log             tv        +
        log              t
        ",
        );
    assert_eq!(heard(&world), [(2, 800, true)]);
}

#[test]
fn the_line_is_asked_down_to_its_end() {
    let world = chart(lined())
        .voices([
            always(REFUSES),
            always(SILENT),
            always(REFUSES),
            always(WHOLE),
        ])
        .shows("tv+h")
        .plays(
            "
        caller  ssss...........................
        reply   ........td.....................
        bot     ................44444444.......
        log             tv    vv        +
        log              t    tt
        ",
        );
    assert_eq!(places(&world), [0, 1, 2, 3]);
}

#[test]
fn a_line_that_fails_to_its_end_is_a_voice_that_failed() {
    let world = chart(lined())
        .voices([always(REFUSES), always(REFUSES)])
        .shows("tvf-h")
        .plays(
            "
        caller  ssss...............
        reply   ........ttd........
        bot     ...................
        log             tvfvf
        log              t-t-
        log               t h
        ",
        );
    assert_eq!(places(&world), [0, 1, 0, 1]);
    assert_eq!(world.done, Some(Why::Failed));
}

#[test]
fn what_was_heard_of_a_broken_utterance_stays_and_the_rest_is_not_said_twice() {
    let breaks = Manner::Fails {
        after_ms: 100,
        given_ms: 300,
    };
    let world = chart(lined())
        .voices([always(breaks), always(WHOLE)])
        .shows("tv-+")
        .plays(
            "
        caller  ssss...................
        reply   ........ttd............
        bot     .........11122222222...
        log             tv  -       +
        log              t
        ",
        );
    assert_eq!(heard(&world), [(1, 300, false), (2, 800, true)]);
    assert_eq!(places(&world), [0, 1]);
}

#[test]
fn a_voice_that_falls_silent_in_the_middle_is_replaced_from_the_next_utterance_on() {
    let stalls = Manner::Hangs { given_ms: 300 };
    chart(lined())
        .voices([always(stalls), always(WHOLE)])
        .shows("tv-+")
        .plays(
            "
        caller  ssss........................
        reply   ........ttd.................
        bot     .........111.....22222222...
        log             t       v        +
        log                     t
        log                     -
        ",
        );
}

#[test]
fn a_call_stays_with_the_fallback_and_asks_its_own_voice_again_when_it_has_rested() {
    let once = Box::new(|utterance| if utterance == 1 { REFUSES } else { WHOLE });
    let world = chart(lined())
        .voices([once, always(WHOLE)])
        .shows("tv")
        .plays(
            "
        caller  ssss.....................................
        reply   ........t......t......t.......td.........
        bot     ..........2222222233333333444444445555555
        log             tv     t      t       t
        log              t
        ",
        );
    // It failed at 900 ms and rests for two seconds.
    assert_eq!(places(&world), [0, 1, 1, 1, 0]);
}

#[test]
fn another_line_is_begun_at_its_head() {
    let mut talk = chart(lined())
        .voices([
            Box::new(|utterance| if utterance == 1 { REFUSES } else { WHOLE }),
            always(WHOLE),
        ])
        .shows("tv");
    talk.world.later(1200, Event::Line(2));
    let world = talk.plays(
        "
        caller  ssss..........................
        reply   ........t......t.t.d..........
        bot     ..........22222222333333334444
        log             tv     t t
        log              t
        ",
    );
    // The core names the fallback, the leg says that the head was asked; from then on the core agrees.
    assert_eq!(places(&world), [0, 1, 1, 0]);
}

#[test]
fn caller_can_interrupt_the_wait_for_a_fallback() {
    let world = chart(lined())
        .voices([always(SILENT), always(WHOLE)])
        .shows("tvkc-r")
        .plays(
            "
        caller  ssss......ssss.........
        reply   ........td.............
        bot     .......................
        log            rt k      r
        log               c
        log               -
        ",
        );
    assert_eq!(heard(&world), [(1, 0, false)]);
}
