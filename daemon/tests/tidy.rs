//! The house rules that a compiler does not know: which room may use which, what each may touch, and that every file
//! says what it is and can be read in one sitting. The table is the one in `lib.rs` and in the README; change all three
//! together.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom: a room, and the rooms right of it.
const ARROW: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "accounts", "carrier", "config", "daemon", "log", "media", "phone", "plugin", "systemd",
        ],
    ),
    (
        "daemon",
        &[
            "accounts", "call", "config", "http", "leg", "log", "media", "metrics", "plugin",
            "store", "systemd",
        ],
    ),
    (
        "http",
        &["accounts", "call", "carrier", "config", "leg", "store"],
    ),
    ("accounts", &["store"]),
    (
        "leg",
        &["call", "carrier", "media", "metrics", "plugin", "store"],
    ),
    ("log", &["config"]),
    ("phone", &["carrier", "media"]),
    ("carrier", &["media"]),
    ("config", &[]),
    ("store", &[]),
    ("systemd", &[]),
    ("plugin", &[]),
    ("metrics", &[]),
    ("media", &[]),
    ("call", &[]),
];

/// Words that a room must not say, outside its tests. Each is something the room stays away from.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "call",
        &[
            "std::time",
            "std::net",
            "std::fs",
            "std::thread",
            "async ",
            "tokio",
            "serde",
            "Instant",
            "println!",
        ],
    ),
    (
        "media",
        &[
            "std::time",
            "std::net",
            "std::fs",
            "std::thread",
            "tokio",
            "Instant",
        ],
    ),
    (
        "carrier",
        &[
            "std::net",
            "std::fs",
            "std::thread",
            "tokio",
            "Instant",
            "SystemTime",
        ],
    ),
    ("accounts", &["redb", "hyper", "reqwest", "Instant::"]),
    ("store", &["reqwest", "hyper", "fastwebsockets"]),
    ("phone", &["redb", "libloading"]),
    // Markup that was not escaped; see `http/pages`.
    (
        "http",
        &["redb", "libloading", "fastwebsockets", "PreEscaped"],
    ),
];

/// A file that may say a word its room must not, because it is the room's one hand.
const EXCEPT: &[(&str, &str)] = &[
    ("carrier/twilio/rest/client.rs", "tokio"),
    ("accounts/clock.rs", "Instant::"),
    // One call: code compiled for AVX2, after asking whether this processor has it. No safe way to that is stable.
    ("media/silero/avx2.rs", UNSAFE),
];

/// What only these rooms may say.
const UNSAFE: &str = "unsafe ";
const UNSAFE_ROOMS: &[&str] = &["plugin"];

/// The longest a file may be. Whoever adds to one that is near it cuts it by topic first.
const FILE_LINES: usize = 700;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file below this folder with one of these endings, in order.
fn below(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let built = path.ends_with("target") || path.ends_with("node_modules");
                if !built {
                    walk(&path, endings, found);
                }
            } else if path
                .extension()
                .is_some_and(|ending| endings.iter().any(|known| ending == *known))
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, endings, &mut found);
    found.sort();
    found
}

/// Every Rust and C file of the repository with its text: the daemon, the contract, the plugins and all their tests.
fn everything() -> Vec<(PathBuf, String)> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = ["daemon", "plugin-api", "plugins"].map(|folder| repository.join(folder));
    let paths = folders
        .iter()
        .flat_map(|folder| below(folder, &["rs", "c", "h"]));
    paths
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

/// Every file of `src` with the room it belongs to.
fn files() -> Vec<(String, PathBuf, String)> {
    let found = below(&source(), &["rs"]);
    let room = |path: &Path| {
        let first = path
            .strip_prefix(source())
            .unwrap()
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    found
        .into_iter()
        .map(|path| {
            (
                room(&path),
                path.clone(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

/// The code of a file without its unit tests and comments. What is behind the tests is code again.
fn code(text: &str) -> String {
    let mut code = Vec::new();
    let (mut is_test, mut in_tests) = (false, false);
    for line in text.lines() {
        is_test |= line == "#[cfg(test)]";
        let opens = line.ends_with('{');
        if in_tests {
            in_tests = line != "}";
        } else if is_test && line.starts_with('#') {
            // Attributes, until it is known of what.
        } else if is_test {
            (is_test, in_tests) = (false, opens);
        } else {
            code.push(line.split("//").next().unwrap());
        }
    }
    code.join("\n")
}

#[test]
fn code_goes_on_behind_tests() {
    let text = "use a; // why\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\n#[allow(x)]\nmod more {\n    c\n}\nuse d;";
    assert_eq!(code(text), "use a; \nuse b;\nuse d;");
}

fn is_test_file(path: &Path, text: &str) -> bool {
    text.contains("#![cfg(test)]")
        || path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs")
}

#[test]
fn uses_point_right() {
    let allowed: BTreeMap<&str, &[&str]> = ARROW.iter().copied().collect();
    let rooms: BTreeSet<&str> = allowed.keys().copied().collect();
    let mut wrong = Vec::new();
    for (room, path, text) in files() {
        if room == "lib" || is_test_file(&path, &text) {
            continue;
        }
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("room {room} is not on the map"));
        for (at, _) in code(&text).match_indices("crate::") {
            let rest = &code(&text)[at + "crate::".len()..];
            let used: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if rooms.contains(used.as_str()) && used != room && !may.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} uses {used}", path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "the arrow points back:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn rooms_stay_away_from_what_is_not_theirs() {
    let mut wrong = Vec::new();
    for (room, path, text) in files() {
        if is_test_file(&path, &text) {
            continue;
        }
        let code = code(&text);
        let excepted = |word: &str| {
            EXCEPT
                .iter()
                .any(|(file, excepted)| path.ends_with(file) && *excepted == word)
        };
        for (_, words) in FORBIDDEN.iter().filter(|(name, _)| *name == room) {
            let said = words.iter().filter(|word| code.contains(**word));
            for word in said.filter(|word| !excepted(word)) {
                wrong.push(format!("{}: {room} must not say `{word}`", path.display()));
            }
        }
        if !UNSAFE_ROOMS.contains(&room.as_str()) && code.contains(UNSAFE) && !excepted(UNSAFE) {
            wrong.push(format!(
                "{}: `unsafe` belongs to {UNSAFE_ROOMS:?}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> = everything()
        .into_iter()
        .filter(|(path, text)| {
            let rust = path.extension().is_some_and(|ending| ending == "rs");
            !text.starts_with(if rust { "//! " } else { "/*" })
        })
        .map(|(path, _)| path)
        .collect();
    assert!(
        silent.is_empty(),
        "files without an opening paragraph: {silent:?}"
    );
}

/// Somebody copies it: the daemon must find a plugin by what its page calls it.
#[test]
fn every_plugins_page_names_its_library() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    for page in below(&plugins, &["md"]) {
        let crate_name = page.parent().unwrap().file_name().unwrap();
        let library = crate_name.to_str().unwrap().replace('-', "_");
        let text = fs::read_to_string(&page).unwrap();
        let mut named = text.lines().filter(|line| line.starts_with("library "));
        let named = named.next().and_then(|line| line.split('"').nth(1));
        assert_eq!(named, Some(library.as_str()), "{}", page.display());
    }
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    let long: Vec<_> = everything()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES)
        .collect();
    assert!(
        long.is_empty(),
        "more than {FILE_LINES} lines; cut by topic: {long:?}"
    );
}

#[test]
fn nothing_is_named_after_nothing() {
    let vague = [
        "utils", "util", "helpers", "helper", "manager", "misc", "common",
    ];
    let wrong: Vec<_> = everything()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            path.iter()
                .any(|part| vague.contains(&part.to_str().unwrap().trim_end_matches(".rs")))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
