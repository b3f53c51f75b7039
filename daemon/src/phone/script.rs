//! What the simulated caller does: a list of steps, each begun when the one before is done.
//!
//! Pure: asked every 20 ms, told what the agent does, answers what the caller does in this frame.

use std::collections::VecDeque;
use std::sync::Arc;

/// The agent counts as finished when he has been quiet for so long: longer than any pause within a sentence.
pub(super) const QUIET_MS: u64 = 700;

/// One thing the caller does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait until the agent has begun to speak and then been quiet for 700 ms, with nothing more to come of what he began;
    /// `most_ms` at most.
    WaitForAgent { most_ms: u64 },
    /// Wait until the agent is heard; `most_ms` at most.
    WaitForVoice { most_ms: u64 },
    /// Say this, µ-law.
    Say(Arc<[u8]>),
    /// Press a key.
    Press(char),
    /// Say nothing for so long.
    Pause { ms: u64 },
    /// The connection of the stream breaks, without a word; the caller is still there, and so is the carrier.
    Break,
    /// Hang up.
    HangUp,
}

/// What becomes of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// It ends like this, in the carrier's word, and the caller is still there: `completed`, `busy`, `no-answer` …
    Ends(&'static str),
    /// He hangs up while he is connected elsewhere.
    CallerHangsUp,
}

/// The caller's steps in order. A caller without steps left stays on the line and listens.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub steps: Vec<Step>,
    /// Hang up then, wherever the steps are.
    pub ends_after_ms: Option<u64>,
    /// What becomes of the transfers, in order; nobody answers further ones.
    pub transfers: Vec<Transfer>,
}

impl Script {
    /// These steps, however long they take.
    pub fn of(steps: Vec<Step>) -> Script {
        Script {
            steps,
            ..Script::default()
        }
    }

    /// With this becoming of the next transfer.
    #[must_use]
    pub fn transferred(mut self, transfer: Transfer) -> Script {
        self.transfers.push(transfer);
        self
    }
}

/// What the caller does in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Listen,
    Press(char),
    Break,
    HangUp,
}

/// What is heard of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    Heard,
    /// He is silent, but his marks say that there is more to come.
    Pausing,
    Quiet,
}

#[derive(Debug)]
pub(super) struct Actor {
    steps: VecDeque<Step>,
    ends_after_ms: Option<u64>,
    /// When the present step began; `None` before its first frame.
    since_ms: Option<u64>,
    heard_agent: bool,
    quiet_since_ms: u64,
    said: usize,
}

impl Actor {
    pub(super) fn new(script: Script) -> Actor {
        let Script {
            steps,
            ends_after_ms,
            transfers: _,
        } = script;
        Actor {
            steps: steps.into(),
            ends_after_ms,
            since_ms: None,
            heard_agent: false,
            quiet_since_ms: 0,
            said: 0,
        }
    }

    /// One frame: fills `mouth` (which holds silence) and says what else is done.
    pub(super) fn frame(&mut self, now_ms: u64, agent: Agent, mouth: &mut [u8]) -> Act {
        if agent == Agent::Heard {
            self.quiet_since_ms = now_ms;
        }
        if self.ends_after_ms.is_some_and(|end| now_ms >= end) {
            return Act::HangUp;
        }
        loop {
            let since = *self.since_ms.get_or_insert_with(|| {
                self.heard_agent = false;
                self.said = 0;
                now_ms
            });
            self.heard_agent |= agent == Agent::Heard;
            let Some(step) = self.steps.front() else {
                return Act::Listen;
            };
            let waited = now_ms - since;
            let done = match step {
                Step::WaitForAgent { most_ms } => {
                    let finished = self.heard_agent
                        && agent == Agent::Quiet
                        && now_ms - self.quiet_since_ms >= QUIET_MS;
                    finished || waited >= *most_ms
                }
                Step::WaitForVoice { most_ms } => self.heard_agent || waited >= *most_ms,
                Step::Pause { ms } => waited >= *ms,
                Step::Say(sound) => {
                    let part = &sound[self.said..sound.len().min(self.said + mouth.len())];
                    mouth[..part.len()].copy_from_slice(part);
                    self.said += part.len();
                    if !part.is_empty() {
                        return Act::Listen;
                    }
                    true
                }
                Step::Press(digit) => {
                    let digit = *digit;
                    self.next();
                    return Act::Press(digit);
                }
                Step::Break => {
                    self.next();
                    return Act::Break;
                }
                Step::HangUp => return Act::HangUp,
            };
            if !done {
                return Act::Listen;
            }
            self.next();
        }
    }

    fn next(&mut self) {
        self.steps.pop_front();
        self.since_ms = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other() {
        let say: Arc<[u8]> = vec![7; 200].into();
        let script = Script::of(vec![
            Step::WaitForAgent { most_ms: 5000 },
            Step::Say(say),
            Step::Press('5'),
            Step::Pause { ms: 40 },
            Step::HangUp,
        ]);
        let mut actor = Actor::new(script);
        let mut drawn = String::new();
        for frame in 0..130_u64 {
            let mut mouth = [0xFF; 160];
            let agent = match frame {
                5..20 | 75 => Agent::Heard,
                20..75 => Agent::Pausing,
                _ => Agent::Quiet,
            };
            let act = actor.frame(frame * 20, agent, &mut mouth);
            drawn.push(match act {
                Act::HangUp => 'H',
                Act::Press(digit) => digit,
                Act::Break => 'B',
                Act::Listen if mouth[0] == 7 => 's',
                Act::Listen => '.',
            });
            if act == Act::HangUp {
                break;
            }
        }
        // The agent pauses for more than a second and is last heard in frame 75; 700 ms later the caller speaks for
        // two frames.
        assert_eq!(drawn, format!("{}ss5..H", ".".repeat(110)));
    }

    #[test]
    fn an_agent_who_never_speaks_is_not_waited_for_for_ever() {
        let mut actor = Actor::new(Script::of(vec![
            Step::WaitForAgent { most_ms: 100 },
            Step::HangUp,
        ]));
        let acts: Vec<Act> = (0..6)
            .map(|frame| actor.frame(frame * 20, Agent::Quiet, &mut [0; 160]))
            .collect();
        assert_eq!(acts.iter().filter(|act| **act == Act::Listen).count(), 5);
        assert_eq!(acts[5], Act::HangUp);
    }
}
