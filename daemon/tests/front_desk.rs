//! Callers at the front desk and in the survey, the two flows that are shipped: whole calls through the simulated phone,
//! with what human beings say (tests/data/speech/people) and with keys.
//!
//! A transcriber in C stands for a model: it knows the recordings by their samples, and everything else is a noise to it.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use support::callers::{heard, hears_out, in_between, listens, presses, record, ring};
use support::people::{people, says};
use support::{CONFIG, Daemon, binary, compile_plugin, read, until};
use tempfile::TempDir;
use voice_streamer::media::{mulaw, wav};
use voice_streamer::phone::{Script, Step, Transfer};

/// What the recordings say, by their names.
const PEOPLE: [&str; 18] = [
    "en/zero",
    "en/one",
    "en/two",
    "en/three",
    "en/hours",
    "en/extension",
    "en/message",
    "en/goodbye",
    "en/no",
    "es/cero",
    "es/uno",
    "es/dos",
    "es/tres",
    "es/horas",
    "es/extension",
    "es/mensaje",
    "es/hasta_pronto",
    "es/no",
];

/// Bytes of a recording by which it is known.
const PIECE: usize = 160;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The recordings, for the transcriber: the loudest piece of each, and its words.
fn known() -> String {
    let mut known = String::new();
    for name in PEOPLE {
        let sound = people(&[name]);
        let loudness = |at: usize| -> i64 {
            let mut pcm = [0; PIECE];
            mulaw::decode(&sound[at..at + PIECE], &mut pcm);
            pcm.iter().map(|sample| i64::from(*sample).abs()).sum()
        };
        let loudest = (0..sound.len() - PIECE)
            .step_by(40)
            .max_by_key(|at| loudness(*at))
            .unwrap();
        for byte in &sound[loudest..loudest + PIECE] {
            write!(known, "{byte:02x}").unwrap();
        }
        let (_, words) = name.split_once('/').unwrap();
        writeln!(known, " {}", words.replace('_', " ")).unwrap();
    }
    known
}

/// A daemon whose agent walks one of the shipped flows, and hears by the recogniser.
fn daemon(flow: &str) -> Daemon {
    let folder = Arc::new(TempDir::new().unwrap());
    let flow = here(&format!("../plugins/responder-flow/examples/{flow}.toml"));
    configure(&folder, &flow);
    Daemon::again(&folder)
}

/// The configuration of such a daemon.
fn configure(folder: &TempDir, flow: &Path) {
    compile_plugin("recogniser", folder.path());
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("known"), known()).unwrap();
    let config = CONFIG.replacen(
        "responder = \"echo\"\nvoice = \"english\"\ngreeting = \"Hello, this is the echo.\"\n[agents.default.turn]\nend_of_turn_ms = 700\nbarge_in = false",
        "responder = \"flow\"\ntranscriber = \"ears\"\nvoice = \"english\"\n[agents.default.turn]\nno_input_ms = 1500",
        1,
    );
    assert_ne!(config, CONFIG);
    let config = format!(
        "{config}\n[plugins.flow]\nlibrary = \"responder_flow\"\nflow = \"${{file:{}}}\"\nrecordings = \"{}\"\n\
         [plugins.recogniser]\nlibrary = \"./librecogniser.so\"\n[transcribers.ears]\nplugin = \"recogniser\"\nknown = \"{}\"\n\
         [voices.spanish]\nplugin = \"pico\"\nvoice = \"es-ES\"\n",
        flow.display(),
        at("messages"),
        at("known"),
    );
    std::fs::write(at("config.toml"), config).unwrap();
}

/// "Mm-hm": a hum in two syllables. Made here; no human being hums in the recordings.
fn hums() -> Step {
    let hum = |at: usize| {
        let second = at > 2400;
        let (from, pitch) = if second { (2400, 150.0) } else { (0, 120.0) };
        let place = (at - from) as f64 / 2400.0;
        let loud = (place * std::f64::consts::PI).sin().max(0.0) * 5000.0;
        let tone = |overtone: f64| {
            (at as f64 * std::f64::consts::TAU * pitch * overtone / 8000.0).sin() / overtone
        };
        ((tone(1.0) + tone(2.0) + tone(3.0)) * loud) as i16
    };
    let pcm: Vec<i16> = (0..4800).map(hum).collect();
    Step::Say(line(&pcm).into())
}

fn line(pcm: &[i16]) -> Vec<u8> {
    let mut line = vec![0; pcm.len()];
    mulaw::encode(pcm, &mut line);
    line
}

const WELCOME: &str = "Welcome to Example and Sons.";
const MAIN: &str = "For our opening hours, press 1.";
/// Sound of the flow's own.
const TONE: &str = "";
const MENU: &str = "Para nuestro horario, marque 1.";

#[test]
fn a_caller_walks_the_front_desk_with_keys_in_english() {
    let daemon = daemon("front-desk");
    let mut steps = in_between(vec![Step::Press('1'), Step::Press('1'), Step::Press('2')]);
    steps.extend(listens());
    steps.extend(presses("999"));
    steps.extend(in_between(vec![Step::Press('1')]));
    steps.extend([hears_out(), Step::Press('*')]);
    let report = ring(&daemon, Script::of(steps));
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            MAIN,
            "We are open from Monday to Friday,",
            "Which extension?",
            "You said 9 9 9.",
            "Nobody has the extension 9 9 9.",
            MAIN,
            "Goodbye.",
        ],
    );
}

#[test]
fn a_caller_leaves_a_message_with_keys_in_spanish() {
    let daemon = daemon("front-desk");
    let mut steps = in_between(vec![Step::Press('2'), Step::Press('3')]);
    steps.extend([
        hears_out(),
        says(&["es/mensaje", "es/uno"]),
        Step::Press('#'),
    ]);
    let report = ring(&daemon, Script::of(steps));
    let beginnings = [
        WELCOME,
        MENU,
        "Deje un mensaje después de la señal,",
        TONE,
        "Gracias.",
        "Adiós.",
    ];
    heard(&daemon, &report, &beginnings);
    let messages = std::fs::read_dir(daemon.folder().path().join("messages")).unwrap();
    let messages: Vec<PathBuf> = messages.map(|file| file.unwrap().path()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let kept = wav::to_line(&wav::read(&read(&messages[0]).unwrap()).unwrap());
    let said = people(&["es/mensaje"]);
    let word = &said[1000..3000];
    assert!(
        kept.windows(word.len()).any(|part| part == word),
        "the word is not in the message"
    );
}

/// Says these, one after another: at once where there is an exclamation mark, else when the agent has finished.
fn talks(words: &[&str]) -> Script {
    let mut steps = Vec::new();
    for said in words {
        match said.strip_prefix('!') {
            Some(_) => steps.extend(listens()),
            None => steps.push(hears_out()),
        }
        let names: Vec<&str> = said.trim_start_matches('!').split(' ').collect();
        steps.push(says(&names));
    }
    Script::of(steps)
}

#[test]
fn a_caller_walks_the_front_desk_by_voice_in_english() {
    let daemon = daemon("front-desk");
    let script = talks(&[
        "!en/one",
        "!en/extension",
        "en/three en/zero en/two",
        "!en/no",
        "en/one en/zero en/three",
        "!en/one",
        "en/goodbye",
    ]);
    let report = ring(&daemon, script);
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            MAIN,
            "Which extension?",
            "You said 3 0 2.",
            "Which extension?",
            "You said 1 0 3.",
            "Nobody has the extension 1 0 3.",
            MAIN,
            "Goodbye.",
        ],
    );
    assert_eq!(
        record(&daemon, &report, "heard").join(", "),
        "one, extension, three zero two, no, one zero three, one, goodbye"
    );
}

#[test]
fn a_caller_walks_the_front_desk_by_voice_in_spanish() {
    let daemon = daemon("front-desk");
    let script = talks(&[
        "!es/dos",
        "!es/horas",
        "!es/extension",
        "es/tres es/cero es/dos",
        "!es/uno",
        "es/hasta_pronto",
    ]);
    let report = ring(&daemon, script);
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            MENU,
            "Abrimos de lunes a viernes,",
            "¿Qué extensión?",
            "Ha dicho 3 0 2.",
            "Nadie tiene la extensión 3 0 2.",
            MENU,
            "Adiós.",
        ],
    );
}

#[test]
fn however_a_transfer_ends_the_caller_is_looked_after() {
    const OPERATOR: &str = "I am connecting you with the operator.";
    let not_there = [
        WELCOME,
        MAIN,
        OPERATOR,
        "I am sorry, nobody can answer",
        "Leave a message after the tone,",
        TONE,
        "Goodbye.",
    ];
    let table: [(Transfer, &[&str], &str); 6] = [
        (Transfer::Ends("no-answer"), &not_there, "agent_hung_up"),
        (Transfer::Ends("busy"), &not_there, "agent_hung_up"),
        (Transfer::Ends("failed"), &not_there, "agent_hung_up"),
        (Transfer::Ends("canceled"), &not_there, "agent_hung_up"),
        // They have talked, and whoever was called has hung up first.
        (
            Transfer::Ends("completed"),
            &[WELCOME, MAIN, OPERATOR, "Goodbye."],
            "agent_hung_up",
        ),
        (
            Transfer::CallerHangsUp,
            &[WELCOME, MAIN, OPERATOR],
            "transferred",
        ),
    ];
    let daemon = daemon("front-desk");
    let ends = |(transfer, said, reason): &(Transfer, &[&str], &str)| {
        let steps = in_between(vec![Step::Press('1'), Step::Press('0')]);
        let script = Script::of(steps).transferred(*transfer);
        let report = ring(&daemon, script);
        heard(&daemon, &report, said);
        assert_eq!(report.then[..2], ["redirect", "dial +15550123"]);
        let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
        assert_eq!(call["ended_reason"], *reason, "{transfer:?}");
        let kept = record(&daemon, &report, "variable");
        assert!(!kept.join(" ").contains(".wav"), "{transfer:?}: {kept:?}");
    };
    std::thread::scope(|scope| {
        for row in &table {
            scope.spawn(|| ends(row));
        }
    });
    let messages = std::fs::read_dir(daemon.folder().path().join("messages")).unwrap();
    assert_eq!(messages.count(), 0, "a message that nobody left");
}

#[test]
fn a_caller_interrupts_with_what_he_wants() {
    let daemon = daemon("front-desk");
    let mut steps = in_between(vec![Step::Press('1'), says(&["en/hours"])]);
    steps.extend([hears_out(), Step::Press('*'), hears_out()]);
    let report = ring(&daemon, Script::of(steps));
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            MAIN,
            "We are open from Monday to Friday,",
            MAIN,
            "Goodbye.",
        ],
    );
    assert_eq!(record(&daemon, &report, "barge_in").len(), 1);
}

#[test]
fn coughs_and_a_hum_interrupt_nobody() {
    let daemon = daemon("front-desk");
    let coughs = ["cough_woman", "cough_man"].map(|cough| says(&[cough]));
    let mut steps = in_between([vec![Step::Press('1')], coughs.to_vec(), vec![hums()]].concat());
    steps.extend([hears_out(), Step::Press('*'), hears_out()]);
    let report = ring(&daemon, Script::of(steps));
    heard(&daemon, &report, &[WELCOME, MAIN, "Goodbye."]);
    assert_eq!(record(&daemon, &report, "barge_in").len(), 0);
}

#[test]
fn a_caller_hangs_up_in_the_middle_of_a_word_in_english_and_in_spanish() {
    let daemon = daemon("front-desk");
    for (key, menu, word) in [('1', MAIN, "en/extension"), ('2', MENU, "es/extension")] {
        let word = people(&[word]);
        let half = Step::Say(word[..word.len() / 2].into());
        let mut steps = in_between(vec![Step::Press(key), half]);
        steps.push(Step::HangUp);
        let report = ring(&daemon, Script::of(steps));
        heard(&daemon, &report, &[WELCOME, menu]);
        let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
        assert_eq!(call["ended_reason"], "caller_hung_up", "{call}");
    }
    daemon.is_whole();
}

/// Nobody has chosen a language, so a person is to find out.
#[test]
fn a_caller_who_says_nothing_at_the_front_desk_is_connected_with_a_person() {
    let daemon = daemon("front-desk");
    let script = Script::of(Vec::new()).transferred(Transfer::CallerHangsUp);
    let report = ring(&daemon, script);
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            "Bienvenido a Example and Sons.",
            WELCOME,
            "Bienvenido a Example and Sons.",
            "One moment, please.",
            "Un momento, por favor.",
            "I am connecting you with the operator.",
        ],
    );
    assert_eq!(record(&daemon, &report, "heard").len(), 0);
}

#[test]
fn a_caller_who_says_nothing_to_the_menu_is_asked_again_and_then_connected() {
    let daemon = daemon("front-desk");
    let script = Script::of(in_between(vec![Step::Press('2')]));
    let report = ring(&daemon, script.transferred(Transfer::CallerHangsUp));
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            MENU,
            "No he oído nada.",
            MENU,
            "Le comunico con la operadora.",
        ],
    );
}

#[test]
fn a_caller_who_says_nothing_in_the_survey_is_asked_again_and_then_let_go() {
    let daemon = daemon("survey");
    let report = ring(&daemon, Script::of(Vec::new()));
    let asked = "How content were you, from 1 to 5?";
    heard(
        &daemon,
        &report,
        &[
            "Thank you for calling.",
            asked,
            asked,
            asked,
            "I am sorry. Goodbye.",
        ],
    );
}

#[test]
fn the_survey_is_answered_with_keys_and_by_voice() {
    let daemon = daemon("survey");
    let steps = vec![
        hears_out(),
        Step::Press('4'),
        hears_out(),
        says(&["en/no"]),
        hears_out(),
        says(&["en/three"]),
        hears_out(),
        says(&["en/one"]),
    ];
    let report = ring(&daemon, Script::of(steps));
    heard(
        &daemon,
        &report,
        &[
            "Thank you for calling.",
            "How content were you,",
            "Would you call us again?",
            "How many minutes did you wait?",
            "You said 3.",
            "Thank you very much. Goodbye.",
        ],
    );
    let notes = record(&daemon, &report, "note");
    assert_eq!(notes, ["survey: rating 4, again no, waited 3 minutes"]);
}

/// What `check` says of this flow.
fn checked(flow: &Path) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    configure(&folder, flow);
    let mut check = Command::new(binary());
    check
        .args(["check", "--config"])
        .arg(folder.path().join("config.toml"));
    let said = check.env_remove("RUST_LOG").output().unwrap();
    let text = [said.stdout, said.stderr].concat();
    (said.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn check_draws_a_flow_and_tells_every_mistake_with_its_line() {
    let (right, said) = checked(&here("../plugins/responder-flow/examples/front-desk.toml"));
    assert!(right, "{said}");
    for line in [
        "  languages en, es; the call begins at welcome\n",
        "  extension (collect extension) “Which extension? Key in or say its three dig…”\n",
        "    ├─ 3 digits, confirmed → whose\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let folder = TempDir::new().unwrap();
    let flow = folder.path().join("bad.toml");
    let text = "languages = [\"en\"]\nstart = \"a\"\n[say.a]\nprompt = \"A {b}\"\nnext = \"c\"\n[hang_up.bye]\nfrim = true\n";
    std::fs::write(&flow, text).unwrap();
    let (right, said) = checked(&flow);
    assert!(!right, "{said}");
    for line in [
        "/bad.toml:3: say.a uses the variable `b`, which nothing sets\n",
        "/bad.toml:5: say.a.next leads to `c`, and there is no such label; did you mean `a`?\n",
        "/bad.toml:7: unknown key hang_up.bye.frim; did you mean `firm`?\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn the_voices_that_a_flow_speaks_by_are_there_and_stay() {
    let folder = Arc::new(TempDir::new().unwrap());
    let flow = folder.path().join("flow.toml");
    let save = |voice: &str| {
        let text = format!(
            "languages = [\"en\"]\nstart = \"a\"\n[voices]\nen = \"{voice}\"\n[hang_up.a]\nprompt = \"One.\"\n"
        );
        std::fs::write(&flow, text).unwrap();
    };
    save("spansh");
    let (right, said) = checked(&flow);
    let words = "would speak by the voice `spansh`, and there is no [voices.spansh]; did you mean `spanish`?";
    assert!(!right && said.contains(words), "{said}");
    save("spanish");
    configure(&folder, &flow);
    let daemon = Daemon::again(&folder);
    // The flow is the same, and its voice is gone.
    let config = folder.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[voices.spanish]", "[voices.other]")).unwrap();
    until("the loss is told", || {
        let log = daemon.log();
        log.contains("there is no [voices.spanish]").then_some(())
    });
    let report = ring(&daemon, Script::of(Vec::new()));
    assert_eq!(record(&daemon, &report, "said"), ["One."]);
}

#[test]
fn a_saved_flow_is_in_force_for_the_next_call_unless_it_is_wrong() {
    let folder = Arc::new(TempDir::new().unwrap());
    let flow = folder.path().join("flow.toml");
    let save = |words: &str, more: &str| {
        let text = format!(
            "languages = [\"en\"]\nstart = \"a\"\n[hang_up.a]\nprompt = \"{words}\"\n{more}"
        );
        std::fs::write(&flow, text).unwrap();
    };
    save("One.", "");
    configure(&folder, &flow);
    let daemon = Daemon::again(&folder);
    let said = || record(&daemon, &ring(&daemon, Script::of(Vec::new())), "said");
    assert_eq!(said(), ["One."]);
    save("Two.", "[hang_up.b]\n");
    until("the mistake is told", || {
        daemon
            .log()
            .contains("flow.toml:5: hang_up.b is never reached")
            .then_some(())
    });
    assert_eq!(said(), ["One."]);
    save("Three.", "");
    until("the flow is in force", || {
        let opened = daemon.log().matches("\"plugin\":\"flow\"").count();
        (opened >= 2).then_some(())
    });
    until("it is what callers hear", || {
        (said() == ["Three."]).then_some(())
    });
}
