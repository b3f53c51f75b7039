//! A leg with a responder and a voice in C, the moody ones, and a clock that a test moves. No line.
#![cfg(test)]
#![allow(clippy::unwrap_used)]

use super::Visit;
use super::leg::Leg;
use super::moment::{Moment, Scratch};
use super::outbox::Outbox;
use super::stage::{Stage, setup};
use crate::call::{self, Floor};
use crate::media::detect::Kind;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 20 ms of the line.
const QUIET: [u8; 160] = [0xff; 160];

/// The same of somebody who hums.
fn loud() -> [u8; 160] {
    std::array::from_fn(|at| if at / 10 % 2 == 0 { 0x10 } else { 0x90 })
}

/// A call, and how late it is.
struct Rig {
    leg: Leg,
    now: Instant,
    out: Outbox,
    scratch: Scratch,
    _stage: Stage,
}

impl Rig {
    /// With a responder that says three sentences of 800 ms each.
    fn new(settings: call::Settings) -> Rig {
        let mut stage = Stage::new("moody");
        let agent = Arc::get_mut(&mut stage.visit.guest.agent).unwrap();
        agent.settings = settings;
        agent.detector = Kind::Energy;
        agent.responder = "moody".into();
        (agent.transcriber, agent.endpointer) = (None, None);
        stage.hire([setup("moody", "own", json!({}), None)]);
        let (mut out, mut scratch) = (Outbox::default(), Scratch::default());
        let visit = Visit {
            house: Arc::clone(&stage.visit.house),
            guest: stage.visit.guest.clone(),
        };
        let mut moment = Moment {
            now: stage.now,
            scratch: &mut scratch,
        };
        let leg = Leg::begin(visit, "MZ1".to_owned(), None, &mut out, &mut moment);
        Rig {
            leg,
            now: stage.now,
            out,
            scratch,
            _stage: stage,
        }
    }

    fn hears(&mut self, frame: &[u8]) {
        self.now += Duration::from_millis(20);
        let mut moment = Moment {
            now: self.now,
            scratch: &mut self.scratch,
        };
        self.leg.hear(frame, &mut self.out, &mut moment);
        self.leg.tick(&mut self.out, &mut moment);
        self.out.discard();
    }

    fn rests(&self) -> bool {
        self.leg.look_at(self.now) > self.now
    }
}

#[test]
fn an_answer_that_is_held_back_is_not_looked_at_with_every_tick() {
    let mut rig = Rig::new(call::Settings {
        speculate: true,
        ..call::Settings::default()
    });
    for _ in 0..50 {
        rig.hears(&QUIET); // how loud the line is when nobody speaks
    }
    for _ in 0..30 {
        rig.hears(&loud());
    }
    let mut held_back = 0;
    for _ in 0..100 {
        rig.hears(&QUIET);
        if rig.leg.call.floor() == Floor::Listening && rig.leg.mouth.is_saying() {
            held_back += 1;
            assert!(rig.rests(), "looked at for nothing");
        } else if held_back > 0 {
            break;
        }
    }
    let floor = rig.leg.call.floor();
    assert!(
        held_back > 5,
        "the answer was there {held_back} frames before; {floor:?}"
    );
    assert!(rig.leg.mouth.is_saying(), "there is no room for all of it");
    assert!(!rig.rests(), "it is being said");
}
