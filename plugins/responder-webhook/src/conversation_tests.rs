//! What a conversation remembers and what its requests say, judged by the schema.

#![allow(clippy::unwrap_used)]

use super::*;

fn events(names: &[&str]) -> Events {
    serde_json::from_value(json!(names)).unwrap()
}

fn conversation() -> Conversation {
    let call = CallInfo {
        sid: "CA1".into(),
        from: "+1".into(),
        to: "+2".into(),
        parameters: [("shop".to_owned(), "7".to_owned())].into(),
    };
    Conversation::new(
        call,
        "en".into(),
        &events(&["start", "digit", "silence", "returned", "end"]),
    )
}

fn over(talk: &mut Conversation, turn: u32) -> Asked {
    match talk.learn(Event::TurnOver { turn }) {
        Learned::Asked(of, asked) if of == turn => asked,
        other => panic!("{other:?}"),
    }
}

fn text(turn: u32, text: &str) -> Event {
    let text = text.to_owned();
    Event::Text { turn, text }
}

/// Judged by the schema.
fn body(talk: &mut Conversation, turn: u32, asked: &Asked) -> Value {
    let schema: Value = serde_json::from_str(include_str!("../schema/request.json")).unwrap();
    let body: Value = serde_json::from_str(&talk.body(turn, asked)).unwrap();
    let valid = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = valid.iter_errors(&body).map(|e| e.to_string()).collect();
    assert_eq!(wrong, [""; 0], "{body}");
    body
}

#[test]
fn who_coughs_before_the_first_words_has_not_begun() {
    let mut talk = conversation();
    talk.learn(Event::SpeechStart);
    talk.learn(Event::Cancelled {
        turn: 1,
        heard: String::new(),
        withdrawn: true,
    });
    assert_eq!(talk.turn_over(2), Asked::Start);
    assert_eq!(talk.turn_over(3), Asked::Turn(None));
}

#[test]
fn a_bot_that_comes_to_a_call_later_knows_what_was_said() {
    let mut talk = conversation();
    let history = [
        Said::Caller("hello".into()),
        Said::Digit('5'),
        Said::Agent {
            text: "Which".into(),
            interrupted: true,
        },
    ];
    talk.take_up(&history, &[("order".into(), "17".into())].into());
    talk.learn(Event::Text {
        turn: 4,
        text: "the second".into(),
    });
    let asked = talk.turn_over(4);
    let body: Value = serde_json::from_str(&talk.body(4, &asked)).unwrap();
    assert_eq!(
        body["history"],
        json!([
            {"caller": "hello"},
            {"digit": "5"},
            {"agent": "Which", "interrupted": true}
        ])
    );
    assert_eq!(body["variables"], json!({"order": "17"}));
}

#[test]
fn a_withdrawn_turn_leaves_no_trace_whenever_that_is_told() {
    for answered_first in [true, false] {
        let mut talk = conversation();
        let text = |turn, text: &str| Event::Text {
            turn,
            text: text.into(),
        };
        talk.learn(text(1, "I'd like to book"));
        let asked = talk.turn_over(1);
        talk.body(1, &asked);
        if answered_first {
            talk.answered(1, "For how many?".into());
        }
        let cancelled = talk.learn(Event::Cancelled {
            turn: 1,
            heard: String::new(),
            withdrawn: true,
        });
        assert_eq!(cancelled, Learned::Cancelled(1));
        if !answered_first {
            talk.answered(1, "For how many?".into());
        }
        assert!(talk.history.is_empty());
        assert_eq!(talk.history_bytes, 0);
        talk.learn(text(2, "I'd like to book for two"));
        let asked = talk.turn_over(2);
        let body: Value = serde_json::from_str(&talk.body(2, &asked)).unwrap();
        assert_eq!(body["text"], "I'd like to book for two");
        assert_eq!(body["history"], json!([]));
    }
}

#[test]
fn what_came_before_the_end_of_a_turn_says_what_it_is() {
    let mut talk = conversation();
    assert_eq!(over(&mut talk, 1), Asked::Start);
    talk.learn(Event::SpeechStart);
    assert_eq!(over(&mut talk, 2), Asked::Turn(None));
    talk.learn(text(3, "good day"));
    assert_eq!(over(&mut talk, 3), Asked::Turn(Some("good day".into())));
    talk.learn(Event::Digit('1'));
    talk.learn(Event::Digit('2'));
    assert_eq!(over(&mut talk, 4), Asked::Digit('1', None));
    assert_eq!(over(&mut talk, 5), Asked::Digit('2', None));
    talk.learn(Event::Silence { count: 2 });
    assert_eq!(over(&mut talk, 6), Asked::Silence(2));
    let returned = |after: &str| Event::Returned {
        after: after.into(),
        outcome: "busy".into(),
        reason: String::new(),
    };
    talk.learn(returned("stream"));
    assert_eq!(over(&mut talk, 7), Asked::Turn(None));
    talk.learn(returned("transfer"));
    assert!(matches!(over(&mut talk, 8), Asked::Returned { .. }));
    let mut greeted = conversation();
    greeted.learn(text(1, "hello"));
    assert_eq!(over(&mut greeted, 1), Asked::Turn(Some("hello".into())));
}

#[test]
fn what_he_said_before_a_key_is_told_with_it_or_in_the_history() {
    let partial = |turn, text: &str| Event::Partial {
        turn,
        text: text.into(),
    };
    let mut talk = conversation();
    talk.learn(partial(1, "an"));
    talk.learn(Event::Digit('#'));
    talk.learn(partial(1, "Ann"));
    let asked = over(&mut talk, 1);
    assert_eq!(asked, Asked::Digit('#', Some("Ann".into())));
    let first = body(&mut talk, 1, &asked);
    assert_eq!(
        (&first["text"], &first["history"]),
        (&json!("Ann"), &json!([]))
    );
    talk.learn(partial(1, "Ann Smith."));
    talk.learn(Event::Digit('1'));
    let asked = over(&mut talk, 2);
    let second = body(&mut talk, 2, &asked);
    assert_eq!(second["text"], Value::Null);
    talk.learn(partial(2, "Yes."));
    let third = body(&mut talk, 3, &Asked::End);
    let told = [
        json!({"caller": "Ann Smith."}),
        json!({"digit": "#"}),
        json!({"caller": "Yes."}),
        json!({"digit": "1"}),
    ];
    assert_eq!(second["history"], json!(told[..2]));
    assert_eq!(third["history"], json!(told));
    assert_eq!(talk.history_bytes, "Ann Smith.#Yes.1".len());
}

#[test]
fn only_what_is_wanted_is_posted_and_turns_always_are() {
    let few = events(&["silence"]);
    assert!(Asked::Turn(None).is_wanted(&few) && Asked::Silence(1).is_wanted(&few));
    for other in [Asked::Start, Asked::Digit('1', None), Asked::End] {
        assert!(!other.is_wanted(&few), "{other:?}");
    }
    let mut talk = Conversation::new(CallInfo::default(), String::new(), &few);
    talk.learn(Event::Digit('1'));
    assert_eq!(over(&mut talk, 1), Asked::Turn(None));
}

#[test]
fn each_request_is_what_the_schema_says_and_tells_what_was_heard() {
    let mut talk = conversation();
    let first = body(&mut talk, 1, &Asked::Start);
    assert_eq!(first["call"]["parameters"]["shop"], "7");
    talk.answered(1, "How can I help you today?".into());
    talk.learn(Event::Cancelled {
        turn: 1,
        heard: "How can I".into(),
        withdrawn: false,
    });
    let second = body(&mut talk, 2, &Asked::Turn(Some("a taxi".into())));
    assert_eq!(
        (&second["text"], &second["request"]),
        (&json!("a taxi"), &json!(2))
    );
    assert_eq!(
        second["history"],
        json!([{"agent": "How can I", "interrupted": true}])
    );
    talk.answered(2, "Where to?".into());
    talk.speaks("es");
    talk.set("car", "9").unwrap();
    let third = body(&mut talk, 3, &Asked::Digit('#', None));
    assert_eq!(third["history"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&third["language"], &third["variables"]["car"]),
        (&json!("es"), &json!("9"))
    );
    talk.answered(3, "Nothing of this is heard.".into());
    talk.learn(Event::Cancelled {
        turn: 3,
        heard: String::new(),
        withdrawn: false,
    });
    for asked in [
        Asked::Silence(1),
        Asked::Turn(None),
        Asked::End,
        Asked::Returned {
            after: "transfer".into(),
            outcome: "no-answer".into(),
            reason: String::new(),
        },
        Asked::Returned {
            after: "transfer".into(),
            outcome: "failed".into(),
            reason: "bad_action: no number".into(),
        },
    ] {
        let body = body(&mut talk, 4, &asked);
        assert_eq!(body["history"][3], json!({"digit": "#"}), "{asked:?}");
    }
}

#[test]
fn what_was_not_done_is_told_once_and_with_a_bound() {
    let mut talk = conversation();
    for n in 0..=MAX_REFUSED {
        talk.learn(Event::Refused {
            action: "voice".into(),
            reason: format!("not_found: {n}"),
        });
    }
    let told = body(&mut talk, 1, &Asked::Turn(None));
    let refused = told["refused"].as_array().unwrap();
    assert_eq!(refused.len(), MAX_REFUSED);
    assert_eq!(refused[0], json!({"do": "voice", "reason": "not_found: 0"}));
    assert_eq!(
        body(&mut talk, 2, &Asked::Turn(None))["refused"],
        Value::Null
    );
}

#[test]
fn an_answer_interrupted_while_it_is_made_is_what_was_heard_of_it() {
    let mut talk = conversation();
    let cancelled = |turn, heard: &str| Event::Cancelled {
        turn,
        withdrawn: false,
        heard: heard.into(),
    };
    talk.learn(cancelled(1, "How can"));
    talk.answered(1, "How can I help".into());
    talk.learn(cancelled(2, ""));
    talk.answered(2, "Nothing heard".into());
    talk.answered(3, "All heard".into());
    assert_eq!(
        body(&mut talk, 4, &Asked::End)["history"],
        json!([{"agent": "How can", "interrupted": true}, {"agent": "All heard", "interrupted": false}])
    );
}

#[test]
fn the_oldest_is_forgotten_and_variables_have_a_bound() {
    let mut talk = conversation();
    let long = "x".repeat(MAX_HISTORY_BYTES / 4);
    for turn in 1..=6 {
        talk.answered(turn, long.clone());
    }
    assert_eq!(talk.history.len(), 4);
    talk.learn(Event::Cancelled {
        turn: 6,
        heard: "x".into(),
        withdrawn: false,
    });
    assert_eq!(talk.history_bytes, 3 * long.len() + 1);
    for turn in 0..=MAX_HISTORY as u32 {
        talk.answered(turn, "y".into());
    }
    assert_eq!(talk.history.len(), MAX_HISTORY);
    for n in 0..MAX_VARIABLES {
        talk.set(&n.to_string(), "v").unwrap();
    }
    talk.set("0", "another").unwrap();
    assert!(talk.set("one more", "v").unwrap_err().contains("64"));
    assert!(
        talk.set("0", &"v".repeat(MAX_VARIABLE_BYTES))
            .unwrap_err()
            .contains("4096")
    );
    for _ in 0..=MAX_DIGITS {
        talk.learn(Event::Digit('1'));
    }
    assert_eq!(talk.digits.len(), MAX_DIGITS);
}
