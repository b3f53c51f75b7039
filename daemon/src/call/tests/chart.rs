//! Conversations as drawings: plays what the caller does, draws what came of it, and compares. One column is 100 ms.
//!
//! ```text
//! caller   s voiced   . not   _ the line sends nothing   0-9 a key   X hangs up
//! reply    t a text of 800 ms   a 100 ms of own sound   d done   f failed   h hang up   e an empty text   o sound
//!          of the turn before   q the next silence is told after 500 ms; without this row the responder says 800 ms
//!          after 100 ms and is done
//! words    what is written of the latest stretch: a lower-case letter is a partial text, an upper-case one a final text,
//!          both named with [`Chart::words`]; `!` failed   digits: the endpointer's verdict, 7 is 70 to 79 percent
//! bot      what reaches the caller's ear: the utterance's number; `a` for the responder's own sound
//! log      what the core said, the letters each test asks for (see `letter`); more in a column go to further rows
//! ```
//!
//! The first three are told to the core, the others are compared with what it made of them. The voice delivers an
//! utterance of 100 ms a letter, whole, after 100 ms; the carrier is in the same room.

#![allow(clippy::unwrap_used)]

use super::world::{Does, Event, Fate, Manner, Owner, World, Writes};
use crate::call::input::Why;
use crate::call::output::{Note, Output};
use crate::call::settings::Settings;
use crate::call::time::{CallTime, samples};

const COLUMN_MS: u64 = 100;

/// Every row begins with its name, so wide.
const LABEL: usize = 8;

pub(super) struct Chart {
    pub(super) world: World,
    shows: &'static str,
    texts: Vec<(char, &'static str)>,
}

pub(super) fn chart(settings: Settings) -> Chart {
    Chart {
        world: World::new(settings),
        shows: "rtx",
        texts: Vec::new(),
    }
}

fn letter(output: &Output) -> char {
    match output {
        Output::Respond { .. } => 'r',
        Output::SpeechStarted { .. } => 's',
        Output::SpeechPaused { .. } => 'p',
        Output::Speak { .. } => 't',
        Output::Play { .. } => '>',
        Output::Mark(_) => 'm',
        Output::Clear => 'x',
        Output::Cancel { .. } => 'k',
        Output::CancelReply { .. } => 'c',
        Output::HeardWhole { .. } => 'w',
        Output::SaidSoFar { .. } => '~',
        Output::Transcribe { .. } => 'l',
        Output::Hold { .. } => 'X',
        Output::Forget => 'F',
        Output::Depart(_) => 'D',
        Output::HangUp => 'h',
        Output::Done(_) => 'd',
        Output::Note(note) => match note {
            Note::Said { .. } => '"',
            Note::Heard { whole: true, .. } => '+',
            Note::Heard { .. } => '-',
            Note::CallerStarted { .. } => 'S',
            Note::TurnEnded { .. } => 'E',
            Note::Answered { .. } => 'A',
            Note::BargeIn { .. } => 'b',
            Note::Digit { .. } => '#',
            Note::NoInput { .. } => 'n',
            Note::VoiceReplaced { .. } => 'v',
            Note::Failed { .. } => 'f',
            Note::Transcript { .. } => 'T',
            Note::Wasted { .. } => 'W',
            Note::Withdrawn { .. } => 'J',
            Note::NoWords { .. } => 'N',
            Note::Resumed { .. } => 'R',
            Note::ResponderReplaced { .. } => 'V',
            Note::TranscriberReplaced { .. } => 'U',
            Note::Departed { .. } => '>',
            Note::Returned { .. } => '<',
            Note::Ended { .. } => '.',
        },
    }
}

impl Chart {
    /// Which letters the log is to show.
    pub(super) fn shows(mut self, letters: &'static str) -> Chart {
        self.shows = letters;
        self
    }

    pub(super) fn voice(mut self, mut manner: impl FnMut(u32) -> Manner + 'static) -> Chart {
        self.world.voice = Box::new(move |utterance, _| manner(utterance));
        self
    }

    /// A line of voices, told apart by their place in it.
    pub(super) fn voices<const N: usize>(
        mut self,
        mut manners: [Box<dyn FnMut(u32) -> Manner>; N],
    ) -> Chart {
        self.world.line = N as u32;
        self.world.voice = Box::new(move |utterance, voice| manners[voice as usize](utterance));
        self
    }

    /// What the letters of the row of words stand for.
    pub(super) fn words<const N: usize>(mut self, texts: [(char, &'static str); N]) -> Chart {
        self.texts = texts.to_vec();
        self
    }

    pub(super) fn marks(mut self, fate: Fate) -> Chart {
        self.world.marks = Box::new(move || fate);
        self
    }

    /// Plays the drawing and compares.
    #[track_caller]
    pub(super) fn plays(mut self, drawing: &str) -> World {
        let expected: Vec<&str> = drawing
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let row = |name: &str| {
            expected
                .iter()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim_start)
                .unwrap_or_default()
        };
        let caller = row("caller");
        let given = |name: &str| expected.iter().find(|line| line.starts_with(name));
        let (reply, words) = (given("reply"), given("words"));
        let columns = caller.len() as u64;
        for (column, cell) in (0..).zip(caller.chars()) {
            self.schedule_caller(column * COLUMN_MS, cell);
        }
        if let Some(reply) = reply {
            self.world.responder = Box::new(|_| Vec::new());
            for (column, cell) in (0..).zip(reply[LABEL..].chars()) {
                self.schedule_reply(column * COLUMN_MS, cell);
            }
        }
        if let Some(words) = words {
            for (column, cell) in (0..).zip(words[LABEL..].chars()) {
                self.schedule_words(column * COLUMN_MS, cell);
            }
        }
        self.world.start();
        self.world.run_until(CallTime::from_ms(columns * COLUMN_MS));
        assert_eq!(self.world.wrong, None);

        let mut drawn = vec![format!("caller  {caller}")];
        drawn.extend(reply.map(|reply| reply.to_string()));
        drawn.extend(words.map(|words| words.to_string()));
        drawn.push(format!("bot     {}", self.at_the_ear(columns)));
        drawn.extend(
            self.log(columns)
                .into_iter()
                .map(|cells| format!("log     {cells}")),
        );
        let drawn: Vec<&str> = drawn.iter().map(|line| line.trim_end()).collect();
        assert!(
            drawn == expected,
            "\nexpected\n{}\n\nhappened\n{}\n",
            expected.join("\n"),
            drawn.join("\n")
        );
        self.world
    }

    fn schedule_caller(&mut self, at_ms: u64, cell: char) {
        // Frames arrive in the middle of their 20 ms, so that none falls on the border between two columns.
        let frames = [10, 30, 50, 70, 90].map(|ms| at_ms + ms);
        match cell {
            's' => frames.map(|ms| self.world.later(ms, Event::Frame(true))),
            '_' => [(); 5],
            'X' => return self.world.later(at_ms, Event::Stop(Why::CallerHungUp)),
            _ => frames.map(|ms| self.world.later(ms, Event::Frame(false))),
        };
        if cell.is_ascii_digit() {
            self.world.later(at_ms, Event::Key(cell));
        }
    }

    fn schedule_reply(&mut self, at_ms: u64, cell: char) {
        let does = match cell {
            't' => Does::Says("abcdefgh".into()),
            'a' | 'o' => Does::Sounds(samples(100)),
            'd' => Does::Finishes,
            'f' => Does::Fails,
            'h' => Does::HangsUp,
            'e' => Does::Says("  ".into()),
            'q' => Does::Waits(500),
            _ => return,
        };
        self.world
            .later(at_ms, Event::Answers(u32::from(cell == 'o'), does));
    }

    fn schedule_words(&mut self, at_ms: u64, cell: char) {
        let text = || self.texts.iter().find(|(letter, _)| *letter == cell);
        let text = || text().map_or(String::new(), |(_, text)| (*text).to_owned());
        let writes = match cell {
            'a'..='z' => Writes::Partial(text()),
            'A'..='Z' => Writes::Final(text()),
            '!' => Writes::Fails,
            '0'..='9' => Writes::Judges(cell as u8 % 48 * 10 + 5),
            _ => return,
        };
        // In the middle of the column, behind what the core notices in it.
        self.world.later(at_ms + 50, Event::WritesLast(0, writes));
    }

    /// What the caller heard, judged in the middle of each column.
    fn at_the_ear(&self, columns: u64) -> String {
        let mut row = String::new();
        for column in 0..columns {
            let middle = CallTime::from_ms(column * COLUMN_MS + COLUMN_MS / 2);
            let mut sounds = self.world.heard.iter();
            row.push(
                match sounds.find(|sound| sound.from <= middle && middle < sound.to) {
                    None => '.',
                    Some(sound) => match sound.owner {
                        Owner::Voice(utterance) => char::from_digit(utterance % 10, 10).unwrap(),
                        Owner::Responder(_) => 'a',
                    },
                },
            );
        }
        row
    }

    fn log(&self, columns: u64) -> Vec<String> {
        let mut rows: Vec<Vec<char>> = vec![vec![' '; columns as usize + 1]];
        for (time, output) in &self.world.log {
            let (column, letter) = ((time.as_ms() / COLUMN_MS) as usize, letter(output));
            if !self.shows.contains(letter) {
                continue;
            }
            // Below everything else in its column, so that a column reads downwards.
            let below = rows
                .iter()
                .rposition(|row| row[column] != ' ')
                .map_or(0, |row| row + 1);
            if below == rows.len() {
                rows.push(vec![' '; columns as usize + 1]);
            }
            rows[below][column] = letter;
        }
        rows.into_iter().map(String::from_iter).collect()
    }
}

/// The story of what happened.
pub(super) fn notes(world: &World) -> impl Iterator<Item = &Note> {
    world.log.iter().filter_map(|(_, output)| match output {
        Output::Note(note) => Some(note),
        _ => None,
    })
}

/// What the story says was heard: utterance, milliseconds, to its end.
pub(super) fn heard(world: &World) -> Vec<(u32, u64, bool)> {
    let heard = notes(world).filter_map(|note| match note {
        Note::Heard {
            utterance,
            heard_ms,
            whole,
            ..
        } => Some((*utterance, *heard_ms, *whole)),
        _ => None,
    });
    heard.collect()
}
