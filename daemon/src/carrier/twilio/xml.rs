//! The little XML that TwiML needs: escaping, and a reader for documents of a few elements.
//!
//! Not a general parser. Namespaces mean nothing, a DOCTYPE is refused (so no entity can be defined), and everything
//! is bounded, because the reader serves the simulated phone, whose far end may be anybody's server.

/// Longest document read; Twilio takes no more either.
pub(super) const MAX_DOCUMENT_BYTES: usize = 64 * 1024;
/// Deepest nesting read. `Response/Connect/Stream/Parameter` is 4, speech markup adds a few.
pub(super) const MAX_DEPTH: usize = 16;
/// Most elements read in one document.
pub(super) const MAX_ELEMENTS: usize = 1000;
/// Most attributes read on one element. `Gather` and `Dial` know about twenty.
pub(super) const MAX_ATTRIBUTES: usize = 64;

/// Where and why a document stopped making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadXml {
    /// Offset in bytes.
    pub(super) at: usize,
    pub(super) what: &'static str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    /// All text directly inside, children left out.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Appends text as element content.
pub(super) fn write_text(out: &mut String, text: &str) {
    write_escaped(out, text, false);
}

/// Appends ` name="value"`.
pub(super) fn write_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    write_escaped(out, value, true);
    out.push('"');
}

fn write_escaped(out: &mut String, text: &str, attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            // Written plainly, a reader would turn these into spaces or line feeds.
            '\r' => out.push_str("&#13;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            c if is_allowed(c) => out.push(c),
            _ => {}
        }
    }
}

/// What XML 1.0 lets a document contain, even as a character reference.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Reads one document and gives its root element.
pub(super) fn read(text: &str) -> Result<Element, BadXml> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(BadXml {
            at: MAX_DOCUMENT_BYTES,
            what: "the document is too long",
        });
    }
    let mut reader = Reader {
        text,
        at: 0,
        elements: 0,
    };
    reader.take("\u{feff}");
    reader.document()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Element, BadXml> {
        // Elements that were opened and not yet closed, the root first. A list, not the stack of the machine.
        let mut open: Vec<Element> = Vec::new();
        loop {
            let text = self.until("<");
            match (open.last_mut(), text) {
                (Some(element), Some(text)) => {
                    unescape_into(&mut element.text, text).map_err(|what| self.bad(what))?
                }
                (Some(_), None) => return Err(self.bad("the document ends inside an element")),
                (None, Some(text)) if text.trim().is_empty() => {}
                (None, _) => return Err(self.bad("an element was expected")),
            }
            let closed = if self.take("!--") {
                self.until("-->")
                    .ok_or_else(|| self.bad("a comment does not end"))?;
                None
            } else if self.take("?") {
                self.until("?>")
                    .ok_or_else(|| self.bad("an instruction does not end"))?;
                None
            } else if self.take("![CDATA[") {
                let text = self
                    .until("]]>")
                    .ok_or_else(|| self.bad("a CDATA section does not end"))?;
                open.last_mut()
                    .ok_or_else(|| self.bad("an element was expected"))?
                    .text
                    .push_str(text);
                None
            } else if self.take("!") {
                return Err(self.bad("a DOCTYPE is not taken"));
            } else if self.take("/") {
                let name = self.name()?;
                self.space();
                self.expect(">")?;
                match open.pop() {
                    Some(element) if element.name == name => Some(element),
                    _ => return Err(self.bad("an end tag has no start tag")),
                }
            } else {
                let (element, empty) = self.start_tag()?;
                if empty {
                    Some(element)
                } else {
                    open.push(element);
                    None
                }
            };
            if open.len() + usize::from(closed.is_some()) > MAX_DEPTH {
                return Err(self.bad("elements are nested too deep"));
            }
            match (closed, open.last_mut()) {
                (Some(element), Some(parent)) => parent.children.push(element),
                (Some(root), None) => return self.end(root),
                (None, _) => {}
            }
        }
    }

    /// After the root only space, comments and instructions may follow.
    fn end(&mut self, root: Element) -> Result<Element, BadXml> {
        loop {
            self.space();
            if self.take("<!--") {
                self.until("-->")
                    .ok_or_else(|| self.bad("a comment does not end"))?;
            } else if self.take("<?") {
                self.until("?>")
                    .ok_or_else(|| self.bad("an instruction does not end"))?;
            } else if self.at == self.text.len() {
                return Ok(root);
            } else {
                return Err(self.bad("something follows the document"));
            }
        }
    }

    /// From behind the `<`; true if the element closed itself.
    fn start_tag(&mut self) -> Result<(Element, bool), BadXml> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(self.bad("there are too many elements"));
        }
        let mut element = Element {
            name: self.name()?.to_owned(),
            ..Element::default()
        };
        loop {
            let spaced = self.space();
            if self.take("/>") {
                return Ok((element, true));
            }
            if self.take(">") {
                return Ok((element, false));
            }
            if !spaced {
                return Err(self.bad("an attribute, '>' or '/>' was expected"));
            }
            if element.attributes.len() == MAX_ATTRIBUTES {
                return Err(self.bad("there are too many attributes"));
            }
            let name = self.name()?;
            self.space();
            self.expect("=")?;
            self.space();
            let quote = ["\"", "'"].into_iter().find(|quote| self.take(quote));
            let quote = quote.ok_or_else(|| self.bad("a quote was expected"))?;
            let raw = self
                .until(quote)
                .ok_or_else(|| self.bad("an attribute does not end"))?;
            if raw.contains('<') {
                return Err(self.bad("'<' stands in an attribute"));
            }
            if element.attribute(name).is_some() {
                return Err(self.bad("an attribute stands twice"));
            }
            let mut value = String::new();
            // Plain white space becomes spaces in an attribute; written as a reference it is kept.
            unescape_into(&mut value, &raw.replace(['\t', '\n', '\r'], " "))
                .map_err(|what| self.bad(what))?;
            element.attributes.push((name.to_owned(), value));
        }
    }

    fn name(&mut self) -> Result<&'a str, BadXml> {
        let rest = &self.text[self.at..];
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.bad("a name was expected"));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// What comes before `end`, and moves behind it.
    fn until(&mut self, end: &str) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        let found = rest.find(end)?;
        self.at += found + end.len();
        Some(&rest[..found])
    }

    fn take(&mut self, what: &str) -> bool {
        let taken = self.text[self.at..].starts_with(what);
        if taken {
            self.at += what.len();
        }
        taken
    }

    fn expect(&mut self, what: &'static str) -> Result<(), BadXml> {
        if self.take(what) {
            Ok(())
        } else {
            Err(self.bad("a tag is not closed properly"))
        }
    }

    fn space(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.at += rest.len() - trimmed.len();
        trimmed.len() < rest.len()
    }

    fn bad(&self, what: &'static str) -> BadXml {
        BadXml { at: self.at, what }
    }
}

fn unescape_into(out: &mut String, raw: &str) -> Result<(), &'static str> {
    let mut rest = raw;
    while let Some((plain, reference)) = rest.split_once('&') {
        out.push_str(plain);
        let (name, after) = reference
            .split_once(';')
            .ok_or("an '&' is not written as '&amp;'")?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => numeric(name).ok_or("a character reference is not known")?,
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(())
}

fn numeric(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    // from_str_radix would take a sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    is_allowed(c).then_some(c)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(document: &str) -> String {
        read(document).unwrap().text
    }

    #[test]
    fn forbidden_characters_are_dropped_and_special_ones_escaped() {
        let mut out = String::new();
        write_text(&mut out, "a\0b\u{1b}<&>\"'\r\n\t\u{fffe}\u{ffff}😀");
        assert_eq!(out, "ab&lt;&amp;&gt;\"'&#13;\n\t😀");
        out.clear();
        write_attribute(&mut out, "n", "a\0\"'<&>\n\t\r");
        assert_eq!(out, " n=\"a&quot;'&lt;&amp;&gt;&#10;&#9;&#13;\"");
    }

    #[test]
    fn documents_are_read_as_others_write_them() {
        let root = read(
            "\u{feff}<?xml version='1.0'?>\n<!-- <x> -->\n<A one = 'x\ny' two=\"&#x41;&#10;&apos;\">\
             a&amp;<B/><![CDATA[<&>]]><C ></C >z</A>\n<!-- end -->\n",
        )
        .unwrap();
        assert_eq!(root.name, "A");
        assert_eq!(root.attribute("one"), Some("x y"));
        assert_eq!(root.attribute("two"), Some("A\n'"));
        assert_eq!(root.text, "a&<&>z");
        assert_eq!(
            root.children
                .iter()
                .map(|e| e.name.as_str())
                .collect::<Vec<_>>(),
            ["B", "C"]
        );
    }

    #[test]
    fn what_is_no_document_is_refused_with_a_place() {
        for (text, at, what) in [
            ("", 0, "an element was expected"),
            ("hello", 0, "an element was expected"),
            ("x<A/>", 2, "an element was expected"),
            ("<A>", 3, "the document ends inside an element"),
            ("<A></B>", 7, "an end tag has no start tag"),
            ("</A>", 4, "an end tag has no start tag"),
            ("<A/><B/>", 4, "something follows the document"),
            (
                "<!DOCTYPE a [<!ENTITY x 'y'>]><A>&x;</A>",
                2,
                "a DOCTYPE is not taken",
            ),
            ("<A>&x;</A>", 7, "a character reference is not known"),
            ("<A>&#0;</A>", 8, "a character reference is not known"),
            ("<A>&#+65;</A>", 10, "a character reference is not known"),
            ("<A>&#xd800;</A>", 12, "a character reference is not known"),
            ("<A>a & b</A>", 9, "an '&' is not written as '&amp;'"),
            ("<A b='1' b='2'/>", 14, "an attribute stands twice"),
            (
                "<A b='1'c='2'/>",
                8,
                "an attribute, '>' or '/>' was expected",
            ),
            ("<A b=1/>", 5, "a quote was expected"),
            ("<A b='", 6, "an attribute does not end"),
            ("<A b='<'/>", 8, "'<' stands in an attribute"),
            ("< A/>", 1, "a name was expected"),
            ("<!-- ", 4, "a comment does not end"),
            ("<![CDATA[x]]>", 13, "an element was expected"),
        ] {
            assert_eq!(read(text), Err(BadXml { at, what }), "{text:?}");
        }
    }

    #[test]
    fn bounds_hold_exactly() {
        let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(read(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(
            read(&deep(MAX_DEPTH + 1)).unwrap_err().what,
            "elements are nested too deep"
        );
        assert_eq!(
            read(&"<a>".repeat(20_000)).unwrap_err().what,
            "elements are nested too deep"
        );

        let wide = |n: usize| format!("<r>{}</r>", "<a/>".repeat(n - 1));
        assert!(read(&wide(MAX_ELEMENTS)).is_ok());
        assert_eq!(
            read(&wide(MAX_ELEMENTS + 1)).unwrap_err().what,
            "there are too many elements"
        );

        let many = |n: usize| {
            format!(
                "<a{}/>",
                (0..n).map(|i| format!(" a{i}=''")).collect::<String>()
            )
        };
        assert!(read(&many(MAX_ATTRIBUTES)).is_ok());
        assert_eq!(
            read(&many(MAX_ATTRIBUTES + 1)).unwrap_err().what,
            "there are too many attributes"
        );

        let long = |n: usize| format!("<a>{}</a>", "x".repeat(n - 7));
        assert!(read(&long(MAX_DOCUMENT_BYTES)).is_ok());
        assert_eq!(
            read(&long(MAX_DOCUMENT_BYTES + 1)).unwrap_err().what,
            "the document is too long"
        );
    }

    proptest! {
        #[test]
        fn any_text_survives_writing_and_reading(text in any::<String>()) {
            let kept: String = text.chars().filter(|c| is_allowed(*c)).collect();
            let mut out = String::from("<A");
            write_attribute(&mut out, "b", &text);
            out.push('>');
            write_text(&mut out, &text);
            out.push_str("</A>");
            let root = read(&out).unwrap();
            prop_assert_eq!(root.attribute("b"), Some(kept.as_str()));
            prop_assert_eq!(text_of(&out), kept);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[<>/!?&;#x='\" \\[\\]\\-abCDATé]{0,60}") {
            // Only that it returns: most of these are no documents.
            if let Ok(root) = read(&text) {
                prop_assert!(!root.name.is_empty());
            }
        }
    }
}
