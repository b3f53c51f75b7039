//! What a transcriber makes of the caller's speech, and what the core makes of that.

use super::chart::{chart, notes};
use super::world::{Event, World, Writes};
use crate::call::input::{Input, Words};
use crate::call::machine::Call;
use crate::call::output::{Note, Output, Prompt, Sounded};
use crate::call::settings::Settings;
use crate::call::time::CallTime;
use crate::call::transcript::{MAX_STRETCH_BYTES, MAX_TURN_BYTES};

/// An agent whose caller's words are written down.
fn reader() -> Settings {
    Settings {
        transcribed: true,
        transcriber_deadline_ms: 1000,
        no_input_ms: 0,
        ..Settings::default()
    }
}

/// What the responder was asked, as text.
fn asked(world: &World) -> Vec<Option<&str>> {
    let asked = world.log.iter().filter_map(|(_, output)| match output {
        Output::Respond {
            prompt: Prompt::Speech { text },
            ..
        } => Some(text.as_deref()),
        _ => None,
    });
    asked.collect()
}

fn said_so_far(world: &World) -> Vec<&str> {
    let said = world.log.iter().filter_map(|(_, output)| match output {
        Output::SaidSoFar { text, .. } => Some(text.as_str()),
        _ => None,
    });
    said.collect()
}

fn failures(world: &World) -> Vec<&str> {
    let failed = notes(world).filter_map(|note| match note {
        Note::Failed { text, .. } => Some(text.as_str()),
        _ => None,
    });
    failed.collect()
}

#[test]
fn every_stretch_is_told_to_those_who_listen() {
    chart(Settings {
        endpointed: true,
        ..Settings::default()
    })
    .shows("lr")
    .plays(
        "
        caller  ..sssss...ssss......s..............
        bot     ....................11111111.......
        log       l    l  l   l  l  ll  l
        log                      r
        ",
    );
}

#[test]
fn nothing_is_told_when_nobody_listens() {
    chart(Settings::default()).shows("l").plays(
        "
        caller  ..sssss...........
        bot     .............11111
        log
        ",
    );
}

#[test]
fn the_answer_waits_for_the_words() {
    let world = chart(reader())
        .words([('a', "I would"), ('B', "I would like a table.")])
        .shows("l~rT")
        .plays(
            "
            caller  ..sssss......................
            words   ......a........B.............
            bot     .................11111111....
            log       l   ~l  l    ~
            log                    T
            log                    r
            ",
        );
    assert_eq!(asked(&world), [Some("I would like a table.")]);
    assert_eq!(said_so_far(&world), ["I would", "I would like a table."]);
    let transcript = notes(&world).find(|note| matches!(note, Note::Transcript { .. }));
    assert_eq!(
        transcript,
        Some(&Note::Transcript {
            stretch: 1,
            text: "I would like a table.".into(),
            from_ms: 190,
            to_ms: 690,
            after_ms: 460,
        })
    );
    let ended = notes(&world).find(|note| matches!(note, Note::TurnEnded { .. }));
    assert_eq!(
        ended,
        Some(&Note::TurnEnded {
            turn: 1,
            spoke_ms: 500,
            waited_ms: 860,
            reason: "silence",
        })
    );
}

/// What the responder is told of the words so far, with the turn.
fn told(world: &World) -> Vec<(u32, &str)> {
    let told = world.log.iter().filter_map(|(_, output)| match output {
        Output::SaidSoFar { turn, text } => Some((*turn, text.as_str())),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_he_said_before_a_key_is_told_with_it_and_when_it_comes_later() {
    let keyed = || Settings {
        takes_digits: true,
        ..reader()
    };
    let world = chart(keyed())
        .words([('a', "my name"), ('B', "My name is Ann.")])
        .shows("~#r")
        .plays(
            "
            caller  ..sssss..5...................
            words   .....a.........B.............
            bot     ...........11111111..........
            log          ~   #     ~
            log              ~
            log              r
            ",
        );
    assert_eq!(
        told(&world),
        [(1, "my name"), (1, "my name"), (1, "My name is Ann.")]
    );
}

#[test]
fn words_that_were_final_in_the_pause_are_not_awaited() {
    let world = chart(reader()).words([('A', "yes")]).plays(
        "
        caller  ..sssss..........
        words   ........A........
        bot     .............1111
        log               rt
        ",
    );
    assert_eq!(asked(&world), [Some("yes")]);
}

#[test]
fn words_that_were_final_too_early_are_not_all() {
    let world = chart(reader())
        .words([('A', "yes"), ('B', "yes please")])
        .plays(
            "
        caller  ..sssss..sss..............
        words   ........A........B........
        bot     ...................1111111
        log                      rt
        ",
        );
    assert_eq!(asked(&world), [Some("yes please")]);
}

#[test]
fn a_late_transcriber_is_not_waited_for_and_what_there_is_goes_on() {
    let world = chart(reader())
        .words([('a', "a table"), ('B', "a table for two")])
        .shows("~rTf")
        .plays(
            "
            caller  ..sssss.........................
            words   ......a................B........
            bot     .......................11111111.
            log           ~             f  T
            log                         r
            ",
        );
    // The final words of a turn that has been asked are only written down.
    assert_eq!(asked(&world), [Some("a table")]);
    assert_eq!(
        failures(&world),
        ["timeout: it gave no final words for 1000 ms; going on without them"]
    );
}

#[test]
fn a_transcriber_that_failed_is_not_waited_for() {
    let world = chart(reader()).shows("rf").plays(
        "
        caller  ..sssss..............
        words   ...!.................
        bot     .............11111111
        log        f      r
        ",
    );
    assert_eq!(asked(&world), [None]);
    assert_eq!(failures(&world), ["it has no ear"]);
}

#[test]
fn the_next_transcriber_takes_the_place_of_one_that_failed() {
    let mut drawing = chart(reader()).shows("rfU");
    drawing.world.transcriber = Box::new(|stretch, _| {
        let begins = Writes::Begins {
            transcriber: stretch - 1,
            fallbacks: 2 - stretch,
        };
        vec![(0, begins)]
    });
    let world = drawing.plays(
        "
        caller  ..sssss.............................
        words   .............!......................
        bot     ...............11111111.............
        log                  U
        log                  r
        ",
    );
    let replaced = notes(&world).find(|note| matches!(note, Note::TranscriberReplaced { .. }));
    assert_eq!(
        replaced,
        Some(&Note::TranscriberReplaced {
            stretch: 1,
            transcriber: 0,
            after_ms: 260,
            reason: "it has no ear".into(),
        })
    );
}

#[test]
fn a_caller_who_goes_on_while_his_words_are_awaited_is_in_the_same_turn() {
    let mut drawing = chart(reader()).words([('B', "for two")]);
    let late = Event::Writes(1, Writes::Final("a table".into()));
    drawing.world.later(1350, late);
    let world = drawing.shows("srE~T").plays(
        "
            caller  ..sssss.....ssss...............
            words   ......................B........
            bot     ........................1111111
            log       s         s~        ~
            log                  T        T
            log                           E
            log                           r
            ",
    );
    assert_eq!(asked(&world), [Some("a table for two")]);
    assert_eq!(said_so_far(&world), ["a table", "a table for two"]);
    let ended = notes(&world).find_map(|note| match note {
        Note::TurnEnded { spoke_ms, .. } => Some(*spoke_ms),
        _ => None,
    });
    assert_eq!(ended, Some(900));
}

#[test]
fn no_words_are_no_error_and_no_turn() {
    let world = chart(reader()).words([('A', " ")]).shows("rfT").plays(
        "
        caller  ssssssssssssss...............
        words   ...................A.........
        bot     .............................
        log                        T
        ",
    );
    assert_eq!(asked(&world), [None; 0]);
}

#[test]
fn words_of_a_cough_are_written_down_and_answered_by_nobody() {
    let world = chart(Settings {
        greeting: Some("0123456789".into()),
        barge_in: false,
        ..reader()
    })
    .words([('A', "mm-hm")])
    .shows("lrT~s")
    .plays(
        "
        caller  .ss................
        words   .........A.........
        bot     .1111111111........
        log      l l  l  T
        ",
    );
    assert_eq!(asked(&world), [None; 0]);
}

#[test]
fn words_for_stretches_of_nobody_are_survived() {
    let mut drawing = chart(reader()).words([('A', "yes"), ('B', "no")]);
    for stretch in [0, 2, 3, u32::MAX] {
        for writes in [
            Writes::Partial("what".into()),
            Writes::Fails,
            Writes::Final("what".into()),
            Writes::Judges(90),
        ] {
            drawing.world.later(900, Event::Writes(stretch, writes));
        }
    }
    let world = drawing.shows("rTf").plays(
        "
        caller  ..sssss...............
        words   ............AB........
        bot     ..............11111111
        log              f  T
        log                 r
        ",
    );
    // The second final text is one too many.
    assert_eq!(asked(&world), [Some("yes")]);
    // Said once, whoever it is about.
    assert_eq!(
        failures(&world),
        [
            "words for turn 0, which is not open: they are dropped (the latest turn is 1); this is said once in a call"
        ]
    );
}

#[test]
fn a_second_text_for_a_stretch_is_said_and_the_same_again_is_not() {
    for (again, said) in [("yes", 0), ("no", 1)] {
        let world = chart(reader())
            .words([('A', "yes"), ('B', again)])
            .shows("r")
            .plays(
                "
                caller  ..sssss...............
                words   ............AB........
                bot     ..............11111111
                log                 r
                ",
            );
        assert_eq!(failures(&world).len(), said, "{again}");
    }
}

#[test]
fn the_text_of_a_stretch_and_of_a_turn_are_bounded() {
    let mut world = World::new(Settings {
        transcriber_deadline_ms: 60_000,
        max_call_secs: 0,
        ..reader()
    });
    world.start();
    // He goes on and on while all his words are awaited, more stretches than are kept.
    for stretch in 0..12 {
        for frame in 0..50 {
            let voiced = frame < 20;
            world.later(stretch * 1000 + frame * 20, Event::Frame(voiced));
        }
    }
    world.run_until(CallTime::from_ms(11_000));
    let long = "é".repeat(MAX_STRETCH_BYTES);
    for stretch in 1..=12 {
        let partial = Words::Partial(&long);
        world.call.handle_input(
            world.now,
            Input::Transcript {
                stretch,
                words: partial,
            },
        );
    }
    let texts: Vec<usize> = std::iter::from_fn(|| world.call.poll_output())
        .filter_map(|output| match output {
            Output::SaidSoFar { text, .. } => Some(text.len()),
            _ => None,
        })
        .collect();
    assert_eq!(texts.first(), Some(&MAX_STRETCH_BYTES));
    assert_eq!(texts.last(), Some(&MAX_TURN_BYTES));
}

#[test]
fn a_stretch_ends_once_when_the_responder_takes_its_turns_in_the_middle_of_it() {
    let mut call = Call::new(reader());
    call.start(CallTime(0));
    for frame in 1..=10 {
        call.handle_input(CallTime::from_ms(20 * frame), Input::Heard { voiced: true });
    }
    call.set_own_turns();
    call.handle_timeout(CallTime::from_ms(5000));
    let told: Vec<Sounded> = std::iter::from_fn(|| call.poll_output())
        .filter_map(|output| match output {
            Output::Transcribe { heard, .. } => Some(heard),
            _ => None,
        })
        .collect();
    assert_eq!(told, [Sounded::Started, Sounded::Ended]);
}
