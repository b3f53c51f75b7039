//! The rules of a conversation, each as a drawing; how to read one stands in [`chart`](super::chart).

use super::chart::{chart, heard, notes};
use super::world::{Does, Event, Fate, Manner, World};
use crate::call::input::Why;
use crate::call::machine::Floor;
use crate::call::output::{Note, Output};
use crate::call::settings::Settings;
use crate::call::time::samples;

/// An agent that greets for a second, and has a sentence for everything.
fn agent() -> Settings {
    Settings {
        greeting: Some("0123456789".into()),
        no_input_text: Some("hello".into()),
        goodbye_text: Some("bye".into()),
        apology_text: Some("sorry".into()),
        no_input_ms: 1000,
        no_input_limit: 1,
        reply_deadline_ms: 1000,
        mark_grace_ms: 500,
        resume_ms: 0,
        ..Settings::default()
    }
}

/// The same, but it listens first.
fn listener() -> Settings {
    Settings {
        greeting: None,
        ..agent()
    }
}

/// A voice that delivers everything at once, as it does when a test says nothing else.
const WHOLE: Manner = Manner::Speaks {
    after_ms: 100,
    piece_ms: 10_000,
    every_ms: 0,
};

// Turns.

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

// Barge-in.

#[test]
fn caller_can_interrupt_greeting() {
    let world = chart(agent()).plays(
        "
        caller  .....ssss..................
        bot     .111111........22222222....
        log     t     x     rt
        ",
    );
    assert_eq!(heard(&world), [(1, 590, false), (2, 800, true)]);
}

#[test]
fn barge_in_clears_even_when_everything_was_sent() {
    let short = Settings {
        greeting: Some("ab".into()),
        ..agent()
    };
    let world = chart(Settings {
        barge_in_ms: 100,
        ..short
    })
    .shows(">mxb")
    .plays(
        "
        caller  .sss..
        bot     .1....
        log      >
        log      >
        log      >
        log      m
        log      x
        log      b
        ",
    );
    assert_eq!(heard(&world), [(1, 90, false)]);
}

#[test]
fn a_cough_does_not_stop_the_agent() {
    let world = chart(agent()).shows("sxrt").plays(
        "
        caller  ...s...............
        bot     .1111111111........
        log     t
        ",
    );
    assert_eq!(heard(&world), [(1, 1000, true)]);
}

#[test]
fn caller_who_still_speaks_when_the_agent_ends_has_the_turn() {
    chart(agent()).shows("sxrtw").plays(
        "
        caller  ..........ss........
        bot     .1111111111.......22
        log     t          w   rt
        log                s
        ",
    );
}

#[test]
fn without_barge_in_the_agent_finishes_and_what_was_said_over_him_is_lost() {
    chart(Settings {
        barge_in: false,
        ..agent()
    })
    .shows("sxrt")
    .plays(
        "
        caller  ..sssss.............
        bot     .1111111111.........
        log     t
        ",
    );
}

#[test]
fn nothing_of_an_interrupted_reply_is_said_later() {
    let world = chart(listener()).shows("rtxkcb-+").plays(
        "
        caller  ssss..........ssss..............
        reply   .........ttt.t.d.t........td....
        bot     ..........111111...........55555
        log            r ttt t x     r    t
        log                    k
        log                    c
        log                    -
        log                    -
        log                    -
        log                    -
        log                    b
        ",
    );
    assert_eq!(heard(&world)[..1], [(1, 590, false)]);
}

// The responder's failures, and its own sound.

#[test]
fn a_responder_that_does_not_answer_is_apologised_for() {
    chart(listener()).shows("rcft").plays(
        "
        caller  ssss......................
        reply   ..........................
        bot     ...................11111..
        log            r         c
        log                      f
        log                      t
        ",
    );
}

#[test]
fn a_responder_that_fails_twice_in_a_row_ends_the_call() {
    let world = chart(listener()).shows("rftwhd").plays(
        "
        caller  ssss.............ssss.............
        reply   ........f................f........
        bot     .........11111............22222...
        log            rf     w         rf     w
        log             t                t     h
        log                                    d
        ",
    );
    assert_eq!(world.done, Some(Why::Failed));
}

#[test]
fn an_empty_text_is_an_error_and_not_silence() {
    chart(listener()).shows("rft").plays(
        "
        caller  ssss..............
        reply   ........ed........
        bot     ..........11111...
        log            rft
        ",
    );
}

#[test]
fn an_empty_text_among_others_is_passed_over() {
    chart(listener()).shows("rftw").plays(
        "
        caller  ssss..............
        reply   ........etd.......
        bot     ..........11111111
        log            rft
        ",
    );
}

#[test]
fn a_responder_that_fails_now_and_then_does_not_end_the_call() {
    let world = chart(listener()).shows("rfth").plays(
        "
        caller  ssss..............ssss................ssss............
        reply   ........f.................td..................f.......
        bot     .........11111.............22222222............33333..
        log            rf                rt                  rf
        log             t                                     t
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn a_responder_may_choose_to_say_nothing_but_the_log_wonders() {
    let world = chart(listener()).shows("rft").plays(
        "
        caller  ssss..............
        reply   ........d.........
        bot     ..................
        log            rf
        ",
    );
    assert_eq!(world.call.floor(), Floor::Listening);
}

#[test]
fn an_answered_caller_is_not_bothered_because_a_reply_has_no_end() {
    chart(listener()).shows("rftwc").plays(
        "
        caller  ssss.............................
        reply   ........t........................
        bot     .........11111111................
        log            rt        w         c
        log                                f
        ",
    );
}

#[test]
fn a_responder_can_bring_its_own_sound_and_speak_after_it() {
    chart(listener()).shows("rtwm").plays(
        "
        caller  ssss......................
        reply   ........aaaat.d...........
        bot     ........aaaa.22222222.....
        log            r    m     m  w
        log                 t
        log                 w
        ",
    );
}

// The end.

#[test]
fn a_hang_up_waits_until_everything_has_been_heard() {
    let world = chart(listener()).shows("twhd").plays(
        "
        caller  ssss......................
        reply   ........th................
        bot     .........11111111.........
        log             t        w
        log                      h
        log                      d
        ",
    );
    assert_eq!(world.done, Some(Why::ResponderHungUp));
}

#[test]
fn caller_can_prevent_a_hang_up_by_speaking() {
    let world = chart(listener()).shows("xhdr").plays(
        "
        caller  ssss.........sssss.........
        reply   ........th.................
        bot     .........111111............
        log            r      x      r
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn a_silent_caller_is_asked_then_bidden_goodbye() {
    let world = chart(listener()).shows("nthd").plays(
        "
        caller  ..................................
        bot     ...........11111...........222....
        log               n               n   h
        log               t               t   d
        ",
    );
    assert_eq!(world.done, Some(Why::NoInput));
}

#[test]
fn a_caller_who_spoke_is_asked_again_before_goodbye() {
    chart(listener()).shows("ntr").plays(
        "
        caller  ..................sssss......................
        reply   ............................d................
        bot     ...........11111.......................22222.
        log               n               r           n
        log               t                           t
        ",
    );
}

#[test]
fn a_key_is_an_answer_too() {
    chart(listener()).shows("n#").plays(
        "
        caller  ........5...............
        bot     ...................11111
        log             #         n
        ",
    );
}

#[test]
fn a_call_that_lasts_too_long_is_ended_with_a_goodbye() {
    let world = chart(Settings {
        max_call_secs: 1,
        ..agent()
    })
    .shows("txwhd")
    .plays(
        "
        caller  .....................
        bot     .111111111.222.......
        log     t         x   w
        log               t   h
        log                   d
        ",
    );
    assert_eq!(world.done, Some(Why::TooLong));
}

#[test]
fn a_goodbye_that_takes_too_long_is_cut() {
    let settings = Settings {
        goodbye_text: Some("a long goodbye".into()),
        max_call_secs: 1,
        ..agent()
    };
    let world = chart(settings).shows("txwh-").plays(
        "
        caller  .....................
        bot     .111111111.2222......
        log     t         x    -
        log               -    h
        log               t
        ",
    );
    assert_eq!(world.done, Some(Why::TooLong));
}

#[test]
fn nobody_can_stop_a_call_from_ending_that_lasted_too_long() {
    let hurried = Settings {
        max_call_secs: 1,
        no_input_ms: 500,
        no_input_limit: 0,
        goodbye_text: Some("a long goodbye".into()),
        ..listener()
    };
    // The goodbye for silence could be stopped; from the first second on it cannot.
    let world = chart(hurried).shows("ntxh").plays(
        "
        caller  ...........sssss....
        bot     ......111111111.....
        log          n         h
        log          t
        ",
    );
    assert_eq!(world.done, Some(Why::NoInput));
}

#[test]
fn a_goodbye_is_said_even_if_the_caller_begins_to_speak_before_it() {
    let short = Settings {
        max_call_secs: 1,
        no_input_ms: 0,
        ..listener()
    };
    chart(short).shows("stxwh").plays(
        "
        caller  ..........ssss.......
        bot     ...........111.......
        log               t   w
        log                   h
        ",
    );
}

#[test]
fn what_was_cut_by_a_hang_up_is_told() {
    let world = chart(agent()).shows("t-.dh").plays(
        "
        caller  .....X....
        bot     .1111.....
        log     t    -
        log          .
        log          d
        ",
    );
    assert_eq!(world.done, Some(Why::CallerHungUp));
    assert_eq!(heard(&world), [(1, 400, false)]);
}

// The voice's failures.

#[test]
fn an_utterance_without_sound_is_skipped() {
    let silent = |utterance| {
        if utterance == 1 {
            Manner::Silent { after_ms: 100 }
        } else {
            WHOLE
        }
    };
    chart(listener()).voice(silent).shows("tf-+h").plays(
        "
        caller  ssss......................
        reply   ........ttd...............
        bot     ..........22222222........
        log             tf        +
        log              -
        log              t
        ",
    );
}

#[test]
fn a_voice_that_fails_twice_in_a_row_ends_the_call() {
    let world = chart(agent())
        .voice(|_| Manner::Silent { after_ms: 100 })
        .shows("tfnhd")
        .plays(
            "
        caller  ..............
        bot     ..............
        log     tf         nf
        log                th
        log                 d
        ",
        );
    assert_eq!(world.done, Some(Why::Failed));
}

#[test]
fn a_voice_that_fails_now_and_then_does_not_end_the_call() {
    let moody = |utterance| {
        if utterance % 2 == 1 {
            Manner::Silent { after_ms: 100 }
        } else {
            WHOLE
        }
    };
    let world = chart(listener()).voice(moody).shows("tfh").plays(
        "
        caller  ssss.................................
        reply   ........ttttd........................
        bot     ..........2222222244444444...........
        log             tftf                        t
        log              t t
        ",
    );
    assert_eq!(world.done, None);
}

#[test]
fn a_voice_is_not_late_while_the_line_has_enough_to_play() {
    let greeting = Settings {
        greeting: Some("0123456789".repeat(3)),
        ..agent()
    };
    // The line has all of the first 2 s at 1800 ms, and 1000 ms are allowed from then on.
    let halting = |_| Manner::Speaks {
        after_ms: 100,
        piece_ms: 2000,
        every_ms: 2500,
    };
    chart(greeting).voice(halting).shows("tf").plays(
        "
        caller  .......................................
        bot     .11111111111111111111.....1111111111...
        log     t
        ",
    );
}

#[test]
fn a_voice_that_failed_twice_is_not_asked_again() {
    chart(listener())
        .voice(|_| Manner::Silent { after_ms: 100 })
        .shows("tfh")
        .plays(
            "
        caller  ssss...........
        reply   ........ttttd..
        bot     ...............
        log             tff
        log              th
        ",
        );
}

#[test]
fn a_voice_that_stops_in_the_middle_is_not_waited_for_for_ever() {
    let hangs = |_| Manner::Hangs { given_ms: 300 };
    let world = chart(agent()).voice(hangs).shows("tfk-").plays(
        "
        caller  ..............
        bot     .111..........
        log     t            f
        log                  k
        log                  -
        ",
    );
    assert_eq!(heard(&world), [(1, 300, false)]);
}

#[test]
fn a_voice_slower_than_speech_is_heard_with_gaps_and_the_gaps_are_counted() {
    let drips = |_| Manner::Speaks {
        after_ms: 100,
        piece_ms: 100,
        every_ms: 200,
    };
    let world = chart(agent()).voice(drips).shows("t+").plays(
        "
        caller  .........................
        bot     .1.1.1.1.1.1.1.1.1.1.....
        log     t                    +
        ",
    );
    assert_eq!(world.call.underruns(), 9);
}

#[test]
fn a_voice_as_fast_as_speech_leaves_no_gap() {
    let streams = |_| Manner::Speaks {
        after_ms: 60,
        piece_ms: 20,
        every_ms: 20,
    };
    let world = chart(agent()).voice(streams).shows("t+").plays(
        "
        caller  ..............
        bot     .1111111111...
        log     t         +
        ",
    );
    assert_eq!(world.call.underruns(), 0);
}

// Playout.

#[test]
fn sound_goes_out_by_lead() {
    chart(agent()).shows(">m").plays(
        "
        caller  ..............
        bot     .1111111111...
        log      >>>>>>>>
        log      >      m
        log      >
        log      >
        ",
    );
}

#[test]
fn a_lost_mark_does_not_stop_the_call() {
    chart(agent()).marks(Fate::Lost).shows("w").plays(
        "
        caller  ...................
        bot     .1111111111........
        log                     w
        ",
    );
}

#[test]
fn a_mark_that_comes_twice_counts_once() {
    let world = chart(agent())
        .marks(Fate::Twice {
            after_ms: 0,
            again_ms: 100,
        })
        .shows("w")
        .plays(
            "
        caller  ..............
        bot     .1111111111...
        log                w
        ",
        );
    assert_eq!(heard(&world).len(), 1);
}

// Responders that take their own turns.

#[test]
fn a_live_echo_is_played_frame_by_frame_and_never_interrupted() {
    let live = Settings {
        own_turns: true,
        ..listener()
    };
    let mut echo = chart(live).shows("srtxmcn");
    for frame in 0..60 {
        echo.world
            .later(15 + frame * 20, Event::Does(0, Does::Sounds(samples(20))));
    }
    let world = echo.plays(
        "
        caller  ..ssssssss..................
        bot     aaaaaaaaaaaa................
        log
        ",
    );
    let sizes = world.log.iter().filter_map(|(_, output)| match output {
        Output::Play { samples } => Some(*samples),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [160; 60]);
    assert_eq!(world.call.underruns(), 0);
}

#[test]
fn what_a_live_responder_sounds_over_the_greeting_is_thrown_away() {
    let live = Settings {
        own_turns: true,
        ..agent()
    };
    let mut echo = chart(live).shows("twx");
    for frame in 0..80 {
        echo.world
            .later(115 + frame * 20, Event::Does(0, Does::Sounds(samples(20))));
    }
    echo.plays(
        "
        caller  ......................
        bot     .1111111111aaaaaa.....
        log     t          w
        log                x
        ",
    );
}

#[test]
fn a_responder_far_ahead_of_itself_is_paced() {
    let live = Settings {
        own_turns: true,
        ..listener()
    };
    let mut model = chart(live).shows(">");
    model
        .world
        .later(100, Event::Does(0, Does::Sounds(samples(1000))));
    model.plays(
        "
        caller  ..............
        bot     .aaaaaaaaaa...
        log      >>>>>>>>
        log      >
        log      >
        log      >
        ",
    );
}

// A line of voices: the agent's own, and those that take over from it.

/// Refuses after 100 ms.
const REFUSES: Manner = Manner::Fails {
    after_ms: 100,
    given_ms: 0,
};

/// Never makes a sound.
const SILENT: Manner = Manner::Hangs { given_ms: 0 };

fn always(manner: Manner) -> Box<dyn FnMut(u32) -> Manner> {
    Box::new(move |_| manner)
}

/// The agent with a line of voices, patient with a silent one for half a second.
fn lined() -> Settings {
    Settings {
        voice_deadline_ms: 500,
        voice_rest_ms: 2000,
        ..listener()
    }
}

/// The voices asked for, in order, by their places in the line.
fn places(world: &World) -> Vec<u32> {
    let voices = world.log.iter().filter_map(|(_, output)| match output {
        Output::Speak { voice, .. } => Some(*voice),
        _ => None,
    });
    voices.collect()
}

#[test]
fn a_voice_that_refuses_is_replaced_in_the_same_turn_with_the_same_words() {
    let world = chart(lined())
        .voices([always(REFUSES), always(WHOLE)])
        .shows("rtvk+f")
        .plays(
            "
        caller  ssss..................
        reply   ........td............
        bot     ..........22222222....
        log            rtv        +
        log              k
        log              t
        ",
        );
    let replaced = notes(&world).find(|note| matches!(note, Note::VoiceReplaced { .. }));
    assert_eq!(
        replaced,
        Some(&Note::VoiceReplaced {
            utterance: 1,
            turn: 1,
            voice: 0,
            after_ms: 100,
            again: true,
            reason: "it lost its voice".into(),
        })
    );
    let texts = world.log.iter().filter_map(|(_, output)| match output {
        Output::Speak { text, .. } => Some(text.as_ref()),
        _ => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["abcdefgh"; 2]);
    assert_eq!(heard(&world), [(2, 800, true)]);
}

#[test]
fn a_silent_voice_is_replaced_when_its_deadline_has_passed() {
    chart(lined())
        .voices([always(SILENT), always(WHOLE)])
        .shows("tvk+")
        .plays(
            "
        caller  ssss.......................
        reply   ........td.................
        bot     ..............22222222.....
        log             t    v        +
        log                  k
        log                  t
        ",
        );
}

#[test]
fn a_voice_without_a_fallback_has_the_patience_of_old() {
    chart(lined()).voice(|_| SILENT).shows("tvkf").plays(
        "
        caller  ssss................
        reply   ........td..........
        bot     ....................
        log             t         f
        log                       k
        ",
    );
}

#[test]
fn a_voice_that_finishes_without_sound_is_replaced_and_what_it_babbles_later_is_not_heard() {
    let babbles = Manner::Babbles { after_ms: 100 };
    let world = chart(lined())
        .voices([always(babbles), always(WHOLE)])
        .shows("tv+f")
        .plays(
            "
        caller  ssss...................
        reply   ........td.............
        bot     ..........22222222.....
        log             tv        +
        log              t
        ",
        );
    assert_eq!(heard(&world), [(2, 800, true)]);
}

#[test]
fn the_line_is_asked_down_to_its_end() {
    let world = chart(lined())
        .voices([
            always(REFUSES),
            always(SILENT),
            always(REFUSES),
            always(WHOLE),
        ])
        .shows("tv+h")
        .plays(
            "
        caller  ssss...........................
        reply   ........td.....................
        bot     ................44444444.......
        log             tv    vv        +
        log              t    tt
        ",
        );
    assert_eq!(places(&world), [0, 1, 2, 3]);
}

#[test]
fn a_line_that_fails_to_its_end_is_a_voice_that_failed() {
    let world = chart(lined())
        .voices([always(REFUSES), always(REFUSES)])
        .shows("tvf-h")
        .plays(
            "
        caller  ssss...............
        reply   ........ttd........
        bot     ...................
        log             tvfvf
        log              t-t-
        log               t h
        ",
        );
    assert_eq!(places(&world), [0, 1, 0, 1]);
    assert_eq!(world.done, Some(Why::Failed));
}

#[test]
fn what_was_heard_of_a_broken_utterance_stays_and_the_rest_is_not_said_twice() {
    let breaks = Manner::Fails {
        after_ms: 100,
        given_ms: 300,
    };
    let world = chart(lined())
        .voices([always(breaks), always(WHOLE)])
        .shows("tv-+")
        .plays(
            "
        caller  ssss...................
        reply   ........ttd............
        bot     .........11122222222...
        log             tv  -       +
        log              t
        ",
        );
    assert_eq!(heard(&world), [(1, 300, false), (2, 800, true)]);
    assert_eq!(places(&world), [0, 1]);
}

#[test]
fn a_voice_that_falls_silent_in_the_middle_is_replaced_from_the_next_utterance_on() {
    let stalls = Manner::Hangs { given_ms: 300 };
    chart(lined())
        .voices([always(stalls), always(WHOLE)])
        .shows("tv-+")
        .plays(
            "
        caller  ssss........................
        reply   ........ttd.................
        bot     .........111.....22222222...
        log             t       v        +
        log                     t
        log                     -
        ",
        );
}

#[test]
fn a_call_stays_with_the_fallback_and_asks_its_own_voice_again_when_it_has_rested() {
    let once = Box::new(|utterance| if utterance == 1 { REFUSES } else { WHOLE });
    let world = chart(lined())
        .voices([once, always(WHOLE)])
        .shows("tv")
        .plays(
            "
        caller  ssss.....................................
        reply   ........t......t......t.......td.........
        bot     ..........2222222233333333444444445555555
        log             tv     t      t       t
        log              t
        ",
        );
    // It failed at 900 ms and rests for two seconds.
    assert_eq!(places(&world), [0, 1, 1, 1, 0]);
}

#[test]
fn another_line_is_begun_at_its_head() {
    let mut talk = chart(lined())
        .voices([
            Box::new(|utterance| if utterance == 1 { REFUSES } else { WHOLE }),
            always(WHOLE),
        ])
        .shows("tv");
    talk.world.later(1200, Event::Line(2));
    let world = talk.plays(
        "
        caller  ssss..........................
        reply   ........t......t.t.d..........
        bot     ..........22222222333333334444
        log             tv     t t
        log              t
        ",
    );
    // The core names the fallback, the leg says that the head was asked; from then on the core agrees.
    assert_eq!(places(&world), [0, 1, 1, 0]);
}

#[test]
fn caller_can_interrupt_the_wait_for_a_fallback() {
    let world = chart(lined())
        .voices([always(SILENT), always(WHOLE)])
        .shows("tvkc-r")
        .plays(
            "
        caller  ssss......ssss.........
        reply   ........td.............
        bot     .......................
        log            rt k      r
        log               c
        log               -
        ",
        );
    assert_eq!(heard(&world), [(1, 0, false)]);
}
