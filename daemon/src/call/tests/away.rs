//! Calls that leave their stream and come back: connected elsewhere, for keys, or because it broke. How to read a
//! drawing stands in [`chart`](super::chart).

use super::chart::{Chart, chart, heard, notes};
use super::happenings::PLAIN;
use super::world::{Does, Event, World};
use crate::call::input::{Departure, Input, Reply, Return, Stretch, Why};
use crate::call::machine::Floor;
use crate::call::output::{Note, Output, Prompt, Sounded, Timer};
use crate::call::saying::MAX_QUEUED_UTTERANCES;
use crate::call::settings::Settings;
use crate::call::time::CallTime;

fn agent() -> Settings {
    Settings {
        greeting: Some("01 345 789".into()),
        no_input_ms: 0,
        return_ms: 1000,
        reply_deadline_ms: 1000,
        ..Settings::default()
    }
}

fn keys() -> Departure {
    Departure::Digits("12#".into())
}

/// The responder sends its first caller elsewhere, between two sentences, and answers whatever comes next.
fn departs(back: Option<(u64, Return<'static>)>) -> Chart {
    let mut drawing = chart(Settings {
        greeting: None,
        ..agent()
    })
    .shows("rtD<cd");
    drawing.world.responder = Box::new(|turn| match turn {
        1 => vec![
            (0, Does::Says("abc".into())),
            (0, Does::Departs(keys())),
            (0, Does::Says("defg".into())),
            (0, Does::Finishes),
        ],
        _ => vec![(0, Does::Says("hi".into())), (0, Does::Finishes)],
    });
    drawing.world.returns = Box::new(move |_| back);
    drawing
}

fn prompts(world: &World) -> Vec<Prompt> {
    let prompts = world.prompts.iter();
    prompts.map(|(prompt, _)| prompt.clone()).collect()
}

#[test]
fn the_call_leaves_when_everything_said_before_was_heard_and_says_the_rest_when_it_is_back() {
    let world = departs(Some((500, Return::Digits))).plays(
        "
        caller  ssss......................
        bot     .........111......222233..
        log            r   D    <t
        log            t        r
        log                     t
        ",
    );
    assert_eq!(prompts(&world)[1], Prompt::Returned);
    assert_eq!(
        heard(&world),
        [(1, 300, true), (2, 400, true), (3, 200, true)]
    );
    let told: Vec<&Note> = notes(&world)
        .filter(|note| matches!(note, Note::Departed { .. } | Note::Returned { .. }))
        .collect();
    assert_eq!(
        told,
        [
            &Note::Departed { to: Some(keys()) },
            &Note::Returned { after_ms: 500 }
        ]
    );
}

/// The responder sends its first caller where he cannot go, between two sentences, and then does this.
fn stays(then: impl Fn() -> Vec<(u64, Does)> + 'static) -> Chart {
    let mut drawing = departs(None).shows("rtcfD");
    drawing.world.responder = Box::new(move |turn| match turn {
        1 => vec![
            (0, Does::Says("abc".into())),
            (0, Does::Stays),
            (0, Does::Says("defg".into())),
            (300, Does::Finishes),
        ],
        _ => then(),
    });
    drawing
}

#[test]
fn who_wants_the_call_where_it_cannot_go_is_asked_what_now_when_all_he_said_was_heard() {
    let world = stays(|| vec![(0, Does::Says("hi".into())), (0, Does::Finishes)]).plays(
        "
        caller  ssss......................
        bot     .........1112222.33.......
        log            rt      r
        log            t       t
        ",
    );
    assert_eq!(prompts(&world)[1..], [Prompt::Returned]);
}

#[test]
fn who_speaks_before_he_is_asked_what_now_is_answered_instead() {
    let world = stays(|| vec![(0, Does::Says("hi".into())), (0, Does::Finishes)]).plays(
        "
        caller  ssss......ssssss............
        bot     .........111.........33.....
        log            rt     c    r
        log            t           t
        ",
    );
    assert!(matches!(prompts(&world)[1], Prompt::Speech { .. }));
}

#[test]
fn who_answers_that_with_the_same_has_failed() {
    let mut drawing = stays(|| vec![(0, Does::Stays), (0, Does::Finishes)]);
    drawing.world.later(9000, Event::Tick);
    let world = drawing.plays(
        "
        caller  ssss......................
        bot     .........1112222..........
        log            rt      r
        log            t       f
        ",
    );
    assert_eq!(prompts(&world)[1..], [Prompt::Returned]);
}

#[test]
fn whoever_speaks_before_the_call_leaves_prevents_it() {
    let world = departs(None).plays(
        "
        caller  ssss....ssssssssss...........
        bot     .......................22....
        log            rc            r
        log            t             t
        ",
    );
    assert!(
        !world
            .log
            .iter()
            .any(|(_, output)| matches!(output, Output::Depart(_)))
    );
}

#[test]
fn away_nothing_happens_until_the_longest_call_is_over() {
    let mut drawing = departs(None);
    drawing.world.later(3000, Event::Tick);
    let world = drawing.plays(
        "
        caller  ssss..........sssssss5.......
        bot     .........111.................
        log            r   D
        log            t
        ",
    );
    assert_eq!(
        world.call.poll_timeout(),
        Some((CallTime::from_ms(3_600_000), Timer::MaxCall))
    );
}

#[test]
fn a_caller_who_hangs_up_elsewhere_has_ended_the_call() {
    let world = departs(None).plays(
        "
        caller  ssss............X..
        bot     .........111.......
        log            r   D    d
        log            t
        ",
    );
    assert_eq!(world.done, Some(Why::CallerHungUp));
}

#[test]
fn replies_that_come_meanwhile_wait_in_the_queue_up_to_its_bound() {
    let mut world = departs(None).plays(
        "
        caller  ssss............
        bot     .........111....
        log            r   D
        log            t
        ",
    );
    // The responder has more to say of the turn it was asked about, but had said that it was done.
    let reply = Reply::Text("late", PLAIN);
    world
        .call
        .handle_input(world.now, Input::Reply { turn: 1, reply });
    assert_eq!(world.call.sayings.len(), 1);
    let mut drawing = departs(None);
    drawing.world.responder = Box::new(|_| vec![(0, Does::Departs(keys()))]);
    let mut world = drawing.plays(
        "
        caller  ssss............
        bot     ................
        log            r
        log            D
        ",
    );
    for _ in 0..2 * MAX_QUEUED_UTTERANCES {
        let reply = Reply::Text("late", PLAIN);
        world
            .call
            .handle_input(world.now, Input::Reply { turn: 1, reply });
    }
    assert_eq!(world.call.sayings.len(), MAX_QUEUED_UTTERANCES);
    let outputs: Vec<Output> = std::iter::from_fn(|| world.call.poll_output()).collect();
    let [refused] = &outputs[..] else {
        panic!("one note for all that are refused: {outputs:?}");
    };
    assert!(matches!(refused, Output::Note(Note::Failed { .. })));
}

fn loses(at_ms: u64, back: Option<u64>) -> Chart {
    let mut drawing = chart(agent()).shows("rtX<d");
    drawing.world.later(at_ms, Event::Stop(Why::StreamLost));
    drawing.world.returns = Box::new(move |_| back.map(|after_ms| (after_ms, Return::Lost)));
    drawing
}

#[test]
fn after_a_stream_that_broke_he_says_on_what_was_not_heard() {
    let world = loses(500, Some(400)).plays(
        "
        caller  ....................
        bot     .1111....111111.....
        log     t    X   <
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
    assert_eq!(world.call.floor(), Floor::Listening);
}

#[test]
fn a_stream_that_does_not_come_back_in_time_ends_the_call() {
    let world = loses(500, None).plays(
        "
        caller  ....................
        bot     .1111...............
        log     t    X         d
        ",
    );
    assert_eq!(world.done, Some(Why::StreamLost));
    assert_eq!(heard(&world), [(1, 400, false)]);
}

#[test]
fn where_no_stream_is_waited_for_a_broken_one_ends_the_call() {
    let mut drawing = chart(Settings {
        return_ms: 0,
        ..agent()
    })
    .shows("d");
    drawing.world.later(500, Event::Stop(Why::StreamLost));
    drawing.plays(
        "
        caller  ..........
        bot     .1111.....
        log          d
        ",
    );
}

#[test]
fn what_he_was_saying_when_the_stream_broke_is_answered_when_it_is_back() {
    let mut drawing = chart(Settings {
        greeting: None,
        transcribed: true,
        ..agent()
    })
    .shows("rl<");
    drawing.world.transcriber = Box::new(|_: Stretch, heard| match heard {
        Sounded::Ended => vec![(0, super::world::Writes::Final("a table".into()))],
        Sounded::Started | Sounded::Paused => Vec::new(),
    });
    drawing.world.later(500, Event::Stop(Why::StreamLost));
    drawing.world.returns = Box::new(|_| Some((700, Return::Lost)));
    let world = drawing.plays(
        "
        caller  ..sss_______.........
        bot     ..............1111111
        log       l         <
        log                 l
        log                 l
        log                 r
        ",
    );
    let text = Some("a table".into());
    assert_eq!(prompts(&world), [Prompt::Speech { text }]);
}

#[test]
fn a_stream_that_breaks_while_the_agent_is_stopped_lets_him_go_on() {
    let world = loses(700, Some(400)).plays(
        "
        caller  ....ss..............
        bot     .11111.....11111....
        log     t    X     <
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
}

#[test]
fn a_return_from_nowhere_is_survived() {
    let mut world = World::new(agent());
    world
        .call
        .handle_input(world.now, Input::Returned(Return::Lost));
    world.start();
    let outcome = "busy";
    world
        .call
        .handle_input(world.now, Input::Returned(Return::Transfer { outcome }));
    assert!(world.call.poll_output().is_none());
}
