//! Words of the caller, from his voice to the responder and into the record, and what a responder does beside speaking.
//! A transcriber in C puts the words into the caller's mouth, a responder in C does what they say.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::sync::Arc;
use support::{CONFIG, Daemon, compile_plugin, phone, speech, until};
use tempfile::TempDir;
use voice_streamer::media::{correlate, mulaw};
use voice_streamer::phone::{Report, Script, Step};

/// A daemon whose agent is the puppet and hears by the transcriber "first"; the scribe, unless `first` names another
/// plugin. `agent` are further keys of the agent, `tables` further tables.
fn daemon(first: &str, agent: &str, tables: &str) -> Daemon {
    let first = if first.contains("plugin = ") {
        first.to_owned()
    } else {
        format!("plugin = \"scribe\"\n{first}")
    };
    let folder = Arc::new(TempDir::new().unwrap());
    for plugin in ["scribe", "scribe_wide", "puppet", "moody"] {
        compile_plugin(plugin, folder.path());
    }
    let (turn, agent): (Vec<&str>, Vec<&str>) =
        (agent.lines()).partition(|line| line.starts_with("turn."));
    let own = format!(
        "responder = \"puppet\"\ntranscriber = \"first\"\nvoice = \"low\"\n{}\n[agents.default.turn]\n{}",
        agent.join("\n"),
        turn.join("\n").replace("turn.", "")
    );
    let config = CONFIG
        .replacen(
            "responder = \"echo\"\nvoice = \"english\"\ngreeting = \"Hello, this is the echo.\"\n[agents.default.turn]",
            &own,
            1,
        )
        .replacen("barge_in = false", "barge_in = false\nresume_ms = 0", 1);
    let plugins = ["scribe", "scribe_wide", "puppet", "moody"]
        .map(|name| format!("[plugins.{name}]\nlibrary = \"./lib{name}.so\"\n"))
        .concat();
    let voices = "[voices.low]\nplugin = \"moody\"\nhalf = 20\nhalf_es = 7\n[voices.high]\nplugin = \"moody\"\nhalf = 7\n";
    let config = format!("{config}{plugins}{voices}[transcribers.first]\n{first}\n{tables}");
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    Daemon::again(&folder)
}

fn ring(daemon: &Daemon, steps: Vec<Step>) -> Report {
    let script = Script::of(steps);
    phone(voice_streamer::phone::call(
        &daemon.parrot(),
        script,
        |_, _| (),
    ))
    .unwrap()
}

/// Speaks so often, hears the answer each time, and hangs up.
fn speak(daemon: &Daemon, times: usize) -> Report {
    let turn = [Step::Say(speech()), Step::WaitForAgent { most_ms: 15_000 }];
    let mut steps: Vec<Step> = std::iter::repeat_n(turn, times).flatten().collect();
    steps.push(Step::HangUp);
    ring(daemon, steps)
}

/// All rows in the record of a call, oldest first.
fn record(daemon: &Daemon, report: &Report) -> Vec<Value> {
    let path = format!("/audio/api/logs/?call={}&limit=200", report.call_sid);
    until("the call's record is closed", || {
        let logs = daemon.json(&path);
        let mut rows = logs["logs"].as_array().unwrap().clone();
        rows.reverse();
        let ended = rows.iter().any(|row| row["event"] == "call_ended");
        ended.then_some(rows)
    })
}

/// What rows of one kind say, and their details.
fn rows<'r>(record: &'r [Value], event: &str) -> Vec<(&'r str, &'r Value)> {
    let of_kind = record.iter().filter(|row| row["event"] == event);
    of_kind
        .map(|row| (row["response_text"].as_str().unwrap(), &row["detail"]))
        .collect()
}

fn texts<'r>(record: &'r [Value], event: &str) -> Vec<&'r str> {
    rows(record, event)
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

/// How well the tone with this half wave is found in what the caller heard.
fn heard_tone(report: &Report, half: usize) -> f32 {
    let wave = |at: usize| {
        if (at / half).is_multiple_of(2) {
            0x10
        } else {
            0x90
        }
    };
    let pcm = |line: &[u8]| {
        let mut pcm = vec![0; line.len()];
        mulaw::decode(line, &mut pcm);
        pcm
    };
    let tone: Vec<u8> = (0..2400).map(wave).collect();
    correlate::correlate(&pcm(&report.heard), &pcm(&tone)).1
}

#[test]
fn words_reach_the_responder_and_the_record_and_never_the_log() {
    let daemon = daemon(
        "says = \"say I heard you.;told|firm Wait for it.\"\npartial = \"say\"",
        "",
        "",
    );
    let report = speak(&daemon, 2);
    let record = record(&daemon, &report);
    let said = texts(&record, "said");
    // The final words of a stretch are words so far, too, until the turn is over.
    assert_eq!(
        said,
        [
            "I heard you.",
            "START PARTIAL PARTIAL TEXT END",
            "Wait for it."
        ],
        "{record:#?}"
    );
    let heard = rows(&record, "heard");
    assert_eq!(heard[0].0, "say I heard you.;told");
    assert_eq!(heard[1].0, "firm Wait for it.");
    let (from, to) = (&heard[0].1["from_ms"], &heard[0].1["to_ms"]);
    assert!(to.as_u64() > from.as_u64(), "{heard:?}");
    assert_eq!(daemon.metric("transcript_delay_seconds_count"), 2);
    assert!(!daemon.log().contains("I heard you"), "{}", daemon.log());
}

/// As a user would put them behind the address of his webhook.
#[test]
fn parameters_of_the_webhook_reach_the_responder() {
    let daemon = daemon("says = \"facts\"", "", "");
    let mut line = daemon.parrot();
    line.path.push_str("?campaign=spring&Secret=x");
    let steps = vec![
        Step::Say(speech()),
        Step::WaitForAgent { most_ms: 15_000 },
        Step::HangUp,
    ];
    let script = Script::of(steps);
    let report = phone(voice_streamer::phone::call(&line, script, |_, _| ())).unwrap();
    let record = record(&daemon, &report);
    assert_eq!(
        texts(&record, "said"),
        ["Facts: \"campaign\":\"spring\""],
        "{record:#?}"
    );
}

#[test]
fn sound_is_converted_for_a_transcriber_that_does_not_take_the_lines_own() {
    let hears = |plugin: &str| {
        let daemon = daemon(&format!("plugin = \"{plugin}\"\nsays = \"?\""), "", "");
        let record = record(&daemon, &speak(&daemon, 1));
        rows(&record, "heard")[0].0.to_owned()
    };
    let (narrow, wide) = (hears("scribe"), hears("scribe_wide"));
    let samples = |text: &str| -> i64 {
        let count = text.split(", ").nth(1).unwrap();
        count.split(' ').next().unwrap().parse().unwrap()
    };
    assert!(narrow.starts_with("mulaw 8000, "), "{narrow}");
    assert!(wide.starts_with("s16le 16000, "), "{wide}");
    let (narrow, wide_samples) = (samples(&narrow), samples(&wide));
    // To the frame: where speech begins and ends is decided by the same frames, sent at about the same time.
    assert!(narrow > 4000, "{narrow} samples");
    assert!(
        (wide_samples - 2 * narrow).abs() <= 16_000 / 5,
        "{wide_samples} and {narrow}"
    );
    let loudest: i32 = wide.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((2000..=32_767).contains(&loudest), "{wide}");
}

#[test]
fn a_responder_acts_once_for_each_action_and_what_cannot_be_done_is_told() {
    let script = "do {'do':'set','name':'order','value':'17'};do {'do':'note','text':'wants a callback'};\
                  do {'do':'voice','voice':'nobody'};do {'do':'levitate'};say Done.|\
                  do {'do':'transfer','to':'the moon'}|say Bye.;do {'do':'hang_up'}";
    let daemon = daemon(&format!("says = \"{script}\""), "", "");
    let report = speak(&daemon, 3);
    let record = record(&daemon, &report);
    let variables = rows(&record, "variable");
    assert_eq!(variables.len(), 1, "{record:#?}");
    assert_eq!(
        (variables[0].0, &variables[0].1["name"]),
        ("17", &"order".into())
    );
    assert_eq!(texts(&record, "note"), ["wants a callback"]);
    let call = daemon.json(&format!("/api/calls/{}/", report.call_sid));
    assert_eq!(call["variables"], serde_json::json!({"order": "17"}));
    let failed: Vec<String> = rows(&record, "failed")
        .into_iter()
        .map(|(_, detail)| format!("{}: {}", detail["step"], detail["error"]))
        .collect();
    let [voice, unknown, transfer] = &failed[..] else {
        panic!("{failed:#?}");
    };
    assert!(voice.contains("there is no [voices.nobody]"), "{voice}");
    assert!(unknown.contains("does not know"), "{unknown}");
    assert!(transfer.contains("the moon"), "{transfer}");
    // What would have taken the caller elsewhere is asked about as a return that has failed, and the puppet, who is told no
    // words with it, says so.
    let said = texts(&record, "said");
    assert_eq!(said, ["Done.", "No words.", "Bye."], "{record:#?}");
    let ended = rows(&record, "call_ended");
    assert_eq!(ended[0].1["reason"], "agent_hung_up");
}

#[test]
fn another_voice_is_heard_from_the_sentence_on_that_asked_for_it() {
    let script = "say In my own voice.;do {'do':'voice','voice':'high'};say In another one.";
    let daemon = daemon(&format!("says = \"{script}\""), "", "");
    let report = speak(&daemon, 1);
    let (low, high) = (heard_tone(&report, 20), heard_tone(&report, 7));
    assert!(low > 0.9 && high > 0.9, "own {low}, asked for {high}");
    let record = record(&daemon, &report);
    assert_eq!(
        texts(&record, "said"),
        ["In my own voice.", "In another one."]
    );
}

#[test]
fn a_responder_that_hangs_gives_way_to_its_fallback_which_answers_the_same_turn() {
    let daemon = daemon(
        "says = \"hang\"",
        "fallback_responder = \"moody\"\nturn.responder_deadline_ms = 500",
        "",
    );
    let report = speak(&daemon, 1);
    let record = record(&daemon, &report);
    let replaced = rows(&record, "responder_replaced");
    assert_eq!(replaced.len(), 1, "{record:#?}");
    let detail = replaced[0].1;
    assert_eq!(
        (&detail["from"], &detail["to"], &detail["cause"]),
        (&"puppet".into(), &"moody".into(), &"timeout".into()),
        "{detail}"
    );
    assert!(
        texts(&record, "said").contains(&"And here is the third."),
        "{record:#?}"
    );
    assert!(
        daemon
            .log()
            .contains("a responder failed, another answers from now on")
    );
    assert_eq!(daemon.counts("plugin_failures")["responder"], 1);
}

#[test]
fn a_fallback_that_comes_to_a_call_knows_what_was_said() {
    let daemon = daemon(
        "says = \"say One.|history\"",
        "fallback_responder = \"second\"",
        "[plugins.second]\nlibrary = \"./libpuppet.so\"",
    );
    let record = record(&daemon, &speak(&daemon, 2));
    assert_eq!(rows(&record, "responder_replaced").len(), 1, "{record:#?}");
    assert_eq!(
        texts(&record, "said"),
        [
            "One.",
            "{\"caller\":\"say One.\"},{\"agent\":\"One.\",\"interrupted\":false}"
        ],
        "{record:#?}"
    );
}

#[test]
fn a_responder_that_has_ended_is_started_anew_for_the_next_turn() {
    let daemon = daemon("says = \"say One.|end|history\"", "", "");
    let record = record(&daemon, &speak(&daemon, 3));
    let said = texts(&record, "said");
    assert_eq!(said.len(), 3, "an apology between the two: {record:#?}");
    let history = "{\"caller\":\"say One.\"},{\"agent\":\"One.\",\"interrupted\":false}";
    assert!(said[2].starts_with(history), "{record:#?}");
    assert_eq!(rows(&record, "failed").len(), 1, "{record:#?}");
}

#[test]
fn whatever_way_a_transcriber_fails_its_fallback_hears_what_follows() {
    for (mood, cause) in [
        ("refuses", "auth"),
        ("fails", "quota"),
        ("panics", "panicked"),
        ("silent", "timeout"),
    ] {
        let daemon = daemon(
            &format!("mood = \"{mood}\"\nfallback = \"second\""),
            "turn.transcriber_deadline_ms = 300",
            "[transcribers.second]\nplugin = \"scribe_wide\"\nsays = \"say Second.\"",
        );
        let report = speak(&daemon, 2);
        let record = record(&daemon, &report);
        let replaced = rows(&record, "transcriber_replaced");
        assert_eq!(replaced.len(), 1, "{mood}: {record:#?}");
        let detail = replaced[0].1;
        assert_eq!(
            (&detail["from"], &detail["to"], &detail["cause"]),
            (&"first".into(), &"second".into(), &cause.into()),
            "{mood}: {detail}"
        );
        // Who refuses to begin is replaced before the caller says a word.
        let first = if mood == "refuses" {
            "Second."
        } else {
            "No words."
        };
        assert_eq!(
            texts(&record, "said"),
            [first, "Second."],
            "{mood}: {record:#?}"
        );
        assert!(daemon.log().contains("a transcriber failed"), "{mood}");
        assert_eq!(daemon.counts("plugin_failures")["transcriber"], 1, "{mood}");
    }
}

#[test]
fn what_the_caller_says_before_he_is_answered_is_one_turn_with_what_he_said_before() {
    let daemon = daemon("says = \"hang|;told\"", "", "");
    let report = ring(
        &daemon,
        vec![
            Step::Say(speech()),
            Step::Pause { ms: 1000 },
            Step::Say(speech()),
            Step::WaitForAgent { most_ms: 15_000 },
            Step::HangUp,
        ],
    );
    let record = record(&daemon, &report);
    assert_eq!(
        texts(&record, "said"),
        ["START PARTIAL TEXT END WITHDRAWN START PARTIAL PARTIAL TEXT END"],
        "{record:#?}"
    );
    assert_eq!(rows(&record, "withdrawn").len(), 1);
    assert_eq!(daemon.metric("turns_withdrawn_total"), 1);
}

#[test]
fn an_endpointer_says_at_the_pause_that_the_caller_has_finished() {
    let daemon = daemon(
        "says = \"say Yes.\"",
        "endpointer = \"second\"\nturn.finished_ms = 60",
        "[transcribers.second]\nplugin = \"scribe_wide\"\nfinished = \"0.97\"\nsays = \"say No.\"",
    );
    let report = speak(&daemon, 1);
    let record = record(&daemon, &report);
    assert!(
        texts(&record, "heard")
            .iter()
            .all(|heard| *heard == "say Yes."),
        "{record:#?}"
    );
    let said = texts(&record, "said");
    assert!(
        !said.is_empty() && said.iter().all(|said| *said == "Yes."),
        "{record:#?}"
    );
    let reasons: Vec<&Value> = rows(&record, "turn_ended")
        .into_iter()
        .map(|(_, detail)| &detail["reason"])
        .collect();
    assert!(
        reasons.iter().all(|reason| **reason != "silence"),
        "{reasons:?}"
    );
}

#[test]
fn another_language_is_spoken_at_once_and_heard_from_the_next_stretch_on() {
    let script = "say Hello.;do {'do':'language','language':'es-ES'};say Hola.";
    let daemon = daemon(
        &format!("says = \"{script}\"\nsays_es = \"say Bueno.\""),
        "endpointer = \"second\"",
        "[transcribers.second]\nplugin = \"scribe_wide\"\nfinished = \"0.97\"\nonly = \"es-ES\"",
    );
    let report = speak(&daemon, 2);
    let record = record(&daemon, &report);
    assert_eq!(texts(&record, "heard"), [script, "say Bueno."]);
    assert_eq!(texts(&record, "said"), ["Hello.", "Hola.", "Bueno."]);
    let ends = rows(&record, "turn_ended").into_iter();
    let reasons: Vec<&Value> = ends.map(|(_, detail)| &detail["reason"]).collect();
    assert_eq!(reasons, ["silence", "endpointer: finished"]);
    let (english, spanish) = (heard_tone(&report, 20), heard_tone(&report, 7));
    assert!(english > 0.9 && spanish > 0.9, "{english} {spanish}");
}

#[test]
fn a_key_is_a_turn_for_who_takes_digits() {
    let daemon = daemon("says = \"say Yes.\"", "", "");
    let wait = Step::WaitForAgent { most_ms: 15_000 };
    let report = ring(&daemon, vec![Step::Press('5'), wait, Step::HangUp]);
    let record = record(&daemon, &report);
    assert_eq!(texts(&record, "said"), ["Digit 5."], "{record:#?}");
}
