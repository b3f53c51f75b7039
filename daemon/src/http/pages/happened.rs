//! Events as people read them, on every page that lists some: the words, with what of them was not heard set apart, and the
//! particulars as names and values.

use super::locales::LogsWords;
use crate::store::Event;
use maud::{Markup, html};
use serde_json::Value;

/// The words of an event. What the agent was interrupted in is struck out, and sound without words says so.
pub(in crate::http) fn words(event: &Event, locale: &LogsWords) -> Markup {
    let (heard, unheard) = parts(event);
    html! {
        @if event.event == "said" && event.text.is_empty() {
            span.soft { (locale.sound) }
        }
        (heard)
        @if !unheard.is_empty() {
            s.unheard title=(locale.unheard) { (unheard) }
        }
    }
}

/// What was heard of the text, and what was not.
fn parts(event: &Event) -> (&str, &str) {
    let text = event.text.as_str();
    let cut = event.event == "said" && event.detail["whole"] == false;
    let heard = event.detail["heard"].as_str().filter(|_| cut);
    match heard.and_then(|heard| text.strip_prefix(heard)) {
        Some(unheard) => (&text[..text.len() - unheard.len()], unheard),
        None => (text, ""),
    }
}

/// What else is known of an event; what its words show already is left out.
pub(in crate::http) fn particulars(event: &Event) -> Markup {
    let shown = |name: &String| event.event == "said" && name == "heard";
    html! {
        @if let Value::Object(detail) = &event.detail {
            @for (name, value) in detail.iter().filter(|(name, _)| !shown(name)) {
                div { span.soft { (name) } " " (plain(value)) }
            }
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::locales::en::EN;
    use super::*;
    use serde_json::json;

    fn said(text: &str, detail: Value) -> Event {
        Event {
            event: "said".into(),
            text: text.into(),
            detail,
            ..Event::default()
        }
    }

    #[test]
    fn what_was_not_heard_is_struck_out() {
        for (text, detail, shown) in [
            (
                "Hello there.",
                json!({"heard": "Hello there.", "whole": true}),
                "Hello there.",
            ),
            (
                "Hello <there>.",
                json!({"heard": "Hello", "whole": false}),
                "Hello<s class=\"unheard\" title=\"Not heard by the caller\"> &lt;there&gt;.</s>",
            ),
            (
                "Hello.",
                json!({"heard": "", "whole": false}),
                "<s class=\"unheard\" title=\"Not heard by the caller\">Hello.</s>",
            ),
            ("Hello.", json!({"heard": null, "whole": false}), "Hello."),
            ("Hello.", Value::Null, "Hello."),
            (
                "",
                json!({"heard": "", "whole": true}),
                "<span class=\"soft\">♪ (sound without words)</span>",
            ),
        ] {
            let event = said(text, detail);
            assert_eq!(words(&event, &EN.logs).into_string(), shown);
        }
    }

    #[test]
    fn particulars_are_names_and_values() {
        let event = said("Hi", json!({"heard": "Hi", "heard_ms": 5, "voice": "<b>"}));
        assert_eq!(
            particulars(&event).into_string(),
            "<div><span class=\"soft\">heard_ms</span> 5</div><div><span class=\"soft\">voice</span> &lt;b&gt;</div>"
        );
    }
}
