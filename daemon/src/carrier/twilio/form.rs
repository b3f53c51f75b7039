//! `application/x-www-form-urlencoded`, the shape of Twilio's requests, read and written.
//!
//! Nothing is tidied: empty values, repeats, order and white space stay, because the signature covers them. Names and
//! meanings are the business of [`super::webhook`].

use super::webhook::BadRequest;

/// Longest body or query taken. Twilio's webhooks are about 1 KB, with custom SIP headers a few.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

/// Most fields taken. Twilio sends about 30, plus one per custom SIP header.
pub const MAX_FORM_FIELDS: usize = 256;

/// The decoded fields of a form, in the order of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// The first value of a field, empty values included; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// All fields with their repeats, in the order of the body.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Params {
            pairs: pairs
                .into_iter()
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
        }
    }
}

/// Reads the body of a `POST`, or the query of a `GET` without its `?`.
///
/// As browsers' forms are read everywhere: `+` is a space, a field without `=` has an empty value, `%` before anything
/// but two hex digits stands for itself, bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// Above [`MAX_FORM_BYTES`] or [`MAX_FORM_FIELDS`] nothing is read: half a form would fail its signature anyway.
pub fn parse(body: &[u8]) -> Result<Params, BadRequest> {
    if body.len() > MAX_FORM_BYTES {
        return Err(BadRequest::TooLarge { bytes: body.len() });
    }
    let mut pairs = Vec::new();
    for field in body.split(|&b| b == b'&').filter(|field| !field.is_empty()) {
        if pairs.len() == MAX_FORM_FIELDS {
            return Err(BadRequest::TooManyFields);
        }
        let equals = field.iter().position(|&b| b == b'=');
        let (name, value) = match equals {
            Some(at) => (&field[..at], &field[at + 1..]),
            None => (field, &[][..]),
        };
        pairs.push((decode(name), decode(value)));
    }
    Ok(Params { pairs })
}

/// Writes fields as a body or query that [`parse`] reads back.
pub fn encode(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_into(&mut out, name);
        out.push('=');
        encode_into(&mut out, value);
    }
    out
}

fn decode(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        out.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => byte,
        });
    }
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned(),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn encode_into(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_read_as_they_were_meant() {
        type Pairs = &'static [(&'static str, &'static str)];
        let table: &[(&[u8], Pairs)] = &[
            (b"", &[]),
            (b"&&", &[]),
            (b"From=%2B15558675310", &[("From", "+15558675310")]),
            (b"City=LITTLE+ROCK", &[("City", "LITTLE ROCK")]),
            (b"City=LITTLE%20ROCK", &[("City", "LITTLE ROCK")]),
            (b"CalledZip=", &[("CalledZip", "")]),
            (b"CalledZip", &[("CalledZip", "")]),
            (b"=x", &[("", "x")]),
            (b"a=1&a=2&a=1", &[("a", "1"), ("a", "2"), ("a", "1")]),
            (b"a=b=c", &[("a", "b=c")]),
            (b"a=%c3%ab", &[("a", "ë")]),
            (b"a=%", &[("a", "%")]),
            (b"a=%4", &[("a", "%4")]),
            (b"a=%zz%41", &[("a", "%zzA")]),
            (b"a=%ff", &[("a", "\u{fffd}")]),
            (b"a=\xff", &[("a", "\u{fffd}")]),
            (b"a=%00", &[("a", "\0")]),
        ];
        for (body, pairs) in table {
            let read = parse(body).unwrap();
            assert_eq!(
                read.pairs().collect::<Vec<_>>(),
                *pairs,
                "{}",
                body.escape_ascii()
            );
        }
    }

    #[test]
    fn get_gives_the_first_of_repeats_and_tells_empty_from_absent() {
        let params = parse(b"a=1&a=2&empty=").unwrap();
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.get("empty"), Some(""));
        assert_eq!(params.get("A"), None);
    }

    #[test]
    fn bounds_hold_exactly() {
        let fields = |n: usize| vec!["a=1"; n].join("&");
        assert_eq!(
            parse(fields(MAX_FORM_FIELDS).as_bytes())
                .unwrap()
                .pairs()
                .len(),
            256
        );
        assert_eq!(
            parse(fields(MAX_FORM_FIELDS + 1).as_bytes()),
            Err(BadRequest::TooManyFields)
        );
        assert!(parse(&vec![b'a'; MAX_FORM_BYTES]).is_ok());
        assert_eq!(
            parse(&vec![b'a'; MAX_FORM_BYTES + 1]),
            Err(BadRequest::TooLarge {
                bytes: MAX_FORM_BYTES + 1
            })
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(pairs in prop::collection::vec((".{1,20}", ".{0,40}"), 0..20)) {
            let borrowed: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let read = parse(encode(&borrowed).as_bytes()).unwrap();
            prop_assert_eq!(read.pairs().collect::<Vec<_>>(), borrowed);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&body).is_ok());
        }
    }
}
