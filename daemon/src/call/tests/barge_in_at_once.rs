//! The caller speaks while the agent does, and takes the floor for certain as soon as he has it; `barge_in` is about
//! an agent who at first only stops.

use super::agents::{agent, listener};
use super::chart::{chart, heard};
use crate::call::settings::Settings;

#[test]
fn caller_can_interrupt_greeting() {
    let world = chart(agent()).plays(
        "
        caller  .....ssss..................
        bot     .111111........22222222....
        log     t     x     rt
        ",
    );
    assert_eq!(heard(&world), [(1, 590, false), (2, 800, true)]);
}

#[test]
fn barge_in_clears_even_when_everything_was_sent() {
    let short = Settings {
        greeting: Some("ab".into()),
        ..agent()
    };
    let world = chart(Settings {
        barge_in_ms: 100,
        ..short
    })
    .shows(">mxb")
    .plays(
        "
        caller  .sss..
        bot     .1....
        log      >
        log      >
        log      >
        log      m
        log      x
        log      b
        ",
    );
    assert_eq!(heard(&world), [(1, 90, false)]);
}

#[test]
fn a_cough_does_not_stop_the_agent() {
    let world = chart(agent()).shows("sxrt").plays(
        "
        caller  ...s...............
        bot     .1111111111........
        log     t
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
}

#[test]
fn caller_who_still_speaks_when_the_agent_ends_has_the_turn() {
    chart(agent()).shows("sxrtw").plays(
        "
        caller  ..........ss........
        bot     .1111111111.......22
        log     t          w   rt
        log                s
        ",
    );
}

#[test]
fn without_barge_in_the_agent_finishes_and_what_was_said_over_him_is_lost() {
    chart(Settings {
        barge_in: false,
        ..agent()
    })
    .shows("sxrt")
    .plays(
        "
        caller  ..sssss.............
        bot     .1111111111.........
        log     t
        ",
    );
}

#[test]
fn nothing_of_an_interrupted_reply_is_said_later() {
    let world = chart(listener()).shows("rtxkcb-+").plays(
        "
        caller  ssss..........ssss..............
        reply   .........ttt.t.d.t........td....
        bot     ..........111111...........55555
        log            r ttt t x     r    t
        log                    k
        log                    c
        log                    -
        log                    -
        log                    -
        log                    -
        log                    b
        ",
    );
    assert_eq!(heard(&world)[..1], [(1, 590, false)]);
}
