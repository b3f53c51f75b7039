//! Turns: the agent greets and listens, the caller speaks, is answered, and may go on before he is.

use super::agents::{agent, listener};
use super::chart::{chart, heard, notes};
use crate::call::machine::Floor;
use crate::call::output::Note;

#[test]
fn agent_greets_and_then_listens() {
    let world = chart(agent()).shows("tw").plays(
        "
        caller  ...............
        bot     .1111111111....
        log     t          w
        ",
    );
    assert_eq!(world.call.floor(), Floor::Listening);
}

#[test]
fn caller_is_answered_after_400_ms_of_silence() {
    chart(listener()).shows("srptw").plays(
        "
        caller  ..sssss..................
        bot     .............11111111....
        log       s    p  rt        w
        ",
    );
}

#[test]
fn the_story_tells_how_long_everything_took() {
    let world = chart(listener()).shows("EA").plays(
        "
        caller  ..sssss..................
        bot     .............11111111....
        log               E A
        ",
    );
    let notes: Vec<&Note> = notes(&world)
        .filter(|note| !matches!(note, Note::Heard { .. }))
        .collect();
    assert_eq!(
        notes,
        [
            &Note::CallerStarted { turn: 1 },
            // 500 ms of frames; the last of them came 400 ms before the turn was over
            &Note::TurnEnded {
                turn: 1,
                spoke_ms: 500,
                waited_ms: 400,
                reason: "silence"
            },
            &Note::Said {
                utterance: 1,
                turn: 1,
                text: "abcdefgh".into()
            },
            // 100 ms the responder, 100 ms the voice
            &Note::Answered {
                turn: 1,
                after_ms: 200
            },
        ]
    );
}

#[test]
fn a_pause_is_not_the_end_of_the_turn() {
    chart(listener()).shows("spr").plays(
        "
        caller  ..sssss...ssss........
        bot     ....................11
        log       s    p  s   p  r
        ",
    );
}

#[test]
fn a_line_that_sends_nothing_in_silence_ends_the_turn_all_the_same() {
    chart(listener()).shows("spr").plays(
        "
        caller  __sssss______________
        bot     .............11111111
        log       s    p  r
        ",
    );
}

#[test]
fn two_utterances_follow_without_a_gap_and_are_asked_for_one_by_one() {
    chart(listener()).shows("tw").plays(
        "
        caller  ssss.......................
        reply   .........ttd...............
        bot     ..........1111111122222222.
        log              tt       w       w
        ",
    );
}

#[test]
fn the_rest_of_a_reply_may_come_while_the_beginning_is_spoken() {
    chart(listener()).shows("tw").plays(
        "
        caller  ssss.......................
        reply   .........t....t.d..........
        bot     ..........1111111122222222.
        log              t    t   w       w
        ",
    );
}

#[test]
fn caller_who_goes_on_before_he_is_answered_takes_his_turn_back() {
    chart(listener()).shows("srcxt").plays(
        "
        caller  ssss.....sssss...............
        reply   ...................td........
        bot     ....................11111111.
        log     s      r c       r t
        log              s
        ",
    );
}

#[test]
fn a_reply_that_was_taken_back_is_not_said() {
    let world = chart(listener()).shows("srcxtk").plays(
        "
        caller  ssss....sssssssss............
        reply   ........t...a.......o....td..
        bot     ..........................222
        log     s      rt           r    t
        log             x
        log             k
        log             c
        log             s
        ",
    );
    assert_eq!(heard(&world), [(1, 0, false)]);
}
