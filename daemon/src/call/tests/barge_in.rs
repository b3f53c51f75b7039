//! The caller speaks while the agent does: at first the agent only stops, and goes on where he was stopped if it was
//! nothing. How to read a drawing stands in [`chart`](super::chart).

use super::chart::{Chart, chart, heard, notes};
use super::world::{Does, Event, FIRM, Manner, World};
use crate::call::input::{Input, Speech, Why};
use crate::call::machine::{Call, Floor};
use crate::call::output::{Note, Output, Timer};
use crate::call::settings::Settings;
use crate::call::time::{CallTime, samples};

/// An agent that greets for a second; nobody writes down what the caller says.
fn agent() -> Settings {
    Settings {
        greeting: Some("01 345 789".into()),
        no_input_ms: 0,
        ..Settings::default()
    }
}

/// The same, and somebody writes it down.
fn reader() -> Settings {
    Settings {
        transcribed: true,
        back_channels: vec!["mm-hm".into(), "yes".into()],
        transcriber_deadline_ms: 3000,
        ..agent()
    }
}

fn draws(settings: Settings) -> Chart {
    chart(settings).shows("XFxbR.rk")
}

fn resumed(world: &World) -> Vec<(u32, u64, &str)> {
    let resumed = notes(world).filter_map(|note| match note {
        Note::Resumed {
            utterance,
            silent_ms,
            words,
        } => Some((*utterance, *silent_ms, words.as_str())),
        _ => None,
    });
    resumed.collect()
}

// Nobody writes down words: how long he speaks tells.

#[test]
fn a_short_noise_stops_the_agent_and_he_goes_on_where_he_was_stopped() {
    let world = draws(agent()).plays(
        "
        caller  ....sss..................
        bot     .11111......11111........
        log          X     R
        ",
    );
    // 500 ms after the last voice; all of it was heard, in two parts
    assert_eq!(resumed(&world), [(1, 500, "")]);
    assert_eq!(heard(&world), [(1, 1000, true)]);
    assert_eq!(world.call.floor(), Floor::Listening);
}

#[test]
fn a_long_voice_takes_the_floor() {
    let world = draws(agent()).plays(
        "
        caller  ....ssssssss.............
        bot     .11111............2222222
        log          X  F      r
        log             k
        log             b
        ",
    );
    assert_eq!(heard(&world)[0], (1, 490, false));
    assert_eq!(
        notes(&world).find(|note| matches!(note, Note::BargeIn { .. })),
        Some(&Note::BargeIn {
            utterance: 1,
            voiced_ms: 500
        })
    );
}

#[test]
fn a_second_noise_while_he_goes_on_stops_him_again() {
    let world = draws(agent()).plays(
        "
        caller  ....sss......sss...............
        bot     .11111......111......11........
        log          X     R  X     R
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
    // A mark from before counts for nothing, and each that is sent knows how often the carrier was emptied.
    let epochs = world.log.iter().filter_map(|(_, output)| match output {
        Output::Mark(mark) => Some(mark.epoch),
        _ => None,
    });
    assert_eq!(epochs.max(), Some(2));
}

#[test]
fn without_a_wait_a_stop_is_for_good_at_once() {
    draws(Settings {
        resume_ms: 0,
        ..agent()
    })
    .plays(
        "
        caller  ....sss..................
        bot     .11111.......22222222....
        log          x    r
        log          k
        log          b
        ",
    );
}

#[test]
fn who_speaks_when_the_agent_is_about_to_finish_has_begun_to_answer() {
    let world = draws(agent()).plays(
        "
        caller  ........sss...............
        bot     .111111111.......22222222.
        log              x    r
        log              k
        log              b
        ",
    );
    assert_eq!(heard(&world)[0], (1, 890, false));
}

#[test]
fn who_speaks_into_the_silence_of_a_voice_that_forgot_its_end_has_begun_to_answer() {
    let patient = Settings {
        voice_deadline_ms: 5000,
        ..agent()
    };
    let world = draws(patient)
        .voice(|utterance| match utterance {
            1 => Manner::Hangs { given_ms: 1000 },
            _ => super::agents::WHOLE,
        })
        .plays(
            "
            caller  ................sss...............
            bot     .1111111111..............22222222.
            log                      x    r
            log                      k
            log                      b
            ",
        );
    assert_eq!(heard(&world)[0], (1, 1000, false));
}

#[test]
fn the_beginning_of_an_utterance_may_be_immune() {
    draws(Settings {
        barge_in_certain_ms: 600,
        barge_in_immune_ms: 500,
        ..agent()
    })
    .plays(
        "
        caller  ..sssss...............
        bot     .11111......11111.....
        log           X    R
        ",
    );
    draws(Settings {
        barge_in_immune_ms: 500,
        ..agent()
    })
    .plays(
        "
        caller  ..sss...............
        bot     .1111111111.........
        log
        ",
    );
}

/// Answers with a sentence that cannot be interrupted and one that can.
fn insists() -> Chart {
    let mut drawing = draws(Settings {
        greeting: None,
        ..agent()
    });
    drawing.world.responder = Box::new(|turn| match turn {
        1 => vec![
            (0, Does::Insists(format!("{FIRM}aaaaaaa"))),
            (0, Does::Says("bbbbbbbb".into())),
            (0, Does::Finishes),
        ],
        _ => Vec::new(),
    });
    drawing
}

#[test]
fn a_firm_phrase_is_heard_to_its_end_and_what_follows_may_be_interrupted() {
    let world = insists().plays(
        "
        caller  ssss......sssssssssssss....
        bot     .........11111111..........
        log            r        X         r
        log                     F
        log                     k
        log                     b
        ",
    );
    assert_eq!(heard(&world)[0], (1, 800, true));
}

#[test]
fn a_firm_phrase_is_said_whatever_the_caller_says_of_it() {
    let world = insists().plays(
        "
        caller  ssss......ssss..............
        bot     .........1111111122222222...
        log            r
        ",
    );
    assert_eq!(heard(&world), [(1, 800, true), (2, 800, true)]);
}

#[test]
fn the_voice_delivers_on_while_the_agent_is_stopped() {
    // 20 ms of sound every 20 ms: what came meanwhile stands ready.
    let world = draws(agent())
        .voice(|_| Manner::Speaks {
            after_ms: 100,
            piece_ms: 20,
            every_ms: 20,
        })
        .plays(
            "
            caller  ....sss..................
            bot     .11111......11111........
            log          X     R
            ",
        );
    assert_eq!(heard(&world), [(1, 1000, true)]);
    assert_eq!(world.call.underruns(), 0, "the silence was meant");
}

#[test]
fn a_voice_that_fails_while_the_agent_is_stopped_costs_the_rest() {
    let mut drawing = draws(agent()).voice(|_| Manner::Hangs { given_ms: 700 });
    drawing.world.later(800, Event::NotSpoken(1));
    let world = drawing.shows("XRf").plays(
        "
        caller  ....sss..................
        bot     .11111......11...........
        log          X  f  R
        ",
    );
    assert_eq!(heard(&world), [(1, 700, false)]);
}

#[test]
fn whoever_ends_the_call_while_the_agent_is_stopped_ends_it() {
    let world = draws(agent()).plays(
        "
        caller  ....ssX..........
        bot     .11111...........
        log          X.
        ",
    );
    assert_eq!(heard(&world), [(1, 490, false)]);
    assert_eq!(world.done, Some(Why::CallerHungUp));
}

#[test]
fn the_longest_call_ends_with_a_goodbye_though_the_agent_is_stopped() {
    let world = draws(Settings {
        max_call_secs: 1,
        goodbye_text: Some("bye".into()),
        ..agent()
    })
    .plays(
        "
        caller  ....ss...........
        bot     .11111.....222...
        log          X    F   .
        log               k
        ",
    );
    assert_eq!(world.done, Some(Why::TooLong));
}

// Somebody writes down words: they tell.

#[test]
fn words_take_the_floor_as_soon_as_they_come() {
    let world = draws(reader())
        .words([('a', "wait a"), ('B', "wait a moment")])
        .plays(
            "
            caller  ....sssssss.................
            words   .......a........B...........
            bot     .11111............22222222..
            log          X F        r
            log            k
            log            b
            ",
        );
    assert_eq!(
        world
            .prompts
            .iter()
            .map(|(prompt, _)| prompt.clone())
            .collect::<Vec<_>>(),
        [crate::call::output::Prompt::Speech {
            text: Some("wait a moment".into())
        }]
    );
}

#[test]
fn however_long_he_speaks_without_words_is_no_barge_in() {
    let world = draws(reader()).words([('A', " ")]).plays(
        "
        caller  ....ssssssssssss...............
        words   .................A.............
        bot     .11111...........111111........
        log          X           R
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
}

#[test]
fn who_shows_that_he_listens_does_not_take_the_floor_and_is_not_waited_for() {
    let world = draws(reader()).words([('A', "Mm-hm. Yes!")]).plays(
        "
        caller  ....sss...................
        words   ........A.................
        bot     .11111..111111............
        log          X  R
        ",
    );
    assert_eq!(resumed(&world), [(1, 160, "Mm-hm. Yes!")]);
}

#[test]
fn as_few_words_as_are_allowed_do_not_take_it() {
    draws(Settings {
        barge_in_words: 2,
        ..reader()
    })
    .words([('A', "what")])
    .plays(
        "
        caller  ....sss..................
        words   ........A................
        bot     .11111......11111........
        log          X     R
        ",
    );
}

#[test]
fn he_does_not_go_on_while_words_are_on_their_way() {
    let world = draws(reader()).words([('A', "wait")]).plays(
        "
        caller  ....sss.......................
        words   .................A............
        bot     .11111.............22222222...
        log          X           F
        log                      k
        log                      b
        log                      r
        ",
    );
    assert_eq!(heard(&world)[0], (1, 490, false));
}

#[test]
fn he_goes_on_at_once_when_there_are_no_words_after_all() {
    let world = draws(reader()).words([('A', "")]).plays(
        "
        caller  ....sss........................
        words   .................A.............
        bot     .11111...........111111........
        log          X           R
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
}

/// Nobody waits for the words longer than 200 ms after the end of a stretch.
fn hasty() -> Settings {
    Settings {
        transcriber_deadline_ms: 200,
        ..reader()
    }
}

#[test]
fn words_that_come_when_he_has_gone_on_take_the_floor_all_the_same() {
    let world = draws(hasty()).words([('A', "wait")]).plays(
        "
        caller  ....sss.......................
        words   ...............A..............
        bot     .11111.......11..22222222.....
        log          X      R  x
        log                    k
        log                    b
        log                    r
        ",
    );
    assert_eq!(heard(&world)[0], (1, 750, false));
}

#[test]
fn words_that_come_when_he_has_finished_are_answered() {
    let world = draws(hasty()).words([('A', "wait")]).plays(
        "
        caller  ....sss..........................
        words   ....................A............
        bot     .11111.......11111....22222222...
        log          X      R       r
        ",
    );
    assert_eq!(heard(&world)[0], (1, 1000, true));
}

#[test]
fn where_words_fail_the_length_of_his_voice_tells() {
    draws(reader()).plays(
        "
        caller  ....ssssssss.............
        words   ......!..................
        bot     .11111............2222222
        log          X  F      r
        log             k
        log             b
        ",
    );
}

#[test]
fn it_tells_also_when_they_fail_or_are_late_behind_his_last_word() {
    draws(reader()).plays(
        "
        caller  ....ssssssss.................
        words   ..............!..............
        bot     .11111............22222222...
        log          X        Fr
        log                   k
        log                   b
        ",
    );
    draws(hasty()).plays(
        "
        caller  ....ssssssss.................
        words   .............................
        bot     .11111..............22222222.
        log          X           F
        log                      k
        log                      b
        log                      r
        ",
    );
    draws(hasty()).plays(
        "
        caller  ....sss......................
        words   .............................
        bot     .11111.......11111...........
        log          X      R
        ",
    );
}

// The doors.

fn at(ms: u64) -> CallTime {
    CallTime::from_ms(ms)
}

fn drain(call: &mut Call) -> Vec<Output> {
    std::iter::from_fn(|| call.poll_output()).collect()
}

/// The agent has said 400 ms of a second when the caller speaks; returns what the frame that stops him makes.
fn stopped() -> (Call, Vec<Output>) {
    let mut call = Call::new(agent());
    call.start(at(0));
    let mut says = |speech| {
        let utterance = 1;
        call.handle_input(at(0), Input::Speech { utterance, speech });
        drain(&mut call);
    };
    says(Speech::Audio {
        samples: samples(1000),
    });
    says(Speech::Done);
    let mut outputs = Vec::new();
    for frame in 1..=20 {
        if call
            .poll_timeout()
            .is_some_and(|(due, _)| due <= at(20 * frame))
        {
            call.handle_timeout(at(20 * frame));
            drain(&mut call);
        }
        let voiced = frame > 10;
        call.handle_input(at(20 * frame), Input::Heard { voiced });
        outputs = drain(&mut call);
    }
    (call, outputs)
}

#[test]
fn the_carrier_is_silenced_before_anything_else() {
    let (call, outputs) = stopped();
    let Some(Output::Hold { samples: lead }) = outputs.first() else {
        panic!("{outputs:?}");
    };
    assert!((1..=samples(300)).contains(lead), "{outputs:?}");
    // What there is to go on with is not known, so there is nothing to wait for but the end of the call and of his voice.
    assert_eq!(call.poll_timeout(), Some((at(500), Timer::Endpoint)));
}

#[test]
fn what_is_taken_back_is_played_again_to_the_sample() {
    for more in [0, 800, 3000] {
        let (mut call, outputs) = stopped();
        let Some(Output::Hold { samples: lead }) = outputs.first().cloned() else {
            panic!("{outputs:?}");
        };
        let back = lead + more;
        call.handle_input(at(400), Input::TakenBack { samples: back });
        assert_eq!(drain(&mut call), []);
        let mut played = 0;
        while let Some((due, _)) = call.poll_timeout().filter(|(due, _)| *due < at(3000)) {
            call.handle_timeout(due);
            for output in drain(&mut call) {
                if let Output::Play { samples } = output {
                    played += samples;
                }
            }
        }
        // 400 ms were heard, and the rest of the second was not.
        assert_eq!(played, samples(600) + more, "{more} samples more");
    }
}

#[test]
fn nobody_may_answer_a_stop_twice_or_unasked() {
    let (mut call, _) = stopped();
    for _ in 0..2 {
        call.handle_input(at(400), Input::TakenBack { samples: 4000 });
    }
    assert_eq!(drain(&mut call), []);
    let mut call = Call::new(agent());
    call.handle_input(at(0), Input::TakenBack { samples: u64::MAX });
    assert_eq!(drain(&mut call), []);
}

#[test]
fn absurd_answers_to_a_stop_are_survived() {
    for back in [0, 1, u64::MAX / 2] {
        let (mut call, _) = stopped();
        call.handle_input(at(400), Input::TakenBack { samples: back });
        for ms in [900, 1000, 1100] {
            call.handle_timeout(at(ms));
            drain(&mut call);
        }
        call.handle_input(at(1200), Input::Stop(Why::CallerHungUp));
        assert!(drain(&mut call).contains(&Output::Done(Why::CallerHungUp)));
    }
}
