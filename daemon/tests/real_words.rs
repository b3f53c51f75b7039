//! Human callers who are heard by real models: Whisper at the shipped front desk in English and in Spanish, and Smart Turn,
//! in whole calls through the simulated phone. What they say is in `data/speech/people` and in Debian's prompts.
//!
//! The READMEs of `plugins/stt-whisper` and `plugins/endpoint-smart-turn` say how to get the models; `.ci/run` does.
//!
//! ```sh
//! STT_WHISPER_MODEL=/models/tiny.en STT_WHISPER_BASE=/models/base SMART_TURN_MODEL=/models/smart-turn-v3.2-cpu.onnx \
//!     cargo test -p voice-streamer --test real_words -- --ignored
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::callers::{heard, hears_out, listens, record, ring};
use support::people::says;
use support::{CONFIG, Daemon, compile_plugin, read, release_library};
use tempfile::TempDir;
use voice_streamer::media::{mulaw, wav};
use voice_streamer::phone::{Report, Script, Step};

/// The model that this variable names.
fn model(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} has to name a model"))
}

/// A daemon whose agent speaks this language, walks the shipped front desk and hears by this model.
fn front_desk(language: &str, model: &str) -> Daemon {
    let flow = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../plugins/responder-flow/examples/front-desk.toml");
    let folder = Arc::new(TempDir::new().unwrap());
    // A machine that is busy with other tests is late, and nobody is to be replaced for it.
    let agent = format!(
        "responder = \"desk\"\ntranscriber = \"ears\"\nvoice = \"english\"\nlanguage = \"{language}\"\n\
         [agents.default.turn]\ntranscriber_deadline_ms = 30000\nno_input_ms = 20000\n"
    );
    let tables = format!(
        "[plugins.desk]\nlibrary = \"responder_flow\"\nflow = \"${{file:{}}}\"\nrecordings = \"{}\"\n\
         [plugins.whisper]\nlibrary = \"{}\"\nmodel = \"{model}\"\n[transcribers.ears]\nplugin = \"whisper\"\n\
         [voices.spanish]\nplugin = \"pico\"\nvoice = \"es-ES\"\n",
        flow.display(),
        folder.path().join("messages").display(),
        release_library("stt-whisper").display(),
    );
    daemon(&folder, &agent, &tables)
}

/// A daemon with these keys of its agent, and further tables.
fn daemon(folder: &Arc<TempDir>, agent: &str, tables: &str) -> Daemon {
    let config = CONFIG.replacen(
        "responder = \"echo\"\nvoice = \"english\"\ngreeting = \"Hello, this is the echo.\"\n[agents.default.turn]\n\
         end_of_turn_ms = 700\nbarge_in = false\n",
        agent,
        1,
    );
    assert_ne!(config, CONFIG);
    std::fs::write(folder.path().join("config.toml"), config + tables).unwrap();
    Daemon::again(folder)
}

/// One of Debian's prompts, as the line carries it.
fn prompt(name: &str) -> Vec<u8> {
    let path = PathBuf::from(format!("/usr/share/asterisk/sounds/{name}.wav"));
    wav::to_line(&wav::read(&read(&path).unwrap()).unwrap())
}

/// The same without a pause to breathe: of quiet frames three in a row are left.
fn breathless(sound: &[u8]) -> Vec<u8> {
    let mut quiet = 0;
    let frames = sound.chunks(160).filter(|frame| {
        let loudest = frame
            .iter()
            .map(|byte| mulaw::decode_sample(*byte).unsigned_abs());
        quiet = if loudest.max() < Some(400) {
            quiet + 1
        } else {
            0
        };
        quiet <= 3
    });
    frames.flatten().copied().collect()
}

/// The caller was understood so: each row of the record that has words has these in it. Whisper writes numbers as it
/// likes, so digits become words.
#[track_caller]
fn understood(daemon: &Daemon, report: &Report, digits: [&str; 10], expected: &[&str]) {
    let rows = record(daemon, report, "heard");
    let words = |row: &String| {
        let mut words = String::new();
        for letter in row.to_lowercase().chars() {
            match letter.to_digit(10) {
                Some(digit) => words.extend([" ", digits[digit as usize], " "]),
                None if letter.is_alphabetic() => words.push(letter),
                None => words.push(' '),
            }
        }
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let said = rows.iter().map(words);
    let said: Vec<String> = said.filter(|words| !words.is_empty()).collect();
    let same = said.len() == expected.len()
        && said
            .iter()
            .zip(expected)
            .all(|(said, expected)| said.contains(expected));
    assert!(same, "understood was {said:#?}\n--- wanted: {expected:#?}");
}

const ENGLISH: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];
const SPANISH: [&str; 10] = [
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve",
];

const WELCOME: &str = "Welcome to Example and Sons.";
const MAIN: &str = "For our opening hours, press 1.";
const BIENVENIDO: &str = "Bienvenido a Example and Sons.";
const MENU: &str = "Para nuestro horario, marque 1.";
/// Sound of the flow's own.
const TONE: &str = "";

/// Words while the agent speaks: they interrupt him.
fn interrupts(step: Step) -> Vec<Step> {
    listens().into_iter().chain([step]).collect()
}

/// Words when he has finished.
fn answers(step: Step) -> Vec<Step> {
    vec![hears_out(), step]
}

#[test]
#[ignore = "needs a model: STT_WHISPER_MODEL=/models/tiny.en, see the head of real_words.rs"]
fn a_caller_walks_the_front_desk_by_voice_in_english() {
    let daemon = front_desk("en-US", &model("STT_WHISPER_MODEL"));
    let steps = [
        interrupts(says(&["en/one"])),
        interrupts(says(&["en/hours"])),
        answers(says(&["en/extension"])),
        answers(says(&["en/three", "en/zero", "en/two"])),
        answers(says(&["en/no"])),
        answers(says(&["en/one", "en/zero", "en/three"])),
        answers(says(&["en/one"])),
        answers(Step::Say(prompt("en_US_f_Allison/vm-leavemsg").into())),
        answers(says(&["en/hours", "en/no"])),
        vec![Step::Press('#')],
    ];
    let report = ring(&daemon, Script::of(steps.concat()));
    heard(
        &daemon,
        &report,
        &[
            WELCOME,
            MAIN,
            "We are open from Monday to Friday,",
            MAIN,
            "Which extension?",
            "You said 3 0 2.",
            "Which extension?",
            "You said 1 0 3.",
            "Nobody has the extension 1 0 3.",
            MAIN,
            "Leave a message after the tone,",
            TONE,
            "Thank you.",
            "Goodbye.",
        ],
    );
    understood(
        &daemon,
        &report,
        ENGLISH,
        &[
            "one",
            "hours",
            "extension",
            "three zero two",
            "no",
            "one zero three",
            "one",
            "leave a message",
            "hours",
        ],
    );
    assert_eq!(record(&daemon, &report, "barge_in").len(), 2);
    let messages = std::fs::read_dir(daemon.folder().path().join("messages")).unwrap();
    assert_eq!(messages.count(), 1);
}

#[test]
#[ignore = "needs a model: STT_WHISPER_BASE=/models/base, see the head of real_words.rs"]
fn a_caller_walks_the_front_desk_by_voice_in_spanish() {
    let daemon = front_desk("es-ES", &model("STT_WHISPER_BASE"));
    let steps = [
        interrupts(says(&["es/dos"])),
        interrupts(says(&["es/horas"])),
        answers(says(&["es/extension"])),
        answers(says(&["es/tres", "es/cero", "es/dos"])),
        answers(says(&["es/uno"])),
        answers(Step::Say(prompt("es_MX_f_Allison/vm-leavemsg").into())),
        answers(says(&["es/mensaje", "es/uno"])),
        vec![Step::Press('#')],
    ];
    let report = ring(&daemon, Script::of(steps.concat()));
    heard(
        &daemon,
        &report,
        &[
            BIENVENIDO,
            MENU,
            "Abrimos de lunes a viernes,",
            MENU,
            "¿Qué extensión?",
            "Ha dicho 3 0 2.",
            "Nadie tiene la extensión 3 0 2.",
            MENU,
            "Deje un mensaje después de la señal,",
            TONE,
            "Gracias.",
            "Adiós.",
        ],
    );
    understood(
        &daemon,
        &report,
        SPANISH,
        &[
            "dos",
            "horas",
            "extensión",
            "tres cero dos",
            "uno",
            "dejar mensaje",
            "uno",
        ],
    );
    assert!(!record(&daemon, &report, "barge_in").is_empty());
}

#[test]
#[ignore = "needs a model: STT_WHISPER_BASE=/models/base, see the head of real_words.rs"]
fn a_caller_says_goodbye_in_spanish() {
    let daemon = front_desk("es-ES", &model("STT_WHISPER_BASE"));
    let steps = [
        interrupts(Step::Press('2')),
        interrupts(says(&["es/hasta_pronto"])),
    ];
    let report = ring(&daemon, Script::of(steps.concat()));
    heard(&daemon, &report, &[BIENVENIDO, MENU, "Adiós."]);
    understood(&daemon, &report, SPANISH, &["hasta pronto"]);
}

/// Whisper likes to write laughter where somebody coughs, which would be words that take the floor.
#[test]
#[ignore = "needs a model: STT_WHISPER_MODEL=/models/tiny.en, see the head of real_words.rs"]
fn coughs_are_no_words_and_a_goodbye_is() {
    let daemon = front_desk("en-US", &model("STT_WHISPER_MODEL"));
    let steps = [
        interrupts(Step::Press('1')),
        interrupts(says(&["cough_woman"])),
        interrupts(says(&["cough_man"])),
        answers(says(&["en/goodbye"])),
    ];
    let report = ring(&daemon, Script::of(steps.concat()));
    heard(&daemon, &report, &[WELCOME, MAIN, "Goodbye."]);
    understood(&daemon, &report, ENGLISH, &["goodbye"]);
    assert_eq!(record(&daemon, &report, "barge_in").len(), 0);
}

#[test]
#[ignore = "needs a model: STT_WHISPER_MODEL=/models/tiny.en, see the head of real_words.rs"]
fn a_caller_who_does_not_pause_for_twenty_seconds_is_heard_to_the_end() {
    let daemon = front_desk("en-US", &model("STT_WHISPER_MODEL"));
    let prompts = ["queue-periodic-announce", "demo-echotest", "vm-leavemsg"];
    let prompts = prompts.map(|name| prompt(&format!("en_US_f_Allison/{name}")));
    let said = breathless(&prompts.concat());
    assert!(said.len() > 20 * 8000, "{} bytes", said.len());
    let steps = [
        interrupts(Step::Press('1')),
        interrupts(Step::Say(said.into())),
    ];
    let steps = [steps.concat(), vec![hears_out(), Step::HangUp]];
    let report = ring(&daemon, Script::of(steps.concat()));
    understood(&daemon, &report, ENGLISH, &["leave a message"]);
}

/// What became of one caller's single word: how the story tells it.
#[derive(Debug)]
struct Outcome {
    heard: Vec<String>,
    refused: Vec<String>,
    said: Vec<String>,
    reason: String,
}

impl Outcome {
    fn of(daemon: &Daemon, report: &Report) -> Outcome {
        let heard = record(daemon, report, "heard");
        let path = format!("/audio/api/logs/?call={}&event=failed", report.call_sid);
        let failed = daemon.json(&path)["logs"].clone();
        let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
        let causes = failed.as_array().unwrap().iter();
        Outcome {
            heard,
            refused: causes
                .map(|row| row["detail"]["cause"].to_string())
                .collect(),
            said: record(daemon, report, "said"),
            reason: call["ended_reason"].to_string(),
        }
    }

    fn understood(&self) -> bool {
        self.heard
            .iter()
            .any(|words| words.to_lowercase().contains("hora"))
    }

    /// How often the agent said something that begins so.
    fn times(&self, beginning: &str) -> usize {
        let said = self.said.iter();
        said.filter(|said| said.starts_with(beginning)).count()
    }
}

/// One worker, and room for four behind it: of eight who speak at once some are refused. Each is answered or asked again,
/// every stretch that he spoke has its words or the reason why there are none, and nobody waits for ever. How many are
/// refused is the machine's affair; whoever speaks alone after them is listened to.
#[test]
#[ignore = "needs a model: STT_WHISPER_BASE=/models/base, see the head of real_words.rs"]
fn eight_callers_who_speak_at_once_are_heard_or_asked_again() {
    let daemon = front_desk("es-ES", &model("STT_WHISPER_BASE"));
    let steps = [
        vec![Step::Press('2')],
        answers(says(&["es/horas"])),
        vec![hears_out(), Step::HangUp],
    ];
    let script = Script::of(steps.concat());
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let calls = [(); 8].map(|()| scope.spawn(|| ring(&daemon, script.clone())));
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let outcomes: Vec<Outcome> = reports
        .iter()
        .map(|report| Outcome::of(&daemon, report))
        .collect();
    for outcome in &outcomes {
        assert_eq!(outcome.reason, "\"caller_hung_up\"", "{outcomes:#?}");
        assert!(
            outcome.refused.iter().all(|cause| cause == "\"busy\""),
            "{outcomes:#?}"
        );
        assert!(
            !outcome.heard.is_empty() || !outcome.refused.is_empty(),
            "words were lost: {outcomes:#?}"
        );
        // A single word may be a noise to Whisper, which is silence to the flow; and on a busy machine it may reach us in two
        // pieces, or so late that the caller has been asked again and is gone. But he is told something, and nothing that he
        // has not asked for.
        let hours = outcome.times("Abrimos");
        let again = outcome.times("No le he entendido") + outcome.times("No he oído nada");
        assert!(hours == 0 || outcome.understood(), "{outcomes:#?}");
        assert!(hours + again > 0, "{outcomes:#?}");
    }
    let refused: usize = outcomes.iter().map(|outcome| outcome.refused.len()).sum();
    let understood = outcomes
        .iter()
        .filter(|outcome| outcome.understood())
        .count();
    let heard: Vec<&Vec<String>> = outcomes.iter().map(|outcome| &outcome.heard).collect();
    println!("{understood} of 8 were understood, {refused} refused: {heard:?}");
    let alone = Outcome::of(&daemon, &ring(&daemon, script.clone()));
    assert!(
        !alone.heard.is_empty() && alone.refused.is_empty(),
        "{alone:#?}\n{outcomes:#?}"
    );
    daemon.is_whole();
}

/// A finished sentence and half of one; which silences ended them is in the record. The agent's own would have been five
/// seconds, so that a busy machine has the time to think.
fn judged(tables: &str, keys: &str, sentence: &str) {
    let folder = Arc::new(TempDir::new().unwrap());
    compile_plugin("scribe", folder.path());
    let agent = format!(
        "responder = \"echo\"\nvoice = \"english\"\nendpointer = \"turns\"\n{keys}[agents.default.turn]\n\
         end_of_turn_ms = 5000\nunfinished_ms = 6000\n"
    );
    let tables = format!(
        "{tables}[plugins.smart]\nlibrary = \"{}\"\nmodel = \"{}\"\n[transcribers.turns]\nplugin = \"smart\"\n",
        release_library("endpoint-smart-turn").display(),
        model("SMART_TURN_MODEL"),
    );
    let daemon = daemon(&folder, &agent, &tables);
    let whole = prompt(sentence);
    let half = whole[..whole.len() * 55 / 100].to_vec();
    let steps = [whole, half].map(|said| [Step::Say(said.into()), hears_out()]);
    let steps = [steps.concat(), vec![Step::HangUp]];
    let report = ring(&daemon, Script::of(steps.concat()));
    let rows = daemon.json(&format!(
        "/audio/api/logs/?event=turn_ended&call={}",
        report.call_sid
    ));
    let rows = rows["logs"].as_array().unwrap().iter().rev();
    let reasons: Vec<&str> = rows
        .map(|row| row["detail"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        ["endpointer: finished", "endpointer: unfinished"],
        "{sentence}"
    );
}

#[test]
#[ignore = "needs a model: SMART_TURN_MODEL=/models/smart-turn-v3.2-cpu.onnx, see the head of real_words.rs"]
fn a_finished_sentence_is_answered_sooner_than_half_of_one() {
    judged("", "", "en_US_f_Allison/conf-placeintoconf");
}

#[test]
#[ignore = "needs a model: SMART_TURN_MODEL=/models/smart-turn-v3.2-cpu.onnx, see the head of real_words.rs"]
fn beside_a_transcriber_a_finished_sentence_is_answered_sooner_than_half_of_one() {
    judged(
        "[plugins.scribe]\nlibrary = \"./libscribe.so\"\n[transcribers.scribe]\nplugin = \"scribe\"\nsays = \"Yes\"\n",
        "transcriber = \"scribe\"\n",
        "es_MX_f_Allison/confbridge-invalid",
    );
}
