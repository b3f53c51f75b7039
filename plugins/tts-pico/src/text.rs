//! Text made fit for Pico: what may reach the engine, and how it is written so that it sounds right.
//!
//! Pico obeys markup, and one of its tags writes files. So nothing passes here that is not on the list of characters
//! in [`spoken_as`]: no `<`, no `>`, no control character, nothing Pico has no sound for. The result is the type
//! [`Plain`], which can be made in no other way and is the only thing `engine` accepts. On the way, dashes become
//! pauses, typographers' quotes become plain ones, lines become sentences, telephone numbers become digits, and long
//! text is cut into pieces. No sound, no language and no engine here: it is the same for all voices.

/// The longest text taken for one utterance; about nine minutes of speech.
pub const TEXT_MAX_BYTES: usize = 8_000;

/// The longest piece handed to the engine at once; about half a minute of speech and 0.1 s of work. Pico pauses
/// between two pieces exactly as it does between two sentences of one.
pub(crate) const PIECE_MAX_BYTES: usize = 400;

/// Where a word without a space is broken: at 55 digits or 150 letters in a row Pico gives up on the whole text.
const WORD_MAX_CHARS: usize = 40;

/// A sentence end after a shorter word is more likely an abbreviation ("Dr.", "e.g.") than an end.
const LAST_WORD_MIN_CHARS: usize = 4;

/// What telephone numbers and the like have in common: at least this many digits, at most [`DIGITS_MAX`].
const DIGITS_MIN: usize = 7;
/// Card numbers have up to 19 digits.
const DIGITS_MAX: usize = 19;
/// From this length on a number without any mark in it is read digit by digit: nobody says billions on the phone.
const BARE_DIGITS_MIN: usize = 10;

/// Text that holds only characters on the list, no longer than [`PIECE_MAX_BYTES`], with something to say in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plain(String);

impl Plain {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot be spoken.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextError {
    /// Nothing but spaces.
    #[error("there is nothing to say: the text is empty; nothing is played")]
    Empty,
    /// Nothing but signs, pictures or letters of other scripts.
    #[error(
        "there is nothing this voice can say in the text: it reads Latin letters and digits only; nothing is played"
    )]
    Unspeakable,
    /// Longer than [`TEXT_MAX_BYTES`].
    #[error(
        "the text is {bytes} bytes long, more than the {TEXT_MAX_BYTES} this voice takes at once; nothing is played: \
         send it sentence by sentence"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Makes text fit for the engine. The pieces are in order and together say the whole text; there is at least one.
pub(crate) fn pieces(text: &str) -> Result<Vec<Plain>, TextError> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(TextError::TooLong { bytes: text.len() });
    }
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    let text = broken_words(&squeezed(&spelled(&listed(text))));
    let pieces: Vec<Plain> = cut(&text)
        .into_iter()
        .filter(|piece| piece.contains(char::is_alphanumeric))
        .map(|piece| Plain(piece.to_owned()))
        .collect();
    if pieces.is_empty() {
        return Err(TextError::Unspeakable);
    }
    Ok(pieces)
}

/// The list: how one character is written for Pico. An empty answer leaves no trace; a space separates.
///
/// The letters are those of Windows-1252, which is what all six voices have sounds for (tried one by one); the rest
/// of Latin Extended-A loses its accents, so that Łukasz is not called Ukasz.
fn spoken_as(c: char) -> &'static str {
    /// Latin Extended-A, U+0100 to U+017F, without accents.
    const EXTENDED: &str = "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlLlLlNnNnNnnNn\
                            OoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";
    /// Everything that passes as it is: ASCII without the characters that are markup or are read out by name where
    /// no reader would (`*` is "asterisk"), then the letters, fractions and units of Windows-1252.
    const PASSING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \
                           .,;:!?'\"()-/%&+=@#$\
                           ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŒœŠšŸŽž\
                           ¡¿ªº°²³µ±×÷¼½¾¢£¥§€";
    const LAST_PASSING: char = '€';
    match c {
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => "\n",
        // Hyphens that do not break, and the minus sign.
        '\u{2010}' | '\u{2011}' | '\u{2212}' => "-",
        '\u{2013}' | '\u{2014}' | '\u{2015}' => ", ",
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{b4}' => "'",
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' | '«' | '»' => "\"",
        '\u{201a}' => ",",
        '\u{2026}' => "...",
        '•' | '·' => ", ",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        // Soft hyphen, accents that stand apart, characters of no width, variants of emoji.
        '\u{ad}'
        | '\u{300}'..='\u{36f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2060}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => "",
        _ if c > LAST_PASSING => " ",
        _ => {
            let same = |list: &'static str| {
                list.char_indices()
                    .find(|(_, l)| *l == c)
                    .map(|(at, l)| &list[at..at + l.len_utf8()])
            };
            same(PASSING)
                .or_else(|| {
                    let at = usize::try_from(u32::from(c).checked_sub(0x100)?).ok()?;
                    EXTENDED.get(at..at + 1)
                })
                .unwrap_or(" ")
        }
    }
}

/// Applies the list, with a look at the neighbours where it matters.
fn listed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = '\n';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or('\n');
        match c {
            // A range: what Pico does with a hyphen is what an author would get by typing one.
            '\u{2013}' if before.is_ascii_digit() && after.is_ascii_digit() => out.push('-'),
            // Part of an address, not of emphasis.
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push('_'),
            // Bullets and headings at the start of a line.
            '-' | '#' if after == ' ' && (out.is_empty() || out.ends_with('\n')) => {}
            _ => out.push_str(spoken_as(c)),
        }
        before = c;
    }
    out
}

/// Writes telephone, card and account numbers as single digits, with a pause between groups.
fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let may_begin = c.is_ascii_digit() || c == '+' || c == '(';
        // Inside a word, an amount, a fraction or a time it is no number to dial.
        let inside = out.ends_with(|b: char| b.is_alphanumeric() || "$€£¥.,:/#-_".contains(b));
        let found = if may_begin && !inside {
            number(rest)
        } else {
            None
        };
        match found {
            Some((length, groups)) => {
                let groups: Vec<String> = groups
                    .iter()
                    .map(|g| g.chars().map(String::from).collect::<Vec<_>>().join(" "))
                    .collect();
                out.push_str(&groups.join(", "));
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// A number to be read digit by digit at the start of `text`: its length in bytes and its groups.
fn number(text: &str) -> Option<(usize, Vec<&str>)> {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(b' ');
    let mut groups = Vec::new();
    let mut marks = Vec::new();
    let (mut end, mut digits) = (0, 0);
    let mut i = usize::from(at(0) == b'+');
    let (plus, mut bracket) = (i == 1, false);
    loop {
        let opened = at(i) == b'(';
        i += usize::from(opened);
        let length = bytes[i.min(bytes.len())..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if length == 0 {
            break;
        }
        digits += length;
        if digits > DIGITS_MAX {
            return None;
        }
        groups.push(&text[i..i + length]);
        i += length;
        if opened {
            if at(i) != b')' {
                return None;
            }
            bracket = true;
            i += 1;
        }
        end = i;
        let mark = bytes[i.min(bytes.len())..]
            .iter()
            .take_while(|b| b" -.".contains(b))
            .count();
        if mark > 3 || (mark == 0 && !bracket && at(i) != b'(') {
            break;
        }
        marks.push(&text[i..i + mark]);
        i += mark;
    }
    let next = at(end);
    let goes_on = next.is_ascii_alphanumeric()
        || b"%:/_(".contains(&next)
        || (b".,-".contains(&next) && at(end + 1).is_ascii_digit());
    if goes_on || digits < DIGITS_MIN {
        return None;
    }
    let lengths: Vec<usize> = groups.iter().map(|g| g.len()).collect();
    marks.truncate(groups.len() - 1);
    let one_mark = marks.windows(2).all(|two| two[0] == two[1]);
    let dialled = match lengths.as_slice() {
        _ if plus || bracket => true,
        [all] => *all >= BARE_DIGITS_MIN,
        // 555-0199, 555 010 9999
        [.., 3, 4] => true,
        // 01 23 45 67 89, 4111 1111 1111 1111, but neither 10 000 000 000 nor digits that are single already.
        [_, more @ ..] if more.len() >= 3 && one_mark => {
            more.iter().any(|l| *l != 3) && lengths.iter().any(|l| *l != 1)
        }
        _ => false,
    };
    dialled.then_some((end, groups))
}

/// One space where there were many, one stop where there were several, none at the start.
fn squeezed(text: &str) -> String {
    let is_gap = |c: char| " \n.,;:!?".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(is_gap).unwrap_or(rest.len());
        out.push_str(&rest[..word]);
        rest = &rest[word..];
        let length = rest.find(|c| !is_gap(c)).unwrap_or(rest.len());
        let (gap, after) = rest.split_at(length);
        rest = after;
        let last = rest.is_empty();
        let stops = gap.trim_matches(' ');
        if out.is_empty() && !(stops == "." && gap.ends_with('.')) {
            // Nothing to pause after.
        } else if stops.is_empty() {
            if !last && !gap.is_empty() {
                out.push(' ');
            }
        } else if stops.len() == 1 && stops != "\n" && gap.ends_with(stops) && !last {
            // Inside a word, an amount, an address: 5.20, 10:30, .NET
            if gap.starts_with(' ') && stops != "." {
                out.push_str(stops);
                out.push(' ');
            } else {
                out.push_str(if gap.len() > 1 { " ." } else { stops });
            }
        } else {
            out.push(strongest(stops, last));
            if !last {
                out.push(' ');
            }
        }
    }
    out
}

/// The one stop that stands for several. Dots in a row are a hesitation unless they end the text; the end of a line
/// ends a sentence unless something else did.
fn strongest(stops: &str, last: bool) -> char {
    let has = |c: char| stops.contains(c);
    let hesitation = stops.contains("..");
    match () {
        () if has('?') => '?',
        () if has('!') => '!',
        () if has('.') && !hesitation => '.',
        () if hesitation && last => '.',
        () if has(':') => ':',
        () if has(';') => ';',
        () if has(',') || hesitation => ',',
        () => '.',
    }
}

/// Puts spaces into words no language has.
fn broken_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut length = 0;
    for c in text.chars() {
        if c == ' ' {
            length = 0;
        } else if length == WORD_MAX_CHARS {
            out.push(' ');
            length = 1;
        } else {
            length += 1;
        }
        out.push(c);
    }
    out
}

/// Cuts text into pieces of at most [`PIECE_MAX_BYTES`]: after a sentence, else after a pause, else between words.
fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while rest.len() > PIECE_MAX_BYTES {
        let mut window = PIECE_MAX_BYTES;
        while !rest.is_char_boundary(window) {
            window -= 1;
        }
        let spaces = || rest[..window].rmatch_indices(' ').map(|(at, _)| at);
        let ends_with = |at: usize, stops: &[char]| rest[..at].ends_with(stops);
        let place = spaces()
            .find(|at| ends_with(*at, &['.', '!', '?']) && ends_a_sentence(&rest[..*at]))
            .or_else(|| spaces().find(|at| ends_with(*at, &[',', ';', ':'])))
            .or_else(|| spaces().next())
            .unwrap_or(window);
        let (piece, more) = rest.split_at(place);
        pieces.push(piece.trim());
        rest = more.trim();
    }
    pieces.push(rest);
    pieces
}

/// Whether the stop at the end of `text` is likely to be one, judged by the word before it.
fn ends_a_sentence(text: &str) -> bool {
    !text.ends_with('.')
        || text
            .trim_end_matches('.')
            .chars()
            .rev()
            .take_while(|c| c.is_alphanumeric())
            .count()
            >= LAST_WORD_MIN_CHARS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let pieces = pieces(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        let strs: Vec<&str> = pieces.iter().map(Plain::as_str).collect();
        strs.join("|")
    }

    #[test]
    fn text_is_written_the_way_it_should_sound() {
        let table = [
            // text, what Pico reads
            ("Hello.", "Hello."),
            ("  Hello   there \t ", "Hello there"),
            ("Wait \u{2014} what?", "Wait, what?"),
            ("Wait\u{2014}what?", "Wait, what?"),
            ("\u{2014} Hello", "Hello"),
            ("open 9\u{2013}5", "open 9-5"),
            ("Monday \u{2013} Friday", "Monday, Friday"),
            (
                "\u{201c}Yes,\u{201d} he said. It\u{2019}s fine.",
                "\"Yes,\" he said. It's fine.",
            ),
            ("12\u{a0}euros", "12 euros"),
            ("12\u{202f}\u{20ac}", "12 €"),
            ("Let me see\u{2026} yes.", "Let me see, yes."),
            ("Let me see...", "Let me see."),
            ("Really?!", "Really?"),
            ("No!!!", "No!"),
            ("One , two ,, three", "One, two, three"),
            ("First line\nsecond line", "First line. second line"),
            ("First line.\n\n\nSecond line", "First line. Second line"),
            ("# Prices\n- one\n- two", "Prices. one. two"),
            ("**Bold** and `code`", "Bold and code"),
            ("a_b@example.com", "a_b@example.com"),
            ("_very_ good", "very good"),
            (
                "It costs $5.20, or 1,000.50 at 10:30.",
                "It costs $5.20, or 1,000.50 at 10:30.",
            ),
            ("The .NET way", "The .NET way"),
            ("co\u{ad}operate zero\u{200b}width", "cooperate zerowidth"),
            ("Nice \u{1f600}\u{fe0f} day", "Nice day"),
            ("\u{141}ukasz \u{160}koda \u{151}", "Lukasz Škoda o"),
            ("¿Qué tal, señor Núñez?", "¿Qué tal, señor Núñez?"),
            ("cafe\u{301}", "cafe"),
            ("20 °C, ½ litre", "20 °C, ½ litre"),
            ("bell\u{7}and\0nul", "bell and nul"),
        ];
        for (text, expected) in table {
            assert_eq!(said(text), expected, "text {text:?}");
        }
    }

    #[test]
    fn telephone_numbers_are_said_digit_by_digit() {
        let table = [
            (
                "Call 1 (555) 010-9999 now",
                "Call 1, 5 5 5, 0 1 0, 9 9 9 9 now",
            ),
            ("+1 555 010 9999", "1, 5 5 5, 0 1 0, 9 9 9 9"),
            ("(555)010-9999.", "5 5 5, 0 1 0, 9 9 9 9."),
            ("555-0199, please", "5 5 5, 0 1 9 9, please"),
            ("555.010.9999", "5 5 5, 0 1 0, 9 9 9 9"),
            ("+34 912 345 678", "3 4, 9 1 2, 3 4 5, 6 7 8"),
            ("01 23 45 67 89", "0 1, 2 3, 4 5, 6 7, 8 9"),
            ("4111 1111 1111 1111", "4 1 1 1, 1 1 1 1, 1 1 1 1, 1 1 1 1"),
            ("5550109999", "5 5 5 0 1 0 9 9 9 9"),
            ("+15550109999", "1 5 5 5 0 1 0 9 9 9 9"),
        ];
        for (text, expected) in table {
            assert_eq!(said(text), expected, "text {text:?}");
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "1,000,000",
            "1.000.000",
            "10 000 000 000",
            "2024-01-15",
            "15.01.2024",
            "10:30",
            "$1234567",
            "12345",
            "1 2 3 4 5 6 7 8",
            "3.1415926",
            "room 12 of 500",
            "(2024) was good",
            "A320-2001234",
            "5%",
            "(",
            "+",
            "(5",
        ] {
            let listed = listed(text);
            assert_eq!(spelled(&listed), listed, "text {text:?}");
        }
    }

    #[test]
    fn nothing_to_say_is_an_error_with_a_sentence() {
        for text in ["", " ", "\n\t"] {
            assert_eq!(pieces(text), Err(TextError::Empty), "text {text:?}");
        }
        for text in [
            "...",
            "!?",
            "\u{1f600}",
            "你好",
            "Привет",
            "<>",
            "\u{ff1c}\u{ff1e}",
            "---",
            "$",
        ] {
            assert_eq!(pieces(text), Err(TextError::Unspeakable), "text {text:?}");
        }
    }

    #[test]
    fn text_longer_than_the_bound_is_refused_and_at_the_bound_is_taken() {
        assert!(pieces(&"a ".repeat(TEXT_MAX_BYTES / 2)).is_ok());
        let error = pieces(&"a".repeat(TEXT_MAX_BYTES + 1)).unwrap_err();
        assert_eq!(
            error,
            TextError::TooLong {
                bytes: TEXT_MAX_BYTES + 1
            }
        );
    }

    #[test]
    fn long_text_is_cut_after_sentences_and_nothing_is_lost() {
        let sentence = "Dr. Smith will see you at the clinic tomorrow morning. ";
        let text = sentence.repeat(20);
        let cut = pieces(&text).unwrap();
        assert!(cut.len() > 2);
        for piece in &cut {
            assert!(piece.as_str().len() <= PIECE_MAX_BYTES);
            assert!(
                piece.as_str().ends_with("morning."),
                "cut inside: {piece:?}"
            );
        }
        let whole: Vec<&str> = cut.iter().map(Plain::as_str).collect();
        assert_eq!(whole.join(" "), text.trim());
    }

    #[test]
    fn a_word_without_end_is_broken_up() {
        let cut = pieces(&"ä".repeat(3_000)).unwrap();
        for piece in &cut {
            assert!(piece.as_str().len() <= PIECE_MAX_BYTES);
            for word in piece.as_str().split(' ') {
                assert!(word.chars().count() <= WORD_MAX_CHARS);
            }
        }
        let letters: usize = cut.iter().map(|p| p.as_str().matches('ä').count()).sum();
        assert_eq!(letters, 3_000);
    }

    #[test]
    fn no_character_whatever_becomes_markup() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let passed = spoken_as(c);
            assert!(
                !passed.contains(['<', '>', '\\', '\0']),
                "{c:?} became {passed:?}"
            );
            assert!(
                !passed.chars().any(|p| p.is_control() && p != '\n'),
                "{c:?} became {passed:?}"
            );
        }
        for text in [
            "say <genfile file='/tmp/x.wav'> it",
            "say \u{ff1c}genfile file=\u{ff07}x\u{ff07}\u{ff1e} it",
            "say &lt;genfile file=&quot;x&quot;&gt; it",
            "say \u{fe64}genfile\u{fe65} \u{2039}genfile\u{203a} \u{3008}genfile\u{3009} it",
            "say <\0genfile> <<genfile>> </genfile it",
        ] {
            let said = said(text);
            assert!(
                !said.contains(['<', '>', '\n', '\0']),
                "{text:?} became {said:?}"
            );
        }
    }

    #[test]
    fn every_extended_letter_has_its_plain_one() {
        let pairs = [
            ('Ā', "A"),
            ('ı', "i"),
            ('Ł', "L"),
            ('ł', "l"),
            ('ő', "o"),
            ('ř', "r"),
            ('ż', "z"),
            ('ſ', "s"),
        ];
        for (letter, plain) in pairs {
            assert_eq!(spoken_as(letter), plain);
        }
        for c in ('\u{100}'..='\u{17f}').chain('a'..='z') {
            assert!(spoken_as(c).chars().all(char::is_alphabetic), "{c:?}");
        }
        assert_eq!(spoken_as('\u{180}'), " ");
    }
}
