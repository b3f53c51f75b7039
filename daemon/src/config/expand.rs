//! References inside strings: `${env:NAME}` and `${file:PATH}` become what they name.
//!
//! Works on values after TOML has been parsed, never on the raw text, so a value can neither end a string nor add a
//! key. What was put in is not looked at again. `$${` writes a plain `${`.

use std::io;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::file::read_text;

/// Most a `${file:…}` may hold. A key or a certificate is far smaller; a log or a disk named by mistake is not.
pub const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// A string with its references replaced.
pub(super) struct Expanded {
    pub(super) text: String,
    /// Whether anything was put in: then the text is a secret and must not be shown.
    pub(super) secret: bool,
    /// Files that were read for it.
    pub(super) files: Vec<PathBuf>,
}

/// A reference that could not be replaced.
pub(super) struct Fault {
    /// The reference as written, to find it in the source.
    pub(super) reference: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Replaces the references in `raw`. Relative paths start at `folder`.
pub(super) fn expand(raw: &str, env: &Env, folder: &Path) -> Result<Expanded, Fault> {
    let mut text = String::with_capacity(raw.len());
    let mut secret = false;
    let mut files = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            text.push_str(&rest[..at]);
            text.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        text.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            return Err(Fault {
                reference: rest[at..].to_owned(),
                message: "`${` is not closed by `}`".to_owned(),
                hint: Some("write `$${` for a plain `${`".to_owned()),
            });
        };
        let reference = &rest[at..=at + length];
        text.push_str(&look_up(reference, env, folder, &mut files)?);
        secret = true;
        rest = &rest[at + length + 1..];
    }
    text.push_str(rest);
    Ok(Expanded {
        text,
        secret,
        files,
    })
}

fn look_up(
    reference: &str,
    env: &Env,
    folder: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<String, Fault> {
    let fault = |message: String, hint: Option<String>| {
        Err(Fault {
            reference: reference.to_owned(),
            message,
            hint,
        })
    };
    let inner = reference.trim_start_matches("${").trim_end_matches('}');
    match inner.split_once(':') {
        Some(("env", name)) => match env.get(name) {
            Some(value) => Ok(value.expose().to_owned()),
            None => fault(
                format!("the environment variable {name} is not set"),
                Some(format!(
                    "export {name}=…, or write {name}=… into {}",
                    env.dotenv_shown()
                )),
            ),
        },
        Some(("file", path)) => {
            let path = folder.join(path);
            match read_secret(&path) {
                Ok(text) => {
                    files.push(path);
                    Ok(text)
                }
                Err(error) => fault(format!("{} cannot be read: {error}", path.display()), None),
            }
        }
        Some((kind, rest)) => fault(
            format!("`{kind}:` is not a kind of reference"),
            Some(format!("write `${{env:{rest}}}` or `${{file:{rest}}}`")),
        ),
        None => fault(
            format!("`{reference}` does not say what it refers to"),
            Some(format!(
                "write `${{env:{inner}}}` for an environment variable"
            )),
        ),
    }
}

/// The text of a secret file without the newline that editors put at its end.
fn read_secret(path: &Path) -> io::Result<String> {
    let mut text = read_text(path, SECRET_FILE_BYTES)?;
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn said(raw: &str, folder: &Path) -> String {
        let env = Env::from_iter([("A", "alpha"), ("NESTED", "${env:A}"), ("EMPTY", "")]);
        match expand(raw, &env, folder) {
            Ok(expanded) => format!(
                "{}{}",
                expanded.text,
                if expanded.secret { " !" } else { "" }
            ),
            Err(fault) => format!("{} | {}", fault.reference, fault.message),
        }
    }

    #[test]
    fn references_are_replaced_once_and_only_where_they_stand() {
        for (raw, expected) in [
            ("", ""),
            ("plain $ {} $5", "plain $ {} $5"),
            ("${env:A}", "alpha !"),
            ("<${env:A}|${env:A}>", "<alpha|alpha> !"),
            ("${env:EMPTY}", " !"),
            ("${env:NESTED}", "${env:A} !"),
            ("$${env:A}", "${env:A}"),
            ("$${${env:A}}", "${alpha} !"),
            (
                "${env:B}",
                "${env:B} | the environment variable B is not set",
            ),
            ("x ${A}", "${A} | `${A}` does not say what it refers to"),
            (
                "${vault:A}",
                "${vault:A} | `vault:` is not a kind of reference",
            ),
            ("x ${env:A", "${env:A | `${` is not closed by `}`"),
            ("${}", "${} | `${}` does not say what it refers to"),
        ] {
            assert_eq!(said(raw, Path::new(".")), expected, "{raw}");
        }
    }

    #[test]
    fn a_secret_file_is_read_without_its_last_newline_and_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let full = "x".repeat(SECRET_FILE_BYTES as usize);
        for (name, content) in [
            ("lf", "s3cret\n"),
            ("crlf", "s3cret\r\n"),
            ("bare", "s3cret"),
            ("full", &full),
            ("over", &format!("{full}x")),
        ] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let said = |name: &str| said(&format!("${{file:{name}}}"), folder.path());
        assert_eq!(
            [said("lf"), said("crlf"), said("bare")],
            ["s3cret !", "s3cret !", "s3cret !"]
        );
        assert_eq!(
            said(&folder.path().join("lf").display().to_string()),
            "s3cret !"
        );
        assert_eq!(said("full").len(), full.len() + " !".len());
        assert!(said("over").ends_with("it holds more than 65536 bytes"));
        assert!(said("absent").contains("No such file"));
    }
}
