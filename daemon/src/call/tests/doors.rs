//! What the doors of `Call` let in and what they refuse: bounds, strangers, late comers, and the end.

#![allow(clippy::unwrap_used)]

use super::happenings::PLAIN;
use crate::call::input::{Input, Mark, Reply, Speech, Why, Wording};
use crate::call::machine::{Call, Floor, MAX_OUTPUTS};
use crate::call::output::{Note, Output, Timer};
use crate::call::saying::{MAX_QUEUED_UTTERANCES, MAX_TEXT_BYTES};
use crate::call::settings::Settings;
use crate::call::time::CallTime;
use std::sync::Arc;

fn at(ms: u64) -> CallTime {
    CallTime::from_ms(ms)
}

fn drain(call: &mut Call) -> Vec<Output> {
    std::iter::from_fn(|| call.poll_output()).collect()
}

/// A caller who has spoken for 200 ms; his first turn waits for a reply.
fn asked() -> Call {
    let mut call = Call::new(Settings::default());
    call.start(at(0));
    for frame in 1..=10 {
        call.handle_input(at(20 * frame), Input::Heard { voiced: true });
    }
    call.handle_timeout(at(300));
    call.handle_timeout(at(600));
    assert!(
        drain(&mut call)
            .iter()
            .any(|output| matches!(output, Output::Respond { turn: 1, .. }))
    );
    call
}

fn say(call: &mut Call, text: &str) -> Vec<Output> {
    call.handle_input(
        at(700),
        Input::Reply {
            turn: 1,
            reply: Reply::Text(text, PLAIN),
        },
    );
    drain(call)
}

fn refusal(outputs: &[Output]) -> Option<&str> {
    outputs.iter().find_map(|output| match output {
        Output::Note(Note::Failed {
            step: "responder",
            text,
        }) => Some(text.as_str()),
        _ => None,
    })
}

#[test]
fn pieces_are_said_as_sentences_and_the_rest_before_whatever_follows() {
    let mut call = asked();
    let mut waiting = |reply| {
        call.handle_input(at(700), Input::Reply { turn: 1, reply });
        drain(&mut call);
        call.sayings
            .iter()
            .map(|saying| saying.text.to_string())
            .collect::<Vec<_>>()
    };
    assert!(waiting(Reply::Piece("It costs exactly 3.", PLAIN)).is_empty());
    let first = "It costs exactly 3.50.";
    assert_eq!(waiting(Reply::Piece("50. Shall I", PLAIN)), [first]);
    let all = [first, "Shall I", "Goodbye."];
    assert_eq!(waiting(Reply::Text("Goodbye.", PLAIN)), all);
}

/// What the voice is asked for, one after another as each has been said, and whether it is worth keeping.
fn asked_for(replies: &[Reply<'_>]) -> Vec<(String, bool)> {
    let mut call = asked();
    for reply in replies.iter().cloned().chain([Reply::Done]) {
        call.handle_input(at(700), Input::Reply { turn: 1, reply });
    }
    let mut speaks = Vec::new();
    loop {
        let asked = drain(&mut call)
            .into_iter()
            .find_map(|output| match output {
                Output::Speak {
                    utterance,
                    text,
                    fixed,
                    ..
                } => Some((utterance, text, fixed)),
                _ => None,
            });
        let Some((utterance, text, fixed)) = asked else {
            return speaks;
        };
        speaks.push((text.into_owned(), fixed));
        for speech in [Speech::Audio { samples: 80 }, Speech::Done] {
            call.handle_input(at(800), Input::Speech { utterance, speech });
        }
    }
}

const FIXED: Wording = Wording {
    firm: false,
    fixed: true,
};

#[test]
fn only_words_that_are_the_same_in_other_calls_are_worth_keeping() {
    let firm = Wording {
        firm: true,
        fixed: true,
    };
    let (own, fixed) = ("You said five.", "Which extension?");
    let replies = [
        Reply::Text(own, PLAIN),
        Reply::Text(fixed, FIXED),
        Reply::Text(fixed, firm),
    ];
    let speaks = [(own, false), (fixed, true), (fixed, true)];
    assert_eq!(
        asked_for(&replies),
        speaks.map(|(text, fixed)| (text.to_owned(), fixed))
    );
}

#[test]
fn of_pieces_only_sentences_that_are_fixed_from_end_to_end_are_worth_keeping() {
    let pieces = [
        ("Thank you for ", FIXED),
        ("calling us. Your na", FIXED),
        ("me is Anna. ", PLAIN),
        ("", PLAIN),
        ("What can I do for you?", FIXED),
    ];
    assert_eq!(
        asked_for(&pieces.map(|(piece, wording)| Reply::Piece(piece, wording))),
        [
            ("Thank you for calling us.".to_owned(), true),
            ("Your name is Anna.".to_owned(), false),
            ("What can I do for you?".to_owned(), true),
        ]
    );
}

#[test]
fn sentences_said_in_one_utterance_are_fixed_only_if_all_of_them_are() {
    for last in [PLAIN, FIXED] {
        let mut call = asked();
        for wording in [FIXED; MAX_QUEUED_UTTERANCES].into_iter().chain([last]) {
            let reply = Reply::Piece("This is one of many sentences.\n", wording);
            call.handle_input(at(700), Input::Reply { turn: 1, reply });
        }
        let reply = Reply::Done;
        call.handle_input(at(700), Input::Reply { turn: 1, reply });
        let joined = call.sayings.back().unwrap();
        assert!(joined.text.len() > 40 && call.sayings.len() == MAX_QUEUED_UTTERANCES);
        assert_eq!(joined.fixed, last.fixed);
    }
}

#[test]
fn who_writes_faster_than_anybody_speaks_loses_no_sentence() {
    let mut call = asked();
    let sentences: Vec<_> = (1..=200)
        .map(|n| format!("This is sentence number {n} of it."))
        .collect();
    let mut outputs = Vec::new();
    for sentence in &sentences {
        let reply = Reply::Piece(sentence, PLAIN);
        call.handle_input(at(700), Input::Reply { turn: 1, reply });
        let reply = Reply::Piece(" ", PLAIN);
        call.handle_input(at(700), Input::Reply { turn: 1, reply });
        outputs.extend(drain(&mut call));
    }
    let reply = Reply::Done;
    call.handle_input(at(700), Input::Reply { turn: 1, reply });
    outputs.extend(drain(&mut call));
    // The last utterance holds 4000 bytes; what is beyond it is refused aloud.
    assert!(refusal(&outputs).is_some_and(|why| why.contains("32 others wait")));
    let said: Vec<_> = call.sayings.iter().map(|saying| &*saying.text).collect();
    assert_eq!(said.len(), MAX_QUEUED_UTTERANCES);
    let last = said[MAX_QUEUED_UTTERANCES - 1].len();
    assert!(last <= MAX_TEXT_BYTES && last + sentences[199].len() > MAX_TEXT_BYTES);
    assert!(sentences.join(" ").starts_with(&said.join(" ")), "{said:?}");
}

#[test]
fn utterances_too_many_are_refused_with_one_note() {
    let mut call = asked();
    for n in 1..=MAX_QUEUED_UTTERANCES {
        assert_eq!(refusal(&say(&mut call, "hello")), None, "text {n}");
    }
    let outputs = say(&mut call, "hello");
    assert_eq!(
        refusal(&outputs),
        Some("a text is not said, because 32 others wait before it; told once in an answer")
    );
    assert_eq!(outputs.len(), 1);
    for n in 1..=10_000 {
        assert_eq!(say(&mut call, "hello").len(), 0, "text {n}");
    }
}

#[test]
fn a_text_too_long_is_refused_with_a_note() {
    let mut call = asked();
    let longest = "x".repeat(MAX_TEXT_BYTES);
    assert_eq!(refusal(&say(&mut call, &longest)), None);
    let outputs = say(&mut call, &(longest + "x"));
    let refusal = refusal(&outputs).unwrap();
    assert_eq!(
        refusal,
        "a text of 4001 bytes is not said; at most 4000 make one utterance"
    );
}

#[test]
fn a_long_excuse_is_cut_between_letters() {
    let mut call = asked();
    let excuse = "é".repeat(1000);
    call.handle_input(
        at(700),
        Input::Reply {
            turn: 1,
            reply: Reply::Failed(&excuse),
        },
    );
    assert_eq!(refusal(&drain(&mut call)), Some("é".repeat(250).as_str()));
}

#[test]
fn replies_to_another_turn_are_not_said() {
    let mut call = asked();
    for turn in [0, 2, 77] {
        for reply in [Reply::Text("hello", PLAIN), Reply::Done, Reply::HangUp] {
            call.handle_input(at(700), Input::Reply { turn, reply });
            assert_eq!(drain(&mut call), [], "turn {turn}");
        }
        call.handle_input(
            at(700),
            Input::Reply {
                turn,
                reply: Reply::Failed("no"),
            },
        );
        assert_eq!(refusal(&drain(&mut call)), Some("no"), "turn {turn}");
    }
    assert_eq!(call.floor(), Floor::Thinking);
}

#[test]
fn what_still_comes_of_a_cancelled_turn_is_nothing_to_speak_of() {
    let mut call = asked();
    for frame in 1..=5 {
        call.handle_input(at(700 + 20 * frame), Input::Heard { voiced: true });
    }
    assert!(
        drain(&mut call)
            .iter()
            .any(|output| matches!(output, Output::CancelReply { turn: 1, .. }))
    );
    for reply in [
        Reply::Audio { samples: 16_000 },
        Reply::Failed("no"),
        Reply::Text("hello", PLAIN),
    ] {
        call.handle_input(at(900), Input::Reply { turn: 1, reply });
        assert_eq!(drain(&mut call), []);
    }
}

#[test]
fn after_the_end_nothing_is_answered() {
    let mut call = asked();
    call.handle_input(at(700), Input::Stop(Why::Operator));
    assert_eq!(drain(&mut call).last(), Some(&Output::Done(Why::Operator)));
    let mark = Mark {
        utterance: 1,
        samples: 0,
        epoch: 0,
    };
    for input in [
        Input::Heard { voiced: true },
        Input::Digit('1'),
        Input::Reply {
            turn: 1,
            reply: Reply::Text("hello", PLAIN),
        },
        Input::Speech {
            utterance: 1,
            speech: Speech::Done,
        },
        Input::Marked(mark),
        Input::Stop(Why::CallerHungUp),
    ] {
        call.handle_input(at(800), input);
    }
    call.handle_timeout(at(100_000_000));
    call.start(at(100_000_000));
    assert_eq!(drain(&mut call), []);
    assert_eq!(call.poll_timeout(), None);
    assert_eq!(call.floor(), Floor::Ended);
}

#[test]
fn one_who_does_not_fetch_is_not_listened_to_until_he_does() {
    let mut call = asked();
    for _ in 0..10 * MAX_OUTPUTS {
        call.handle_input(at(700), Input::Digit('1'));
    }
    assert_eq!(drain(&mut call).len(), MAX_OUTPUTS);
    call.handle_input(at(700), Input::Digit('2'));
    assert_eq!(drain(&mut call), [Output::Note(Note::Digit { digit: '2' })]);
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut call = Call::new(Settings {
        greeting: Some("hello".into()),
        ..Settings::default()
    });
    call.start(at(5000));
    let speech = Speech::Audio { samples: 8000 };
    call.handle_input(
        at(4000),
        Input::Speech {
            utterance: 1,
            speech,
        },
    );
    drain(&mut call);
    assert_eq!(call.lead_ms(at(0)), call.lead_ms(at(5000)));
    assert!(
        call.poll_timeout()
            .is_some_and(|(deadline, timer)| { deadline > at(5000) && timer == Timer::Pace })
    );
}

#[test]
fn a_call_starts_once_and_shares_its_settings() {
    let settings = Arc::new(Settings {
        greeting: Some("hello".into()),
        ..Settings::default()
    });
    let mut call = Call::new(settings.clone());
    call.start(at(0));
    call.start(at(0));
    assert_eq!(drain(&mut call).len(), 1);
    assert_eq!(Arc::strong_count(&settings), 2);
}

#[test]
fn no_deadline_is_a_deadline_of_nought() {
    let never = Settings {
        no_input_ms: 0,
        max_call_secs: 0,
        reply_deadline_ms: 0,
        ..Settings::default()
    };
    let mut call = Call::new(never);
    call.start(at(0));
    assert_eq!(call.poll_timeout(), None);
}
