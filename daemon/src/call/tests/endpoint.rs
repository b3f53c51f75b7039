//! How long a silence ends the caller's turn: by nothing, by his words, by an endpointer.

use super::chart::{Chart, chart, notes};
use super::world::World;
use crate::call::output::Note;
use crate::call::settings::Settings;

/// An agent that waits 400 ms, 100 ms after a finished sentence, 1000 ms after an unfinished one.
fn listener() -> Settings {
    Settings {
        endpointed: true,
        finished_ms: 100,
        unfinished_ms: 1000,
        no_input_ms: 0,
        ..Settings::default()
    }
}

/// The same; what the caller says is written down.
fn reader() -> Chart {
    let settings = Settings {
        transcribed: true,
        unfinished_words: vec!["and".into()],
        ..listener()
    };
    chart(settings)
        .words([
            ('a', "I want a table"),
            ('b', "I want a table."),
            ('c', "I want a table and"),
            ('B', "I want a table."),
            ('C', "I want a table, for two"),
        ])
        .shows("pr")
}

/// Why the turns ended, and how long it took to be sure.
fn ends(world: &World) -> Vec<(&str, u64)> {
    let ends = notes(world).filter_map(|note| match note {
        Note::TurnEnded {
            reason, waited_ms, ..
        } => Some((*reason, *waited_ms)),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_finished_sentence_ends_the_turn_as_soon_as_the_words_are_there() {
    let world = reader().plays(
        "
        caller  ..sssss...............
        words   ........B.............
        bot     ..........11111111....
        log            pr
        ",
    );
    assert_eq!(ends(&world), [("finished sentence", 160)]);
}

#[test]
fn after_an_unfinished_one_it_is_awaited() {
    let world = reader().plays(
        "
        caller  ..sssss..................
        words   .......c..............B..
        bot     ........................1
        log            p              r
        ",
    );
    assert_eq!(ends(&world), [("unfinished sentence", 1560)]);
}

#[test]
fn a_caller_who_goes_on_after_an_unfinished_sentence_has_not_been_cut_off() {
    let world = reader().plays(
        "
        caller  ..sssss.......sssss.........
        words   .......c............B.......
        bot     ......................111111
        log            p           pr
        ",
    );
    assert_eq!(ends(&world), [("finished sentence", 160)]);
}

#[test]
fn words_that_are_neither_wait_as_long_as_ever() {
    let world = reader().plays(
        "
        caller  ..sssss...............
        words   .......a...C..........
        bot     .............11111111.
        log            p   r
        ",
    );
    assert_eq!(ends(&world), [("silence", 460)]);
}

#[test]
fn words_from_before_his_last_voice_know_nothing_of_the_end() {
    let world = reader().plays(
        "
        caller  ..sssssss...............
        words   .....b.......C..........
        bot     ...............11111111.
        log              p   r
        ",
    );
    assert_eq!(ends(&world), [("silence", 460)]);
}

#[test]
fn what_comes_in_the_pause_moves_its_end() {
    // Unfinished at first, and then it turns out to be finished: the turn ends at once, not in the past.
    let world = reader().plays(
        "
        caller  ..sssss...............
        words   .......c.....B........
        bot     ...............1111111
        log            p     r
        ",
    );
    assert_eq!(ends(&world), [("finished sentence", 660)]);
}

#[test]
fn an_endpointer_that_is_sure_ends_the_turn() {
    let world = chart(listener()).shows("pr").plays(
        "
        caller  ..sssss............
        words   ........9..........
        bot     ..........11111111.
        log            pr
        ",
    );
    assert_eq!(ends(&world), [("endpointer: finished", 160)]);
}

#[test]
fn an_endpointer_that_is_not_sure_has_it_awaited() {
    let world = chart(listener()).shows("pr").plays(
        "
        caller  ..sssss..................
        words   ........4................
        bot     ...................111111
        log            p        r
        ",
    );
    assert_eq!(ends(&world), [("endpointer: unfinished", 1000)]);
}

#[test]
fn the_verdict_beats_the_words() {
    let world = reader().plays(
        "
        caller  ..sssss.................
        words   ........3b.......B......
        bot     ...................11111
        log            p         r
        ",
    );
    assert_eq!(ends(&world), [("endpointer: unfinished", 1060)]);
}

#[test]
fn a_verdict_on_a_pause_says_nothing_of_the_next() {
    let world = chart(listener()).shows("pr").plays(
        "
        caller  ..sssss...sssss.............
        words   ........3.....9.............
        bot     .....................1111111
        log            p       p  r
        ",
    );
    // The second verdict came while he spoke.
    assert_eq!(ends(&world), [("silence", 400)]);
}

#[test]
fn a_verdict_on_a_cough_ends_no_turn() {
    let settings = Settings {
        greeting: Some("0123456789".into()),
        ..listener()
    };
    chart(settings).shows("lrp").plays(
        "
        caller  ..s..............
        words   ...9.............
        bot     .1111111111......
        log       ll  l
        ",
    );
}
