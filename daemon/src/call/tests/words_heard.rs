//! What the caller heard of the agent's words: told to the story with each utterance, and to the responder when its
//! answer is cut. How to read a drawing stands in [`chart`](super::chart).

use super::chart::{chart, notes};
use super::world::{Does, Manner, World};
use crate::call::output::{Note, Output};
use crate::call::settings::Settings;

/// Says its answer in utterances of these texts, 100 ms a letter.
fn says(texts: &'static [&'static str]) -> super::chart::Chart {
    let mut drawing = chart(Settings {
        resume_ms: 0,
        ..Settings::default()
    });
    drawing.world.responder = Box::new(|turn| match turn {
        1 => (texts.iter())
            .map(|text| (0, Does::Says((*text).into())))
            .chain([(0, Does::Finishes)])
            .collect(),
        _ => Vec::new(),
    });
    drawing
}

fn heard_of_reply(world: &World) -> Vec<&str> {
    let heard = world.log.iter().filter_map(|(_, output)| match output {
        Output::CancelReply { heard, .. } => Some(heard.as_str()),
        _ => None,
    });
    heard.collect()
}

/// Of each utterance, the words the story says were heard.
fn heard_words(world: &World) -> Vec<&str> {
    let heard = notes(world).filter_map(|note| match note {
        Note::Heard {
            text, heard_bytes, ..
        } => Some(&text[..*heard_bytes]),
        _ => None,
    });
    heard.collect()
}

#[test]
fn words_heard_to_their_end_are_told_and_no_more() {
    let world = says(&["ab cd efg"]).shows("xcb").plays(
        "
        caller  ssss...........ssss....
        bot     .........11111111......
        log                     x
        log                     c
        log                     b
        ",
    );
    // 780 of 900 ms: seven letters
    assert_eq!(heard_words(&world), ["ab cd"]);
    assert_eq!(heard_of_reply(&world), ["ab cd"]);
}

#[test]
fn the_responder_is_told_the_whole_answer_so_far() {
    let world = says(&["abc", "de fg hi", "jkl"]).shows("xcb").plays(
        "
        caller  ssss.............ssss....
        bot     .........1112222222......
        log                       x
        log                       c
        log                       b
        ",
    );
    assert_eq!(heard_of_reply(&world), ["abc de fg"]);
    // the third was asked for and not begun
    assert_eq!(heard_words(&world), ["abc", "de fg", ""]);
}

#[test]
fn an_utterance_whose_end_has_not_come_is_taken_to_be_longer() {
    // 15 letters a second: 40 letters are 2.7 s, of which the caller heard 400 ms.
    let world = says(&["abcdefgh abcdefgh abcdefgh abcdefgh abcd"])
        .voice(|_| Manner::Hangs { given_ms: 400 })
        .shows("xcb")
        .plays(
            "
            caller  ssss.........ssss......
            bot     .........1111..........
            log                   x
            log                   c
            log                   b
            ",
        );
    assert_eq!(heard_of_reply(&world), [""]);
    assert_eq!(heard_words(&world), [""]);
}

#[test]
fn an_answer_that_is_taken_back_unheard_has_no_words() {
    let world = says(&[]).shows("rc").plays(
        "
        caller  ssss......ssss...
        reply   .................
        bot     .................
        log            r  c
        ",
    );
    assert_eq!(heard_of_reply(&world), [""]);
}
