//! A secret among the keys: it can be used and not printed. Its JSON Schema says `"writeOnly": true`, which is how the
//! host learns what to show as dots on its pages and in its messages.

use std::borrow::Cow;
use std::fmt;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// A key or a password, as a type for a plugin's configuration. `Debug` shows dots; there is no `Display`. The memory is
/// overwritten when it is dropped.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// From text that came by another way than the configuration.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself: to be sent to whom it belongs, and to be put into no message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\u{2022}\u{2022}\u{2022}\u{2022}")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.0).into_bytes());
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "writeOnly": true })
    }
}

/// A copy of the configuration, which may hold secrets: overwritten when it is dropped.
pub(crate) struct Wiped(pub(crate) Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.0));
    }
}

/// `black_box` keeps the compiler from seeing that nobody reads it afterwards.
fn wipe(mut bytes: Vec<u8>) {
    bytes.fill(0);
    std::hint::black_box(&bytes);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Deserialize, JsonSchema)]
    struct Config {
        /// What opens the account.
        api_key: Secret,
    }

    #[test]
    fn a_secret_is_read_used_and_never_printed() {
        let config: Config = serde_json::from_str(r#"{"api_key":"sk-canary"}"#).unwrap();
        assert_eq!(config.api_key.expose(), "sk-canary");
        let printed = format!("{config:?} {:#?}", config.clone());
        assert!(!printed.contains("canary"), "{printed}");
    }

    #[test]
    fn the_schema_tells_the_host_to_hide_it() {
        let schema = crate::export::schema::<Config>();
        let key = &schema["properties"]["api_key"];
        assert_eq!(
            (&key["writeOnly"], &key["minLength"]),
            (&true.into(), &1.into())
        );
        assert_eq!(key["description"], "What opens the account.");
    }
}
