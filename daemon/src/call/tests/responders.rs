//! An answer that keeps the caller waiting, and the line of those who could give it.

use super::chart::{Chart, chart, notes};
use super::world::{Does, World};
use crate::call::output::Note;
use crate::call::settings::Settings;

/// An agent with a line of two responders.
fn agent() -> Settings {
    Settings {
        apology_text: Some("sorry".into()),
        one_moment_ms: 0,
        responder_deadline_ms: 500,
        reply_deadline_ms: 2000,
        no_input_ms: 0,
        ..Settings::default()
    }
}

fn line(settings: Settings, answers: impl Fn(u32) -> Vec<(u64, Does)> + 'static) -> Chart {
    let mut chart = chart(settings).shows("rcVtf");
    chart.world.responders = 2;
    chart.world.responder = Box::new(answers);
    chart
}

fn says(after_ms: u64) -> Vec<(u64, Does)> {
    vec![
        (after_ms, Does::Says("abcdefgh".into())),
        (after_ms, Does::Finishes),
    ]
}

/// What is silent in the first turns, and answers in the others.
fn silent_until(first: u32) -> impl Fn(u32) -> Vec<(u64, Does)> {
    move |turn| if turn < first { Vec::new() } else { says(100) }
}

#[test]
fn a_responder_that_stays_silent_is_replaced_in_time() {
    let world = line(agent(), silent_until(2)).plays(
        "
        caller  ssss.......................
        bot     ...............11111111....
        log            r    ct
        log                 V
        log                 r
        ",
    );
    let places: Vec<u32> = world.prompts.iter().map(|(_, place)| *place).collect();
    assert_eq!(places, [0, 1]);
    let replaced = notes(&world).find(|note| matches!(note, Note::ResponderReplaced { .. }));
    assert_eq!(
        replaced,
        Some(&Note::ResponderReplaced {
            turn: 1,
            responder: 0,
            after_ms: 500,
            reason: "timeout: it gave no answer within 500 ms".into(),
        })
    );
    // The caller waited from the end of his turn.
    assert!(notes(&world).any(|note| *note
        == Note::Answered {
            turn: 2,
            after_ms: 700
        }));
}

fn places(world: &World) -> Vec<u32> {
    world.prompts.iter().map(|(_, place)| *place).collect()
}

#[test]
fn a_responder_that_failed_is_replaced_at_once_and_rests() {
    let fails = |turn| match turn {
        1 => vec![(0, Does::Fails)],
        _ => says(100),
    };
    let world = line(
        Settings {
            voice_rest_ms: 3500,
            ..agent()
        },
        fails,
    )
    .plays(
        "
        caller  ssss..............ssss..................ssss.........
        bot     ..........11111111..........22222222..............333
        log            rt                rt                    rt
        log            c
        log            V
        log            r
        ",
    );
    // The first turn, the same again, one while it rests, one after that.
    assert_eq!(places(&world), [0, 1, 1, 0]);
}

#[test]
fn when_the_last_one_fails_the_caller_is_told_and_the_next_turn_begins_with_the_first() {
    let fails = |turn| match turn {
        1 => vec![(0, Does::Fails)],
        2 => vec![(100, Does::Fails)],
        _ => says(100),
    };
    let world = line(agent(), fails).plays(
        "
        caller  ssss..............ssss...............
        bot     ..........11111.............22222222.
        log            rf                rt
        log            ct
        log            V
        log            r
        ",
    );
    assert_eq!(places(&world), [0, 1, 0]);
}

#[test]
fn an_empty_answer_is_one_that_failed() {
    let empty = |turn| match turn {
        1 => vec![(0, Does::Says(" ".into())), (100, Does::Finishes)],
        _ => says(100),
    };
    line(agent(), empty).plays(
        "
        caller  ssss...................
        bot     ...........11111111....
        log            rct
        log            fV
        log             r
        ",
    );
}

#[test]
fn who_has_begun_to_answer_is_not_replaced() {
    let begins = |_| vec![(100, Does::Says("ab".into())), (200, Does::Fails)];
    let world = line(agent(), begins).plays(
        "
        caller  ssss...................
        bot     ..........1122222......
        log            rtf
        log              t
        ",
    );
    assert_eq!(places(&world), [0]);
}

#[test]
fn what_the_replaced_one_says_after_all_is_not_said() {
    let late = |turn| if turn == 1 { says(550) } else { says(300) };
    line(agent(), late).plays(
        "
        caller  ssss.......................
        bot     .................11111111..
        log            r    c  t
        log                 V
        log                 r
        ",
    );
}

#[test]
fn without_anybody_behind_it_a_responder_has_all_the_time() {
    let mut chart = line(agent(), |_| says(1500));
    chart.world.responders = 1;
    chart.plays(
        "
        caller  ssss.......................
        bot     ........................111
        log            r              t
        ",
    );
}

/// Says so when an answer takes a second.
fn patient() -> Settings {
    Settings {
        one_moment_ms: 1000,
        one_moment_text: Some("moment".into()),
        responder_deadline_ms: 1500,
        resume_ms: 0,
        ..agent()
    }
}

#[test]
fn a_caller_who_waits_is_told_and_then_answered() {
    let mut chart = line(patient(), |_| says(1300));
    chart.world.responders = 1;
    let world = chart.shows("rtA").plays(
        "
        caller  ssss...........................
        bot     ...................111111222222
        log            r         t  t A
        ",
    );
    // The sentence is no answer.
    let answered = notes(&world).find(|note| matches!(note, Note::Answered { .. }));
    assert_eq!(
        answered,
        Some(&Note::Answered {
            turn: 1,
            after_ms: 1500
        })
    );
}

#[test]
fn he_is_told_once_in_a_turn_whoever_answers() {
    line(
        patient(),
        |turn| if turn == 1 { Vec::new() } else { says(1200) },
    )
    .plays(
        "
        caller  ssss.................................
        bot     ...................111111...........2
        log            r         t    c           t
        log                           V
        log                           r
        ",
    );
}

#[test]
fn who_has_been_answered_is_not_told_to_wait() {
    let slow = |_| vec![(100, Does::Says("ab".into())), (2000, Does::Finishes)];
    line(patient(), slow).plays(
        "
        caller  ssss...............................
        bot     ..........11.......................
        log            rt
        ",
    );
}

#[test]
fn a_caller_who_speaks_over_the_moment_takes_his_turn_back() {
    let world = line(patient(), |turn| says(if turn == 1 { 1400 } else { 100 }))
        .shows("rctx")
        .plays(
            "
        caller  ssss................ssss.............
        bot     ...................111........2222222
        log            r         t   x     rt
        log                          c
        ",
        );
    assert_eq!(places(&world), [0, 0]);
}
