//! The agent's sound on its way to the caller's ear: by lead, with gaps, and with marks that get lost.

use super::agents::agent;
use super::chart::{chart, heard};
use super::world::{Fate, Manner};

#[test]
fn a_voice_slower_than_speech_is_heard_with_gaps_and_the_gaps_are_counted() {
    let drips = |_| Manner::Speaks {
        after_ms: 100,
        piece_ms: 100,
        every_ms: 200,
    };
    let world = chart(agent()).voice(drips).shows("t+").plays(
        "
        caller  .........................
        bot     .1.1.1.1.1.1.1.1.1.1.....
        log     t                    +
        ",
    );
    assert_eq!(world.call.underruns(), 9);
}

#[test]
fn a_voice_as_fast_as_speech_leaves_no_gap() {
    let streams = |_| Manner::Speaks {
        after_ms: 60,
        piece_ms: 20,
        every_ms: 20,
    };
    let world = chart(agent()).voice(streams).shows("t+").plays(
        "
        caller  ..............
        bot     .1111111111...
        log     t         +
        ",
    );
    assert_eq!(world.call.underruns(), 0);
}

#[test]
fn sound_goes_out_by_lead() {
    chart(agent()).shows(">m").plays(
        "
        caller  ..............
        bot     .1111111111...
        log      >>>>>>>>
        log      >      m
        log      >
        log      >
        ",
    );
}

#[test]
fn a_lost_mark_does_not_stop_the_call() {
    chart(agent()).marks(Fate::Lost).shows("w").plays(
        "
        caller  ...................
        bot     .1111111111........
        log                     w
        ",
    );
}

#[test]
fn a_mark_that_comes_twice_counts_once() {
    let world = chart(agent())
        .marks(Fate::Twice {
            after_ms: 0,
            again_ms: 100,
        })
        .shows("w")
        .plays(
            "
        caller  ..............
        bot     .1111111111...
        log                w
        ",
        );
    assert_eq!(heard(&world).len(), 1);
}
