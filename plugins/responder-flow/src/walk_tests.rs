//! Conversations, written down. The caller's part is a list: `1` a key, `~` silence, `?` words nobody understood, `-` a
//! turn that nobody transcribes, `"words"` words, `<busy` back from a transfer, `!why` a webhook that failed, `{json}`
//! its answer, `@file` a message, `@` an empty one, `/` what was said last was not heard. The flow's part comes back as
//! text, one line for each turn.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::read::read;
use std::fmt::Write as _;

fn flow(text: &str) -> Arc<Flow> {
    let flow = read(text).unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    });
    Arc::new(flow)
}

fn written(actions: &[Action]) -> String {
    let mut line = String::new();
    for action in actions {
        let word = match action {
            Action::Say { text, firm, .. } if *firm => format!("{text}(firm)"),
            Action::Say { text, .. } => text.clone(),
            Action::Voice(voice) => format!("[voice {voice}]"),
            Action::Language(language) => format!("[{language}]"),
            Action::SilenceAfter(0) => continue,
            Action::SilenceAfter(ms) => format!("[{ms} ms]"),
            Action::Set { name, value } => format!("[{name}={value}]"),
            Action::Note(text) => format!("[note {text}]"),
            Action::Transfer(to) => format!("[transfer {to}]"),
            Action::SendDigits(digits) => format!("[keys {digits}]"),
            Action::Ask(_) => "[ask]".into(),
            Action::Record(_) => "[record]".into(),
            Action::HangUp => "[hang up]".into(),
        };
        let space = if line.is_empty() { "" } else { " " };
        write!(line, "{space}{word}").unwrap();
    }
    if line.is_empty() { ".".into() } else { line }
}

fn input(written: &str) -> Input {
    let rest = &written[1..];
    match written.chars().next().unwrap() {
        '~' => Input::Silence,
        '?' => Input::Spoke(Some(String::new())),
        '-' => Input::Spoke(None),
        '"' => Input::Spoke(Some(rest.trim_end_matches('"').to_owned())),
        '<' => Input::Returned(rest.to_owned()),
        '!' => Input::Answered(Err(rest.to_owned())),
        '{' => {
            let answer: serde_json::Value = serde_json::from_str(written).unwrap();
            let set = answer["set"].as_object().into_iter().flatten();
            let set = set.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
            Input::Answered(Ok(Answer {
                set: set.collect(),
                next: answer["next"].as_str().map(str::to_owned),
            }))
        }
        '@' => Input::Recorded(Some(rest.to_owned()).filter(|file| !file.is_empty())),
        digit => Input::Digit(digit),
    }
}

/// What the flow says and does to a caller who does this.
fn walked(text: &str, language: &str, caller: &[&str]) -> String {
    let given = BTreeMap::from([("caller".to_owned(), "+15550199".to_owned())]);
    let mut walk = Walk::new(flow(text), language, given);
    let mut lines = vec![written(&walk.enter())];
    for said in caller {
        if *said == "/" {
            walk.was_not_heard();
        } else {
            lines.push(written(&walk.hears(input(said))));
        }
    }
    lines.join("\n")
}

#[track_caller]
fn table(text: &str, rows: &[(&[&str], &str)]) {
    for (caller, expected) in rows {
        let said = walked(text, "", caller);
        let last = said.lines().skip(1).last().unwrap_or_default();
        assert_eq!(last, *expected, "{caller:?}:\n{said}");
    }
}

const MENU: &str = r#"
languages = ["en", "es"]
start = "main"
[menu.main]
prompt = { en = "Main?", es = "¿Qué?" }
otherwise = "bye"
silence = { limit = 3, prompt = { en = "Nothing heard.", es = "Nada." } }
unclear = { limit = 2, prompt = { en = "Pardon?", es = "¿Cómo?" } }
[[menu.main.branch]]
digit = "1"
words = { en = ["sales"], es = ["ventas"] }
to = "sales"
[[menu.main.branch]]
digit = ["2", "*"]
words = { en = ["support", "sales support"], es = ["ayuda"] }
to = "support"
[[menu.main.branch]]
digit = "3"
to = "spanish"
[language.spanish]
to = "es"
prompt = { en = "never said", es = "Español." }
next = "main"
[say.sales]
prompt = { en = "Sales.", es = "Ventas." }
next = "main"
[say.support]
prompt = { en = "Support.", es = "Ayuda." }
next = "main"
[hang_up.bye]
prompt = { en = "Bye.", es = "Adiós." }
firm = true
"#;

#[test]
fn a_menu_takes_keys_words_and_the_longest_phrase() {
    table(
        MENU,
        &[
            (&["1"], "Sales. Main?"),
            (&["*"], "Support. Main?"),
            (&["\"Sales, please!\""], "Sales. Main?"),
            (&["\"sales support\""], "Support. Main?"),
            (&["\"option two\""], "Support. Main?"),
            (
                &["\"there are two of us and we want something\""],
                "Pardon? Main?",
            ),
            (&["\"ventas\""], "Pardon? Main?"),
            (&["3"], "[es] Español. ¿Qué?"),
            (&["3", "\"¡Ventas!\""], "Ventas. ¿Qué?"),
            (&["3", "\"dos\""], "Ayuda. ¿Qué?"),
            (&["9"], "Pardon? Main?"),
            (&["-"], "Pardon? Main?"),
            (&["<busy"], "."),
        ],
    );
}

#[test]
fn misses_have_limits_of_their_own_and_lead_away() {
    table(
        MENU,
        &[
            (&["~"], "Nothing heard. Main?"),
            (&["~", "~"], "Nothing heard. Main?"),
            (&["~", "~", "~"], "Bye.(firm) [hang up]"),
            (&["?"], "Pardon? Main?"),
            (&["?", "?"], "Bye.(firm) [hang up]"),
            (&["?", "~"], "Nothing heard. Main?"),
            (&["?", "1", "?"], "Pardon? Main?"),
            // Not heard: asked again, and not counted.
            (&["?", "/", "?"], "Main?"),
            (&["?", "/", "\"sales\""], "Sales. Main?"),
            (&["~", "~", "~", "1"], "[hang up]"),
        ],
    );
}

#[test]
fn a_call_begins_in_the_agents_language_if_the_flow_has_it() {
    let first = |language| walked(MENU, language, &[]);
    assert_eq!(first("es"), "[es] ¿Qué?");
    assert_eq!(first("es-MX"), "[es] ¿Qué?");
    assert_eq!(first("en-GB"), "[en] Main?");
    assert_eq!(first("fr"), "[en] Main?");
}

const COLLECT: &str = r##"
languages = ["en"]
start = "number"
[collect.number]
prompt = "Number?"
into = "n"
min = 2
max = 3
digit_ms = 2000
silence_ms = 7000
confirm = true
next = "bye"
otherwise = "sorry"
unclear = { limit = 3, prompt = "Pardon?" }
[hang_up.bye]
prompt = "It is {n}."
[hang_up.sorry]
"##;

const ASKED: &str = "Is that right? Say yes or no, or press 1 for yes, 2 for no. [7000 ms]";

#[test]
fn a_number_is_keyed_or_spoken_and_confirmed() {
    let asked = |digits: &str| format!("You said {digits}. {ASKED}");
    table(
        COLLECT,
        &[
            (&["1"], "[2000 ms]"),
            (&["1", "2"], "[2000 ms]"),
            (&["1", "2", "3"], &asked("1 2 3")),
            (&["1", "2", "#"], &asked("1 2")),
            (&["1", "2", "~"], &asked("1 2")),
            (&["1", "#"], "Pardon? Number? [7000 ms]"),
            (&["1", "~"], "Pardon? Number? [7000 ms]"),
            (&["1", "*", "4", "5", "6"], &asked("4 5 6")),
            (&["\"one two three\""], &asked("1 2 3")),
            (&["\"one two\"", "\"three\""], &asked("1 2 3")),
            (&["\"one two three four\""], "Pardon? Number? [7000 ms]"),
            (&["\"hello\""], "Pardon? Number? [7000 ms]"),
            (&["1", "2", "3", "\"Yes.\""], "[n=123] It is 123. [hang up]"),
            (&["1", "2", "3", "\"one\""], "[n=123] It is 123. [hang up]"),
            (&["1", "2", "3", "1"], "[n=123] It is 123. [hang up]"),
            (&["1", "2", "3", "\"no\""], "Pardon? Number? [7000 ms]"),
            (
                &["1", "2", "3", "2", "4", "5", "6", "1"],
                "[n=456] It is 456. [hang up]",
            ),
            (
                &["1", "2", "3", "\"what\""],
                &format!("Pardon? {}", asked("1 2 3")),
            ),
            (&["1", "2", "3", "~"], &asked("1 2 3")),
            (
                &["1", "2", "3", "2", "1", "2", "3", "2", "1", "2", "3", "2"],
                "[hang up]",
            ),
        ],
    );
}

const OUTSIDE: &str = r#"
languages = ["en"]
start = "ask"
[variables]
vip = "no"
[webhook.ask]
url = "http://127.0.0.1:9/"
sets = ["vip", "number"]
may_go = ["mail"]
next = "who"
error = "mail"
[choose.who]
variable = "vip"
cases = { yes = "put" }
otherwise = "mail"
[transfer.put]
prompt = "Connecting."
to = "{number}"
completed = "bye"
busy = "keys"
otherwise = "mail"
[keys.keys]
digits = "12w#{error}"
next = "mail"
[voicemail.mail]
prompt = "Speak."
into = "file"
silence_ms = 3000
next = "kept"
empty = "bye"
[note.kept]
text = "from {caller}: {file} {error} {outcome}"
next = "bye"
[hang_up.bye]
"#;

#[test]
fn webhooks_transfers_keys_and_messages_lead_on_by_how_they_went() {
    let vip = r#"{"set":{"vip":"yes","number":"+1555","other":"x"}}"#;
    table(
        OUTSIDE,
        &[
            (&["{}"], "Speak. [3000 ms] [record]"),
            (
                &["!it timed out"],
                "[note ask: the webhook failed: it timed out] Speak. [3000 ms] [record]",
            ),
            (&[r#"{"next":"mail"}"#], "Speak. [3000 ms] [record]"),
            (
                &[r#"{"next":"bye"}"#],
                "[note ask: the webhook failed: it named `bye`, which is none of its `may_go`] Speak. [3000 ms] [record]",
            ),
            (
                &[vip],
                "[vip=yes] [number=+1555] Connecting. [transfer +1555]",
            ),
            (
                &[r#"{"set":{"vip":"yes"}}"#],
                "[vip=yes] Connecting. [note put: there is no number to connect to] Speak. [3000 ms] [record]",
            ),
            (
                &[r#"{"set":{"vip":"yes","number":"extension 5"}}"#],
                "[vip=yes] [number=extension 5] Connecting. [note put: “extension 5” is no number to connect to, which is + \
                 and 3 to 15 digits, a short number of 3 to 6 digits, or sip:name@host] Speak. [3000 ms] [record]",
            ),
            (&[vip, "\"wait\""], "Connecting. [transfer +1555]"),
            (&[vip, "<completed"], "[hang up]"),
            (&[vip, "<busy"], "[keys 12w#]"),
            (&[vip, "<busy", "~"], "[keys 12w#]"),
            (&[vip, "<canceled"], "Speak. [3000 ms] [record]"),
            (&[vip, "<busy", "<"], "Speak. [3000 ms] [record]"),
            (
                &[vip, "<busy", "<", "@a.wav"],
                "[note from +15550199: a.wav  busy] [hang up]",
            ),
            (&["{}", "@"], "[hang up]"),
            (&["{}", "?"], "."),
        ],
    );
}

/// Whatever the caller does, the call ends by itself if nobody is there, and nothing is done after it has ended.
#[test]
fn every_loop_ends() {
    let round = r#"
languages = ["en"]
start = "a"
patience = 7
[menu.a]
prompt = "A?"
otherwise = "b"
branch = [{ digit = "1", to = "b" }]
[menu.b]
prompt = "B?"
otherwise = "a"
branch = [{ digit = "1", to = "a" }]
"#;
    let silent = walked(round, "", &["~"; 20]);
    assert!(
        silent.contains("\nA?\n[note a: nobody spoke, or was understood, too often in a row; the call is ended] [hang up]\n[hang up]\n"),
        "{silent}"
    );
    let keys = walked(round, "", &["1"; 10_001]);
    assert!(
        keys.contains("more steps than a call may"),
        "{}",
        keys.len()
    );
    for example in [FRONT_DESK, SURVEY] {
        for miss in ["~", "?", "-", "9", "<failed", "@"] {
            let said = walked(example, "", &vec![miss; 200]);
            let ended = said.contains("[hang up]") || said.contains("[transfer");
            let waits =
                said.ends_with("[transfer +15550123]") || matches!(miss, "<failed" | "@" | "9");
            assert!(ended || waits, "{miss}: {said}");
        }
    }
}

const FRONT_DESK: &str = include_str!("../examples/front-desk.toml");
const SURVEY: &str = include_str!("../examples/survey.toml");

#[test]
fn the_front_desk_is_walked_in_both_languages() {
    assert_eq!(
        walked(
            FRONT_DESK,
            "",
            &["1", "2", "1", "0", "1", "1", "<completed"]
        ),
        "[en] [voice english] Welcome to Example and Sons. For English, press 1, or say English. \
         [es] [voice spanish] Bienvenido a Example and Sons. Para español, marque 2, o diga español. [en] [voice english]\n\
         [en] [voice english] For our opening hours, press 1. For an extension, press 2. To leave a message, press 3. For the operator, press 0. You can also say it.\n\
         Which extension? Key in or say its three digits.\n\
         [4000 ms]\n\
         [4000 ms]\n\
         You said 1 0 1. Is that right? Say yes or no, or press 1 for yes, 2 for no.\n\
         [extension=101] I am connecting you with sales. [transfer +15550101]\n\
         Goodbye.(firm) [hang up]"
    );
    let spanish = walked(
        FRONT_DESK,
        "",
        &[
            "\"Español, por favor\"",
            "\"una extensión\"",
            "\"nueve nueve nueve\"",
            "\"sí\"",
            "\"un mensaje\"",
            "@m.wav",
        ],
    );
    let last: Vec<&str> = spanish.lines().rev().take(3).collect();
    assert_eq!(
        last,
        [
            "Gracias. Le llamaremos. [note A message from +15550199: m.wav] Adiós.(firm) [hang up]",
            "Deje un mensaje después de la señal, y pulse almohadilla cuando termine. [4000 ms] [record]",
            "[extension=999] Nadie tiene la extensión 9 9 9. Para nuestro horario, marque 1. Para una extensión, marque 2. Para dejar un mensaje, marque 3. Para la operadora, marque 0. También puede decirlo.",
        ]
    );
}

#[test]
fn the_survey_is_answered_with_keys_and_with_words() {
    let last = |caller: &[&str]| {
        let said = walked(SURVEY, "", caller);
        said.lines().last().unwrap().to_owned()
    };
    let keyed = last(&["4", "1", "1", "2", "1"]);
    assert_eq!(
        keyed,
        "[minutes=12] [note survey: rating 4, again yes, waited 12 minutes] Thank you very much. Goodbye.(firm) [hang up]"
    );
    let spoken = last(&[
        "\"seven\"",
        "\"five\"",
        "\"no\"",
        "\"twenty three\"",
        "\"yes\"",
    ]);
    assert!(
        spoken.contains("rating 5, again no, waited 23 minutes"),
        "{spoken}"
    );
}

const GREETINGS: &str = r#"
languages = ["en", "es"]
start     = "hello"
[variables]
company = "Example"
name    = ""
[say.hello]
prompt    = { en = "This is {company}.", es = "Aquí {company}." }
each_language = true
next      = "who"
[say.who]
prompt    = { en = "You call from {caller:digits}.", es = "Llama del {caller:digits}." }
next      = "which"
[collect.which]
prompt    = { en = "Which number?", es = "¿Qué número?" }
into      = "name"
max       = 2
next      = "told"
otherwise = "told"
[hang_up.told]
prompt    = { en = "Hello {name}.", es = "Hola {name}." }
firm      = true
"#;

/// What is said that every caller hears.
fn fixed(actions: &[Action]) -> Vec<&str> {
    let said = actions.iter().filter_map(|action| match action {
        Action::Say { text, fixed, .. } => fixed.then_some(text.as_str()),
        _ => None,
    });
    said.collect()
}

#[test]
fn what_every_caller_hears_is_known_from_what_only_this_one_does() {
    let given = BTreeMap::from([("caller".to_owned(), "+15550199".to_owned())]);
    let mut walk = Walk::new(flow(GREETINGS), "en", given.clone());
    let begun = walk.enter();
    let all = ["This is Example.", "Aquí Example.", "Which number?"];
    assert_eq!(fixed(&begun), all, "{}", written(&begun));
    for key in ['4', '2'] {
        assert_eq!(fixed(&walk.hears(Input::Digit(key))), [""; 0]);
    }
    // Kept with the call before it came to this flow, and not what the file says.
    let mut other = given;
    other.insert("company".to_owned(), "Anna".to_owned());
    let mut walk = Walk::new(flow(GREETINGS), "en", other);
    assert_eq!(fixed(&walk.enter()), ["Which number?"]);
}
