//! What a responder is asked about beside speech: keys, silence, the beginning of the call.

use super::chart::{chart, heard};
use super::world::{Does, Event, World};
use crate::call::input::Why;
use crate::call::output::{Note, Output, Prompt};
use crate::call::settings::Settings;
use crate::call::time::CallTime;
use crate::call::turns::MAX_WAITING_KEYS;

/// An agent that greets for a second and has a sentence for everything; the responder is asked about everything.
fn agent() -> Settings {
    Settings {
        greeting: Some("0123456789".into()),
        takes_digits: true,
        takes_silence: true,
        no_input_text: Some("hello".into()),
        goodbye_text: Some("bye".into()),
        no_input_ms: 1000,
        no_input_limit: 1,
        resume_ms: 0,
        ..Settings::default()
    }
}

/// The same, but it listens first.
fn listener() -> Settings {
    Settings {
        greeting: None,
        ..agent()
    }
}

fn prompts(world: &World) -> Vec<Prompt> {
    world
        .prompts
        .iter()
        .map(|(prompt, _)| prompt.clone())
        .collect()
}

const SPEECH: Prompt = Prompt::Speech { text: None };

#[test]
fn a_key_is_a_turn() {
    let world = chart(listener()).shows("#rtxE").plays(
        "
        caller  ..5............
        bot     ....11111111...
        log       #t
        log       E
        log       r
        ",
    );
    assert_eq!(prompts(&world), [Prompt::Digit('5')]);
    assert!(world.log.iter().any(|(_, output)| {
        *output
            == Output::Note(Note::TurnEnded {
                turn: 1,
                spoke_ms: 0,
                waited_ms: 0,
                reason: "digit",
            })
    }));
}

#[test]
fn where_keys_are_no_turns_they_are_only_noted() {
    let world = chart(Settings {
        takes_digits: false,
        ..agent()
    })
    .shows("#rtx")
    .plays(
        "
        caller  .....5.........
        bot     .1111111111....
        log     t    #
        ",
    );
    assert_eq!(prompts(&world), []);
}

#[test]
fn a_key_silences_the_agent_for_certain() {
    let world = chart(Settings {
        barge_in: false,
        ..agent()
    })
    .shows("#rtxb")
    .plays(
        "
        caller  .....5.............
        bot     .1111..22222222....
        log     t    #t
        log          x
        log          r
        ",
    );
    assert_eq!(heard(&world), [(1, 400, false), (2, 800, true)]);
}

#[test]
fn each_key_cancels_the_answer_to_the_one_before() {
    let world = chart(listener()).shows("#rcxt").plays(
        "
        caller  .12...3.............
        bot     ....11..22222222....
        log      ##t  #t
        log      rc   x
        log       r   c
        log           r
        ",
    );
    assert_eq!(prompts(&world), ['1', '2', '3'].map(Prompt::Digit));
}

#[test]
fn a_key_in_the_middle_of_speech_ends_it() {
    let world = chart(listener()).shows("sp#rEt").plays(
        "
        caller  ..ssss5..............
        bot     ........11111111.....
        log       s   #t
        log           E
        log           r
        ",
    );
    assert_eq!(prompts(&world), [Prompt::Digit('5')]);
    assert!(world.log.iter().any(|(_, output)| {
        *output
            == Output::Note(Note::TurnEnded {
                turn: 1,
                spoke_ms: 400,
                waited_ms: 10,
                reason: "digit",
            })
    }));
}

#[test]
fn a_key_does_not_stop_a_goodbye_that_is_for_good() {
    let world = chart(Settings {
        max_call_secs: 1,
        goodbye_text: Some("good bye then".into()),
        ..listener()
    })
    .shows("#rt.")
    .plays(
        "
        caller  ............5..............
        bot     ...........1111111111111...
        log               t #           .
        ",
    );
    assert_eq!(world.done, Some(Why::TooLong));
}

#[test]
fn the_responder_is_asked_when_nobody_speaks() {
    let world = chart(listener()).shows("nrth").plays(
        "
        caller  ...........................................
        bot     ............11111111...........222.........
        log               nt                  n   h
        log               r                   t
        ",
    );
    assert_eq!(prompts(&world), [Prompt::Silence { count: 1 }]);
    assert_eq!(world.done, Some(Why::NoInput));
}

#[test]
fn a_responder_says_how_long_silence_may_be_this_once() {
    let world = chart(Settings {
        no_input_limit: 9,
        ..listener()
    })
    .shows("nrt")
    .plays(
        "
        caller  s5..................................
        reply   ....qd...............d..............
        bot     ....................................
        log      r        n                    n
        log               r                    r
        ",
    );
    assert_eq!(
        prompts(&world)[..2],
        [Prompt::Digit('5'), Prompt::Silence { count: 1 }]
    );
}

#[test]
fn the_responder_says_the_first_words() {
    let world = chart(Settings {
        speaks_first: true,
        ..listener()
    })
    .shows("rtA")
    .plays(
        "
        caller  ................
        bot     ..11111111......
        log     rtA
        ",
    );
    assert_eq!(prompts(&world), [Prompt::Start]);
}

#[test]
fn after_the_greeting_the_responder_speaks() {
    let world = chart(Settings {
        speaks_first: true,
        ..agent()
    })
    .shows("rtws")
    .plays(
        "
        caller  .........................ssss............
        bot     .1111111111..22222222..............333333
        log     t          wt        w   s      rt
        log                r
        ",
    );
    assert_eq!(prompts(&world), [Prompt::Start, SPEECH]);
}

#[test]
fn who_interrupts_the_greeting_is_answered_and_the_first_words_are_not_said() {
    let world = chart(Settings {
        speaks_first: true,
        ..agent()
    })
    .shows("rtx")
    .plays(
        "
        caller  ..sss................
        bot     .111.......22222222..
        log     t  x    rt
        ",
    );
    assert_eq!(prompts(&world), [SPEECH]);
}

#[test]
fn a_key_waits_for_the_end_of_what_cannot_be_interrupted() {
    let mut drawing = chart(Settings {
        no_input_ms: 0,
        ..listener()
    })
    .shows("#rcxt");
    drawing.world.responder = Box::new(|turn| match turn {
        1 => vec![
            (100, Does::Insists("abcd".into())),
            (100, Does::Says("abcdefgh".into())),
            (100, Does::Finishes),
        ],
        _ => vec![(100, Does::Says("ab".into())), (100, Does::Finishes)],
    });
    let world = drawing.plays(
        "
        caller  .1...23...............
        bot     ...1111..33...........
        log      #tt ##xt
        log      r     c
        log            r
        log            c
        log            r
        ",
    );
    assert_eq!(prompts(&world), ['1', '2', '3'].map(Prompt::Digit));
}

#[test]
fn only_so_many_keys_wait() {
    let mut world = World::new(listener());
    world.responder = Box::new(|_| vec![(0, Does::Insists("abcdefghij".into()))]);
    world.start();
    world.later(10, Event::Key('7'));
    for key in 0..40 {
        world.later(300 + key, Event::Key('7'));
    }
    world.run_until(CallTime::from_ms(900));
    assert_eq!(world.prompts.len(), 1);
    world.run_until(CallTime::from_ms(1400));
    assert_eq!(world.wrong, None);
    assert_eq!(world.prompts.len(), 1 + MAX_WAITING_KEYS);
}
