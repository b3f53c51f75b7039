//! A configuration written out key by key, fit to be shown and to be compared: defaults included, secrets as dots.
//!
//! Two sheets are compared by marks, not by what is shown, so that a changed secret is seen without being seen. A mark
//! is a keyed hash of one value; only sheets made with the same salt can be compared. The running daemon makes its salt
//! when it starts, and `check` borrows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use super::secret::{DOTS, names_a_secret};
use super::tree::{
    Agent, Config, Detector, Http, Limits, Log, LogFormat, Media, Number, Plugin, Setup, StoreKeys,
    Turn, Twilio,
};

/// Hexadecimal digits of a mark: 64 bits, so that two values of one key never look alike by chance.
const MARK_DIGITS: usize = 16;

/// Every key with its value. `Debug` prints what may be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// What the marks were made with.
    pub salt: String,
    /// By the key's whole path, `agents.default.turn.barge_in`.
    pub rows: BTreeMap<String, Row>,
    /// SHA-256 of the library behind each opened plugin. Empty where nobody looked.
    #[serde(default)]
    pub builds: BTreeMap<String, String>,
}

/// One key's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// As TOML would have it; a secret as dots.
    pub shown: String,
    /// Equal for equal values.
    pub mark: String,
}

impl Config {
    /// This configuration as a sheet, with marks made of `salt`.
    pub fn sheet(&self, salt: &str) -> Sheet {
        let mut sheet = Writer {
            salt,
            secrets: &self.secrets,
            rows: BTreeMap::new(),
        };
        sheet.http(&self.http);
        sheet.twilio(&self.twilio);
        let StoreKeys { path } = &self.store;
        sheet.put("store.path", path.display().to_string());
        sheet.limits(&self.limits);
        let Media { threads, lead_ms } = self.media;
        sheet.put("media.threads", threads);
        sheet.put("media.lead_ms", lead_ms);
        let Log {
            level,
            format,
            file,
        } = &self.log;
        sheet.put("log.level", level.as_str());
        sheet.put(
            "log.format",
            match format {
                LogFormat::Auto => "auto",
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
        );
        let file = file.as_ref().map(|file| file.display().to_string());
        sheet.some("log.file", file.as_deref());
        for (name, plugin) in &self.plugins {
            sheet.plugin(&format!("plugins.{name}"), plugin);
        }
        for (name, voice) in &self.voices {
            sheet.setup(&format!("voices.{name}"), voice);
        }
        for (name, transcriber) in &self.transcribers {
            sheet.setup(&format!("transcribers.{name}"), transcriber);
        }
        for (name, agent) in &self.agents {
            sheet.agent(&format!("agents.{name}"), agent);
        }
        for (number, Number { agent }) in &self.numbers {
            sheet.put(
                &format!("numbers.\"{}\".agent", number.escape_debug()),
                agent.as_str(),
            );
        }
        Sheet {
            salt: salt.to_owned(),
            rows: sheet.rows,
            builds: BTreeMap::new(),
        }
    }
}

struct Writer<'c> {
    salt: &'c str,
    secrets: &'c BTreeSet<String>,
    rows: BTreeMap<String, Row>,
}

impl Writer<'_> {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.row(key, value.into(), self.secrets.contains(key));
    }

    fn some(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn row(&mut self, key: &str, value: Value, secret: bool) {
        let written = value.to_string();
        let mark = mark(self.salt, key, &written);
        let shown = if secret {
            format!("\"{DOTS}\"")
        } else {
            written
        };
        self.rows.insert(key.to_owned(), Row { shown, mark });
    }

    fn http(&mut self, http: &Http) {
        let Http {
            listen,
            listen_explicit: _,
            public_url,
            trusted_proxies,
            max_connections,
            max_connections_per_ip,
            header_timeout_secs,
        } = http;
        self.put("http.listen", listen.to_string());
        self.some("http.public_url", public_url.as_deref());
        let proxies: Vec<String> = trusted_proxies.iter().map(ToString::to_string).collect();
        self.put("http.trusted_proxies", proxies);
        self.put("http.max_connections", *max_connections);
        self.put("http.max_connections_per_ip", *max_connections_per_ip);
        self.put("http.header_timeout_secs", *header_timeout_secs);
    }

    fn twilio(&mut self, twilio: &Twilio) {
        let Twilio {
            account_sid,
            auth_token,
            api_url,
            validate_signature,
            allow_unsigned,
            fallback_text,
            fallback_language,
            busy_text,
            caller_id,
        } = twilio;
        self.some("twilio.account_sid", account_sid.as_deref());
        if let Some(token) = auth_token {
            self.row("twilio.auth_token", token.expose().into(), true);
        }
        self.put("twilio.api_url", api_url.as_str());
        self.put("twilio.validate_signature", *validate_signature);
        self.put("twilio.allow_unsigned", *allow_unsigned);
        self.put("twilio.fallback_text", fallback_text.as_str());
        self.put("twilio.fallback_language", fallback_language.as_str());
        self.put("twilio.busy_text", busy_text.as_str());
        self.some("twilio.caller_id", caller_id.as_deref());
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits {
            calls,
            calls_per_caller,
            call_secs,
            drain_secs,
            token_secs,
            start_secs,
            idle_secs,
            return_secs,
            lateness_ms,
        } = *limits;
        self.put("limits.calls", calls);
        self.put("limits.calls_per_caller", calls_per_caller);
        self.put("limits.call_secs", call_secs);
        self.put("limits.drain_secs", drain_secs);
        self.put("limits.token_secs", token_secs);
        self.put("limits.start_secs", start_secs);
        self.put("limits.idle_secs", idle_secs);
        self.put("limits.return_secs", return_secs);
        self.put("limits.lateness_ms", lateness_ms);
    }

    fn plugin(&mut self, at: &str, plugin: &Plugin) {
        let Plugin {
            library,
            sha256,
            keys,
            secret_paths: _,
        } = plugin;
        self.put(&format!("{at}.library"), library.as_str());
        self.some(&format!("{at}.sha256"), sha256.as_deref());
        self.keys(at, keys);
    }

    fn setup(&mut self, at: &str, setup: &Setup) {
        let Setup {
            plugin,
            fallback,
            language,
            keys,
            secret_paths: _,
        } = setup;
        self.put(&format!("{at}.plugin"), plugin.as_str());
        self.some(&format!("{at}.fallback"), fallback.as_deref());
        self.some(&format!("{at}.language"), language.as_deref());
        self.keys(at, keys);
    }

    fn agent(&mut self, at: &str, agent: &Agent) {
        let Agent {
            responder,
            fallback_responder,
            voice,
            transcriber,
            endpointer,
            greeting,
            language,
            turn,
        } = agent;
        self.put(&format!("{at}.responder"), responder.as_str());
        self.put(&format!("{at}.voice"), voice.as_str());
        self.some(
            &format!("{at}.fallback_responder"),
            fallback_responder.as_deref(),
        );
        self.some(&format!("{at}.transcriber"), transcriber.as_deref());
        self.some(&format!("{at}.endpointer"), endpointer.as_deref());
        self.some(&format!("{at}.greeting"), greeting.as_deref());
        self.put(&format!("{at}.language"), language.as_str());
        self.turn(&format!("{at}.turn"), turn);
    }

    fn turn(&mut self, at: &str, turn: &Turn) {
        let Turn {
            end_of_turn_ms,
            finished_ms,
            unfinished_ms,
            unfinished_words,
            speculate,
            barge_in,
            barge_in_ms,
            barge_in_words,
            barge_in_immune_ms,
            resume_ms,
            barge_in_certain_ms,
            back_channels,
            no_input_ms,
            no_input_text,
            no_input_limit,
            goodbye_text,
            apology_text,
            one_moment_ms,
            one_moment_text,
            reply_deadline_ms,
            responder_deadline_ms,
            transcriber_deadline_ms,
            voice_deadline_ms,
            detector,
            start_voiced_ms,
            start_window_ms,
        } = turn;
        let detector = match detector {
            Detector::Neural => "neural",
            Detector::Energy => "energy",
            Detector::Off => "off",
        };
        let numbers = [
            ("end_of_turn_ms", *end_of_turn_ms),
            ("finished_ms", *finished_ms),
            ("unfinished_ms", *unfinished_ms),
            ("barge_in_ms", *barge_in_ms),
            ("barge_in_words", u64::from(*barge_in_words)),
            ("barge_in_immune_ms", *barge_in_immune_ms),
            ("resume_ms", *resume_ms),
            ("barge_in_certain_ms", *barge_in_certain_ms),
            ("no_input_ms", *no_input_ms),
            ("no_input_limit", u64::from(*no_input_limit)),
            ("one_moment_ms", *one_moment_ms),
            ("reply_deadline_ms", *reply_deadline_ms),
            ("responder_deadline_ms", *responder_deadline_ms),
            ("transcriber_deadline_ms", *transcriber_deadline_ms),
            ("voice_deadline_ms", *voice_deadline_ms),
            ("start_voiced_ms", *start_voiced_ms),
            ("start_window_ms", *start_window_ms),
        ];
        for (key, value) in numbers {
            self.put(&format!("{at}.{key}"), value);
        }
        self.put(&format!("{at}.barge_in"), *barge_in);
        self.put(&format!("{at}.speculate"), *speculate);
        self.put(
            &format!("{at}.unfinished_words"),
            unfinished_words.as_slice(),
        );
        self.put(&format!("{at}.back_channels"), back_channels.as_slice());
        let texts = [
            ("no_input_text", no_input_text.as_str()),
            ("goodbye_text", goodbye_text),
            ("apology_text", apology_text),
            ("one_moment_text", one_moment_text),
            ("detector", detector),
        ];
        for (key, value) in texts {
            self.put(&format!("{at}.{key}"), value);
        }
    }

    /// The keys a plugin understands and we do not: tables within are taken apart, lists are one value.
    fn keys(&mut self, at: &str, keys: &Value) {
        for (key, value) in keys.as_object().into_iter().flatten() {
            let path = format!("{at}.{key}");
            if value.as_object().is_some_and(|inside| !inside.is_empty()) {
                self.keys(&path, value);
            } else {
                let secret = self.secrets.contains(&path) || names_a_secret(key);
                self.row(&path, value.clone(), secret);
            }
        }
    }
}

fn mark(salt: &str, key: &str, value: &str) -> String {
    // Every length of key is allowed for an HMAC; were it not, nothing would compare as equal, which is the safe side.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt.as_bytes()) else {
        return String::new();
    };
    mac.update(key.as_bytes());
    mac.update(&[0]);
    mac.update(value.as_bytes());
    let mut digits = String::with_capacity(MARK_DIGITS);
    for byte in &mac.finalize().into_bytes()[..MARK_DIGITS / 2] {
        // Writing into a String cannot fail.
        write!(digits, "{byte:02x}").ok();
    }
    digits
}
