//! Coughs and noises that a transcriber finds no word in: no turn, unless they stopped the agent.

use super::chart::{Chart, chart, notes};
use super::world::{Does, Event, World, Writes};
use crate::call::output::{Note, Output, Prompt};
use crate::call::settings::Settings;

fn settings() -> Settings {
    Settings {
        transcribed: true,
        no_input_ms: 2000,
        no_input_text: Some("abcd".into()),
        ..Settings::default()
    }
}

fn hearing(settings: Settings) -> Chart {
    chart(settings).shows("rtcNnJW").words([
        ('A', ""),
        ('B', "for two"),
        ('C', " … "),
        ('d', "for"),
    ])
}

fn asked(world: &World) -> Vec<Option<&str>> {
    let prompts = world.prompts.iter().map(|(prompt, _)| match prompt {
        Prompt::Speech { text } => text.as_deref(),
        _ => None,
    });
    prompts.collect()
}

#[test]
fn a_cough_is_no_turn_and_the_silence_goes_on() {
    let world = hearing(settings()).plays(
        "
        caller  ....ss...........................
        words   ........A........................
        bot     ..........................1111...
        log              c               n
        log              N               t
        ",
    );
    assert!(world.prompts.is_empty());
    let spoke = notes(&world).find_map(|note| match note {
        Note::NoWords { spoke_ms } => Some(*spoke_ms),
        _ => None,
    });
    assert_eq!(spoke, Some(200));
    // Whoever was told that a turn began is told that it was none.
    let cancelled = Output::CancelReply {
        turn: 1,
        heard: String::new(),
        withdrawn: true,
    };
    assert!(world.log.iter().any(|(_, output)| *output == cancelled));
}

#[test]
fn who_coughs_as_he_is_about_to_be_asked_has_a_moment_to_speak() {
    hearing(settings()).plays(
        "
        caller  ..................ss...................
        words   ......................A................
        bot     ..............................1111.....
        log                            c    n
        log                            N    t
        ",
    );
}

#[test]
fn signs_are_no_words_and_a_partial_text_may_prove_wrong() {
    let world = hearing(settings()).plays(
        "
        caller  ....ss......sss..................
        words   ........C.....d....A.............
        bot     .................................
        log                        c
        log                        N
        ",
    );
    assert!(world.prompts.is_empty());
}

#[test]
fn without_knowing_the_words_it_is_a_turn() {
    let world = hearing(settings()).plays(
        "
        caller  ....ss.............
        words   .......!...........
        bot     ............1111111
        log              rt
        ",
    );
    assert_eq!(asked(&world), [None]);
}

#[test]
fn one_stretch_of_unknown_words_makes_it_one() {
    let mut drawing = hearing(settings());
    let late = Event::Writes(1, Writes::Fails);
    drawing.world.later(1500, late);
    let world = drawing.plays(
        "
        caller  ....ss......ss.............
        words   ..............A............
        bot     ....................1111111
        log                      rt
        ",
    );
    assert_eq!(asked(&world), [None]);
}

#[test]
fn a_cough_before_the_answer_is_asked_about_with_what_was_said() {
    let mut drawing = hearing(settings());
    drawing.world.responder = Box::new(|_| vec![(600, Does::Says("abcdefgh".into()))]);
    let world = drawing.plays(
        "
        caller  .ss.......s...................
        words   .....B.......A................
        bot     ......................11111111
        log           r   c   r     t
        log               J
        ",
    );
    assert_eq!(asked(&world), [Some("for two"), Some("for two")]);
}

#[test]
fn a_cough_that_stopped_the_agent_for_good_is_a_turn() {
    let mut drawing = hearing(Settings {
        resume_ms: 0,
        ..settings()
    });
    drawing.world.responder = Box::new(|_| vec![(100, Does::Says("a b c d e f g".into()))]);
    let world = drawing.plays(
        "
        caller  .ss..........sss............................
        words   .....B...........A..........................
        bot     .........111111.......2222222222222.........
        log           rt      c    rt
        ",
    );
    assert_eq!(asked(&world), [Some("for two"), None]);
}

#[test]
fn a_cough_at_the_end_of_what_the_agent_says_is_none() {
    let world = hearing(settings()).plays(
        "
        caller  .ss..............sss.....................
        words   .....B...............A...................
        bot     .........11111111........................
        log           rt               c
        log                            N
        ",
    );
    assert_eq!(asked(&world), [Some("for two")]);
}

#[test]
fn the_first_words_wait_for_a_cough_and_are_said_all_the_same() {
    let world = hearing(Settings {
        speaks_first: true,
        greeting: Some("ab".into()),
        ..settings()
    })
    .plays(
        "
        caller  ..ss..................
        words   ......A...............
        bot     .11.......22222222....
        log     t      ct
        log            N
        log            r
        ",
    );
    assert_eq!(world.prompts[0].0, Prompt::Start);
    assert_eq!(world.prompts.len(), 1);
}

#[test]
fn a_cough_does_not_count_as_an_answer_to_are_you_there() {
    let world = hearing(Settings {
        no_input_limit: 1,
        ..settings()
    })
    .plays(
        "
        caller  ..............................ss......................................
        words   .................................A....................................
        bot     .....................1111.............................................
        log                         n              c              n
        log                         t              N
        ",
    );
    assert!(world.done.is_some());
}
