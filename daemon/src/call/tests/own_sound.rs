//! Responders that bring their own sound, and those that take their own turns.

use super::agents::{agent, listener};
use super::chart::chart;
use super::world::{Does, Event};
use crate::call::input::Why;
use crate::call::output::Output;
use crate::call::settings::Settings;
use crate::call::time::samples;

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

#[test]
fn a_live_responder_that_is_gone_is_apologised_for_and_the_call_ends() {
    let live = Settings {
        own_turns: true,
        ..listener()
    };
    let mut gone = chart(live).shows("fth");
    gone.world.later(500, Event::Does(0, Does::Fails));
    let world = gone.plays(
        "
        caller  ...............
        bot     ......11111....
        log          f     h
        log          t
        ",
    );
    assert_eq!(world.done, Some(Why::Failed));
}
