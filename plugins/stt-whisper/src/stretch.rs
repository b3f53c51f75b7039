//! What one call says, as stretches of speech: which sound belongs to a stretch, when it is worth listening to, and
//! when its words are complete. No threads and no plugin contract in here; sound and outcomes go in, [`Said`] comes out.
//!
//! ```text
//! sound   ..llll[ssssssssss].....[sssssss].........!          l: half a second before the start was noticed
//! jobs                      guess         guess    └ the second guess holds, for nothing was said after it
//! said                        partial              text
//! ```
//!
//! Listening begins at each pause, for most often it is the end, and then the words are there when the host asks. At
//! [`PIECE_MAX_SECS`] a piece is cut off at a quiet place and listened to for good, while the rest goes on.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use voice_plugin::prelude::Format;

use crate::model::WINDOW_SECS;
use crate::pool::{JobId, Outcome, Pool, Ticket};
use crate::sound::Sound;

/// Sound kept from before a start: it is noticed 100 ms late, and soft first sounds later.
pub(crate) const LEAD_MS: u32 = 500;

/// The longest piece of a stretch that is listened to at once.
pub const PIECE_MAX_SECS: u32 = WINDOW_SECS as u32;

/// A piece that is cut off has at least this much.
const PIECE_MIN_SECS: u32 = 20;

/// What one stretch may be together. Nobody talks so long without a pause that ends his turn; a radio does.
pub const STRETCH_MAX_SECS: u32 = 300;

/// What is to be told to the host.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Partial { turn: u32, words: String },
    Text { turn: u32, words: String },
    Failed { turn: u32, why: &'static str },
}

/// One call's stretches.
pub(crate) struct Stretches<'a> {
    pool: &'a Pool,
    answer: mpsc::UnboundedSender<(JobId, Outcome)>,
    language: Option<String>,
    format: Format,
    lead: VecDeque<u8>,
    /// The one being said.
    open: Option<Open>,
    /// Those that are over and wait for words. The queue's bound bounds them, as each has a job in it.
    over: Vec<Over>,
    /// A stretch was too long, and nobody has said so yet.
    overlong: Option<u32>,
}

struct Open {
    turn: u32,
    pieces: Vec<Piece>,
    /// What has not become a piece yet.
    sound: Sound,
    /// All of it so far, in milliseconds of pieces that were cut off.
    cut_ms: u32,
    guess: Option<Guess>,
}

/// What was made of the sound up to a pause.
struct Guess {
    ticket: Option<Ticket>,
    words: Option<String>,
    /// How much of the sound it is about, in bytes.
    until: usize,
    /// Nothing was said since, so it holds if the stretch is over.
    holds: bool,
}

struct Over {
    turn: u32,
    pieces: Vec<Piece>,
}

/// Part of a stretch that will not change any more.
enum Piece {
    Awaited(Ticket),
    Words(String),
    Failed(&'static str),
}

impl<'a> Stretches<'a> {
    /// `answer` is where the outcomes come from that are to be given to [`outcome`](Stretches::outcome).
    pub(crate) fn new(
        pool: &'a Pool,
        answer: mpsc::UnboundedSender<(JobId, Outcome)>,
        language: Option<&str>,
        format: Format,
    ) -> Stretches<'a> {
        Stretches {
            pool,
            answer,
            language: language.map(str::to_owned),
            format,
            lead: VecDeque::new(),
            open: None,
            over: Vec::new(),
            overlong: None,
        }
    }

    /// Sound of the caller.
    pub(crate) fn audio(&mut self, bytes: &[u8]) {
        let Some(open) = &mut self.open else {
            keep_lead(&mut self.lead, self.format, bytes);
            return;
        };
        if open.cut_ms + open.sound.ms() >= STRETCH_MAX_SECS * 1000 {
            self.overlong = Some(open.turn);
            return;
        }
        open.sound.bytes.extend_from_slice(bytes);
        if open.sound.ms() >= PIECE_MAX_SECS * 1000 {
            let piece = open.sound.cut_where_quiet(PIECE_MIN_SECS * 1000);
            open.cut_ms += piece.ms();
            open.guess = None;
            let ticket = self
                .pool
                .ask(piece, self.language.as_deref(), true, &self.answer);
            open.pieces.push(Piece::Awaited(ticket));
        }
    }

    /// He began to speak, or went on after a pause.
    pub(crate) fn speech_start(&mut self, turn: u32) {
        match &mut self.open {
            Some(open) if open.turn == turn => {
                if let Some(guess) = &mut open.guess {
                    guess.holds = false;
                    if let Some(ticket) = &guess.ticket {
                        ticket.is_stale();
                    }
                }
            }
            // Another stretch that was never told to be over: nobody waits for it.
            _ => {
                let bytes = self.lead.drain(..).collect();
                self.open = Some(Open {
                    turn,
                    pieces: Vec::new(),
                    sound: Sound {
                        format: self.format,
                        bytes,
                    },
                    cut_ms: 0,
                    guess: None,
                });
            }
        }
    }

    /// He paused.
    pub(crate) fn pause(&mut self, turn: u32) {
        let Some(open) = self.open.as_mut().filter(|open| open.turn == turn) else {
            return;
        };
        if open.guess.as_ref().is_some_and(|guess| guess.holds) {
            return;
        }
        // The older guess goes first, so that its place in the queue is free.
        open.guess = None;
        let ticket = self.pool.ask(
            open.sound.clone(),
            self.language.as_deref(),
            false,
            &self.answer,
        );
        open.guess = Some(Guess {
            ticket: Some(ticket),
            words: None,
            until: open.sound.bytes.len(),
            holds: true,
        });
    }

    /// His stretch is over. What can be said about it now is pushed to `said`.
    pub(crate) fn over(&mut self, turn: u32, said: &mut Vec<Said>) {
        let Some(open) = self.open.take_if(|open| open.turn == turn) else {
            // Nothing was heard of it, so there were no words.
            said.push(Said::Text {
                turn,
                words: String::new(),
            });
            return;
        };
        let Open {
            mut pieces,
            sound,
            guess,
            ..
        } = open;
        // What came behind the last words may belong to the next ones; the words themselves do not.
        let heard = guess.as_ref().filter(|guess| guess.holds);
        let from = heard.map_or(sound.bytes.len(), |guess| guess.until);
        keep_lead(&mut self.lead, self.format, &sound.bytes[from..]);
        pieces.push(match guess {
            Some(Guess {
                words: Some(words),
                holds: true,
                ..
            }) => Piece::Words(words),
            Some(Guess {
                ticket: Some(ticket),
                holds: true,
                ..
            }) => {
                ticket.is_over();
                Piece::Awaited(ticket)
            }
            stale => {
                drop(stale);
                Piece::Awaited(
                    self.pool
                        .ask(sound, self.language.as_deref(), true, &self.answer),
                )
            }
        });
        self.over.push(Over { turn, pieces });
        self.tell(said);
    }

    /// What became of a job.
    pub(crate) fn outcome(&mut self, id: JobId, outcome: Outcome, said: &mut Vec<Said>) {
        if let Some(open) = &mut self.open {
            let ended =
                matches!(&open.guess, Some(Guess { ticket: Some(ticket), .. }) if ticket.id == id);
            match (ended, &mut open.guess) {
                (true, Some(guess)) => {
                    guess.ticket = None;
                    if let Outcome::Heard { text, .. } = &outcome {
                        guess.words = Some(text.words.clone());
                        if let Some(words) = joined(&open.pieces, &text.words) {
                            let turn = open.turn;
                            said.push(Said::Partial { turn, words });
                        }
                    }
                    return;
                }
                _ => settle(&mut open.pieces, id, &outcome),
            }
        }
        for over in &mut self.over {
            settle(&mut over.pieces, id, &outcome);
        }
        self.tell(said);
    }

    /// The turn of a stretch that was cut at [`STRETCH_MAX_SECS`], once.
    pub(crate) fn overlong(&mut self) -> Option<u32> {
        match (&self.open, self.overlong) {
            (Some(open), Some(turn)) if open.turn == turn => None,
            _ => self.overlong.take(),
        }
    }

    /// Tells of stretches that are complete.
    fn tell(&mut self, said: &mut Vec<Said>) {
        self.over.retain(|over| {
            let failed = over.pieces.iter().find_map(|piece| match piece {
                Piece::Failed(why) => Some(*why),
                _ => None,
            });
            let turn = over.turn;
            if let Some(why) = failed {
                said.push(Said::Failed { turn, why });
                return false;
            }
            let complete = joined(&over.pieces, "");
            let waits = complete.is_none();
            said.extend(complete.map(|words| Said::Text { turn, words }));
            waits
        });
    }
}

/// Puts an outcome to the piece that waits for it.
fn settle(pieces: &mut [Piece], id: JobId, outcome: &Outcome) {
    for piece in pieces {
        if matches!(piece, Piece::Awaited(ticket) if ticket.id == id) {
            *piece = match outcome {
                Outcome::Heard { text, .. } => Piece::Words(text.words.clone()),
                // A guess that became the end just when it was dropped: there was no room for it.
                Outcome::Busy | Outcome::Dropped => Piece::Failed(
                    "busy: too many turns wait for a thread already; this one has no words: raise `threads` of the \
                     plugin if there are processors for them, or take fewer calls",
                ),
                Outcome::GaveUp => {
                    Piece::Failed("the worker gave up on this turn; the next one is tried")
                }
            };
        }
    }
}

/// The words of all pieces and `more`, if all are known.
fn joined(pieces: &[Piece], more: &str) -> Option<String> {
    let mut words = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        match piece {
            Piece::Words(said) => words.push(said.as_str()),
            Piece::Awaited(_) | Piece::Failed(_) => return None,
        }
    }
    words.push(more);
    words.retain(|words| !words.is_empty());
    Some(words.join(" "))
}

/// Keeps the last [`LEAD_MS`], in whole samples.
fn keep_lead(lead: &mut VecDeque<u8>, format: Format, bytes: &[u8]) {
    let most = format.bytes_of_ms(LEAD_MS);
    lead.extend(&bytes[bytes.len().saturating_sub(most + 1) / 2 * 2..]);
    let over = lead.len().saturating_sub(most);
    lead.drain(..over.div_ceil(2) * 2);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Stopped, Text, Watch};
    use crate::pool::Hears;
    use std::sync::Arc;

    /// A tenth of a second.
    const FRAME: usize = 800;

    /// "Hears" the letters that the frames are made of; long runs as a number and the letter.
    struct Letters;

    impl Hears for Letters {
        fn hear(&self, sound: &Sound, _: Option<&str>, _: &Watch) -> Result<Text, Stopped> {
            let frames = sound.bytes.chunk_by(|a, b| a == b);
            let word = |frame: &[u8]| {
                let (times, letter) = (frame.len().div_ceil(FRAME), char::from(frame[0]));
                match times {
                    0..10 => String::from(letter).repeat(times),
                    _ => format!("{times}{letter}"),
                }
            };
            Ok(Text {
                words: frames.map(word).collect(),
                ..Text::default()
            })
        }
    }

    /// Plays a drawing: `[` speech starts, `]` it pauses, `!` it is over, `?` a job's outcome is waited for, anything else
    /// is a frame. What is said is drawn as `partial~` or `text.`, and a failure by its name.
    fn play(pool: &Pool, drawings: &[&str]) -> String {
        let (answer, mut outcomes) = mpsc::unbounded_channel();
        let mut stretches = Stretches::new(pool, answer, None, Format::MULAW_8K);
        let mut said = Vec::new();
        for (turn, drawing) in (1..).zip(drawings) {
            for what in drawing.bytes() {
                match what {
                    b'[' => stretches.speech_start(turn),
                    b']' => stretches.pause(turn),
                    b'!' => stretches.over(turn, &mut said),
                    b'?' => {
                        let (id, outcome) = outcomes.blocking_recv().unwrap();
                        stretches.outcome(id, outcome, &mut said);
                    }
                    frame => stretches.audio(&[frame; FRAME]),
                }
            }
        }
        let drawn = said.iter().map(|said| match said {
            Said::Partial { turn, words } => format!("{turn}{words}~"),
            Said::Text { turn, words } => format!("{turn}{words}."),
            Said::Failed { turn, why } => format!("{turn}{}", why.split(':').next().unwrap()),
        });
        drawn.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn stretch_is_heard_with_its_lead_and_its_pauses() {
        let pool = Pool::open(Arc::new(Letters), 1).unwrap();
        let table = [
            // The guess holds, whether its words are there before the end or after it.
            (".......ab[cd.]?...!", "1...abcd.~ 1...abcd.."),
            (".......ab[cd.]...!?", "1...abcd.."),
            // He went on: the whole is heard again, with what was said in the pause.
            ("[ab.]?..x[cd.]?..!", "1ab.~ 1ab...xcd.~ 1ab...xcd.."),
            // He went on, and was over without a pause.
            ("[ab.]?..[cd!?", "1ab.~ 1ab...cd."),
            // A pause told twice is one.
            ("[ab.]?.].!", "1ab.~ 1ab.."),
            ("[ab!?", "1ab."),
            // Nothing was heard of it.
            ("ab!", "1."),
            ("!", "1."),
        ];
        for (caller, said) in table {
            assert_eq!(play(&pool, &[caller]), said, "{caller}");
        }
    }

    #[test]
    fn stretches_follow_each_other_before_the_first_has_its_words() {
        let pool = Pool::open(Arc::new(Letters), 1).unwrap();
        assert_eq!(play(&pool, &["[ab.]..!", "c[d.]..!??"]), "1ab.. 2..cd..");
        // Never over: nobody waits for it, and the next begins anew.
        assert_eq!(play(&pool, &["[ab", "[cd!?"]), "2cd.");
        // A number that is not the open one's.
        assert_eq!(play(&pool, &["[ab", "]!"]), "2.");
    }

    #[test]
    fn half_a_minute_is_cut_at_a_quiet_place_and_joined() {
        let pool = Pool::open(Arc::new(Letters), 1).unwrap();
        // 'b' is the quiet frame, 25 s in: half of it goes with the first piece. 0xff is silence in µ-law.
        let long = format!("[{}\u{7f}{}]??....!", "a".repeat(249), "a".repeat(80));
        let said = play(&pool, &[&long]);
        let (first, second) = ("250a\u{7f}", "\u{7f}80a");
        assert_eq!(
            said.replace("249a", "250a"),
            format!("1{first} {second}~ 1{first} {second}.")
        );
    }

    #[test]
    fn endless_stretch_is_cut_and_said_once() {
        let pool = Pool::open(Arc::new(Letters), 1).unwrap();
        let (answer, mut outcomes) = mpsc::unbounded_channel();
        let mut stretches = Stretches::new(&pool, answer, None, Format::MULAW_8K);
        let mut said = Vec::new();
        stretches.speech_start(3);
        let awaited = |stretches: &Stretches<'_>| {
            let pieces = stretches.open.iter().flat_map(|open| &open.pieces);
            pieces
                .filter(|piece| matches!(piece, Piece::Awaited(_)))
                .count()
        };
        for _ in 0..(STRETCH_MAX_SECS + 60) * 10 {
            stretches.audio(&[b'a'; FRAME]);
            while awaited(&stretches) > 0 {
                let (id, outcome) = outcomes.blocking_recv().unwrap();
                stretches.outcome(id, outcome, &mut said);
            }
        }
        assert_eq!(stretches.overlong(), None);
        stretches.over(3, &mut said);
        assert_eq!(
            (stretches.overlong(), stretches.overlong()),
            (Some(3), None)
        );
        while said.is_empty() {
            let (id, outcome) = outcomes.blocking_recv().unwrap();
            stretches.outcome(id, outcome, &mut said);
        }
        let heard: u32 = match &said[..] {
            [Said::Text { turn: 3, words }] => words
                .split_whitespace()
                .map(|piece| piece.trim_end_matches('a').parse::<u32>().unwrap_or(0))
                .sum(),
            other => panic!("{other:?}"),
        };
        // In tenths; pieces are rounded up.
        assert!((3000..3060).contains(&heard), "{heard}");
    }

    #[test]
    fn turn_without_room_fails_and_the_next_has_its_chance() {
        // Nobody works here, so what is put in stays in.
        let pool = Pool::open(Arc::new(Letters), 0).unwrap();
        let (other, _outcomes) = mpsc::unbounded_channel();
        let sound = Sound {
            format: Format::MULAW_8K,
            bytes: Vec::new(),
        };
        let mut tickets: Vec<Ticket> = (0..crate::pool::QUEUE_MAX_JOBS_PER_THREAD)
            .map(|_| pool.ask(sound.clone(), None, true, &other))
            .collect();
        assert_eq!(play(&pool, &["[ab!?"]), "1busy");
        // A guess that finds no room is asked for again at the end.
        assert_eq!(play(&pool, &["[ab.]?..!?"]), "1busy");
        tickets.clear();
        assert_eq!(play(&pool, &["[ab.]..!"]), "");
    }
}
