//! JSON as far as the media websocket needs it: a borrowed tree for the rare messages, a scanner for the frequent one.
//!
//! The tree hands fields out by moving them: what is left over in the end was not asked for, which is how the strict
//! far end finds extra fields. Strings borrow from the message unless they contain escapes. The scanner knows no JSON;
//! it follows a layout byte by byte and gives up at the first surprise.

use super::stream::Bad;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting read. Twilio's deepest message has 3 levels; the rest is room for fields to come.
pub(super) const MAX_DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Text(Cow<'a, str>),
    /// A whole number that is not negative; others have no use here.
    Number(u64),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
    /// null, true, false, negative and broken numbers.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// Reads one message, which must be an object with nothing behind it. The caller has bounded its length.
pub(super) fn read(text: &[u8]) -> Result<Object<'_>, Bad> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Seed { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|json| reader.end().map(|()| json));
    match read {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(Bad::NotObject),
        // The visitor below takes every type, so the only complaint about data is its own, about depth.
        Err(error) if error.is_data() => Err(Bad::TooDeep),
        Err(_) => Err(Bad::NotJson),
    }
}

impl<'a> Object<'a> {
    /// Moves a field out. A name that stands twice means two things to two readers, so it is refused.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Json<'a>>, Bad> {
        let mut found = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, (n, _))| n == name)
            .map(|(at, _)| at);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(at), None) => Ok(Some(self.0.swap_remove(at).1)),
            (Some(_), Some(_)) => Err(Bad::RepeatedField),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Cow<'a, str>, Bad> {
        self.optional_text(name)?.ok_or(Bad::MissingField)
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Bad> {
        match self.take(name)? {
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Bad::WrongType),
            None => Ok(None),
        }
    }

    /// A counter, which Twilio writes as text.
    pub(super) fn counter(&mut self, name: &str) -> Result<u64, Bad> {
        decimal(self.text(name)?.as_bytes()).ok_or(Bad::WrongType)
    }

    pub(super) fn number(&mut self, name: &str) -> Result<u64, Bad> {
        match self.take(name)? {
            Some(Json::Number(number)) => Ok(number),
            Some(_) => Err(Bad::WrongType),
            None => Err(Bad::MissingField),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Object<'a>, Bad> {
        self.optional_object(name)?.ok_or(Bad::MissingField)
    }

    pub(super) fn optional_object(&mut self, name: &str) -> Result<Option<Object<'a>>, Bad> {
        match self.take(name)? {
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(_) => Err(Bad::WrongType),
            None => Ok(None),
        }
    }

    /// What has not been taken.
    pub(super) fn into_rest(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        self.0
    }
}

struct Seed {
    depth: usize,
}

impl Seed {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth < MAX_DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(E::custom("nested too deep"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Json<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Json<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { depth })? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json<'de>, A::Error> {
        let depth = self.deeper()?;
        let mut object = Vec::new();
        while let Some(name) = fields.next_key_seed(Seed { depth })? {
            let value = fields.next_value_seed(Seed { depth })?;
            if let Json::Text(name) = name {
                object.push((name, value));
            }
        }
        Ok(Json::Object(Object(object)))
    }
}

/// A number as Twilio writes its counters: decimal digits and nothing else, within 64 bits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.wrapping_sub(b'0');
        let shifted = number.checked_mul(10)?;
        if digit < 10 {
            shifted.checked_add(u64::from(digit))
        } else {
            None
        }
    })
}

/// Follows a message whose layout is known. Every step is `None` at the first byte that is not as expected.
pub(super) struct Scan<'a>(pub(super) &'a [u8]);

impl<'a> Scan<'a> {
    /// Steps over exactly these bytes.
    #[inline]
    pub(super) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    /// Reads decimal digits; stands behind the last of them.
    #[inline]
    pub(super) fn counter(&mut self) -> Option<u64> {
        // Nineteen digits cannot overflow, so nothing is checked on the way; longer numbers are a surprise.
        const MOST_DIGITS: usize = 19;
        let (mut number, mut digits) = (0u64, 0);
        for &byte in self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .take(MOST_DIGITS)
        {
            number = number * 10 + u64::from(byte - b'0');
            digits += 1;
        }
        self.0 = &self.0[digits..];
        (digits > 0).then_some(number)
    }

    /// Reads the inside of a string; stands on the closing quote. Printable ASCII without escapes only: anything else
    /// may mean something that only a JSON reader knows.
    #[inline]
    pub(super) fn plain(&mut self) -> Option<&'a [u8]> {
        let (text, rest) = self.0.split_at(memchr::memchr(b'"', self.0)?);
        self.0 = rest;
        // Without a branch per byte, so that the loop becomes vector instructions.
        let surprises = text.iter().fold(0u8, |found, &byte| {
            found | u8::from(byte.wrapping_sub(b' ') > b'~' - b' ') | u8::from(byte == b'\\')
        });
        (surprises == 0).then_some(text)
    }
}

/// Appends a number in decimal digits.
pub(super) fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    // u64::MAX has 20 digits.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a string with its quotes.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_object_is_refused_with_its_reason() {
        let deep = |n: usize| format!("{{\"a\":{}1{}}}", "[".repeat(n), "]".repeat(n)).into_bytes();
        for (text, bad) in [
            (b"".to_vec(), Bad::NotJson),
            (b"hello".to_vec(), Bad::NotJson),
            (b"{\"a\":1".to_vec(), Bad::NotJson),
            (b"{\"a\":1}}".to_vec(), Bad::NotJson),
            (b"{\"a\":1}{}".to_vec(), Bad::NotJson),
            (b"{\"a\":\"\xff\"}".to_vec(), Bad::NotJson),
            (b"{\"a\":\"\\ud800\"}".to_vec(), Bad::NotJson),
            (b"{\"a\":\"\n\"}".to_vec(), Bad::NotJson),
            (b"{a:1}".to_vec(), Bad::NotJson),
            (b"{\"a\":1e999}".to_vec(), Bad::NotJson),
            (b"[]".to_vec(), Bad::NotObject),
            (b"null".to_vec(), Bad::NotObject),
            (b"\"{}\"".to_vec(), Bad::NotObject),
            (deep(MAX_DEPTH), Bad::TooDeep),
            ("[".repeat(100_000).into_bytes(), Bad::TooDeep),
            ("{\"a\":".repeat(100_000).into_bytes(), Bad::TooDeep),
        ] {
            let shown = text[..text.len().min(40)].escape_ascii();
            assert_eq!(read(&text), Err(bad), "{shown}");
        }
        assert!(read(&deep(MAX_DEPTH - 1)).is_ok());
    }

    #[test]
    fn fields_are_handed_out_by_type_and_only_once() {
        let text = br#" { "t":"x","e":"\/","n":8000,"neg":-1,"f":1.5,"nil":null,"o":{"l":[1,"a",true]},"c":"07","d":1,"d":2 } "#;
        let mut object = read(text).unwrap();
        assert!(matches!(object.text("t"), Ok(Cow::Borrowed("x"))));
        assert_eq!(object.text("t"), Err(Bad::MissingField));
        assert_eq!(object.text("e").unwrap(), "/");
        assert_eq!(object.number("n"), Ok(8000));
        assert_eq!(object.number("neg"), Err(Bad::WrongType));
        assert_eq!(object.number("f"), Err(Bad::WrongType));
        assert_eq!(object.optional_text("nil"), Err(Bad::WrongType));
        assert_eq!(object.counter("c"), Ok(7));
        assert_eq!(object.take("d"), Err(Bad::RepeatedField));
        let mut inner = object.object("o").unwrap();
        let list = vec![Json::Number(1), Json::Text("a".into()), Json::Other];
        assert_eq!(inner.take("l"), Ok(Some(Json::List(list))));
        assert!(inner.into_rest().is_empty());
        assert_eq!(
            object.into_rest().len(),
            2,
            "the field that stands twice is left"
        );
    }

    #[test]
    fn counters_are_digits_within_64_bits() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1.0", None),
            ("٣", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), number, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn written_strings_and_numbers_are_read_back(text in any::<String>(), number in any::<u64>()) {
            let mut out = b"{\"text\":".to_vec();
            write_text(&mut out, &text);
            out.extend_from_slice(b",\"number\":");
            write_decimal(&mut out, number);
            out.push(b'}');
            let mut object = read(&out).unwrap();
            prop_assert_eq!(object.text("text").unwrap(), text);
            prop_assert_eq!(object.number("number"), Ok(number));
        }
    }
}
