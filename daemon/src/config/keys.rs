//! Every key: its name, its bounds, its default, its unit. What it means to an operator stands in `config.toml`.
//!
//! A new key is one line here, one field in `tree.rs` and one line in `config.toml`; a test notices when the last is
//! missing or says another default. What concerns more than one key is in `rules.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::meaning;
use super::page::Text;
use super::rules::{Kind, Rules};
use super::sentences::Sentences;
use super::table::Table;
use super::tree::{
    Agent, Config, Detector, Http, Limits, Log, LogFormat, Media, Number, Plugin, Setup, StoreKeys,
    Turn, Twilio,
};

/// How many media threads `threads = 0` makes at most: one carries about a thousand calls, eight more than a machine
/// should be trusted with.
pub const MEDIA_THREADS_AUTO: usize = 8;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Reads the whole file. What it returns is complete but worthless if a problem was noted.
pub(super) fn read(mut root: Table<'_>) -> Config {
    let page = root.page;
    let mut rules = Rules::default();
    let mut config = Config {
        file: page.source.file.clone(),
        http: http(&mut root, &mut rules),
        twilio: twilio(&mut root, &mut rules),
        store: store(&mut root),
        limits: limits(&mut root),
        media: media(&mut root),
        log: log(&mut root),
        plugins: each(&mut root, "plugins", &mut rules, plugin),
        voices: each(&mut root, "voices", &mut rules, voice),
        transcribers: each(&mut root, "transcribers", &mut rules, transcriber),
        agents: each(&mut root, "agents", &mut rules, agent),
        numbers: BTreeMap::new(),
        default_agent: String::new(),
        secrets: BTreeSet::new(),
        files: BTreeSet::new(),
        source: page.source.clone(),
    };
    for (number, table) in root.named("numbers", meaning::number_refused) {
        config
            .numbers
            .insert(number, self::number(table, &mut rules));
    }
    root.finish();
    rules.apply(page, &mut config);
    config.secrets = page.secrets.take();
    config.files = page.files.take();
    config
}

fn each<'a, T>(
    root: &mut Table<'a>,
    key: &'static str,
    rules: &mut Rules,
    read: fn(Table<'a>, &mut Rules) -> T,
) -> BTreeMap<String, T> {
    let named = root.named(key, meaning::name_refused);
    named
        .into_iter()
        .map(|(name, table)| (name, read(table, rules)))
        .collect()
}

fn http(root: &mut Table<'_>, rules: &mut Rules) -> Http {
    let mut t = root.table("http");
    let listen = t.read("listen", |text| {
        rules.listen = Some(text.span.clone());
        meaning::listen(text)
    });
    let http = Http {
        listen: listen.unwrap_or(DEFAULT_LISTEN),
        listen_explicit: listen.is_some(),
        public_url: t.read("public_url", meaning::public_url),
        trusted_proxies: t.list("trusted_proxies", meaning::network),
        max_connections: t.count("max_connections", 1..=1_000_000, 4096, "connections"),
        // Half of all: one address cannot lock out the rest, and a carrier, a proxy or a load test, which is one
        // address, still fits with a thousand calls.
        max_connections_per_ip: t.count(
            "max_connections_per_ip",
            1..=1_000_000,
            2048,
            "connections",
        ),
        header_timeout_secs: t.number("header_timeout_secs", 1..=300, 10, "seconds"),
    };
    t.finish_in(root);
    http
}

fn twilio(root: &mut Table<'_>, rules: &mut Rules) -> Twilio {
    let mut t = root.table("twilio");
    let account_sid = t.read("account_sid", meaning::account_sid);
    let token = t.read("auth_token", |text| {
        Ok((text.span.clone(), text.text.as_str().into()))
    });
    let (span, auth_token) = token.unzip();
    rules.auth_token = span;
    let validate = t.switch_at("validate_signature");
    // A token that cannot be read must not open the door.
    let validate_signature = validate.as_ref().map_or(t.has("auth_token"), |&(on, _)| on);
    rules.validate_signature = validate.map(|(_, span)| span);
    let twilio = Twilio {
        account_sid,
        auth_token,
        api_url: t
            .read("api_url", meaning::public_url)
            .unwrap_or_else(|| "https://api.twilio.com".to_owned()),
        validate_signature,
        allow_unsigned: t.switch("allow_unsigned").unwrap_or(false),
        fallback_text: phrase(&mut t, "fallback_text")
            .unwrap_or_else(|| "Sorry, something went wrong. Please call again.".to_owned()),
        fallback_language: language(&mut t, "fallback_language")
            .unwrap_or_else(|| "en-US".to_owned()),
        busy_text: phrase(&mut t, "busy_text").unwrap_or_else(|| {
            "All lines are busy. Please call again in a few minutes.".to_owned()
        }),
        caller_id: t.read("caller_id", meaning::caller_id),
    };
    t.finish_in(root);
    twilio
}

fn store(root: &mut Table<'_>) -> StoreKeys {
    let mut t = root.table("store");
    let path = t
        .text("path")
        .map_or_else(|| PathBuf::from("state"), |text| text.text.into());
    let store = StoreKeys {
        path: t.page.folder.join(path),
    };
    t.finish_in(root);
    store
}

fn limits(root: &mut Table<'_>) -> Limits {
    let mut t = root.table("limits");
    let limits = Limits {
        calls: t.count("calls", 1..=100_000, 1000, "calls"),
        calls_per_caller: t.count("calls_per_caller", 1..=100_000, 10, "calls"),
        // 24 hours is Twilio's own limit for a call.
        call_secs: t.number("call_secs", 1..=86_400, 3600, "seconds"),
        drain_secs: t.number("drain_secs", 0..=86_400, 900, "seconds"),
        token_secs: t.number("token_secs", 1..=600, 60, "seconds"),
        start_secs: t.number("start_secs", 1..=60, 5, "seconds"),
        // A carrier sends 50 messages a second, so a few seconds of nothing are a dead line; 15 outlast a bad roam.
        idle_secs: t.number("idle_secs", 2..=600, 15, "seconds"),
        // The carrier asks what to do within a second or two of losing a stream; beyond ten the caller has hung up.
        return_secs: t.number("return_secs", 0..=600, 10, "seconds"),
        lateness_ms: t.number("lateness_ms", 0..=10_000, 20, "milliseconds"),
    };
    t.finish_in(root);
    limits
}

fn media(root: &mut Table<'_>) -> Media {
    let mut t = root.table("media");
    let media = Media {
        threads: t.count("threads", 0..=256, 0, "threads"),
        lead_ms: t.number("lead_ms", 40..=2000, 250, "milliseconds"),
    };
    t.finish_in(root);
    media
}

fn log(root: &mut Table<'_>) -> Log {
    let mut t = root.table("log");
    let formats = [
        ("auto", LogFormat::Auto),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
    ];
    let log = Log {
        level: t
            .read("level", meaning::log_level)
            .unwrap_or_else(|| "info".to_owned()),
        format: t.choice("format", &formats, LogFormat::Auto),
        file: t.text("file").map(|text| t.page.folder.join(text.text)),
    };
    t.finish_in(root);
    log
}

fn plugin(mut t: Table<'_>, _: &mut Rules) -> Plugin {
    let library = t
        .required("library", "responder_echo")
        .map(|text| text.text)
        .unwrap_or_default();
    let sha256 = t.read("sha256", meaning::sha256);
    let (keys, secret_paths) = t.rest();
    Plugin {
        library,
        sha256,
        keys,
        secret_paths,
    }
}

fn voice(t: Table<'_>, rules: &mut Rules) -> Setup {
    setup(t, "pico", Kind::Voice, rules)
}

fn transcriber(t: Table<'_>, rules: &mut Rules) -> Setup {
    setup(t, "ears", Kind::Transcriber, rules)
}

fn setup(mut t: Table<'_>, example: &str, kind: Kind, rules: &mut Rules) -> Setup {
    let plugin = required_name(&mut t, "plugin", example, Kind::Plugin, rules);
    let fallback = name(&mut t, "fallback", kind, rules);
    let language = language(&mut t, "language");
    let (keys, secret_paths) = t.rest();
    Setup {
        plugin,
        fallback,
        language,
        keys,
        secret_paths,
    }
}

fn agent(mut t: Table<'_>, rules: &mut Rules) -> Agent {
    rules.agents.push(t.place.clone());
    let language = language(&mut t, "language").unwrap_or_else(|| "en-US".to_owned());
    let agent = Agent {
        responder: required_name(&mut t, "responder", "echo", Kind::Plugin, rules),
        voice: required_name(&mut t, "voice", "english", Kind::Voice, rules),
        fallback_responder: name(&mut t, "fallback_responder", Kind::Plugin, rules),
        transcriber: name(&mut t, "transcriber", Kind::Transcriber, rules),
        endpointer: name(&mut t, "endpointer", Kind::Transcriber, rules),
        greeting: phrase(&mut t, "greeting"),
        turn: turn(&mut t, &language),
        language,
    };
    if agent.fallback_responder.as_deref() == Some(agent.responder.as_str()) {
        let message = format!(
            "{} is the responder itself: it would be asked again what it could not answer",
            t.path_of("fallback_responder")
        );
        let hint = "name another plugin, or leave the key out".to_owned();
        t.page
            .problem(t.place_of("fallback_responder"), message, Some(hint));
    }
    t.finish();
    agent
}

fn turn(agent: &mut Table<'_>, language: &str) -> Turn {
    let mut t = agent.table("turn");
    let says = Sentences::of(language);
    let detectors = [
        ("neural", Detector::Neural),
        ("energy", Detector::Energy),
        ("off", Detector::Off),
    ];
    let ms = "milliseconds";
    let times = |times: u64| u32::try_from(times).unwrap_or(1);
    let end_of_turn_ms = t.number("end_of_turn_ms", 50..=10_000, 400, ms);
    let barge_in_ms = t.number("barge_in_ms", 20..=5000, 200, ms);
    let reply_deadline_ms = t.number("reply_deadline_ms", 100..=120_000, 10_000, ms);
    // Defaults give way to what is written: who sets one time must not have to set the others.
    let turn = Turn {
        finished_ms: t.number("finished_ms", 20..=10_000, end_of_turn_ms.min(100), ms),
        unfinished_ms: t.number("unfinished_ms", 50..=30_000, end_of_turn_ms.max(1500), ms),
        unfinished_words: words(&mut t, "unfinished_words", says.unfinished_words),
        speculate: t.switch("speculate").unwrap_or(false),
        barge_in: t.switch("barge_in").unwrap_or(true),
        barge_in_words: times(t.number("barge_in_words", 1..=20, 1, "words")),
        barge_in_immune_ms: t.number("barge_in_immune_ms", 0..=60_000, 0, ms),
        resume_ms: t.number("resume_ms", 0..=10_000, 500, ms),
        barge_in_certain_ms: t.number("barge_in_certain_ms", 20..=60_000, barge_in_ms.max(500), ms),
        back_channels: words(&mut t, "back_channels", says.back_channels),
        no_input_ms: t.number("no_input_ms", 0..=600_000, 8000, ms),
        no_input_text: phrase(&mut t, "no_input_text").unwrap_or_else(|| says.no_input.to_owned()),
        no_input_limit: times(t.number("no_input_limit", 1..=100, 3, "times")),
        goodbye_text: phrase(&mut t, "goodbye_text").unwrap_or_else(|| says.goodbye.to_owned()),
        apology_text: phrase(&mut t, "apology_text").unwrap_or_else(|| says.apology.to_owned()),
        one_moment_ms: t.number("one_moment_ms", 0..=60_000, 1000, ms),
        one_moment_text: phrase(&mut t, "one_moment_text")
            .unwrap_or_else(|| says.one_moment.to_owned()),
        responder_deadline_ms: t.number(
            "responder_deadline_ms",
            100..=120_000,
            reply_deadline_ms.min(2000),
            ms,
        ),
        transcriber_deadline_ms: t.number("transcriber_deadline_ms", 100..=60_000, 2000, ms),
        // Within 2 s of its request the caller is to hear somebody: so much for the voice, the rest for its fallback.
        voice_deadline_ms: t.number("voice_deadline_ms", 100..=60_000, 1500, ms),
        detector: t.choice("detector", &detectors, Detector::Neural),
        // Four frames of six: a cough is shorter, the first syllable of "yes" is not.
        start_voiced_ms: t.number("start_voiced_ms", 20..=2000, 80, ms),
        start_window_ms: t.number("start_window_ms", 20..=2000, 120, ms),
        end_of_turn_ms,
        barge_in_ms,
        reply_deadline_ms,
    };
    let end = ("end_of_turn_ms", turn.end_of_turn_ms);
    at_most(&t, ("finished_ms", turn.finished_ms), end);
    at_most(&t, end, ("unfinished_ms", turn.unfinished_ms));
    at_most(
        &t,
        ("barge_in_ms", turn.barge_in_ms),
        ("barge_in_certain_ms", turn.barge_in_certain_ms),
    );
    at_most(
        &t,
        ("responder_deadline_ms", turn.responder_deadline_ms),
        ("reply_deadline_ms", turn.reply_deadline_ms),
    );
    at_most(
        &t,
        ("start_voiced_ms", turn.start_voiced_ms),
        ("start_window_ms", turn.start_window_ms),
    );
    t.finish_in(agent);
    turn
}

/// One key's number cannot be more than another's. Drawn at the first of the two that is written in the file.
fn at_most(t: &Table<'_>, (low, less): (&str, u64), (high, more): (&str, u64)) {
    if less <= more {
        return;
    }
    let place = if t.has(low) { low } else { high };
    let message = format!(
        "{}: {low} ({less}) cannot be more than {high} ({more})",
        t.path
    );
    t.page.problem(t.place_of(place), message, None);
}

/// Words or short phrases to listen for, in small letters.
fn words(t: &mut Table<'_>, key: &'static str, default: &[&str]) -> Vec<String> {
    if !t.has(key) {
        // Asked for all the same: it is a key.
        t.list(key, meaning::word);
        return default.iter().map(|word| (*word).to_owned()).collect();
    }
    let words = t.list(key, meaning::word);
    if words.len() > meaning::WORDS {
        let (path, count, most) = (t.path_of(key), words.len(), meaning::WORDS);
        let message = format!("{path} must hold at most {most} words, not {count}");
        t.page.problem(t.place_of(key), message, None);
    }
    words
}

fn number(mut t: Table<'_>, rules: &mut Rules) -> Number {
    let number = Number {
        agent: required_name(&mut t, "agent", "default", Kind::Agent, rules),
    };
    t.finish();
    number
}

/// A sentence to be spoken.
fn phrase(t: &mut Table<'_>, key: &'static str) -> Option<String> {
    t.read(key, meaning::phrase)
}

fn language(t: &mut Table<'_>, key: &'static str) -> Option<String> {
    t.read(key, meaning::language)
}

/// The name of something defined elsewhere in the file.
fn name(t: &mut Table<'_>, key: &'static str, kind: Kind, rules: &mut Rules) -> Option<String> {
    let text = t.text(key)?;
    Some(refer(t, key, kind, text, rules))
}

fn required_name(
    t: &mut Table<'_>,
    key: &'static str,
    example: &str,
    kind: Kind,
    rules: &mut Rules,
) -> String {
    let text = t.required(key, example);
    text.map(|text| refer(t, key, kind, text, rules))
        .unwrap_or_default()
}

fn refer(t: &Table<'_>, key: &str, kind: Kind, text: Text, rules: &mut Rules) -> String {
    let name = text.text.clone();
    rules.refer(kind, t.path_of(key), text);
    name
}
