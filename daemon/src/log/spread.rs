//! Fields that have no name in our code: a plugin gives its line whatever fields it likes, and tracing wants to know names
//! when it is compiled. So they travel as JSON in one field, `fields`, and in a JSON log they are put where the others are:
//!
//! ```text
//! {"timestamp":…,"level":"INFO","fields":{"message":"spoke","plugin":"pico","fields":"{\"ms\":3}"}}
//! {"timestamp":…,"level":"INFO","fields":{"message":"spoke","plugin":"pico","ms":3}}
//! ```
//!
//! A line without that field is not touched. In a text log the JSON is readable as it is.

use serde_json::{Map, Value};
use std::fmt::{self, Write};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The field that holds others.
const FIELDS: &str = "fields";

/// What a JSON line begins with, in this order; people read them, too.
const FIRST: [&str; 3] = ["timestamp", "level", FIELDS];

/// Lines of this format, which is JSON, with such fields in their place.
pub(super) struct Spread<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Spread<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().fields().field(FIELDS).is_none() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        match spread(&line) {
            Some(spread) => writeln!(writer, "{spread}"),
            None => writer.write_str(&line),
        }
    }
}

/// The line with its fields in their place; none if there is nothing to do.
fn spread(line: &str) -> Option<String> {
    let mut line: Map<String, Value> = serde_json::from_str(line).ok()?;
    let fields = line.get_mut(FIELDS)?.as_object_mut()?;
    let own = fields.remove(FIELDS)?;
    let read = own.as_str().and_then(|own| serde_json::from_str(own).ok());
    match read {
        Some(Value::Object(own)) => {
            for (name, value) in own {
                // The daemon's own names are the daemon's.
                let name = if fields.contains_key(&name) {
                    format!("plugin_{name}")
                } else {
                    name
                };
                fields.insert(name, value);
            }
        }
        read => {
            fields.insert(FIELDS.to_owned(), read.unwrap_or(own));
        }
    }
    let first = FIRST
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), line.remove(name)?)));
    let mut spread = String::from("{");
    for (name, value) in first.collect::<Vec<_>>().into_iter().chain(line) {
        let comma = if spread.len() > 1 { "," } else { "" };
        write!(spread, "{comma}{}:{value}", Value::from(name)).ok()?;
    }
    spread.push('}');
    Some(spread)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_fields_are_fields_of_the_line() {
        for (line, is) in [
            (
                r#"{"timestamp":"T","level":"INFO","fields":{"message":"m","plugin":"pico","fields":"{\"ms\":3,\"a\":[1]}"}}"#,
                r#"{"timestamp":"T","level":"INFO","fields":{"a":[1],"message":"m","ms":3,"plugin":"pico"}}"#,
            ),
            (
                r#"{"timestamp":"T","level":"INFO","fields":{"message":"m","fields":"{\"message\":\"x\"}"},"span":{}}"#,
                r#"{"timestamp":"T","level":"INFO","fields":{"message":"m","plugin_message":"x"},"span":{}}"#,
            ),
            (
                r#"{"level":"INFO","fields":{"fields":"\"{ms\""}}"#,
                r#"{"level":"INFO","fields":{"fields":"{ms"}}"#,
            ),
        ] {
            assert_eq!(spread(line).unwrap(), is);
        }
    }

    #[test]
    fn a_line_without_them_stays_as_it_is() {
        for line in [r#"{"level":"INFO","fields":{"message":"m"}}"#, "no JSON"] {
            assert_eq!(spread(line), None, "{line}");
        }
    }
}
