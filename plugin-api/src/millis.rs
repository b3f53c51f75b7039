//! A kind of key that many plugins have: a time within limits. A value outside them cannot be made, and the schema tells
//! the host, so that it says so with the line of the configuration.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// A time in milliseconds between `MIN` and `MAX`, `USUAL` if the key is left out; its schema says all three.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "u64")]
pub struct Millis<const MIN: u64, const MAX: u64, const USUAL: u64>(u64);

impl<const MIN: u64, const MAX: u64, const USUAL: u64> Millis<MIN, MAX, USUAL> {
    /// As a duration.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl<const MIN: u64, const MAX: u64, const USUAL: u64> Default for Millis<MIN, MAX, USUAL> {
    fn default() -> Self {
        Millis(USUAL)
    }
}

impl<const MIN: u64, const MAX: u64, const USUAL: u64> TryFrom<u64> for Millis<MIN, MAX, USUAL> {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        match (MIN..=MAX).contains(&number) {
            true => Ok(Millis(number)),
            false => Err(format!("{number} is not between {MIN} and {MAX}")),
        }
    }
}

impl<const MIN: u64, const MAX: u64, const USUAL: u64> JsonSchema for Millis<MIN, MAX, USUAL> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("millis_from_{MIN}_to_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX, "default": USUAL })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_time_outside_its_limits_cannot_be_made() {
        type Wait = Millis<10, 20, 15>;
        assert_eq!(Wait::default().get(), Duration::from_millis(15));
        for (json, made) in [("9", false), ("10", true), ("20", true), ("21", false)] {
            assert_eq!(serde_json::from_str::<Wait>(json).is_ok(), made, "{json}");
        }
        let schema = schemars::schema_for!(Wait);
        assert_eq!(
            (&schema.as_value()["minimum"], &schema.as_value()["maximum"]),
            (&10.into(), &20.into())
        );
    }
}
