//! What must never be, whoever calls and in whatever order: looked at after every input where assertions are compiled
//! in. And, for tests, the bugs that are put in on purpose to prove that somebody would notice.

use super::machine::{Call, Floor, MAX_OUTPUTS};
use super::saying::{MAX_QUEUED_UTTERANCES, Stage};

/// Fixed sentences that can come on top of a full queue of replies: two apologies, a prompt, a goodbye.
const MAX_SENTENCES: usize = 4;

/// A bug put in on purpose, to prove that the simulation would find it.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    ClearsOnlyWhatIsUnsent,
    ForgetsWhatWasCut,
    SpeaksOnAfterClear,
    AsksTwoAtOnce,
    LetsTheReplacedSpeakOn,
    SaysAgainWhatWasHeard,
    WaitsForTheSilent,
    ForgetsTheWords,
    AsksBeforeTheWords,
    KeepsTheVerdict,
    AsksNobodyElse,
    SpeaksOnAtAKey,
    SpeaksBeforeTheEnd,
    AnswersOtherWords,
    AsksTwice,
    SkipsAfterResume,
    ResumesAfterBargeIn,
    PlaysWhileHeld,
    CutsTheFirm,
    NeverResumes,
    DepartsTooEarly,
    ForgetsWhatWasOnItsWay,
    NeverEnds,
    ForgetsTheUnanswered,
    AnswersCoughs,
}

impl Call {
    /// What only a bug of ours can have caused, as a sentence.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let sent: u64 = self.sayings.iter().map(|saying| saying.sent).sum();
        let arriving = self
            .sayings
            .iter()
            .filter(|saying| saying.is_arriving())
            .count();
        let queued = self
            .sayings
            .iter()
            .skip_while(|saying| saying.is_under_way());
        let listening = self.floor == Floor::Listening;
        [
            (
                self.outputs.len() > MAX_OUTPUTS * 2,
                "one entry made too many outputs",
            ),
            (
                self.sayings.len() > MAX_QUEUED_UTTERANCES + MAX_SENTENCES,
                "too many utterances",
            ),
            (
                self.sayings
                    .iter()
                    .any(|saying| saying.sent > saying.arrived),
                "more was sent than had arrived",
            ),
            (
                sent > self.playout.sent(),
                "utterances were sent that the clock never saw",
            ),
            (arriving > 1, "two utterances arrive at once"),
            (
                queued
                    .into_iter()
                    .any(|saying| saying.stage != Stage::Queued),
                "asked out of order",
            ),
            (
                self.turn.his && !listening && self.floor != Floor::Ended,
                "both have the floor",
            ),
            (
                listening && !self.sayings.is_empty() && !self.is_early(),
                "listening while something is being said",
            ),
            (
                listening && self.reply.is_some() && !self.is_early(),
                "listening while a reply is open",
            ),
            (
                self.is_early() && !self.turn.his,
                "an answer is held back, and the turn has ended",
            ),
            (
                self.pace.at.is_some_and(|at| at <= self.now),
                "a pace that has passed",
            ),
            (
                self.stopped.held.is_some() && self.pace.at.is_some(),
                "a pace while the agent is stopped",
            ),
            (
                self.stopped.held.is_some() && self.turn.his,
                "the agent is stopped for the time being while the caller has the floor",
            ),
        ]
        .into_iter()
        .find_map(|(is, what)| is.then_some(what))
    }
}
