//! What the caller says before he has been answered: one turn with what he said before, and nothing of it lost.

use super::chart::{Chart, chart};
use super::world::{Does, World};
use crate::call::output::{Output, Prompt};
use crate::call::settings::Settings;

fn settings() -> Settings {
    Settings {
        transcribed: true,
        no_input_ms: 0,
        takes_digits: true,
        one_moment_text: Some("moment".into()),
        one_moment_ms: 0,
        ..Settings::default()
    }
}

/// An agent whose caller's words are written down, and who is slow to answer.
fn slow(settings: Settings) -> Chart {
    let mut drawing = chart(settings).shows("rtcJ").words([
        ('A', "I'd like to book"),
        ('B', "for two"),
        ('C', "tonight"),
        ('D', "mm-hm"),
    ]);
    drawing.world.responder =
        Box::new(|_| vec![(600, Does::Says("abcdefgh".into())), (600, Does::Finishes)]);
    drawing
}

fn asked(world: &World) -> Vec<Option<&str>> {
    let prompts = world.prompts.iter().map(|(prompt, _)| match prompt {
        Prompt::Speech { text } => text.as_deref(),
        _ => None,
    });
    prompts.collect()
}

/// The turns that were cancelled, and whether they were withdrawn.
fn cancelled(world: &World) -> Vec<(u32, bool)> {
    let cancelled = world.log.iter().filter_map(|(_, output)| match output {
        Output::CancelReply {
            turn, withdrawn, ..
        } => Some((*turn, *withdrawn)),
        _ => None,
    });
    cancelled.collect()
}

#[test]
fn who_goes_on_before_the_answer_is_asked_about_all_of_it() {
    let world = slow(settings()).plays(
        "
        caller  .ssss.......ssss........................
        words   .......A...........B....................
        bot     ...........................11111111.....
        log             r   c      r     t
        log                 J
        ",
    );
    assert_eq!(
        asked(&world),
        [Some("I'd like to book"), Some("I'd like to book for two")]
    );
    assert_eq!(cancelled(&world), [(1, true)]);
}

#[test]
fn and_so_is_who_goes_on_twice() {
    let world = slow(settings()).plays(
        "
        caller  .ssss.......ssss.......ssss.....................
        words   .......A..........B............C................
        bot     ......................................11111111..
        log             r   c      r   c       r     t
        log                 J          J
        ",
    );
    assert_eq!(
        asked(&world).last(),
        Some(&Some("I'd like to book for two tonight"))
    );
    assert_eq!(cancelled(&world), [(1, true), (2, true)]);
}

#[test]
fn an_answer_that_stands_ready_and_was_not_heard_is_none() {
    let mut drawing = slow(settings());
    drawing.world.responder =
        Box::new(|_| vec![(100, Does::Says("abcdefgh".into())), (100, Does::HangsUp)]);
    drawing.world.voice = Box::new(|_, _| super::world::Manner::Speaks {
        after_ms: 600,
        piece_ms: 10_000,
        every_ms: 0,
    });
    let world = drawing.plays(
        "
        caller  .ssss.......ssss.........
        words   .......A...........B.....
        bot     .........................
        log             rt  c      rt
        log                 J
        ",
    );
    assert_eq!(
        asked(&world).last(),
        Some(&Some("I'd like to book for two"))
    );
}

#[test]
fn what_keeps_him_waiting_is_no_answer() {
    let settings = Settings {
        one_moment_ms: 100,
        ..settings()
    };
    let world = slow(settings).plays(
        "
        caller  .ssss..........ssss.....................
        words   .......A...........B....................
        bot     ...........111111........33333344444444.
        log             rt    t    c  rt    t
        log                        J
        ",
    );
    assert_eq!(
        asked(&world).last(),
        Some(&Some("I'd like to book for two"))
    );
}

#[test]
fn what_he_says_after_he_heard_a_word_is_a_turn_of_its_own() {
    let mut drawing = slow(settings());
    drawing.world.responder = Box::new(|_| {
        vec![
            (100, Does::Says("a b c d e f".into())),
            (900, Does::Finishes),
        ]
    });
    let world = drawing.plays(
        "
        caller  .ssss.......ssss.........
        words   .......A...........B.....
        bot     ...........111........222
        log             rt         ct
        log                        r
        ",
    );
    assert_eq!(asked(&world), [Some("I'd like to book"), Some("for two")]);
    assert_eq!(cancelled(&world), [(1, false)]);
}

#[test]
fn a_responder_that_sounds_itself_has_answered_as_soon_as_it_is_heard() {
    let mut drawing = slow(settings());
    drawing.world.responder = Box::new(|_| vec![(100, Does::Sounds(8000))]);
    let world = drawing.plays(
        "
        caller  .ssss.......ssss.........
        words   .......A...........B.....
        bot     ..........aaaa.......aaaa
        log             r          c
        log                        r
        ",
    );
    assert_eq!(asked(&world), [Some("I'd like to book"), Some("for two")]);
}

#[test]
fn a_key_takes_the_place_of_what_he_said() {
    let world = slow(settings()).plays(
        "
        caller  .ssss.......ss5......................
        words   .......A.............................
        bot     .....................11111111........
        log             r   c r     t
        log                 J
        ",
    );
    assert_eq!(world.prompts[1].0, Prompt::Digit('5'));
    assert_eq!(cancelled(&world), [(1, true)]);
}

#[test]
fn who_speaks_before_a_key_is_answered_has_a_turn_of_his_own() {
    let world = slow(settings()).plays(
        "
        caller  .5...ssss..................
        words   ...........B...............
        bot     ....................1111111
        log      r   c      r     t
        ",
    );
    assert_eq!(asked(&world), [None, Some("for two")]);
    assert_eq!(cancelled(&world), [(1, false)]);
}

#[test]
fn the_speaker_of_a_withdrawn_answer_speaks_no_more() {
    let mut drawing = slow(settings());
    drawing.world.responder = Box::new(|turn| match turn {
        1 => vec![(50, Does::Speaks(3))],
        _ => vec![(50, Does::Says("abcdefgh".into())), (50, Does::Finishes)],
    });
    let world = drawing.plays(
        "
        caller  .ssss.......ssss.........
        words   .......A...........B.....
        bot     .....................1111
        log             r   c      rt
        log                 J
        ",
    );
    let speakers = world.log.iter().filter_map(|(_, output)| match output {
        Output::Speak { speaker, .. } => Some(*speaker),
        _ => None,
    });
    assert_eq!(speakers.collect::<Vec<_>>(), [0]);
}
