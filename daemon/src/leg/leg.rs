//! One running call: feeds the core what happens and carries out what it answers.
//!
//! Owns the core, the detector and the plugin streams of the call; borrows the line's outbox to speak. What plugins put
//! out is read next door in `deliveries`. What is not here: any decision about who speaks, any byte of the websocket's
//! framing.

use super::history::History;
use super::listeners::Listeners;
use super::moment::Moment;
use super::mouth::{Ask, Mouth};
use super::outbox::Outbox;
use super::responder::Responder;
use super::speakers::Speakers;
use super::{Away, Back, Visit, story};
use crate::call::{
    Call, CallTime, Departure, Floor, Input, Mark, Note, Output, Return, Sounded, Stretch, Why,
};
use crate::carrier::twilio::stream as wire;
use crate::media::detect::Detector;
use crate::media::{frame, mulaw};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use voice_plugin::abi::kind;

/// A leg that waits for the caller is looked at with each of his frames, every 20 ms; only if they stay away for
/// longer than they jitter, the ticker looks.
const QUIET_MS: u64 = 25;

pub(super) struct Leg {
    pub(super) visit: Visit,
    stream_sid: String,
    started: Instant,
    pub(super) call: Call,
    detector: Detector,
    pub(super) responder: Responder,
    pub(super) listeners: Listeners,
    pub(super) mouth: Mouth,
    /// The agent's voice and language, and those that were asked for.
    pub(super) speakers: Speakers,
    /// What was said so far, and kept.
    pub(super) history: History,
    /// How often something was kept for the responder.
    pub(super) kept: u32,
    /// Has the line looked at before its next tick.
    pub(super) bell: Option<Waker>,
    /// The caller's turn as the core counts it: what plugins are told with each frame.
    pub(super) turn: u32,
    /// Samples of the caller's audio so far: the media clock of the plugin contract.
    pub(super) heard: u64,
    /// When the core wants to be looked at though nothing happened; asked of it once per step, not once per tick.
    deadline: Option<CallTime>,
    /// What the core has to be told of `Hold` once its other outputs are done.
    taken_back: Option<u64>,
    first_audio_out: bool,
    hang_up: bool,
    /// The core wants the call to leave its stream.
    departure: Option<Away>,
    /// It has, to be connected elsewhere, and is not back.
    transferred: bool,
    over: Option<Why>,
}

impl Leg {
    /// Begins the call: responder started, greeting under way. `bell` is rung when something that is waited for has come.
    pub(super) fn begin(
        visit: Visit,
        stream_sid: String,
        bell: Option<Waker>,
        out: &mut Outbox,
        moment: &mut Moment<'_>,
    ) -> Leg {
        let (agent, now) = (Arc::clone(&visit.guest.agent), moment.now);
        story::started(&visit, &stream_sid);
        let mut leg = Leg {
            visit,
            stream_sid,
            started: now,
            call: Call::new(agent.settings.clone()),
            detector: Detector::new(agent.detector),
            responder: Responder::new(
                agent.responders().map(str::to_owned).collect(),
                agent.language.clone(),
            ),
            listeners: Listeners::default(),
            mouth: Mouth::new(bell.clone()),
            speakers: Speakers::new(),
            history: History::default(),
            kept: 0,
            bell,
            turn: 0,
            heard: 0,
            deadline: None,
            taken_back: None,
            first_audio_out: false,
            hang_up: false,
            departure: None,
            transferred: false,
            over: None,
        };
        if let Err(text) = leg.responder.start(&leg.visit, &leg.history, now) {
            leg.responder.fault = Some(text);
        }
        // A responder that takes turns by itself says so while it starts.
        leg.pump_responder(now);
        if !leg.responder.own_turns {
            leg.listeners = Listeners::begin(&leg.visit, leg.bell.as_ref(), moment);
        }
        leg.call.start(leg.call_time(now));
        leg.work(out, moment);
        leg
    }

    /// Another stream of the call has come, and the conversation goes on; so do its clocks.
    pub(super) fn take_up(
        &mut self,
        stream_sid: &str,
        peer: IpAddr,
        bell: Option<Waker>,
        back: &Back,
        out: &mut Outbox,
        moment: &mut Moment<'_>,
    ) {
        stream_sid.clone_into(&mut self.stream_sid);
        self.visit.guest.ip = peer;
        self.mouth.hang_bell(bell.clone());
        for listener in self.listeners.each() {
            listener.hang_bell(bell.clone());
        }
        self.bell = bell;
        self.transferred = false;
        let (how, back) = match back {
            Back::Lost => ("lost", Return::Lost),
            Back::Keys => ("digits", Return::Digits),
            Back::Transfer(outcome) => ("transfer", Return::Transfer { outcome }),
        };
        self.responder.came_back(back, self.turn, self.heard);
        story::resumed(&self.visit, stream_sid, how);
        self.input(Input::Returned(back), out, moment);
    }

    /// A media message: µ-law of any length, usually one frame.
    pub(super) fn hear(&mut self, samples: &[u8], out: &mut Outbox, moment: &mut Moment<'_>) {
        moment.scratch.counted.frames_in += 1;
        let at = self.call_time(moment.now);
        for part in samples.chunks(frame::FRAME_SAMPLES) {
            let mut pcm = [0_i16; frame::FRAME_SAMPLES];
            let pcm = &mut pcm[..part.len()];
            mulaw::decode(part, pcm);
            // Audio before the verdict on it: a responder that keeps the turn must have the frame that ends it.
            if !(self.responder.own_turns && self.call.floor() == Floor::Greeting) {
                self.responder.hear(self.turn, self.heard, part);
            }
            for listener in self.listeners.each() {
                listener.hear(part, pcm, self.heard, moment.scratch);
            }
            self.heard += part.len() as u64;
            let voiced = self.detector.frame(pcm);
            self.call.handle_input(at, Input::Heard { voiced });
            self.work(out, moment);
        }
    }

    /// The caller pressed a key.
    pub(super) fn digit(&mut self, digit: char, out: &mut Outbox, moment: &mut Moment<'_>) {
        let mut bytes = [0; 4];
        let text = digit.encode_utf8(&mut bytes);
        self.responder
            .tell(kind::DTMF, 0, self.turn, self.heard, text.as_bytes());
        self.input(Input::Digit(digit), out, moment);
    }

    /// The carrier gave a mark back. Names that are not ours are ignored; says whether it was ours.
    pub(super) fn marked(&mut self, name: &str, out: &mut Outbox, moment: &mut Moment<'_>) -> bool {
        let Some(mark) = read_mark(name) else {
            return false;
        };
        self.input(Input::Marked(mark), out, moment);
        true
    }

    /// The stream is over or the call has to end; whether it does is said by [`Leg::over`]. Who hangs up while he is
    /// connected elsewhere has been transferred.
    pub(super) fn stop(&mut self, why: Why, out: &mut Outbox, moment: &mut Moment<'_>) {
        let why = match why {
            Why::CallerHungUp if self.transferred => Why::Transferred,
            why => why,
        };
        self.input(Input::Stop(why), out, moment);
    }

    /// The call ends now, also if the core would wait for another stream.
    pub(super) fn end(&mut self, why: Why, out: &mut Outbox, moment: &mut Moment<'_>) {
        self.stop(why, out, moment);
        self.finish(why, moment.now);
    }

    /// Looks at everything that does not announce itself: plugin rings and deadlines. Says whether there was anything;
    /// mostly there is not, so this is the look that has to be cheap.
    pub(super) fn tick(&mut self, out: &mut Outbox, moment: &mut Moment<'_>) -> bool {
        let at = self.call_time(moment.now);
        let due = self.deadline.is_some_and(|deadline| deadline <= at);
        if due {
            self.call.handle_timeout(at);
        }
        let moves =
            due || !self.mouth.is_idle() || !self.responder.is_idle() || !self.listeners.are_idle();
        if moves {
            self.work(out, moment);
        }
        moves
    }

    /// The configuration has changed: what is not at work does not keep a plugin in memory that others have no more. The
    /// responder stays, as it does through the whole call.
    pub(super) fn let_go(&mut self) {
        let roster = self.visit.house.roster.now();
        self.mouth.let_go(&roster);
        for listener in self.listeners.each() {
            listener.let_go(&roster);
        }
    }

    /// When to look here again if nothing comes before: at the next tick while somebody has been asked for something,
    /// else at the core's deadline, or soon, because plugins may also speak unasked. An answer that is held back is not
    /// asked for yet: none of it is sent before the turn is over, and its voice rings.
    pub(super) fn look_at(&self, now: Instant) -> Instant {
        let held_back = self.call.floor() == Floor::Listening;
        let quiet = held_back || (self.responder.own_turns && !self.mouth.is_saying());
        if !quiet || self.responder.fault.is_some() {
            return now;
        }
        let soon = now + Duration::from_millis(QUIET_MS);
        self.deadline.map_or(soon, |deadline| {
            soon.min(self.started + Duration::from_micros(deadline.0))
        })
    }

    /// The core asked to leave the stream: where to. Asked once.
    pub(super) fn departure(&mut self) -> Option<Away> {
        self.departure.take()
    }

    /// The core asked to close the stream.
    pub(super) fn wants_hang_up(&self) -> bool {
        self.hang_up
    }

    /// Why it is over, once it is.
    pub(super) fn over(&self) -> Option<Why> {
        self.over
    }

    /// Whose stream this is.
    pub(super) fn call_sid(&self) -> &str {
        &self.visit.guest.call_sid
    }

    /// The carrier's name of the stream.
    pub(super) fn stream_sid(&self) -> &str {
        &self.stream_sid
    }

    pub(super) fn call_time(&self, now: Instant) -> CallTime {
        CallTime(u64::try_from(now.duration_since(self.started).as_micros()).unwrap_or(u64::MAX))
    }

    fn input(&mut self, input: Input<'_>, out: &mut Outbox, moment: &mut Moment<'_>) {
        self.call.handle_input(self.call_time(moment.now), input);
        self.work(out, moment);
    }

    /// Outputs until there are none, then whatever the plugins have ready, until nothing moves any more.
    fn work(&mut self, out: &mut Outbox, moment: &mut Moment<'_>) {
        loop {
            while let Some(output) = self.call.poll_output() {
                self.carry_out(output, out, moment);
            }
            if let Some(samples) = self.taken_back.take() {
                self.call
                    .handle_input(self.call_time(moment.now), Input::TakenBack { samples });
                continue;
            }
            let moved = self.pump_voice(moment)
                || self.pump_listeners(moment.now)
                || self.pump_responder(moment.now);
            if !moved {
                break;
            }
        }
        if self.call.floor() == Floor::Listening {
            self.mouth.rest();
        }
        self.deadline = self.call.poll_timeout().map(|(deadline, _)| deadline);
    }

    fn carry_out(&mut self, output: Output, out: &mut Outbox, moment: &mut Moment<'_>) {
        let now = moment.now;
        match output {
            Output::Respond {
                turn,
                prompt,
                responder,
            } => {
                self.turn = turn;
                let what = (turn, &prompt, responder);
                let (visit, history) = (&self.visit, &self.history);
                self.responder.ask(visit, what, history, self.heard, now);
                self.history.asked(turn, &prompt);
            }
            Output::SpeechStarted { turn } => {
                self.turn = turn;
                self.responder
                    .tell(kind::SPEECH_START, 0, turn, self.heard, &[]);
            }
            Output::SpeechPaused { turn } => {
                self.responder
                    .tell(kind::SPEECH_END, 0, turn, self.heard, &[])
            }
            Output::Speak {
                utterance,
                text,
                fixed,
                voice,
                speaker,
            } => {
                let ask = Ask {
                    utterance,
                    text: &text,
                    fixed,
                    voice,
                    speaker: self.speakers.at(speaker),
                };
                self.mouth.say(&self.visit, ask, now);
            }
            Output::Play { samples } => self.play(samples, out, moment),
            Output::Mark(mark) => {
                moment.scratch.json.clear();
                wire::write_mark(&mut moment.scratch.json, &self.stream_sid, &mark_name(mark));
                out.text(&moment.scratch.json);
            }
            Output::Clear => {
                self.silence_line(out, moment);
                self.mouth.clear();
            }
            Output::Hold { samples } => {
                self.silence_line(out, moment);
                self.taken_back = Some(self.mouth.hold(samples));
            }
            Output::Forget => self.mouth.clear(),
            Output::Cancel { utterance } => self.mouth.cancel(utterance),
            Output::CancelReply {
                turn,
                heard,
                withdrawn,
            } => {
                self.responder.cancel(turn, &heard, withdrawn);
                if withdrawn {
                    self.history.forget(turn);
                    let speaker = self.call.speaker();
                    self.speakers.back_to(speaker);
                    self.expect_language_of(speaker);
                }
            }
            Output::SaidSoFar { turn, text } => {
                self.history.said_so_far(turn, &text);
                self.responder
                    .tell(kind::PARTIAL, 0, turn, self.heard, text.as_bytes());
            }
            Output::Transcribe { stretch, heard } => self.transcribe(stretch, heard, moment),
            Output::Depart(Departure::Digits(keys)) => self.departure = Some(Away::Keys(keys)),
            Output::Depart(Departure::Transfer(number)) => {
                self.transferred = true;
                self.departure = Some(Away::Transfer(number));
            }
            Output::HeardWhole { utterance, .. } => {
                self.responder
                    .tell(kind::MARK, 0, utterance, self.heard, &[])
            }
            Output::Note(note) => {
                self.learn(&note, moment);
                self.write_down(&note);
            }
            Output::HangUp => self.hang_up = true,
            Output::Done(why) => self.finish(why, now),
        }
    }

    /// Closes the record, once.
    fn finish(&mut self, why: Why, now: Instant) {
        if self.over.is_none() {
            self.over = Some(why);
            let lasted = now.duration_since(self.started);
            story::ended(&self.visit, why, lasted, self.call.underruns());
            self.visit
                .house
                .admission
                .ended(&self.visit.guest.call_sid, why, now);
        }
    }

    fn transcribe(&mut self, stretch: Stretch, heard: Sounded, moment: &mut Moment<'_>) {
        let at = self.heard;
        for listener in self.listeners.each() {
            listener.tell(&self.visit, stretch, heard, at, moment);
        }
    }

    /// What the core says of plugins that failed; those who keep their streams draw their own conclusions.
    fn learn(&mut self, note: &Note, moment: &mut Moment<'_>) {
        let now = moment.now;
        match note {
            Note::VoiceReplaced { .. } | Note::Failed { step: "voice", .. } => {
                self.mouth.failed(&self.visit.house, now);
            }
            Note::Heard {
                text,
                heard_bytes,
                whole,
                ..
            } => {
                let heard = text.get(..*heard_bytes).unwrap_or(text);
                self.history.heard(heard, *whole);
            }
            Note::ResponderReplaced {
                turn, responder, ..
            } => {
                self.history.forget(*turn); // the next one is asked the same
                self.responder.replaced(&self.visit.house, *responder, now);
            }
            Note::TranscriberReplaced {
                stretch,
                transcriber,
                ..
            } => {
                if let Some(listener) = &mut self.listeners.transcriber {
                    let (stretch, place) = (*stretch, *transcriber);
                    listener.replaced(&self.visit, stretch, place, self.heard, moment);
                }
            }
            Note::Failed {
                step: "transcriber",
                text,
            } => {
                if let Some(listener) = &mut self.listeners.transcriber {
                    listener.failed(&self.visit.house, text, now);
                }
            }
            _ => {}
        }
    }

    pub(super) fn write_down(&self, note: &Note) {
        let lines = story::Lines {
            voices: self.mouth.voices(),
            transcribers: self
                .listeners
                .transcriber
                .as_ref()
                .map(|listener| listener.lineup()),
        };
        story::tell(&self.visit, &lines, note);
    }

    /// The carrier throws away what it holds.
    fn silence_line(&self, out: &mut Outbox, moment: &mut Moment<'_>) {
        let json = &mut moment.scratch.json;
        json.clear();
        wire::write_clear(json, &self.stream_sid);
        out.text(json);
    }

    fn play(&mut self, samples: u64, out: &mut Outbox, moment: &mut Moment<'_>) {
        let sound = self.mouth.take(samples);
        if sound.is_empty() {
            return;
        }
        moment.scratch.counted.frames_out += 1;
        let json = &mut moment.scratch.json;
        json.clear();
        wire::write_media(json, &self.stream_sid, sound);
        out.text(json);
        if !self.first_audio_out {
            self.first_audio_out = true;
            self.visit
                .house
                .metrics
                .first_audio
                .observe(moment.now.duration_since(self.started).as_secs_f64());
        }
    }
}

impl Drop for Leg {
    /// A leg that is dropped before its core was done was ended by a fault of ours: the record must not stay open.
    fn drop(&mut self) {
        self.finish(Why::Failed, Instant::now());
    }
}

/// `utterance.samples.epoch`: a mark that says all about itself needs no table, however many are lost.
fn mark_name(mark: Mark) -> String {
    format!("{}.{}.{}", mark.utterance, mark.samples, mark.epoch)
}

fn read_mark(name: &str) -> Option<Mark> {
    let mut parts = name.split('.');
    let mark = Mark {
        utterance: parts.next()?.parse().ok()?,
        samples: parts.next()?.parse().ok()?,
        epoch: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_the_carrier_and_foreign_names_do_not_pass() {
        let mark = Mark {
            utterance: 7,
            samples: 12_345,
            epoch: 2,
        };
        assert_eq!(read_mark(&mark_name(mark)), Some(mark));
        for foreign in [
            "",
            "utt-1",
            "1.2",
            "1.2.3.4",
            "-1.2.3",
            "99999999999.1.1",
            "1..2",
        ] {
            assert_eq!(read_mark(foreign), None, "{foreign}");
        }
    }
}
