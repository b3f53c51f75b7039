//! The leg's queue of samples, and what it must never be told to do with them: the part of the
//! [`World`](super::World) that plays, takes back and watches that nothing is left out.

use crate::call::input::Utterance;
use crate::call::tests::happenings::Owner;
use std::collections::{BTreeMap, VecDeque};

/// Sound of one owner: from this sample of his on, so many.
#[derive(Clone, Copy, Debug)]
struct Piece {
    owner: Owner,
    from: u64,
    samples: u64,
}

#[derive(Default)]
pub(super) struct Mouth {
    ready: VecDeque<Piece>,
    /// What was played since the carrier was last cleared.
    played: Vec<Piece>,
    held: bool,
    /// Of each owner: samples that came, and how far he has been played.
    came: BTreeMap<Owner, u64>,
    reached: BTreeMap<Owner, u64>,
}

impl Mouth {
    pub(super) fn add(&mut self, owner: Owner, samples: u64) {
        let came = self.came.entry(owner).or_default();
        let from = *came;
        *came += samples;
        let piece = Piece {
            owner,
            from,
            samples,
        };
        self.ready.push_back(piece);
    }

    /// Nothing stands ready any more, and the carrier holds nothing.
    pub(super) fn forget(&mut self) {
        for piece in self.ready.drain(..) {
            if matches!(piece.owner, Owner::Responder(_)) {
                // What it sounds next belongs to it all the same.
                let reached = self.reached.entry(piece.owner).or_default();
                *reached = (*reached).max(piece.from + piece.samples);
            }
        }
        self.played.clear();
        self.held = false;
    }

    /// Plays at most so much from the front. Returns whose and how much it is, or what is wrong with it.
    pub(super) fn play(&mut self, most: u64) -> Result<(Owner, u64), String> {
        if self.held {
            return Err("something is played while the agent is stopped".into());
        }
        let Some(front) = self.ready.front_mut() else {
            return Err(format!(
                "{most} samples were played that do not stand ready"
            ));
        };
        let samples = most.min(front.samples);
        let piece = Piece { samples, ..*front };
        front.from += samples;
        front.samples -= samples;
        if front.samples == 0 {
            self.ready.pop_front();
        }
        let reached = self.reached.entry(piece.owner).or_default();
        if piece.from > *reached {
            return Err(format!("{piece:?} is played after {reached} samples"));
        }
        *reached = (*reached).max(piece.from + samples);
        self.played.push(piece);
        Ok((piece.owner, samples))
    }

    /// The last `samples` that were played stand ready again, and `more` before them. Returns how much that is.
    pub(super) fn hold(&mut self, samples: u64, more: u64) -> Result<u64, String> {
        if self.held {
            return Err("the agent is stopped twice".into());
        }
        self.held = true;
        let mut rest = samples + more;
        while rest > 0
            && let Some(mut piece) = self.played.pop()
        {
            let count = rest.min(piece.samples);
            piece.from += piece.samples - count;
            piece.samples = count;
            self.ready.push_front(piece);
            rest -= count;
        }
        self.played.clear();
        if rest > more {
            return Err(format!(
                "{samples} samples are to be taken back, {rest} too many"
            ));
        }
        Ok(samples + more - rest)
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn resume(&mut self) {
        self.held = false;
    }

    /// Was all of it played that came?
    pub(super) fn is_played(&self, utterance: Utterance) -> bool {
        let owner = Owner::Voice(utterance);
        self.came.get(&owner) == self.reached.get(&owner)
    }
}
