//! The environment as the configuration sees it: the process's own, and under it a `.env` file.
//!
//! The `.env` file is weaker than the process, so a service manager can override what lies on disk. Nothing here
//! changes the process environment: children and plugins see what the daemon was started with.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::file::read_text;
use super::problem::{PROBLEMS, Problem, Problems};
use super::secret::Secret;

/// A longer `.env` is refused.
pub const DOTENV_BYTES: u64 = 64 * 1024;

/// What `${env:NAME}` looks into. `Debug` prints names, never values.
#[derive(Clone, Default)]
pub struct Env {
    values: BTreeMap<String, Secret>,
    dotenv: Option<PathBuf>,
}

impl Env {
    /// Reads the process environment and, under it, the `.env` file if it exists.
    ///
    /// # Errors
    /// The file cannot be read, or lines of it cannot be understood: each with its place, without its value.
    pub fn read(dotenv: Option<&Path>) -> Result<Env, Problems> {
        let mut env = Env {
            values: BTreeMap::new(),
            dotenv: dotenv.map(Path::to_owned),
        };
        if let Some(path) = dotenv
            && let Some(text) = read_dotenv(path)?
        {
            env.values = parse_dotenv(&text, path)?;
        }
        // Variables that are not UTF-8 cannot be named in a TOML file or put into one: they count as not set.
        let process = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        env.values
            .extend(process.map(|(name, value)| (name, Secret::from(value))));
        Ok(env)
    }

    /// The value of a variable, empty or not.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(name)
    }

    /// The `.env` file in words, for hints.
    pub(super) fn dotenv_shown(&self) -> String {
        match &self.dotenv {
            Some(path) => path.display().to_string(),
            None => "`.env` beside the configuration".to_owned(),
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    /// An environment of just these variables.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Env {
        let secret = |(name, value): (K, V)| (name.into(), Secret::from(value.into()));
        Env {
            values: pairs.into_iter().map(secret).collect(),
            dotenv: None,
        }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// What a `.env` gives away: a sentence if others than its owner may read or change it.
pub fn exposed(dotenv: &Path) -> Option<String> {
    let mode = std::fs::metadata(dotenv).ok()?.permissions().mode();
    let what = match mode & OTHERS {
        0 => return None,
        bits if bits & 0o022 != 0 => "changed",
        _ => "read",
    };
    let shown = dotenv.display();
    Some(format!(
        "{shown} holds secrets and can be {what} by others (mode {:03o}): chmod 600 {shown}",
        mode & 0o777
    ))
}

/// Everything for everybody, and a group that writes; one that reads is how services share a file.
const OTHERS: u32 = 0o027;

fn read_dotenv(path: &Path) -> Result<Option<String>, Problem> {
    match read_text(path, DOTENV_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::whole(
            path,
            format!("cannot be read: {error}"),
            None,
        )),
    }
}

/// Lines `NAME=value`, with `export` before and quotes around as shells allow them; `#` starts a comment.
///
/// Single quotes keep everything; double quotes know `\n \r \t \\ \" \$`. A value ends with its line, and nothing inside
/// is replaced.
fn parse_dotenv(text: &str, path: &Path) -> Result<BTreeMap<String, Secret>, Problems> {
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    let mut left_out = 0;
    for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let stated = match statement(line) {
            Ok(None) => continue,
            Ok(Some((name, _))) if values.contains_key(name) => {
                Err(format!("{name} is set a second time"))
            }
            Ok(Some((name, value))) => {
                values.insert(name.to_owned(), Secret::from(value));
                Ok(())
            }
            Err(message) => Err(message),
        };
        let Err(message) = stated else { continue };
        if problems.len() == PROBLEMS {
            left_out += 1;
            continue;
        }
        // No source line and no column of the value: this file is nothing but secrets.
        let whole = Problem::whole(path, message, None);
        problems.push(Problem {
            line: n + 1,
            column: 1,
            length: 1,
            ..whole
        });
    }
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(Problems::sorted(problems, left_out))
    }
}

fn statement(line: &str) -> Result<Option<(&str, String)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let Some((name, value)) = line.split_once('=') else {
        return Err("this line is not NAME=value".to_owned());
    };
    let name = name.trim_end();
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("the name before `=` may hold only letters, digits and `_`".to_owned());
    }
    let value = unquote(value.trim_start()).map_err(|why| format!("the value of {name} {why}"))?;
    Ok(Some((name, value)))
}

fn unquote(value: &str) -> Result<String, &'static str> {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        // A `#` inside a word belongs to it: passwords have them.
        let comment = value
            .char_indices()
            .find(|&(at, c)| c == '#' && (at == 0 || value[..at].ends_with([' ', '\t'])));
        let end = comment.map_or(value.len(), |(at, _)| at);
        return Ok(value[..end].trim_end().to_owned());
    };
    let mut plain = String::new();
    let mut chars = value[1..].chars();
    loop {
        match chars.next() {
            None => return Err("has a quote that is not closed on its line"),
            Some(c) if c == quote => break,
            Some('\\') if quote == '"' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some(c @ ('\\' | '"' | '$')) => plain.push(c),
                _ => return Err(r#"may use only \n \r \t \\ \" \$ after a backslash"#),
            },
            Some(c) => plain.push(c),
        }
    }
    let after = chars.as_str().trim_start();
    if after.is_empty() || after.starts_with('#') {
        Ok(plain)
    } else {
        Err("goes on after its closing quote")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<BTreeMap<String, Secret>, String> {
        parse_dotenv(text, Path::new(".env")).map_err(|problems| problems.to_string())
    }

    #[test]
    fn an_env_file_that_others_may_read_or_change_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        assert_eq!(exposed(&path), None, "there is none");
        std::fs::write(&path, "A=b").unwrap();
        for (mode, told) in [
            (0o600, ""),
            (0o640, ""),
            (0o644, "read by others (mode 644): chmod 600"),
            (0o660, "changed by others (mode 660): chmod 600"),
            (0o666, "changed by others"),
        ] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let said = exposed(&path);
            assert_eq!(said.is_some(), !told.is_empty(), "{mode:o}");
            assert!(said.unwrap_or_default().contains(told), "{mode:o}");
        }
    }

    #[test]
    fn a_line_means_what_a_shell_would_mean() {
        for (line, value) in [
            ("A=b", "b"),
            ("\u{feff}A=b", "b"),
            ("  A = b c  ", "b c"),
            ("export A=b", "b"),
            ("export\tA=b # note", "b"),
            ("A=b#c", "b#c"),
            ("A=# all comment", ""),
            ("A=", ""),
            ("A='b # \\n' # note", "b # \\n"),
            (r#"A="b \"c\" \\ \$X\n" # note"#, "b \"c\" \\ $X\n"),
            ("A=b=c", "b=c"),
            ("A=ü", "ü"),
            ("A=b\r\n# note\r\n\r\n", "b"),
        ] {
            let values = parsed(line).unwrap();
            assert_eq!(values.get("A").map(Secret::expose), Some(value), "{line}");
        }
        assert_eq!(
            parsed("exportA=b").unwrap().keys().next().unwrap(),
            "exportA"
        );
    }

    #[test]
    fn every_bad_line_is_named_and_no_value_is_shown() {
        let text =
            "canary\nA=1\n1B=canary\nA=canary\nC=\"canary\nD='canary' canary\nE=\"\\q canary\"\n";
        let expected = "\
.env:1:1: this line is not NAME=value

.env:3:1: the name before `=` may hold only letters, digits and `_`

.env:4:1: A is set a second time

.env:5:1: the value of C has a quote that is not closed on its line

.env:6:1: the value of D goes on after its closing quote

.env:7:1: the value of E may use only \\n \\r \\t \\\\ \\\" \\$ after a backslash";
        assert_eq!(parsed(text).unwrap_err(), expected);
    }

    #[test]
    fn the_process_is_stronger_than_the_file_and_an_absent_file_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let process = Env::read(Some(&path)).unwrap();
        // PATH is set wherever tests run.
        std::fs::write(&path, "PATH=weaker\nONLY_IN_THE_FILE_4711=canary\n").unwrap();
        let env = Env::read(Some(&path)).unwrap();
        assert_eq!(env.get("PATH"), process.get("PATH"));
        assert_eq!(env.get("ONLY_IN_THE_FILE_4711").unwrap().expose(), "canary");
        assert_eq!(process.get("ONLY_IN_THE_FILE_4711"), None);
        assert!(!format!("{env:?}").contains("canary"));
    }

    #[test]
    fn a_dotenv_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let line = |length: usize| format!("A={}", "x".repeat(length - 2));
        std::fs::write(&path, line(DOTENV_BYTES as usize)).unwrap();
        assert!(Env::read(Some(&path)).is_ok());
        std::fs::write(&path, line(DOTENV_BYTES as usize + 1)).unwrap();
        assert!(
            Env::read(Some(&path))
                .unwrap_err()
                .to_string()
                .ends_with("more than 65536 bytes")
        );
        assert!(
            Env::read(Some(folder.path()))
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
    }
}
