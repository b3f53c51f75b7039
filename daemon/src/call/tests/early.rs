//! Answers that are begun before the caller has certainly finished, and what becomes of them.

use super::chart::{Chart, chart, heard, notes};
use super::world::{Does, Event, Manner, World};
use crate::call::early::MAX_EARLY;
use crate::call::input::Why;
use crate::call::output::{Note, Prompt};
use crate::call::settings::Settings;

fn hasty() -> Settings {
    Settings {
        speculate: true,
        no_input_ms: 0,
        ..Settings::default()
    }
}

/// The same; what the caller says is written down.
fn reader() -> Chart {
    let settings = Settings {
        transcribed: true,
        unfinished_words: vec!["and".into()],
        ..hasty()
    };
    chart(settings).shows("rcWtE").words([
        ('a', "a table"),
        ('b', "a table and"),
        ('A', "A table."),
        ('B', "A cable."),
        ('c', "a chair"),
    ])
}

fn asked(world: &World) -> Vec<Option<&str>> {
    let prompts = world.prompts.iter().map(|(prompt, _)| match prompt {
        Prompt::Speech { text } => text.as_deref(),
        _ => None,
    });
    prompts.collect()
}

fn answered(world: &World) -> Vec<(u32, u64)> {
    let answered = notes(world).filter_map(|note| match note {
        Note::Answered { turn, after_ms } => Some((*turn, *after_ms)),
        _ => None,
    });
    answered.collect()
}

/// The turns that ended, and how long it took to be sure: a page adds what `answered` says of the same turn.
fn ended(world: &World) -> Vec<(u32, u64)> {
    let ended = notes(world).filter_map(|note| match note {
        Note::TurnEnded {
            turn, waited_ms, ..
        } => Some((*turn, *waited_ms)),
        _ => None,
    });
    ended.collect()
}

#[test]
fn the_answer_is_made_in_the_pause_and_said_when_it_has_become_the_end() {
    let world = chart(hasty()).shows("prtE\"").plays(
        "
        caller  ..sssss..............
        bot     ...........11111111..
        log            pt E
        log            r  \"
        ",
    );
    // It had been there before the decision.
    assert_eq!(ended(&world), [(1, 400)]);
    assert_eq!(answered(&world), [(1, 0)]);
    assert_eq!(heard(&world), [(1, 800, true)]);
}

#[test]
fn who_goes_on_hears_nothing_of_it() {
    let world = chart(hasty()).shows("sprckFWE-").plays(
        "
        caller  ..sssss...sssss...........
        bot     ...................2222222
        log       s    p  F    p  E
        log            r  k    r
        log               -
        log               c
        log               W
        log               s
        ",
    );
    // Neither the answer that nobody heard nor the pause in which it was made counts.
    assert_eq!(ended(&world), [(2, 400)]);
    assert_eq!(answered(&world), [(2, 0)]);
}

#[test]
fn where_words_are_written_down_they_are_what_is_asked_about() {
    let world = reader().plays(
        "
        caller  ..sssss.................
        words   ........a......A........
        bot     ...............11111111.
        log             rt     E
        ",
    );
    // Signs and capitals are no other words.
    assert_eq!(asked(&world), [Some("a table")]);
    assert_eq!(answered(&world), [(1, 0)]);
}

#[test]
fn an_answer_to_other_words_than_he_said_is_thrown_away() {
    let world = reader().plays(
        "
        caller  ..sssss.................
        words   ........a......B........
        bot     .................2222222
        log             rt     ct
        log                    W
        log                    E
        log                    r
        ",
    );
    assert_eq!(asked(&world), [Some("a table"), Some("A cable.")]);
    assert_eq!(ended(&world), [(2, 860)]);
    assert_eq!(answered(&world), [(2, 200)]);
}

#[test]
fn what_is_known_better_in_the_pause_is_asked_about_at_once() {
    let world = reader().plays(
        "
        caller  ..sssss.................
        words   ........ca.A............
        bot     ...........11111111.....
        log             rctE
        log              W
        log              r
        ",
    );
    assert_eq!(asked(&world), [Some("a chair"), Some("a table")]);
}

#[test]
fn nobody_is_asked_about_a_sentence_that_goes_on() {
    let world = reader().plays(
        "
        caller  ..sssss.....sss...............
        words   ........b.......a......A......
        bot     .......................1111111
        log                     rt     E
        ",
    );
    assert_eq!(asked(&world), [Some("a table")]);
}

#[test]
fn one_who_makes_many_pauses_costs_only_so_many_answers() {
    let mut drawing = chart(hasty()).shows("r");
    drawing.world.responder = Box::new(|_| Vec::new());
    let world = drawing.plays(
        "
        caller  sss..sss..sss..sss..sss..sss..sss.......
        bot     ........................................
        log        r    r    r    r                 r
        ",
    );
    let wasted = notes(&world).filter(|note| matches!(note, Note::Wasted { .. }));
    assert_eq!(wasted.count(), MAX_EARLY as usize);
}

#[test]
fn a_hang_up_waits_for_the_end_of_the_turn() {
    let world = chart(hasty()).shows("rthE.").plays(
        "
        caller  ..sssss................
        reply   ........th.............
        bot     ...........11111111....
        log            rt E       h
        log                       .
        ",
    );
    assert_eq!(world.done, Some(Why::ResponderHungUp));
}

#[test]
fn a_hang_up_that_was_wasted_is_none() {
    let world = chart(hasty()).shows("rchWE").plays(
        "
        caller  ..sssss..sssss.........
        reply   ........h..............
        bot     .......................
        log            r c    r  E
        log              W
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn an_early_failure_is_noted_and_tried_again_when_it_is_certain() {
    let mut drawing = chart(Settings {
        apology_text: Some("sorry".into()),
        ..hasty()
    })
    .shows("rcfWtE");
    drawing.world.responder = Box::new(|turn| match turn {
        1 => vec![(100, Does::Fails)],
        _ => vec![(100, Does::Says("abcdefgh".into())), (100, Does::Finishes)],
    });
    let world = drawing.plays(
        "
        caller  ..sssss..............
        bot     .............11111111
        log            rf Et
        log             c r
        log             W
        ",
    );
    assert_eq!(answered(&world), [(2, 200)]);
}

#[test]
fn an_early_failure_with_another_behind_it_is_answered_by_that_one() {
    let mut drawing = chart(hasty()).shows("rcVWtE");
    drawing.world.responders = 2;
    drawing.world.responder = Box::new(|turn| match turn {
        1 => vec![(50, Does::Fails)],
        _ => vec![(100, Does::Says("abcdefgh".into())), (100, Does::Finishes)],
    });
    let world = drawing.plays(
        "
        caller  ..sssss..............
        bot     ...........11111111..
        log            rctE
        log             V
        log             r
        ",
    );
    assert_eq!(answered(&world), [(2, 0)]);
}

#[test]
fn a_key_in_the_pause_throws_the_answer_away() {
    let world = chart(Settings {
        takes_digits: true,
        ..hasty()
    })
    .shows("rcW#Et")
    .plays(
        "
        caller  ..sssss..5...........
        bot     ...........22222222..
        log            rt#t
        log              c
        log              W
        log              E
        log              r
        ",
    );
    assert_eq!(world.prompts[1].0, Prompt::Digit('5'));
}

#[test]
fn a_voice_that_fails_while_nobody_may_hear_it_does_not_end_the_call() {
    let world = chart(hasty())
        .voice(|utterance| match utterance {
            1 | 2 => Manner::Fails {
                after_ms: 20,
                given_ms: 0,
            },
            _ => Manner::Speaks {
                after_ms: 100,
                piece_ms: 10_000,
                every_ms: 0,
            },
        })
        .shows("rtfWE")
        .plays(
            "
            caller  ..sssss.................
            reply   ........tt....td........
            bot     ...............33333333.
            log            rttE   t
            log             ffr
            log              W
            ",
        );
    assert_eq!(world.done, None);
}

#[test]
fn sound_of_its_own_is_held_back_too() {
    let mut drawing = chart(hasty()).shows("rFWE");
    for after_ms in [850, 900] {
        drawing
            .world
            .later(after_ms, Event::Answers(0, Does::Sounds(800)));
    }
    drawing.plays(
        "
        caller  ..sssss..sssss.........
        reply   ....................d..
        bot     .......................
        log            r F    r  E
        log              W
        ",
    );
}
