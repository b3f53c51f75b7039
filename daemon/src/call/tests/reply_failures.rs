//! A responder that stays silent, fails or says nothing, with nobody behind it; `responders` is about a line of them.

use super::agents::listener;
use super::chart::chart;
use crate::call::input::Why;
use crate::call::machine::Floor;

#[test]
fn a_responder_that_does_not_answer_is_apologised_for() {
    chart(listener()).shows("rcft").plays(
        "
        caller  ssss......................
        reply   ..........................
        bot     ...................11111..
        log            r         c
        log                      f
        log                      t
        ",
    );
}

#[test]
fn a_responder_that_fails_twice_in_a_row_ends_the_call() {
    let world = chart(listener()).shows("rftwhd").plays(
        "
        caller  ssss.............ssss.............
        reply   ........f................f........
        bot     .........11111............22222...
        log            rf     w         rf     w
        log             t                t     h
        log                                    d
        ",
    );
    assert_eq!(world.done, Some(Why::Failed));
}

#[test]
fn an_empty_text_is_an_error_and_not_silence() {
    chart(listener()).shows("rft").plays(
        "
        caller  ssss..............
        reply   ........ed........
        bot     ..........11111...
        log            rft
        ",
    );
}

#[test]
fn an_empty_text_among_others_is_passed_over() {
    chart(listener()).shows("rftw").plays(
        "
        caller  ssss..............
        reply   ........etd.......
        bot     ..........11111111
        log            rft
        ",
    );
}

#[test]
fn a_responder_that_fails_now_and_then_does_not_end_the_call() {
    let world = chart(listener()).shows("rfth").plays(
        "
        caller  ssss..............ssss................ssss............
        reply   ........f.................td..................f.......
        bot     .........11111.............22222222............33333..
        log            rf                rt                  rf
        log             t                                     t
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn a_responder_may_choose_to_say_nothing_but_the_log_wonders() {
    let world = chart(listener()).shows("rft").plays(
        "
        caller  ssss..............
        reply   ........d.........
        bot     ..................
        log            rf
        ",
    );
    assert_eq!(world.call.floor(), Floor::Listening);
}

#[test]
fn an_answered_caller_is_not_bothered_because_a_reply_has_no_end() {
    chart(listener()).shows("rftwc").plays(
        "
        caller  ssss.............................
        reply   ........t........................
        bot     .........11111111................
        log            rt        w         c
        log                                f
        ",
    );
}
