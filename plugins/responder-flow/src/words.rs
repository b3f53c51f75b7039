//! What was said, made comparable: words without case, accents and punctuation, and phrases, digits, yes and no found in
//! them. Whole words only, so that "no" is not found in "now"; of several phrases the longest wins.
//!
//! Not a language model: what is not listed is not understood, and that is told to the caller.

use std::cmp::Reverse;

/// Words of one utterance that are looked at; the rest of a monologue is not.
const WORDS_MOST: usize = 200;

/// The words in `text`: lower case, accents gone, punctuation a space, apostrophes nothing.
pub(crate) fn normalised(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            '\'' | '’' | '\u{300}'..='\u{36f}' => {}
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => plain.push('a'),
            'é' | 'è' | 'ê' | 'ë' => plain.push('e'),
            'í' | 'ì' | 'î' | 'ï' => plain.push('i'),
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' => plain.push('o'),
            'ú' | 'ù' | 'û' | 'ü' => plain.push('u'),
            'ñ' => plain.push('n'),
            'ç' => plain.push('c'),
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            letter if letter.is_alphanumeric() => plain.push(letter),
            _ => plain.push(' '),
        }
    }
    let words = plain.split_whitespace().take(WORDS_MOST);
    words.map(str::to_owned).collect()
}

/// Which of the phrases was said: the one of most words, then of most letters, then the one said first.
///
/// Each phrase comes with what it stands for.
pub(crate) fn find<'p, T>(
    said: &[String],
    phrases: impl Iterator<Item = (T, &'p [String])>,
) -> Option<T> {
    let letters = |phrase: &[String]| phrase.iter().map(String::len).sum::<usize>();
    let found = phrases.filter_map(|(meaning, phrase)| {
        // `windows` takes no width of nothing.
        let mut parts = said.windows(phrase.len().max(1));
        let at = parts.position(|part| part == phrase)?;
        Some(((phrase.len(), letters(phrase), Reverse(at)), meaning))
    });
    // Of equal ones the first: `max_by_key` would take the last.
    found
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, meaning)| meaning)
}

/// The digits in what was said, one after another, in this language; other words are passed over. "double" counts in
/// English, and numbers up to ninety-nine in both: "twenty three", "treinta y cinco".
pub(crate) fn digits(said: &[String], language: &str) -> String {
    let table = numbers(language);
    let value = |word: &str| {
        let known = table.iter().find(|(name, _)| *name == word);
        known.map(|(_, value)| *value)
    };
    let mut found = String::new();
    let mut at = 0;
    while let Some(word) = said.get(at) {
        at += 1;
        if word.chars().all(|letter| letter.is_ascii_digit()) {
            found.push_str(word);
            continue;
        }
        if matches!(word.as_str(), "double" | "doble")
            && let Some(next) = said.get(at).and_then(|next| value(next))
            && next.len() == 1
        {
            found.push_str(next);
            found.push_str(next);
            at += 1;
            continue;
        }
        let Some(number) = value(word) else {
            continue;
        };
        // "twenty three", "treinta y cinco": the zero of the ten gives way to the unit behind it.
        let unit = |at: usize| {
            let unit = said.get(at).and_then(|next| value(next));
            unit.filter(|unit| unit.len() == 1 && *unit != "0")
        };
        if number.len() == 2 && number.ends_with('0') && number != "10" {
            found.push_str(&number[..1]);
            let and = said.get(at).is_some_and(|next| next == "y");
            match unit(at + usize::from(and)) {
                Some(unit) => {
                    found.push_str(unit);
                    at += usize::from(and) + 1;
                }
                None => found.push('0'),
            }
            continue;
        }
        found.push_str(number);
    }
    found
}

/// Whether he said yes or no, if either.
pub(crate) fn yes_or_no(said: &[String], language: &str) -> Option<bool> {
    let phrases: &[(bool, &str)] = match primary(language) {
        "es" => YES_NO_ES,
        "en" => YES_NO_EN,
        _ => &[],
    };
    let phrases: Vec<(bool, Vec<String>)> = phrases
        .iter()
        .map(|(meaning, phrase)| (*meaning, normalised(phrase)))
        .collect();
    let phrases = phrases
        .iter()
        .map(|(meaning, phrase)| (*meaning, phrase.as_slice()));
    find(said, phrases)
}

/// `en` of `en-GB`.
pub(crate) fn primary(language: &str) -> &str {
    language.split('-').next().unwrap_or(language)
}

const YES_NO_EN: &[(bool, &str)] = &[
    (true, "yes"),
    (true, "yeah"),
    (true, "yep"),
    (true, "yup"),
    (true, "sure"),
    (true, "correct"),
    (true, "right"),
    (true, "okay"),
    (true, "ok"),
    (false, "no"),
    (false, "nope"),
    (false, "wrong"),
    (false, "incorrect"),
    (false, "not right"),
    (false, "not correct"),
];

const YES_NO_ES: &[(bool, &str)] = &[
    (true, "sí"),
    (true, "claro"),
    (true, "correcto"),
    (true, "correcta"),
    (true, "exacto"),
    (true, "así es"),
    (true, "vale"),
    (true, "de acuerdo"),
    (false, "no"),
    (false, "incorrecto"),
    (false, "incorrecta"),
    (false, "no es correcto"),
    (false, "no está bien"),
];

fn numbers(language: &str) -> &'static [(&'static str, &'static str)] {
    match primary(language) {
        "es" => ES,
        "en" => EN,
        _ => &[],
    }
}

const EN: &[(&str, &str)] = &[
    ("zero", "0"),
    ("oh", "0"),
    ("o", "0"),
    ("nought", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("niner", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("thirteen", "13"),
    ("fourteen", "14"),
    ("fifteen", "15"),
    ("sixteen", "16"),
    ("seventeen", "17"),
    ("eighteen", "18"),
    ("nineteen", "19"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("seventy", "70"),
    ("eighty", "80"),
    ("ninety", "90"),
];

// As they stand after normalising: without accents.
const ES: &[(&str, &str)] = &[
    ("cero", "0"),
    ("uno", "1"),
    ("dos", "2"),
    ("tres", "3"),
    ("cuatro", "4"),
    ("cinco", "5"),
    ("seis", "6"),
    ("siete", "7"),
    ("ocho", "8"),
    ("nueve", "9"),
    ("diez", "10"),
    ("once", "11"),
    ("doce", "12"),
    ("trece", "13"),
    ("catorce", "14"),
    ("quince", "15"),
    ("dieciseis", "16"),
    ("diecisiete", "17"),
    ("dieciocho", "18"),
    ("diecinueve", "19"),
    ("veinte", "20"),
    ("veintiuno", "21"),
    ("veintidos", "22"),
    ("veintitres", "23"),
    ("veinticuatro", "24"),
    ("veinticinco", "25"),
    ("veintiseis", "26"),
    ("veintisiete", "27"),
    ("veintiocho", "28"),
    ("veintinueve", "29"),
    ("treinta", "30"),
    ("cuarenta", "40"),
    ("cincuenta", "50"),
    ("sesenta", "60"),
    ("setenta", "70"),
    ("ochenta", "80"),
    ("noventa", "90"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_punctuation_make_no_difference() {
        for (text, words) in [
            ("¿Español, por favor?", "espanol por favor"),
            ("It's NOT  right!", "its not right"),
            ("e\u{301}l  —  Ñandú", "el nandu"),
            ("1-2-3", "1 2 3"),
            ("", ""),
            ("…!", ""),
        ] {
            assert_eq!(normalised(text).join(" "), words, "{text}");
        }
        assert_eq!(normalised(&"a ".repeat(1000)).len(), WORDS_MOST);
    }

    #[test]
    fn the_longest_phrase_wins_and_only_whole_words_count() {
        let phrases = ["sales", "sales support", "no", "support", "es"].map(normalised);
        let found = |said: &str| {
            let phrases = phrases.iter().enumerate();
            find(
                &normalised(said),
                phrases.map(|(at, phrase)| (at, phrase.as_slice())),
            )
        };
        for (said, expected) in [
            ("Sales, please.", Some(0)),
            ("the sales support", Some(1)),
            ("support or sales", Some(3)),
            ("now", None),
            ("salesman", None),
            ("", None),
        ] {
            assert_eq!(found(said), expected, "{said}");
        }
    }

    #[test]
    fn digits_are_heard_in_english_and_in_spanish() {
        for (language, said, expected) in [
            ("en-US", "One, two, three.", "123"),
            ("en", "it's one oh five please", "105"),
            ("en", "double seven twenty three", "7723"),
            ("en", "twenty oh one", "2001"),
            ("en", "fifteen forty", "1540"),
            ("en", "1-2 3", "123"),
            ("en", "my number", ""),
            ("es-MX", "uno, dos, tres", "123"),
            ("es", "es el treinta y cinco", "35"),
            ("es", "veintitrés cero", "230"),
            ("es", "cuarenta y", "40"),
            ("es", "one", ""),
            ("fr", "un deux 3", "3"),
        ] {
            assert_eq!(digits(&normalised(said), language), expected, "{said}");
        }
    }

    #[test]
    fn yes_and_no_are_heard_with_what_negates_them() {
        for (language, said, expected) in [
            ("en", "Yes.", Some(true)),
            ("en", "that's right", Some(true)),
            ("en", "that's not right", Some(false)),
            ("en", "No, no.", Some(false)),
            ("en", "I know", None),
            ("es", "Sí", Some(true)),
            ("es", "no es correcto", Some(false)),
            ("es", "así es", Some(true)),
            ("fr", "yes", None),
        ] {
            assert_eq!(yes_or_no(&normalised(said), language), expected, "{said}");
        }
    }
}
