//! The whole way, from a text to a `Config` or to the drawing of what is wrong with it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// The least that answers a call.
pub(super) const SMALL: &str = r#"
[plugins.echo]
library = "responder_echo"
[voices.english]
plugin = "echo"
[agents.default]
responder = "echo"
voice = "english"
"#;

/// The file that is shipped.
const SHIPPED: &str = include_str!("../../../config.toml");

fn env() -> Env {
    Env::from_iter([
        ("TWILIO_AUTH_TOKEN", "canary-token"),
        ("ELEVENLABS_API_KEY", "canary-eleven"),
        ("KEY", "canary-key"),
        ("EIGHT", "0.0.0.0:8"),
        ("EMPTY", ""),
    ])
}

fn parsed(text: &str) -> Result<Config, String> {
    parse(text, Path::new("/etc/vs/config.toml"), &env()).map_err(|problems| problems.to_string())
}

/// The shipped file with its commented defaults, and if wanted its examples, taken at their word.
fn uncommented(examples: bool) -> String {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ")
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let line = |line: &'static str| match line.strip_prefix("# ") {
        Some(rest) if is_key(rest) => rest,
        Some(rest) if examples => rest.strip_prefix("e.g. ").unwrap_or(line),
        _ => line,
    };
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_file_answers_calls_without_an_account() {
    let config = parse(SHIPPED, Path::new("/etc/vs/config.toml"), &Env::default()).unwrap();
    assert!(config.http.listen.ip().is_loopback() && !config.http.listen_explicit);
    assert!(config.twilio.auth_token.is_none() && !config.twilio.validate_signature);
    assert_eq!(config.store.path, Path::new("/etc/vs/state"));
    let (name, agent) = config.agent_for("+15550123").unwrap();
    assert_eq!(
        (name, agent.voice.as_str(), agent.responder.as_str()),
        ("default", "english", "echo")
    );
    assert_eq!(config.plugins["echo"].keys, json!({"mode": "parrot"}));
    assert_eq!(config.plugins["live"].keys, json!({"mode": "live"}));
    assert_eq!(config.voices["spanish"].keys, json!({"voice": "es-ES"}));
    assert_eq!(config.voices["spanish"].language.as_deref(), Some("es-ES"));
}

#[test]
fn commented_defaults_are_the_defaults() {
    let shipped = parsed(SHIPPED).unwrap();
    let mut written_out = parsed(&uncommented(false)).unwrap();
    assert!(written_out.http.listen_explicit, "nothing was uncommented");
    written_out.http.listen_explicit = false;
    assert_eq!(written_out, shipped);
}

#[test]
fn every_key_stands_in_the_shipped_file_and_its_examples_are_valid() {
    let text = uncommented(true);
    let config = parsed(&text).unwrap();
    assert_eq!(config.agent_for("+15550100").unwrap().0, "live");
    assert!(config.twilio.validate_signature);

    let source = Source {
        file: "config.toml".into(),
        text: text.as_str().into(),
    };
    let env = env();
    let page = Page::new(source, ".".into(), &env);
    read(&page, &text).unwrap();
    let asked = page.asked.into_inner();
    // `voices.english.plugin` and `voices.spanish.plugin` are one key, `voices.NAME.plugin`.
    let general = |path: &str| {
        let family = path.split('.').next().unwrap_or_default();
        let named = ["plugins", "voices", "transcribers", "agents", "numbers"].contains(&family);
        let parts = path.split('.').enumerate();
        let part = |(n, part)| if named && n == 1 { "NAME" } else { part };
        parts.map(part).collect::<Vec<_>>().join(".")
    };
    let document = DeTable::parse(&text).unwrap();
    let mut shown = BTreeSet::new();
    gather(document.get_ref(), "", &mut shown);
    let shown: BTreeSet<String> = shown.iter().map(|path| general(path)).collect();
    let missing: Vec<String> = asked
        .iter()
        .map(|path| general(path))
        .filter(|key| !shown.contains(key))
        .collect();
    assert_eq!(
        missing,
        [] as [String; 0],
        "keys that the shipped file does not show"
    );
    assert!(asked.len() > 60, "only {} keys were asked for", asked.len());
}

fn gather(table: &DeTable<'_>, path: &str, into: &mut BTreeSet<String>) {
    for (key, value) in table.iter() {
        let path = if path.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{path}.{}", key.get_ref())
        };
        if let Some(inner) = value.get_ref().as_table() {
            gather(inner, &path, into);
        }
        into.insert(path);
    }
}

/// Bad files and what is said about them: `=== claim`, the file, `---`, the drawing.
const PROBLEMS_DRAWN: &str = include_str!("../../tests/data/config_problems.txt");

#[test]
fn every_bad_file_is_drawn_as_it_should_be() {
    let mut cases = 0;
    let mut wrong = Vec::new();
    for case in PROBLEMS_DRAWN.split("\n=== ").skip(1) {
        let (claim, rest) = case.split_once('\n').unwrap();
        let (more, expected) = rest.split_once("---\n").unwrap();
        // Short cases stand behind the smallest file that works, so that what they show is all that is wrong.
        let text = match more.strip_prefix("whole file:\n") {
            Some(whole) => whole.to_owned(),
            None => format!("{SMALL}{more}"),
        };
        let said = match parse(&text, Path::new("c.toml"), &env()) {
            Err(problems) => problems.to_string(),
            Ok(_) => "nothing is wrong".to_owned(),
        };
        if said != expected.trim_end() {
            wrong.push(format!("=== {claim}\n{more}---\n{said}\n"));
        }
        assert!(
            !said.contains("canary"),
            "{claim}: a secret is shown\n{said}"
        );
        cases += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} are drawn otherwise:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases > 30, "only {cases} cases found");
}

#[test]
fn comments_order_and_layout_make_no_difference_but_values_do() {
    let small = parsed(SMALL).unwrap();
    let turned = r#"
# a comment
agents = { default = { voice = "english", responder = "echo" } }   # another

voices.english.plugin = 'echo'
[plugins."echo"]
library = """responder_echo""""#;
    assert_eq!(parsed(turned).unwrap(), small);
    let spoken = parsed(&format!("{SMALL}greeting = \"Hello\"")).unwrap();
    assert_ne!(spoken, small);
}

#[test]
fn references_are_put_in_and_remembered_and_nothing_prints_them() {
    let config = parsed(&format!(
        r#"{SMALL}
        [http]
        listen = "${{env:EIGHT}}"
        public_url = "https://voice.example.com"
        [twilio]
        auth_token = "${{env:TWILIO_AUTH_TOKEN}}"
        [plugins.maker]
        library = "tts_maker"
        api_key = "${{env:KEY}}"
        written_out = "canary-literal"
        "a/b~c" = ["x", {{ deep = "Bearer ${{env:KEY}}" }}]
        since = 2026-11-23
        [voices.maker]
        plugin = "maker"
        pin = "${{env:KEY}}"
        [transcribers.maker]
        plugin = "maker"
        pin = "${{env:KEY}}"
        "#
    ))
    .unwrap();
    assert_eq!(config.http.listen, "0.0.0.0:8".parse().unwrap());
    assert_eq!(
        config.twilio.auth_token.as_ref().unwrap().expose(),
        "canary-token"
    );
    let maker = &config.plugins["maker"];
    let keys = json!({
        "api_key": "canary-key",
        "written_out": "canary-literal",
        "a/b~c": ["x", {"deep": "Bearer canary-key"}],
        "since": "2026-11-23",
    });
    assert_eq!(maker.keys, keys);
    assert_eq!(maker.secret_paths, ["/a~1b~0c/1/deep", "/api_key"]);
    for path in &maker.secret_paths {
        assert!(
            maker
                .keys
                .pointer(path)
                .unwrap()
                .as_str()
                .unwrap()
                .contains("canary-key")
        );
    }
    assert_eq!(config.voices["maker"].secret_paths, ["/pin"]);
    for printed in [
        format!("{config:?}"),
        format!("{config:#?}"),
        format!("{:?}", env()),
    ] {
        assert!(!printed.contains("canary"), "{printed}");
        assert!(
            printed.contains("KEY") || printed.contains("api_key"),
            "names are worth printing: {printed}"
        );
    }
}

#[test]
fn values_that_are_right_are_taken() {
    for more in [
        "[http]\npublic_url = \"https://voice.example.com\"",
        "[http]\npublic_url = \"HTTPS://voice.example.com:8443/\"",
        "[http]\npublic_url = \"http://localhost:8080\"",
        "[http]\npublic_url = \"http://127.9.9.9\"",
        "[http]\npublic_url = \"http://[::1]:80/\"",
        "[http]\nlisten = \"[::1]:0\"",
        "[http]\nlisten = \"[::ffff:127.0.0.1]:0\"",
        "[http]\nlisten = \"0.0.0.0:80\"\n[twilio]\nallow_unsigned = true",
        "[http]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\", \"::1\"]",
        "[log]\nlevel = \"WARN,voice_streamer::leg=debug, plugin::echo=trace\"",
        "[media]\nthreads = 0x10\nlead_ms = 1_000",
        "turn.end_of_turn_ms = 50",
        "turn.reply_deadline_ms = 100",
        "turn.barge_in_ms = 5000",
        "turn.back_channels = []\nturn.unfinished_words = [\"o sea\"]",
        "fallback_responder = \"other\"\n[plugins.other]\nlibrary = \"other\"",
        "[agents.default.turn]\nno_input_ms = 0\nend_of_turn_ms = 10_000",
        "[numbers]\n\"+15550100\" = { agent = \"default\" }\n\"client:jane\".agent = \"default\"",
        "[plugins.x-1_Y]\nlibrary = \"x\"",
        "[numbers]",
        "language = \"zh-Hant-TW\"",
    ] {
        parsed(&format!("{SMALL}{more}\n")).unwrap_or_else(|problems| panic!("{more}\n{problems}"));
    }
    let url = |url: &str| {
        let config = parsed(&format!("{SMALL}[http]\npublic_url = \"{url}\""));
        config.map(|config| config.http.public_url)
    };
    assert_eq!(
        url("HTTPS://Voice.example.com:8443/"),
        Ok(Some("https://Voice.example.com:8443".to_owned()))
    );
    for bad in [
        "https://",
        "https:///x",
        "https://a b",
        "https://user@host",
        "https://host:",
        "https://host:0",
        "https://host:65536",
        "https://host:+80",
        "https://a..b",
        "https://[::1",
        "https://[::1]x",
        "https://hö.st",
        "ftp://host",
        "http://[2001:db8::1]",
        "https://host/x",
        "https://host#x",
        "https://host\\\\x",
    ] {
        assert!(url(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_agent_speaks_its_language_unless_told_what_to_say() {
    let says = |more: &str| {
        let turn = parsed(&format!("{SMALL}{more}")).unwrap().agents["default"]
            .turn
            .clone();
        (turn.no_input_text, turn.goodbye_text)
    };
    assert_eq!(says("").0, "Are you still there?");
    assert_eq!(says("language = \"es-ES\"").0, "¿Sigue ahí?");
    let both = says("language = \"es\"\nturn.goodbye_text = \"Adiós\"");
    assert_eq!(both, ("¿Sigue ahí?".to_owned(), "Adiós".to_owned()));
}

#[test]
fn an_agent_listens_for_the_words_of_its_language_unless_told_others() {
    let listens = |more: &str| {
        let turn = parsed(&format!("{SMALL}{more}")).unwrap().agents["default"]
            .turn
            .clone();
        (turn.back_channels, turn.unfinished_words)
    };
    let holds = |words: &[String], word: &str| words.iter().any(|held| held == word);
    let (back, unfinished) = listens("");
    assert!(holds(&back, "mm-hm") && holds(&unfinished, "and") && !holds(&back, "ajá"));
    let (back, unfinished) = listens("language = \"es-MX\"\nturn.unfinished_words = [\" O SEA \"]");
    assert!(holds(&back, "ajá") && holds(&back, "sí"));
    assert_eq!(unfinished, ["o sea"]);
    let (back, _) = listens("turn.back_channels = []");
    assert_eq!(back, [] as [String; 0], "none is a choice");
    let many = |count| {
        let words = vec!["\"a\""; count].join(", ");
        parsed(&format!("{SMALL}turn.back_channels = [{words}]"))
    };
    assert!(many(meaning::WORDS).is_ok());
    let said = many(meaning::WORDS + 1).unwrap_err();
    assert!(
        said.contains("back_channels must hold at most 100 words, not 101"),
        "{said}"
    );
}

#[test]
fn a_time_that_is_written_takes_the_defaults_beside_it_along() {
    let turn = |more: &str| {
        let config = parsed(&format!("{SMALL}[agents.default.turn]\n{more}")).unwrap();
        config.agents["default"].turn.clone()
    };
    let slow = turn("end_of_turn_ms = 2000\nbarge_in_ms = 900\nreply_deadline_ms = 500");
    assert_eq!((slow.finished_ms, slow.unfinished_ms), (100, 2000));
    assert_eq!(
        (slow.barge_in_certain_ms, slow.responder_deadline_ms),
        (900, 500)
    );
    let quick = turn("end_of_turn_ms = 60");
    assert_eq!((quick.finished_ms, quick.unfinished_ms), (60, 1500));
}

#[test]
fn running_calls_take_another_transcriber_but_not_their_first() {
    let table =
        "[transcribers.ears]\nplugin = \"echo\"\n[transcribers.others]\nplugin = \"echo\"\n";
    let sheet = |agent: &str| {
        parsed(&format!("{SMALL}{agent}\n{table}"))
            .unwrap()
            .sheet("")
    };
    let (none, one, other) = (
        sheet(""),
        sheet("transcriber = \"ears\""),
        sheet("transcriber = \"others\""),
    );
    let takes = |before: &Sheet, after: &Sheet| Diff::between(before, after).0[0].takes;
    assert_eq!(takes(&one, &other), Takes::NextUtterance);
    assert_eq!(takes(&none, &one), Takes::NextCall);
    assert_eq!(takes(&one, &none), Takes::NextCall);
    let quick = sheet("turn.resume_ms = 400");
    let shown = Diff::between(&none, &quick).to_string();
    assert_eq!(
        shown,
        "~ agents.default.turn.resume_ms: 500 → 400  (at the next call)"
    );
}

#[test]
fn an_address_from_elsewhere_is_held_to_the_same_rule() {
    let config = parsed(SMALL).unwrap();
    assert!(config.check_listen("127.0.0.1:1".parse().unwrap()).is_ok());
    let no = config.check_listen("192.0.2.1:1".parse().unwrap());
    assert_eq!(
        no.unwrap_err(),
        "anybody could start calls at 192.0.2.1:1, since signatures are not checked: set auth_token under [twilio], or \
         listen on 127.0.0.1, or set allow_unsigned = true under [twilio]"
    );
    let allowed = parsed(&format!("{SMALL}[twilio]\nallow_unsigned = true")).unwrap();
    assert!(allowed.check_listen("192.0.2.1:1".parse().unwrap()).is_ok());
}

#[test]
fn a_number_is_answered_by_its_agent_and_others_by_the_default_one() {
    let more = "[agents.shop]\nresponder = \"echo\"\nvoice = \"english\"\n[numbers.\"+1555\"]\nagent = \"shop\"";
    let config = parsed(&format!("{SMALL}{more}")).unwrap();
    let name = |number: &str| config.agent_for(number).unwrap().0;
    assert_eq!(
        [name("+1555"), name("+1556"), name("")],
        ["shop", "default", "default"]
    );
    let only = parsed(&SMALL.replace("agents.default", "agents.shop")).unwrap();
    assert_eq!(only.agent_for("+1555").unwrap().0, "shop");
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_with_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let said = || match load(&path, &Env::default()) {
        Ok(_) => "fine".to_owned(),
        Err(problems) => problems
            .to_string()
            .replace(&folder.path().display().to_string(), "F"),
    };
    assert!(
        said().starts_with("F/config.toml: cannot be read: No such file"),
        "{}",
        said()
    );
    std::fs::write(&path, b"[log]\nlevel = \"\xff\"").unwrap();
    assert!(
        said().starts_with("F/config.toml:2:10: this is not UTF-8 text\n"),
        "{}",
        said()
    );
    std::fs::write(&path, format!("\u{feff}{SMALL}")).unwrap();
    assert_eq!(said(), "fine");
    std::fs::write(
        &path,
        format!("{SMALL}{}", "#".repeat(CONFIG_BYTES as usize - SMALL.len())),
    )
    .unwrap();
    assert_eq!(said(), "fine");
    std::fs::write(&path, "#".repeat(CONFIG_BYTES as usize + 1)).unwrap();
    assert_eq!(
        said(),
        "F/config.toml: cannot be read: it holds more than 1048576 bytes"
    );
}

#[test]
fn a_flood_of_problems_is_counted_not_listed() {
    let unknown: String = (0..PROBLEMS + 7).map(|n| format!("key{n} = 1\n")).collect();
    let problems = parse(&format!("{unknown}{SMALL}"), Path::new("c.toml"), &env()).unwrap_err();
    assert_eq!(problems.0.len(), PROBLEMS + 1);
    assert!(
        problems
            .to_string()
            .ends_with("\n\nc.toml: and 7 more problems")
    );
    let broken = "=\n".repeat(100_000);
    assert!(
        parse(&broken, Path::new("c.toml"), &env())
            .unwrap_err()
            .0
            .len()
            <= PROBLEMS
    );
    let deep = format!("x = {}", "[".repeat(100_000));
    assert!(parse(&deep, Path::new("c.toml"), &env()).is_err());
    let dotted = format!("{} = 1", ["a"; 50_000].join("."));
    assert!(parse(&dotted, Path::new("c.toml"), &env()).is_err());
}

/// Random numbers that are the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// The shipped file, examples in use, with up to eight small damages.
fn damaged(dice: &mut Dice, original: &[char]) -> String {
    const BITS: [&str; 24] = [
        "\"",
        "'",
        "\"\"\"",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "=",
        ".",
        ",",
        "#",
        "\n",
        "\r\n",
        "${env:KEY}",
        "${",
        "$",
        "\\u0000",
        "\u{0}",
        "é",
        "🎧",
        "-1",
        "1e999",
        "true",
    ];
    let mut text = original.to_vec();
    for _ in 0..=dice.below(8) {
        let at = dice.below(text.len());
        let length = dice.below(12).min(text.len() - at);
        match dice.below(4) {
            0 => drop(text.drain(at..at + length)),
            1 => text
                .splice(at..at, BITS[dice.below(BITS.len())].chars())
                .for_each(drop),
            2 => {
                let copy = text[at..at + length].to_vec();
                let to = dice.below(text.len());
                text.splice(to..to, copy).for_each(drop);
            }
            _ => text.truncate(text.len() - dice.below(40).min(text.len())),
        }
    }
    text.into_iter().collect()
}

#[test]
fn ten_thousand_damaged_files_are_refused_or_taken_but_never_panic() {
    let original: Vec<char> = uncommented(true).chars().collect();
    let schema = json!({"type": "object", "properties": {"mode": {"enum": ["live", "parrot"]}}});
    let env = env();
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..=10_000_u64 {
        // Spread out, or neighbouring seeds would begin with the same throws.
        let text = damaged(
            &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            &original,
        );
        let outcome = std::panic::catch_unwind(|| {
            let config = parse(&text, Path::new("c.toml"), &env)?;
            assert!(config.agent_for("+1555").is_some(), "nobody answers");
            config.check_plugin_keys("echo", &schema)
        });
        match outcome {
            Ok(Ok(())) => taken += 1,
            Ok(Err(problems)) => {
                let drawn = problems.to_string();
                assert!(
                    (1..=PROBLEMS + 1).contains(&problems.0.len()),
                    "seed {seed}"
                );
                assert!(
                    !drawn.contains("canary"),
                    "seed {seed} shows a secret:\n{drawn}"
                );
                refused += 1;
            }
            Err(_) => panic!("seed {seed} panics:\n{text}"),
        }
    }
    assert!(
        taken > 100 && refused > 1000,
        "{taken} taken, {refused} refused: the damage is one-sided"
    );
}
