//! How a call ends: the responder or the caller hangs up, nobody speaks, or it has lasted too long.

use super::agents::{agent, listener};
use super::chart::{chart, heard};
use crate::call::input::Why;
use crate::call::settings::Settings;

#[test]
fn a_hang_up_waits_until_everything_has_been_heard() {
    let world = chart(listener()).shows("twhd").plays(
        "
        caller  ssss......................
        reply   ........th................
        bot     .........11111111.........
        log             t        w
        log                      h
        log                      d
        ",
    );
    assert_eq!(world.done, Some(Why::ResponderHungUp));
}

#[test]
fn caller_can_prevent_a_hang_up_by_speaking() {
    let world = chart(listener()).shows("xhdr").plays(
        "
        caller  ssss.........sssss.........
        reply   ........th.................
        bot     .........111111............
        log            r      x      r
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn a_silent_caller_is_asked_then_bidden_goodbye() {
    let world = chart(listener()).shows("nthd").plays(
        "
        caller  ..................................
        bot     ...........11111...........222....
        log               n               n   h
        log               t               t   d
        ",
    );
    assert_eq!(world.done, Some(Why::NoInput));
}

#[test]
fn a_caller_who_spoke_is_asked_again_before_goodbye() {
    chart(listener()).shows("ntr").plays(
        "
        caller  ..................sssss......................
        reply   ............................d................
        bot     ...........11111.......................22222.
        log               n               r           n
        log               t                           t
        ",
    );
}

#[test]
fn a_key_is_an_answer_too() {
    chart(listener()).shows("n#").plays(
        "
        caller  ........5...............
        bot     ...................11111
        log             #         n
        ",
    );
}

#[test]
fn a_call_that_lasts_too_long_is_ended_with_a_goodbye() {
    let world = chart(Settings {
        max_call_secs: 1,
        ..agent()
    })
    .shows("txwhd")
    .plays(
        "
        caller  .....................
        bot     .111111111.222.......
        log     t         x   w
        log               t   h
        log                   d
        ",
    );
    assert_eq!(world.done, Some(Why::TooLong));
}

#[test]
fn a_goodbye_that_takes_too_long_is_cut() {
    let settings = Settings {
        goodbye_text: Some("a long goodbye".into()),
        max_call_secs: 1,
        ..agent()
    };
    let world = chart(settings).shows("txwh-").plays(
        "
        caller  .....................
        bot     .111111111.2222......
        log     t         x    -
        log               -    h
        log               t
        ",
    );
    assert_eq!(world.done, Some(Why::TooLong));
}

#[test]
fn nobody_can_stop_a_call_from_ending_that_lasted_too_long() {
    let hurried = Settings {
        max_call_secs: 1,
        no_input_ms: 500,
        no_input_limit: 0,
        goodbye_text: Some("a long goodbye".into()),
        ..listener()
    };
    // The goodbye for silence could be stopped; from the first second on it cannot.
    let world = chart(hurried).shows("ntxh").plays(
        "
        caller  ...........sssss....
        bot     ......111111111.....
        log          n         h
        log          t
        ",
    );
    assert_eq!(world.done, Some(Why::NoInput));
}

#[test]
fn a_goodbye_is_said_even_if_the_caller_begins_to_speak_before_it() {
    let short = Settings {
        max_call_secs: 1,
        no_input_ms: 0,
        ..listener()
    };
    chart(short).shows("stxwh").plays(
        "
        caller  ..........ssss.......
        bot     ...........111.......
        log               t   w
        log                   h
        ",
    );
}

#[test]
fn what_was_cut_by_a_hang_up_is_told() {
    let world = chart(agent()).shows("t-.dh").plays(
        "
        caller  .....X....
        bot     .1111.....
        log     t    -
        log          .
        log          d
        ",
    );
    assert_eq!(world.done, Some(Why::CallerHungUp));
    assert_eq!(heard(&world), [(1, 400, false)]);
}
