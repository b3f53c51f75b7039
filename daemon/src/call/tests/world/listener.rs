//! Those who listen beside the core, and what it may do with what they say: the part of the [`World`](super::World)
//! that watches stretches of speech and words.

use crate::call::input::Stretch;
use crate::call::output::{Prompt, Sounded};
use crate::call::settings::Settings;
use crate::call::tests::happenings::Writes;
use crate::call::time::CallTime;
use std::collections::BTreeMap;

/// Stretches whose words may still change: what came before is kept as it was.
const KEPT: Stretch = 8;

/// What is heard of a text.
fn letters(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.collect::<String>().to_lowercase()
}

pub(super) struct Listener {
    pub(super) latest: Stretch,
    /// How far the latest stretch has got.
    heard: Option<Sounded>,
    ended_at: CallTime,
    /// What was written of it.
    text: String,
    /// It has its final text.
    whole: bool,
    /// It will have none.
    lost: bool,
    /// How long an answer may wait for words; `None`: not at all.
    patience_ms: Option<u64>,
    /// The endpointer's verdict since he last spoke.
    percent: Option<u8>,
    waits: [(&'static str, u64); 5],
    /// Somebody writes words down, and what there is of each stretch.
    writes: bool,
    texts: BTreeMap<Stretch, (String, bool)>,
    /// The latest stretch when the caller's turn began.
    began: Stretch,
    /// It cut the agent off, or may have.
    cut: bool,
    /// The first and the last stretch somebody was asked about last, and whether that was withdrawn.
    asked: (Stretch, Stretch),
    withdrawn: bool,
    /// The last stretch of the turns that stand.
    taken: Stretch,
}

impl Listener {
    pub(super) fn new(settings: &Settings) -> Listener {
        let patience_ms = settings.transcriber_deadline_ms;
        Listener {
            latest: 0,
            heard: None,
            ended_at: CallTime(0),
            text: String::new(),
            whole: false,
            lost: false,
            percent: None,
            waits: [
                ("silence", settings.end_of_turn_ms),
                ("finished sentence", settings.finished_ms),
                ("endpointer: finished", settings.finished_ms),
                ("unfinished sentence", settings.unfinished_ms),
                ("endpointer: unfinished", settings.unfinished_ms),
            ],
            writes: settings.transcribed,
            texts: BTreeMap::new(),
            began: 0,
            cut: false,
            asked: (0, 0),
            withdrawn: false,
            taken: 0,
            patience_ms: (settings.transcribed && patience_ms > 0).then_some(patience_ms),
        }
    }

    /// The core tells how far a stretch has got. Returns what is wrong with that.
    pub(super) fn told(
        &mut self,
        now: CallTime,
        stretch: Stretch,
        heard: Sounded,
    ) -> Option<String> {
        let before = self.heard.replace(heard);
        let open = !matches!(before, None | Some(Sounded::Ended));
        let fits = match heard {
            Sounded::Started if stretch == self.latest => before == Some(Sounded::Paused),
            Sounded::Started => stretch == self.latest + 1 && !open,
            Sounded::Paused => stretch == self.latest && before == Some(Sounded::Started),
            Sounded::Ended => stretch == self.latest && open,
        };
        if stretch != self.latest {
            self.latest = stretch;
            self.text.clear();
            self.lost = false;
        }
        match heard {
            Sounded::Started => {
                self.texts.entry(stretch).or_default().1 = false;
                self.whole = false;
                self.percent = None;
            }
            Sounded::Paused => {}
            Sounded::Ended => self.ended_at = now,
        }
        (!fits).then(|| {
            format!(
                "stretch {stretch} {heard:?} after {before:?} of {}",
                self.latest
            )
        })
    }

    /// Somebody is about to tell the core this.
    pub(super) fn wrote(&mut self, stretch: Stretch, writes: &Writes) {
        if stretch > self.latest.saturating_sub(KEPT)
            && let Some((known, whole)) = self.texts.get_mut(&stretch)
            && let Writes::Partial(text) | Writes::Final(text) = writes
            && !*whole
        {
            text.trim().clone_into(known);
            *whole = matches!(writes, Writes::Final(_));
        }
        if stretch != self.latest || stretch == 0 {
            return;
        }
        match writes {
            Writes::Partial(text) if !self.whole => text.trim().clone_into(&mut self.text),
            Writes::Final(text) if !self.whole => {
                text.trim().clone_into(&mut self.text);
                self.whole = true;
            }
            Writes::Fails => self.lost |= !self.whole,
            Writes::Judges(percent) if self.heard == Some(Sounded::Paused) => {
                self.percent = Some(*percent);
            }
            Writes::Judges(_) | Writes::Begins { .. } | Writes::Partial(_) | Writes::Final(_) => {}
        }
    }

    /// The caller's turn begins, or goes on with the one that was withdrawn.
    pub(super) fn began(&mut self, cut: bool) {
        self.began = self.latest;
        self.cut = cut;
    }

    /// Was there certainly no word in this turn?
    fn is_wordless(&self) -> bool {
        let mut texts = self.texts.range(self.began..);
        texts.all(|(_, (text, whole))| *whole && letters(text).is_empty())
    }

    /// The turn was none. Returns what is wrong with that.
    pub(super) fn no_words(&self) -> Option<String> {
        let known = self.texts.range(self.began..).collect::<Vec<_>>();
        (!self.is_wordless()).then(|| format!("{known:?} is taken for nothing"))
    }

    /// What somebody was asked about last comes again.
    pub(super) fn withdrawn(&mut self) {
        self.withdrawn = true;
    }

    /// All words are told, each of them in one turn that stands. Returns what is wrong with that.
    fn all_once(&mut self, told: &str) -> Option<String> {
        let (from, to) = self.asked;
        let first = if std::mem::take(&mut self.withdrawn) {
            from
        } else {
            self.taken = to;
            self.began
        };
        let words = |from: Stretch| {
            let texts = self.texts.range(from..).map(|(_, (text, _))| letters(text));
            texts.collect::<String>()
        };
        let mut froms = (self.taken + 1..=first).rev();
        match froms.find(|from| words(*from) == letters(told)) {
            Some(from) => {
                self.asked = (from, self.latest);
                None
            }
            None => Some(format!(
                "{told:?} is told; of the stretches from {first} on were said {:?}",
                self.texts.range(self.taken + 1..).collect::<Vec<_>>()
            )),
        }
    }

    /// A turn ended for this reason. Returns what is wrong with that.
    pub(super) fn turn_ended(&mut self, reason: &str, waited_ms: u64) -> Option<String> {
        if reason == "digit" {
            self.withdrawn = false; // what he said belongs to the key
            return None;
        }
        let wait = self.waits.iter().find(|(known, _)| *known == reason);
        let judged = match self.percent {
            Some(50..) => reason != "endpointer: unfinished",
            Some(_) => reason != "endpointer: finished",
            None => !reason.starts_with("endpointer"),
        };
        let waited = wait.is_some_and(|(_, wait_ms)| waited_ms >= *wait_ms);
        (!judged || !waited).then(|| {
            format!(
                "the turn ended after {waited_ms} ms for {reason:?}; verdict {:?}",
                self.percent
            )
        })
    }

    /// A responder is asked about what was heard. Returns what is wrong with that.
    pub(super) fn asked(&mut self, now: CallTime, prompt: &Prompt) -> Option<String> {
        let Prompt::Speech { text } = prompt else {
            self.withdrawn = false; // what he was saying is over, as with a key
            return None;
        };
        let due = self
            .patience_ms
            .map(|patience_ms| self.ended_at.plus_ms(patience_ms));
        if due.is_some_and(|due| now < due) && !self.whole && !self.lost {
            return Some(format!(
                "it is asked before the words of stretch {} have come",
                self.latest
            ));
        }
        let told = text.as_deref().unwrap_or_default();
        if text.is_none() && self.writes && !self.cut && self.is_wordless() {
            return Some("it is asked about a cough".into());
        }
        if let Some(wrong) = self.writes.then(|| self.all_once(told)).flatten() {
            return Some(wrong);
        }
        (!letters(told).ends_with(&letters(&self.text))).then(|| {
            format!(
                "it is asked about {told:?}, but {:?} was said last",
                self.text
            )
        })
    }
}
