//! Asking the user's own HTTP server: the call's facts and variables out as JSON, variables and a label back. One try,
//! bounded in time and size; what goes wrong is a sentence for the flow's `error` way.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use voice_plugin::prelude::*;
use voice_plugin_http::{Wire, distrust, whole};

use crate::flow::Webhook;
use crate::walk::Answer;

/// Longest answer taken.
const ANSWER_BYTES: usize = 64 << 10;
/// Longest sentence about what went wrong.
const WHY_BYTES: usize = 300;

/// The connections of one opened plugin.
pub(crate) struct Client {
    /// For each way over the wire that is needed, a client: what is on this machine goes by no proxy.
    https: Option<reqwest::Client>,
    clear: Option<reqwest::Client>,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// Sends nothing yet. `urls` are those it will be asked about.
    ///
    /// # Errors
    /// A sentence: the header cannot be sent, `ca` cannot be read, or there are no certificates.
    pub(crate) fn new<'u>(
        authorization: Option<&str>,
        ca: Option<&str>,
        urls: impl Iterator<Item = &'u str>,
    ) -> Result<Client> {
        let authorization = match authorization {
            None => None,
            // The text of a file often ends with a line break.
            Some(text) => {
                let mut value = HeaderValue::from_str(text.trim()).map_err(
                    |_| "`authorization` holds what no header has, such as a line break or a control character",
                )?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let wires: Vec<Wire> = urls.map(Wire::of).collect();
        let made = |wire| {
            let client = || voice_plugin_http::build(voice_plugin_http::builder(wire, ca)?);
            wires.contains(&wire).then(client).transpose()
        };
        Ok(Client {
            https: made(Wire::Https)?,
            clear: made(Wire::Clear)?,
            authorization,
        })
    }

    /// One question.
    ///
    /// # Errors
    /// Why there is no answer, for the log and for the variable `error`.
    pub(crate) async fn ask(
        &self,
        webhook: &Webhook,
        body: Value,
    ) -> core::result::Result<Answer, String> {
        let most = Duration::from_millis(webhook.timeout_ms);
        match tokio::time::timeout(most, self.asked(webhook, body)).await {
            Ok(answer) => answer.map_err(|why| cut(&why)),
            Err(_) => Err(format!("no answer within {} ms", webhook.timeout_ms)),
        }
    }

    async fn asked(&self, webhook: &Webhook, body: Value) -> core::result::Result<Answer, String> {
        let http = match Wire::of(&webhook.url) {
            Wire::Https => &self.https,
            Wire::Clear => &self.clear,
        };
        let http = http.as_ref().ok_or("there is no client for its address")?;
        let mut request = http
            .post(&webhook.url)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let why = |error: reqwest::Error| {
            distrust(&error).unwrap_or_else(|| Error::from(error.without_url()).text().to_owned())
        };
        let mut response = request.send().await.map_err(why)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!(
                "it answered {status}, and redirects are not followed"
            ));
        }
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
        match whole(&mut response, ANSWER_BYTES).await.map_err(why)? {
            Some(bytes) => answer(&bytes),
            None => Err(format!("its answer is longer than {ANSWER_BYTES} bytes")),
        }
    }
}

/// What is sent.
pub(crate) fn body(
    call: &CallInfo,
    node: &str,
    language: &str,
    variables: &BTreeMap<String, String>,
) -> Value {
    json!({
        "call": {"sid": call.sid, "from": call.from, "to": call.to, "parameters": call.parameters},
        "node": node,
        "language": language,
        "variables": variables,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    set: BTreeMap<String, Value>,
    next: Option<String>,
}

/// Reads an answer; nothing at all is one too.
fn answer(bytes: &[u8]) -> core::result::Result<Answer, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Answer::default());
    }
    let Said { set, next } =
        serde_json::from_slice(bytes).map_err(|why| format!("its answer cannot be read: {why}"))?;
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        Value::Null => Ok((name, String::new())),
        Value::Array(_) | Value::Object(_) => Err(format!(
            "its answer sets `{name}` to a list or an object; a text, number, true or false it must be"
        )),
    };
    let set = set
        .into_iter()
        .map(text)
        .collect::<core::result::Result<_, _>>()?;
    Ok(Answer { set, next })
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(WHY_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_sets_plain_values_and_may_name_a_label() {
        assert_eq!(answer(b" \n").unwrap(), Answer::default());
        let found =
            answer(br#"{"set":{"a":"x","b":2,"c":true,"d":null},"next":"n","more":[]}"#).unwrap();
        let set: Vec<(&str, &str)> = found
            .set
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(set, [("a", "x"), ("b", "2"), ("c", "true"), ("d", "")]);
        assert_eq!(found.next.as_deref(), Some("n"));
        for (text, why) in [
            ("[", "its answer cannot be read"),
            ("{\"set\":{\"a\":[1]}}", "its answer sets `a` to a list"),
            ("{\"next\":5}", "its answer cannot be read"),
        ] {
            assert!(
                answer(text.as_bytes()).unwrap_err().starts_with(why),
                "{text}"
            );
        }
    }
}
