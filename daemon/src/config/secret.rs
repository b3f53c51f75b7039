//! A value that must not be printed. It shows as dots, and is overwritten when it goes.
//!
//! Not a vault: the text of the file and the process environment still hold what they held. This keeps a secret out of
//! logs, error texts and core dumps taken later, which is where secrets are usually found.

use std::fmt;

/// What is shown instead of a secret, wherever one would be printed.
pub const DOTS: &str = "•••";

/// A password, key or token. `Debug` and `Display` print [`DOTS`]; [`Secret::expose`] is the only way to the value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself. For the one place that needs it, never for a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Secret {
        Secret(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Secret {
        Secret(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DOTS)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DOTS)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Without this the compiler may see that nobody reads the zeroes and leave the secret where it was.
        std::hint::black_box(&bytes);
    }
}

/// Words in a key's name that make its value a secret even when no schema says so.
const SECRET_WORDS: [&str; 8] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "api_key",
    "apikey",
];

/// Whether a key of this name holds a secret.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    key.ends_with("key") || SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// A line of TOML with the values of secret-looking keys dotted out, one dot per character so that columns stay.
///
/// Lines reach error texts also when the file cannot be parsed, so this reads characters, not TOML. References such as
/// `${env:X}` stay readable: they say where the secret is, not what it is. `_secs` and the like are no secrets:
/// `token_secs = 60` is left alone because a bare number after such a name is a setting.
pub(super) fn veil(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] != '=' {
            at += 1;
            continue;
        }
        let key = key_before(&chars[..at]);
        at += 1;
        if !names_a_secret(&key) || key.ends_with("_secs") || key.ends_with("_ms") {
            continue;
        }
        while at < chars.len() && chars[at].is_whitespace() {
            at += 1;
        }
        at = veil_value(&mut chars, at);
    }
    chars.into_iter().collect()
}

/// A line of TOML with the value of the key at this character dotted out, whatever the key is called.
pub(super) fn veil_value_of(line: &str, key_at: usize) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let after = |chars: &[char], from: usize, wanted: fn(char) -> bool| {
        (from..chars.len()).find(|&at| wanted(chars[at]))
    };
    let value = after(&chars, key_at, |c| c == '=')
        .and_then(|equals| after(&chars, equals + 1, |c| !c.is_whitespace()));
    if let Some(value) = value {
        veil_value(&mut chars, value);
    }
    chars.into_iter().collect()
}

/// The last segment of the key that ends where the slice ends.
fn key_before(chars: &[char]) -> String {
    let is_key = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut key: Vec<char> = chars
        .iter()
        .rev()
        .skip_while(|c| c.is_whitespace() || matches!(c, '"' | '\''))
        .take_while(|c| is_key(c))
        .copied()
        .collect();
    key.reverse();
    key.into_iter().collect()
}

/// Dots out the value that starts at `at`; returns where it ends.
fn veil_value(chars: &mut [char], mut at: usize) -> usize {
    let quote = chars.get(at).copied().filter(|c| matches!(c, '"' | '\''));
    while quote.is_some() && chars.get(at).copied() == quote {
        at += 1;
    }
    while at < chars.len() {
        let c = chars[at];
        let ends = match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || matches!(c, ',' | '}' | ']' | '#'),
        };
        if ends {
            break;
        }
        if c == '$' && chars.get(at + 1) == Some(&'{') {
            while at < chars.len() && chars[at] != '}' {
                at += 1;
            }
            at += 1;
            continue;
        }
        if c == '\\' && quote == Some('"') && at + 1 < chars.len() {
            chars[at] = '•';
            at += 1;
        }
        chars[at] = '•';
        at += 1;
    }
    at.min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_misspelt_key_is_dotted_out_too() {
        for (line, at, shown) in [
            (r#"api_kee = "abc" # mine"#, 0, r#"api_kee = "•••" # mine"#),
            (
                r#"x = { a = "b", api_kee = 'abc' }"#,
                15,
                r#"x = { a = "b", api_kee = '•••' }"#,
            ),
            (r#"api_kee = "${env:K}""#, 0, r#"api_kee = "${env:K}""#),
            ("[api_kee]", 1, "[api_kee]"),
            ("api_kee =", 0, "api_kee ="),
        ] {
            assert_eq!(veil_value_of(line, at), shown);
        }
    }

    #[test]
    fn a_secret_prints_as_dots_and_compares_by_value() {
        let secret = Secret::from("canary-4711");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(secret.clone())),
            "••• ••• Some(•••)"
        );
        assert_eq!(secret.expose(), "canary-4711");
        assert_ne!(secret, Secret::from("canary-4712"));
    }

    #[test]
    fn secret_looking_values_are_dotted_out_and_columns_stay() {
        for (line, shown) in [
            (
                r#"auth_token = "abc" # mine"#,
                r#"auth_token = "•••" # mine"#,
            ),
            (r#"auth_token = "abc"#, r#"auth_token = "•••"#),
            (r#"auth_token = 12345"#, r#"auth_token = •••••"#),
            (
                r#"x = { api_key = 'sk-1', mode = "a" }"#,
                r#"x = { api_key = '••••', mode = "a" }"#,
            ),
            (r#"key="a\"b" "#, r#"key="••••" "#),
            (r#"Password = """ab"#, r#"Password = """••"#),
            (r#""api-key" = "ab""#, r#""api-key" = "••""#),
            (r#"auth_token = "${env:T}x""#, r#"auth_token = "${env:T}•""#),
            (r#"auth_token = "${env:T"#, r#"auth_token = "${env:T"#),
            (r#"token_secs = 60"#, r#"token_secs = 60"#),
            (r#"voice = "en-US""#, r#"voice = "en-US""#),
            (r#"secret ="#, r#"secret ="#),
            (r#"secret = "\"#, r#"secret = "•"#),
        ] {
            assert_eq!(veil(line), shown);
            assert_eq!(veil(line).chars().count(), line.chars().count());
        }
    }
}
