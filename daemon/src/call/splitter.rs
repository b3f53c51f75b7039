//! From the pieces of an answer, as a language model writes them, to utterances: each goes out as soon as a sentence is
//! certainly whole. It knows no language and asks for none; where a full stop may be an abbreviation's, it waits for
//! what follows. A cut too few costs a moment, a cut inside "Dr. Smith" is heard.
//!
//! ```text
//! "It costs 3." │ "50. Shall I" │ " book it?"  ──→  "It costs 3.50." │ "Shall I book it?"
//! ```
//!
//! Words are neither changed nor lost: the utterances together are the text, but for the space between them and for
//! signs at its very end that nobody can say.

use super::saying::MAX_TEXT_BYTES;
use std::ops::Range;

/// So much text may wait to be cut; a piece that does not fit is refused. Longer than any answer on the phone: half an
/// hour of speech.
pub(super) const MAX_WAITING_BYTES: usize = 16 * MAX_TEXT_BYTES;

/// A shorter sentence is said together with the next, if that is there: alone it sounds chopped. "Yes.", "はい。"
const SHORT_BYTES: usize = 12;

/// The first utterance of an answer may end at a clause from here on: a second of speech, in which the next is made.
const FIRST_CLAUSE_BYTES: usize = 20;

/// So far back the beginning of a word is looked for; a longer one is an address.
const MAX_WORD_BYTES: usize = 256;

/// The text of one answer that has not been said yet.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// Begins with a letter or a sign, never with a space.
    text: String,
    /// Something of this answer has been cut off already.
    begun: bool,
    /// From the first letter to the last of what is not the same in other calls.
    own: Range<usize>,
}

/// An utterance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) text: String,
    /// All of it came in pieces that are the same in other calls.
    pub(super) fixed: bool,
}

impl Splitter {
    /// Takes a piece, cut anywhere between two letters; `fixed` if it is the same in other calls. False if there is no
    /// room for it: nothing of it is taken.
    pub(super) fn push(&mut self, piece: &str, fixed: bool) -> bool {
        let piece = if self.text.is_empty() {
            piece.trim_start()
        } else {
            piece
        };
        let fits = self.text.len() + piece.len() <= MAX_WAITING_BYTES;
        if fits {
            let at = self.text.len();
            if !fixed && !piece.is_empty() {
                let from = if self.own.is_empty() {
                    at
                } else {
                    self.own.start
                };
                self.own = from..at + piece.len();
            }
            self.text.push_str(piece);
        }
        fits
    }

    /// The next utterance that is certainly whole, of at most [`MAX_TEXT_BYTES`]. To be asked until there is none.
    pub(super) fn next_utterance(&mut self) -> Option<Cut> {
        let end = self.cut(false)?;
        Some(self.take(end))
    }

    /// The next utterance of what is left, now that the answer is complete. To be asked until there is none; then the
    /// next answer may begin.
    pub(super) fn rest(&mut self) -> Option<Cut> {
        match self.cut(true) {
            Some(end) => Some(self.take(end)),
            None => {
                *self = Splitter::default();
                None
            }
        }
    }

    fn take(&mut self, end: usize) -> Cut {
        let text = self.text[..end].trim_end().to_owned();
        let fixed = self.own.is_empty() || end <= self.own.start;
        let next = end + leading_space(&self.text[end..]);
        self.text.drain(..next);
        self.own = self.own.start.saturating_sub(next)..self.own.end.saturating_sub(next);
        self.begun = true;
        Cut { text, fixed }
    }

    /// Where the first utterance ends; `whole` if nothing more comes.
    fn cut(&self, whole: bool) -> Option<usize> {
        let text = self.text.as_str();
        let mut end = None;
        while end.unwrap_or(0) < SHORT_BYTES
            && let Some(next) = sentence_end(text, end.unwrap_or(0), whole)
            && next <= MAX_TEXT_BYTES
        {
            end = Some(next);
        }
        if end.is_some() {
            return end;
        }
        let all = text.trim_end().len();
        if !self.begun && !whole {
            let clause = clause_ends(text).find(|&end| end >= FIRST_CLAUSE_BYTES);
            let clause = clause.filter(|&end| text[..end].contains(char::is_alphanumeric));
            if clause.is_some_and(|end| end <= MAX_TEXT_BYTES) {
                return clause;
            }
        }
        if all > MAX_TEXT_BYTES {
            return Some(forced(text));
        }
        // Nobody can say what has no letter; but if it is the whole answer, the voice has to tell.
        (whole && all > 0 && !self.begun).then_some(all)
    }
}

/// Where the sentence that begins at `from` ends, if that is certain. It has a letter or a digit.
fn sentence_end(text: &str, from: usize, whole: bool) -> Option<usize> {
    let mut sayable = false;
    let mut open = Open::default();
    let mut seen = from;
    for (at, c) in text[from..].char_indices() {
        let at = from + at;
        if at > MAX_TEXT_BYTES {
            return None;
        }
        if at < seen {
            continue;
        }
        if c.is_alphanumeric() {
            sayable = true;
        } else if is_stop(c) {
            let stop = Stop::at(text, from, at);
            seen = stop.end;
            text[stop.stops..stop.end].chars().for_each(|c| open.see(c));
            let verdict = stop.verdict(&open, whole);
            match verdict {
                Verdict::Ends if sayable => return Some(with_signs(text, stop.end)),
                Verdict::Unsure if sayable => return None,
                Verdict::Ends | Verdict::Unsure | Verdict::GoesOn => {}
            }
        } else if c == '\n' && sayable {
            match next_letter(&text[at..]) {
                // A line that was broken to fit a page.
                Some(next) if next.is_lowercase() => {}
                Some(_) => return Some(at),
                None if !whole => return None,
                None => {}
            }
        } else {
            open.see(c);
        }
    }
    let all = text.trim_end().len();
    (whole && sayable).then_some(all)
}

/// Quotes and brackets that have been opened and not closed.
#[derive(Default)]
struct Open {
    brackets: u32,
    quote: bool,
}

impl Open {
    fn see(&mut self, c: char) {
        match c {
            '(' | '[' | '{' | '“' | '„' | '«' | '「' | '『' | '（' | '【' | '《' => {
                self.brackets += 1
            }
            ')' | ']' | '}' | '”' | '»' | '」' | '』' | '）' | '】' | '》' => {
                self.brackets = self.brackets.saturating_sub(1);
            }
            '"' => self.quote = !self.quote,
            _ => {}
        }
    }

    fn any(&self) -> bool {
        self.brackets > 0 || self.quote
    }
}

enum Verdict {
    Ends,
    GoesOn,
    /// What comes next decides.
    Unsure,
}

/// One or more stops in a row, and the quotes and brackets that close behind them.
struct Stop<'a> {
    text: &'a str,
    from: usize,
    at: usize,
    /// Behind the last stop.
    stops: usize,
    /// Behind what closes.
    end: usize,
}

impl<'a> Stop<'a> {
    fn at(text: &'a str, from: usize, at: usize) -> Stop<'a> {
        let run = |from: usize, belongs: fn(char) -> bool| {
            let behind = &text[from..];
            from + behind.find(|c| !belongs(c)).unwrap_or(behind.len())
        };
        let stops = run(at, is_stop);
        let end = run(stops, |c| is_closer(c) || is_sign(c));
        Stop {
            text,
            from,
            at,
            stops,
            end,
        }
    }

    fn verdict(&self, open: &Open, whole: bool) -> Verdict {
        let run = &self.text[self.at..self.stops];
        let behind = &self.text[self.end..];
        let closed = self.end > self.stops;
        let last = behind.trim_start().is_empty();
        if last && whole {
            return Verdict::Ends;
        }
        let next = behind.chars().next();
        if run.contains(is_wide_stop) {
            return match next {
                None if closed || open.any() => Verdict::Unsure,
                Some(next) if closed && next.is_alphabetic() => Verdict::GoesOn,
                _ => Verdict::Ends,
            };
        }
        let dots = run.chars().all(|c| c == '.' || c == '…');
        let Some(next) = next else {
            let certain = !dots && !closed && !open.any() && !self.in_address();
            return if certain {
                Verdict::Ends
            } else {
                Verdict::Unsure
            };
        };
        if !next.is_whitespace() {
            return self.without_space(run, next);
        }
        if run == "." && !closed {
            return self.full_stop(whole);
        }
        match next_letter(behind) {
            None if dots || closed => Verdict::Unsure,
            Some(next) if next.is_lowercase() && (dots || closed) => Verdict::GoesOn,
            _ => Verdict::Ends,
        }
    }

    /// A letter follows at once.
    fn without_space(&self, run: &str, next: char) -> Verdict {
        let unlike_latin = next.is_alphabetic() && !next.is_lowercase() && !next.is_uppercase();
        let begins = matches!(next, '¿' | '¡') || unlike_latin;
        // "U.S", "Node.JS" and "example.com", but "What?Yes".
        let capital = next.is_uppercase() && run != ".";
        if (begins || capital) && !self.in_address() {
            Verdict::Ends
        } else {
            Verdict::GoesOn
        }
    }

    /// One full stop, and a space behind it: a sentence's, or an abbreviation's?
    fn full_stop(&self, whole: bool) -> Verdict {
        let behind = &self.text[self.end..];
        let next = next_letter(behind);
        let word = self.word();
        if self.is_list_marker(word) {
            return Verdict::GoesOn;
        }
        let lower = word.to_lowercase();
        let name = word.chars().next().is_some_and(char::is_uppercase);
        if BEFORE_MORE.contains(&lower.as_str()) || (name && BEFORE_NAMES.contains(&lower.as_str()))
        {
            return Verdict::GoesOn;
        }
        let letters = word.split('.').all(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
        });
        let one_letter = letters && word.chars().count() == 1;
        // "J. R. R. Tolkien"
        if one_letter && name {
            return Verdict::GoesOn;
        }
        let numbered = BEFORE_NUMBERS.contains(&lower.as_str());
        let ending = MAY_END.contains(&lower.as_str());
        let initials = letters || MAY_END_NAMES.contains(&lower.as_str());
        let Some(next) = next else {
            return if numbered || ending || initials {
                Verdict::Unsure
            } else {
                Verdict::Ends
            };
        };
        if numbered && next.is_numeric() {
            return Verdict::GoesOn;
        }
        if next.is_lowercase() {
            // Somebody who begins his sentences with capitals did not end this one.
            let abbreviated = ending || initials || self.begins_with_capital();
            return if abbreviated {
                Verdict::GoesOn
            } else {
                Verdict::Ends
            };
        }
        // "It opens at 5 p.m. Please come", but "the U.S. Army".
        if initials && !ending && !one_letter && next.is_alphanumeric() {
            return starter(behind, whole);
        }
        Verdict::Ends
    }

    /// The word before the stop, without what opens it.
    fn word(&self) -> &'a str {
        let before = &self.text[self.from..self.at];
        let mut begin = before.len().saturating_sub(MAX_WORD_BYTES);
        while !before.is_char_boundary(begin) {
            begin += 1;
        }
        let before = &before[begin..];
        let apostrophe = |c| c == '\'' || c == '’';
        let outside = |c: char| !c.is_alphanumeric() && c != '.' && !apostrophe(c);
        let word = before.rsplit(outside).next().unwrap_or(before);
        word.trim_start_matches(apostrophe)
    }

    /// Is the stop inside an address, as far as it has come?
    fn in_address(&self) -> bool {
        let before = &self.text[self.from..self.at];
        let mut begin = before.len().saturating_sub(MAX_WORD_BYTES);
        while !before.is_char_boundary(begin) {
            begin += 1;
        }
        let before = &before[begin..];
        let word = before.rsplit(char::is_whitespace).next().unwrap_or(before);
        word.contains(['/', '@']) || word.starts_with("www.")
    }

    /// "1. Apples" at the beginning of a line.
    fn is_list_marker(&self, word: &str) -> bool {
        let line = self.text[self.from..self.at]
            .rsplit('\n')
            .next()
            .unwrap_or("");
        let first = line.trim_start() == word && !word.is_empty();
        first && word.len() <= 3 && word.chars().all(|c| c.is_ascii_digit())
    }

    fn begins_with_capital(&self) -> bool {
        let sentence = &self.text[self.from..self.at];
        let first = sentence.chars().find(|c| c.is_alphabetic());
        first.is_some_and(char::is_uppercase)
    }
}

/// Does the next word begin a sentence rather than go on with a name?
fn starter(behind: &str, whole: bool) -> Verdict {
    let behind = behind.trim_start_matches(|c: char| !c.is_alphanumeric());
    let end = behind.find(|c: char| !c.is_alphanumeric());
    if end.is_none() && !whole {
        return Verdict::Unsure;
    }
    let word = behind[..end.unwrap_or(behind.len())].to_lowercase();
    if STARTERS.contains(&word.as_str()) {
        Verdict::Ends
    } else {
        Verdict::GoesOn
    }
}

/// Where clauses end, behind their comma, dash or colon.
fn clause_ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.char_indices().filter_map(|(at, c)| {
        let end = at + c.len_utf8();
        let next = text[end..].chars().next();
        let space_behind = next.is_some_and(char::is_whitespace);
        let ends = match c {
            '，' | '、' | '；' | '：' => true,
            ',' | ';' | ':' | '،' | '—' => space_behind,
            '-' | '–' => space_behind && text[..at].ends_with(char::is_whitespace),
            _ => false,
        };
        ends.then_some(end)
    })
}

/// The best place to cut a text that is longer than an utterance may be and has no sentence that is not.
fn forced(text: &str) -> usize {
    let mut most = MAX_TEXT_BYTES;
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    let window = &text[..most];
    let clause = clause_ends(window).last();
    clause
        .filter(|&end| end > most / 2)
        .or_else(|| window.rfind(char::is_whitespace).filter(|&at| at > 0))
        .unwrap_or(most)
}

/// A sign behind a sentence ("Done! 🎉") goes with it, if it is there already.
fn with_signs(text: &str, end: usize) -> usize {
    let mut best = end;
    let mut at = end;
    for c in text[end..].chars() {
        at += c.len_utf8();
        if is_sign(c) {
            best = at;
        } else if c != ' ' {
            break;
        }
    }
    best
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The first letter or sign behind the space and whatever opens.
fn next_letter(behind: &str) -> Option<char> {
    let opens = |c: &char| matches!(c, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '*' | '_');
    behind
        .chars()
        .find(|c| !c.is_whitespace() && !opens(c) && !is_sign(*c))
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '।' | '؟' | '۔') || is_wide_stop(c)
}

/// A stop that needs no space behind it.
fn is_wide_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡')
}

fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '”'
            | '’'
            | '»'
            | ')'
            | ']'
            | '}'
            | '」'
            | '』'
            | '）'
            | '】'
            | '》'
            | '*'
            | '_'
            | '`'
    )
}

/// A picture in the text, or a part of one.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{1F000}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' | '\u{2B50}'..='\u{2B55}' | '\u{FE0F}' | '\u{200D}')
}

/// Something always follows.
const BEFORE_MORE: &[&str] = &[
    "vs", "e.g", "i.e", "cf", "viz", "approx", "aprox", "ej", "p.ej", "ee",
];

/// The same with a capital: a name follows.
const BEFORE_NAMES: &[&str] = &[
    "mr", "mrs", "ms", "mx", "dr", "prof", "st", "rev", "hon", "gov", "sen", "rep", "gen", "col",
    "capt", "lt", "sgt", "sr", "sra", "srta", "sres", "sras", "srtas", "dra", "dres", "profa",
    "lic", "ing", "arq", "sto", "sta", "mme", "mlle",
];

/// A number may follow; if none does, the sentence is over.
const BEFORE_NUMBERS: &[&str] = &[
    "no", "nos", "nr", "num", "núm", "núms", "pag", "pág", "págs", "p", "pp", "fig", "figs", "ch",
    "sec", "vol", "art", "arts", "ext", "tel", "tlf", "cap", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ene", "abr", "ago", "dic",
];

/// A sentence may end with it, and has if a capital follows.
const MAY_END: &[&str] = &["etc", "a.m", "p.m", "al"];

/// The same, and a capital may also be a name's.
const MAY_END_NAMES: &[&str] = &[
    "jr", "inc", "ltd", "co", "corp", "bros", "ave", "blvd", "rd", "dept", "av", "avda", "apto",
    "ud", "uds", "vd", "vds", "uu", "ee.uu", "ph.d", "s.a",
];

/// Words that begin a sentence far more often than a name.
const STARTERS: &[&str] = &[
    "the", "this", "that", "these", "those", "there", "then", "it", "he", "she", "we", "you",
    "they", "i", "in", "on", "at", "for", "from", "and", "but", "or", "so", "if", "when", "what",
    "where", "who", "how", "why", "which", "yes", "no", "not", "please", "thank", "thanks", "can",
    "could", "would", "do", "does", "is", "are", "my", "your", "our", "his", "her", "their", "a",
    "an", "as", "after", "before", "because", "while", "also", "however", "let", "now", "to",
    "with", "el", "la", "los", "las", "un", "una", "es", "son", "está", "esto", "esta", "este",
    "eso", "y", "o", "pero", "si", "sí", "que", "qué", "cómo", "cuándo", "dónde", "quién", "cuál",
    "por", "para", "con", "en", "de", "lo", "le", "se", "su", "mi", "tu", "yo", "él", "ella",
    "usted", "ustedes", "nosotros", "gracias", "también", "además", "después", "ahora", "luego",
    "cuando", "entonces", "puede",
];
