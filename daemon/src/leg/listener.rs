//! Somebody who listens to a caller through a whole call: the transcriber, which writes down what he says, or the
//! endpointer, which is asked at his pauses whether he has finished. Here he is given the sound and is told where speech
//! begins and ends; what follows from his words is the core's decision.
//!
//! ```text
//!  caller     ....sssssss....ssss..........sssss....
//!  told       ----S-------P--S---P----E----S----P---    SPEECH_START, SPEECH_END, SPEECH_END with LAST; the sound all along
//!  delivered      B  p  p  f   p  f     T  B  p          Begun, Partial, Finished, Final
//! ```
//!
//! Another one listens from the next stretch of speech on, never in the middle of one: when the configuration was
//! changed, when one has failed and a fallback stands behind it, and when it is the first one's turn again. What the
//! caller said in the last half second is kept for him who comes new, because a stretch is noticed late.
//!
//! How one fails, and who is told: the core, with `Failed`, if somebody waits for his words; else only the story.
//!
//! ```text
//!  cannot be started ──────────────┬ another stands behind ──→ GaveWay, and the next is tried at once
//!                                  └ nobody does ────────────→ Failed for the stretch that begins (or GaveWay)
//!  ended: his stream broke, or ────┬ owes words ─────────────→ Failed for each stretch, and the core says what follows:
//!  he says that he is at the end   │                           `replaced` if another stands behind, `failed` if not
//!                                  └ owes none ──────────────→ GaveWay, and the next has his place
//!  fails one stretch ──────────────┬ owes its words ─────────→ Failed for it, and the core says what follows
//!                                  └ does not ───────────────→ GaveWay
//! ```

use super::lineup::Lineup;
use super::moment::{Moment, Scratch};
use super::rests::{Asked, Step};
use super::starting::in_words;
use super::transcribers::Open;
use super::{House, Roster, Visit};
use crate::call::{Sounded, Stretch};
use crate::plugin::Fault;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use voice_plugin::abi::{failure, flag, kind};

/// Sound kept for one who comes new: half a second, more than it takes to notice that somebody speaks.
const RECENT_SAMPLES: usize = 4000;

/// Stretches that wait for their final words. More than one is rare, more than a few is a transcriber that gives none.
const MAX_UNANSWERED: usize = 8;

/// What a listener delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Who hears this stretch, by his place in the line, and how many stand behind him.
    Begun {
        stretch: Stretch,
        place: u32,
        fallbacks: u32,
    },
    Partial {
        stretch: Stretch,
        text: String,
    },
    Final {
        stretch: Stretch,
        text: String,
    },
    Failed {
        stretch: Stretch,
        text: String,
    },
    Finished {
        stretch: Stretch,
        percent: u8,
    },
    /// The one at this place failed while nobody waited for him; `replaced`: the next has his place from now on.
    GaveWay {
        stretch: Stretch,
        place: u32,
        replaced: bool,
        text: String,
    },
}

pub(super) struct Listener {
    step: Step,
    lineup: Lineup,
    /// Who listens, or is to listen from the next stretch on.
    place: u32,
    /// Since when it is a fallback.
    fell_back: Option<Instant>,
    /// Who was started last, until he has failed.
    asked: Option<Asked>,
    open: Option<Open>,
    /// What the responder asked for, if not the configured one.
    language: Option<String>,
    /// The latest stretch; 0 before the first.
    stretch: Stretch,
    /// It has not ended.
    sounds: bool,
    unanswered: Vec<Unanswered>,
    delivered: VecDeque<Delivered>,
    /// His stream broke while he was told something; what that means is found out at the next look.
    fault: Option<Fault>,
    /// The latest of the caller's sound, µ-law.
    recent: VecDeque<u8>,
    /// Has the line looked at before its next tick.
    bell: Option<Waker>,
}

/// How somebody came to listen no more.
enum End {
    Broke(Fault),
    /// He says so, with his last sentence; it is empty if he has said before what is wrong.
    Said(String),
}

/// A stretch whose last word has not come: final words from a transcriber, an opinion from an endpointer.
struct Unanswered {
    stretch: Stretch,
    /// The caller has paused, and may be waiting for it.
    paused: bool,
}

impl Listener {
    /// Nobody listens yet. `bell` has the line looked at when words come that the caller waits for.
    pub(super) fn new(step: Step, bell: Option<Waker>) -> Listener {
        Listener {
            step,
            lineup: Lineup::default(),
            place: 0,
            fell_back: None,
            asked: None,
            open: None,
            language: None,
            stretch: 0,
            sounds: false,
            unanswered: Vec::new(),
            delivered: VecDeque::new(),
            fault: None,
            recent: VecDeque::new(),
            bell,
        }
    }

    /// The call has another line, with another bell.
    pub(super) fn hang_bell(&mut self, bell: Option<Waker>) {
        self.bell = bell;
    }

    /// The call begins: somebody is to listen before the caller's first word. Who cannot be had now is asked again then.
    pub(super) fn begin(&mut self, visit: &Visit, moment: &mut Moment<'_>) {
        if let Err(why) = self.engage(visit, 0, moment) {
            self.gave_way(why, false);
        }
    }

    /// The caller's sound, as it came and decoded; `at` is its place in the call, in samples.
    pub(super) fn hear(&mut self, coded: &[u8], pcm: &[i16], at: u64, scratch: &mut Scratch) {
        let more = (self.recent.len() + coded.len()).saturating_sub(RECENT_SAMPLES);
        self.recent.drain(..more.min(self.recent.len()));
        self.recent.extend(coded);
        if let Some(open) = &mut self.open
            && let Err(fault) = open.hear(coded, pcm, self.stretch, at, scratch)
        {
            self.fault = Some(fault);
        }
    }

    /// How far a stretch has got.
    pub(super) fn tell(
        &mut self,
        visit: &Visit,
        stretch: Stretch,
        heard: Sounded,
        at: u64,
        moment: &mut Moment<'_>,
    ) {
        if stretch != self.stretch {
            self.begin_stretch(visit, stretch, at, moment);
        }
        let (kind, flags) = match heard {
            Sounded::Started => (kind::SPEECH_START, 0),
            Sounded::Paused => (kind::SPEECH_END, 0),
            Sounded::Ended => (kind::SPEECH_END, flag::LAST),
        };
        self.sounds = heard != Sounded::Ended;
        self.wait_for(stretch, heard);
        if let Some(open) = &mut self.open
            && let Err(fault) = open.stream.send(kind, flags, stretch, at, &[])
        {
            self.fault = Some(fault);
        }
    }

    fn begin_stretch(&mut self, visit: &Visit, stretch: Stretch, at: u64, moment: &mut Moment<'_>) {
        self.stretch = stretch;
        let engaged = self.engage(visit, at, moment);
        let place = self.place;
        self.delivered.push_back(Delivered::Begun {
            stretch,
            place,
            fallbacks: self.lineup.last_place() - place.min(self.lineup.last_place()),
        });
        match engaged {
            Ok(()) => {}
            Err(text) if self.step == Step::Transcriber => {
                self.delivered
                    .push_back(Delivered::Failed { stretch, text });
            }
            Err(text) => self.gave_way(text, false),
        }
    }

    /// Keeps account of what the caller may be waiting for.
    fn wait_for(&mut self, stretch: Stretch, heard: Sounded) {
        let paused = heard != Sounded::Started;
        let known = self.unanswered.iter_mut().find(|u| u.stretch == stretch);
        match (self.step, known) {
            // Nobody waits for an opinion once all is over.
            (Step::Endpointer, _) if heard == Sounded::Ended => self.unanswered.clear(),
            (_, Some(known)) => known.paused = paused,
            // Its final words may have come at a pause, and be final again now.
            (_, None) if self.open.is_some() => {
                if self.unanswered.len() == MAX_UNANSWERED {
                    self.unanswered.remove(0);
                }
                self.unanswered.push(Unanswered { stretch, paused });
            }
            (_, None) => {}
        }
    }

    /// Sees to it that the right one listens. The error says why nobody does.
    fn engage(&mut self, visit: &Visit, at: u64, moment: &mut Moment<'_>) -> Result<(), String> {
        let words_wanted = self.step == Step::Transcriber && !self.unanswered.is_empty();
        if let Some(open) = &self.open
            && words_wanted
            && open.place == self.place
            && !open.stream.generation().is_hung()
        {
            return Ok(()); // a change of configuration can wait for them
        }
        let Visit { house, guest } = visit;
        let roster = house.roster.now();
        let line = match self.step {
            Step::Endpointer => roster.endpointers_of(&guest.agent),
            Step::Transcriber | Step::Voice | Step::Responder => {
                roster.transcribers_of(&guest.agent)
            }
        };
        let lineup = Lineup::of(&roster, line);
        let rest = Duration::from_millis(guest.agent.settings.voice_rest_ms);
        let rested = self
            .fell_back
            .is_some_and(|since| moment.now.duration_since(since) >= rest);
        if rested || !lineup.is(&self.lineup) {
            (self.place, self.fell_back) = (0, None);
        }
        self.lineup = lineup;
        loop {
            match self.engage_one(visit, &roster, at, moment) {
                Ok(()) => return Ok(()),
                Err(why) if self.place >= self.lineup.last_place() => return Err(why),
                Err(why) => self.gave_way_to_the_next(why, moment.now),
            }
        }
    }

    /// Has the one at `place` listen, if he does not already.
    fn engage_one(
        &mut self,
        visit: &Visit,
        roster: &Roster,
        at: u64,
        moment: &mut Moment<'_>,
    ) -> Result<(), String> {
        let Visit { house, guest } = visit;
        let step = self.step.as_str();
        let Some(setup) = self.lineup.at(self.place).cloned() else {
            self.dismiss("gone: it is no longer configured");
            return Err(format!("gone: the {step} of the agent is gone"));
        };
        let name = &setup.name;
        let Some(generation) = roster.plugins.get(&setup.plugin) else {
            let plugin = &setup.plugin;
            return Err(format!(
                "not_loaded: the plugin \"{plugin}\" of the {step} \"{name}\" is not loaded"
            ));
        };
        let asked = Asked::setup(self.step, &setup, generation.number());
        // With nobody behind him, too: a caller who waits for words that do not come waits in each of his turns.
        if house.rests.rests(&asked, moment.now) {
            self.dismiss("resting: it is left alone for a while");
            self.asked = None;
            return Err(asked.rests());
        }
        if generation.is_hung() {
            let plugin = generation.name();
            return Err(format!("hung: the plugin \"{plugin}\" hangs"));
        }
        let language = [&self.language, &setup.language]
            .into_iter()
            .flatten()
            .next()
            .unwrap_or(&guest.agent.language)
            .clone();
        let same = |open: &Open| {
            open.stream.generation().number() == generation.number()
                && Arc::ptr_eq(&open.setup, &setup)
                && open.language == language
        };
        if self.open.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.dismiss("gone: another one listens from now on");
        self.asked = None;
        let started = Open::start(guest, self.place, &setup, generation, language);
        let caught_up = started.and_then(|mut open| {
            open.catch_up(&self.recent, at, moment.scratch)
                .map_err(|fault| in_words(fault, step, &setup.name))?;
            Ok(open)
        });
        self.open = Some(caught_up.inspect_err(|_| house.rests.failed_now(&asked, moment.now))?);
        self.asked = Some(asked);
        Ok(())
    }

    /// Sends away who listens; the words he owes will not come.
    fn dismiss(&mut self, why: &str) {
        if self.open.take().is_some() {
            self.fail_owed(why);
        }
    }

    /// The words that are owed will not come.
    fn fail_owed(&mut self, why: &str) {
        for Unanswered { stretch, .. } in self.unanswered.drain(..) {
            if self.step == Step::Transcriber {
                self.delivered.push_back(Delivered::Failed {
                    stretch,
                    text: why.to_owned(),
                });
            }
        }
    }

    /// He failed while nobody waits for him; `replaced`: the next in the line has his place.
    fn gave_way(&mut self, text: String, replaced: bool) {
        self.delivered.push_back(Delivered::GaveWay {
            stretch: self.stretch,
            place: self.place,
            replaced,
            text,
        });
    }

    /// He has; from now on the next one listens.
    fn gave_way_to_the_next(&mut self, text: String, now: Instant) {
        self.gave_way(text, true);
        self.move_on(now);
    }

    fn move_on(&mut self, now: Instant) {
        self.place += 1;
        self.fell_back = Some(now);
    }

    /// Other calls are spared who was started last.
    fn blame(&mut self, house: &House, now: Instant) {
        if let Some(asked) = self.asked.take() {
            house.rests.failed_now(&asked, now);
        }
    }

    /// Whoever listened does so no more.
    fn ended(&mut self, house: &House, end: End, now: Instant) {
        let Some(open) = self.open.take() else {
            return;
        };
        let (step, name) = (self.step.as_str(), &open.setup.name);
        let text = match end {
            End::Broke(fault) => in_words(fault, step, name),
            End::Said(why) if !why.is_empty() => why,
            End::Said(_) if self.unanswered.is_empty() => return self.blame(house, now),
            End::Said(_) => format!("broken: the {step} \"{name}\" has ended before the call"),
        };
        if self.step == Step::Transcriber && !self.unanswered.is_empty() {
            return self.fail_owed(&text); // and the core says what follows
        }
        self.unanswered.clear();
        self.blame(house, now);
        if open.place == self.place && self.place < self.lineup.last_place() {
            self.gave_way_to_the_next(text, now);
        } else {
            self.gave_way(text, false);
        }
    }

    /// The core says that the one at this place has failed: the next one listens, from the next stretch on, or at once if
    /// no words are awaited of the other one.
    pub(super) fn replaced(
        &mut self,
        visit: &Visit,
        stretch: Stretch,
        place: u32,
        at: u64,
        moment: &mut Moment<'_>,
    ) {
        self.unanswered.retain(|u| u.stretch != stretch);
        if place != self.place || place >= self.lineup.last_place() {
            return; // of another line, or a second word about the same
        }
        self.blame(&visit.house, moment.now);
        self.move_on(moment.now);
        if self.unanswered.is_empty()
            && let Err(why) = self.engage(visit, at, moment)
        {
            self.gave_way(why, false);
        }
    }

    /// The core no longer waits for words that failed or are overdue, and nobody stands behind the one who owes them. Who is
    /// only busy has said so at once, nobody has waited for him, and the next may find room: that is no reason to rest,
    /// which would take the words from every call.
    pub(super) fn failed(&mut self, house: &House, why: &str, now: Instant) {
        self.unanswered.retain(|u| !u.paused);
        let busy = failure::name_of(why) == Some(failure::BUSY);
        if let Some(asked) = self.asked.as_ref().filter(|_| !busy) {
            house.rests.failed_now(asked, now);
        }
    }

    /// From the next stretch on the caller is expected to speak this language; `None`: the configured one.
    pub(super) fn expect(&mut self, language: Option<&str>) {
        self.language = language.map(str::to_owned);
    }

    /// The configuration has changed: who is of a plugin that is open no more or anew, hears nothing and owes nothing, is
    /// let go, so that he does not stay in memory until the caller speaks again. Then another listens.
    pub(super) fn let_go(&mut self, roster: &Roster) {
        if !self.sounds && self.unanswered.is_empty() {
            self.open
                .take_if(|open| !roster.has(open.stream.generation()));
        }
    }

    /// The next thing that was delivered.
    pub(super) fn next(&mut self, house: &House, now: Instant) -> Option<Delivered> {
        if let Some(fault) = self.fault.take() {
            self.ended(house, End::Broke(fault), now);
        }
        loop {
            if let Some(delivered) = self.delivered.pop_front() {
                return Some(delivered);
            }
            let awaited = self.unanswered.iter().any(|u| u.paused);
            let open = self.open.as_mut()?;
            let Some(record) = open.stream.next() else {
                if let Some(fault) = open.stream.fault() {
                    self.ended(house, End::Broke(fault), now);
                    continue;
                }
                if awaited
                    && let Some(bell) = &self.bell
                    && !open.stream.wake_at_record(bell)
                {
                    continue; // it has come in this very moment
                }
                return None;
            };
            let stretch = record.turn;
            let text = || String::from_utf8_lossy(record.data).into_owned();
            let words = self.step == Step::Transcriber;
            let delivered = match record.kind {
                kind::PARTIAL if words => Some(Delivered::Partial {
                    stretch,
                    text: text(),
                }),
                kind::TEXT if words => {
                    let owed = self.unanswered.len();
                    self.unanswered.retain(|u| u.stretch != stretch);
                    // What comes when nobody waits for it any more was not done well.
                    if self.unanswered.len() < owed {
                        did_well(house, self.asked.as_ref());
                    }
                    Some(Delivered::Final {
                        stretch,
                        text: text(),
                    })
                }
                kind::FINISHED => {
                    if !words {
                        self.unanswered.retain(|u| u.stretch != stretch);
                        did_well(house, self.asked.as_ref());
                    }
                    percent(record.data).map(|percent| Delivered::Finished { stretch, percent })
                }
                kind::FAILED if stretch == 0 => {
                    let why = text();
                    self.ended(house, End::Said(why), now);
                    continue;
                }
                kind::FAILED | kind::DONE => {
                    let known = self.unanswered.iter().position(|u| u.stretch == stretch);
                    let owed = known.map(|at| self.unanswered.remove(at)).is_some();
                    let text = if record.kind == kind::FAILED {
                        text()
                    } else {
                        "no_text: it ended without any words".to_owned()
                    };
                    match (words && owed, record.kind) {
                        (true, _) => Some(Delivered::Failed { stretch, text }),
                        (false, kind::FAILED) => Some(Delivered::GaveWay {
                            stretch,
                            place: open.place,
                            replaced: false,
                            text,
                        }),
                        (false, _) => None,
                    }
                }
                _ => None,
            };
            open.stream.take();
            self.delivered.extend(delivered);
        }
    }

    /// Whether a look would find anything.
    pub(super) fn is_idle(&self) -> bool {
        let quiet = |open: &Open| open.stream.is_idle();
        self.fault.is_none() && self.delivered.is_empty() && self.open.as_ref().is_none_or(quiet)
    }

    /// The line as it stood when somebody was last looked for.
    pub(super) fn lineup(&self) -> &Lineup {
        &self.lineup
    }
}

fn did_well(house: &House, asked: Option<&Asked>) {
    if let Some(asked) = asked {
        house.rests.did_well(asked);
    }
}

/// `0.73` as 73; nothing for what is no number.
fn percent(data: &[u8]) -> Option<u8> {
    let likely: f64 = std::str::from_utf8(data).ok()?.trim().parse().ok()?;
    // The cast saturates, and what is no number was taken out before.
    likely
        .is_finite()
        .then(|| (likely.clamp(0.0, 1.0) * 100.0).round() as u8)
}

#[cfg(test)]
mod tests;
