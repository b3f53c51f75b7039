//! The legs of one media thread, beyond the one line that each of them has: those that wait without a stream, and on
//! which line the others are.
//!
//! A leg never leaves its thread, because plugin streams may not; so its call's next stream comes here. While it waits
//! it is looked at like any other: its deadlines run, and what plugins still say is read.

use super::leg::Leg;
use super::line::Line;
use super::moment::Moment;
use super::outbox::Outbox;
use crate::call::Why;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::Instant;
use tracing::error;

pub(super) struct Legs {
    place: usize,
    /// Bounded by admission: each is a call that counts.
    parked: HashMap<String, Parked>,
    talking: HashMap<String, Weak<RefCell<Line>>>,
}

struct Parked {
    leg: Box<Leg>,
    /// When it is to be looked at next.
    look: Instant,
}

impl Legs {
    /// Of the thread with this number.
    pub(super) fn new(place: usize) -> Legs {
        Legs {
            place,
            parked: HashMap::new(),
            talking: HashMap::new(),
        }
    }

    /// The thread's number.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Nobody waits here without a stream.
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// This leg has no stream any more.
    pub(super) fn park(&mut self, leg: Box<Leg>, now: Instant) {
        let sid = leg.call_sid().to_owned();
        self.parked.insert(sid, Parked { leg, look: now });
    }

    /// The leg of this call, if it waits.
    pub(super) fn unpark(&mut self, call_sid: &str) -> Option<Box<Leg>> {
        self.parked.remove(call_sid).map(|parked| parked.leg)
    }

    /// The leg of this call is on this line.
    pub(super) fn talks(&mut self, call_sid: String, line: Weak<RefCell<Line>>) {
        self.talking.insert(call_sid, line);
    }

    /// It is no more.
    pub(super) fn talks_no_more(&mut self, call_sid: &str) {
        self.talking.remove(call_sid);
    }

    /// The line on which the leg of this call is, if it has one; it is not known here any more.
    pub(super) fn line_of(&mut self, call_sid: &str) -> Option<Rc<RefCell<Line>>> {
        self.talking.remove(call_sid)?.upgrade()
    }

    /// Looks at those that are due.
    pub(super) fn tick(&mut self, moment: &mut Moment<'_>) {
        let mut nowhere = Outbox::default();
        self.parked.retain(|_, parked| {
            if parked.look > moment.now {
                return true;
            }
            let leg = &mut parked.leg;
            // A panic in one call is that call's end, not the thread's.
            let whole = catch_unwind(AssertUnwindSafe(|| leg.tick(&mut nowhere, moment)));
            nowhere.discard();
            parked.look = leg.look_at(moment.now);
            if whole.is_err() {
                error!(
                    "a call was ended by a fault of ours; the others go on. Please report the panic above"
                );
            }
            whole.is_ok() && leg.over().is_none()
        });
    }

    /// The configuration has changed.
    pub(super) fn let_go(&mut self) {
        for parked in self.parked.values_mut() {
            parked.leg.let_go();
        }
    }

    /// Ends this call, or all of them, if they wait here.
    pub(super) fn end(&mut self, call_sid: Option<&str>, why: Why, moment: &mut Moment<'_>) {
        let mut nowhere = Outbox::default();
        let ended: Vec<Parked> = match call_sid {
            Some(sid) => self.parked.remove(sid).into_iter().collect(),
            None => self.parked.drain().map(|(_, parked)| parked).collect(),
        };
        for mut parked in ended {
            parked.leg.end(why, &mut nowhere, moment);
            nowhere.discard();
        }
    }
}
