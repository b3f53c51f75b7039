//! From what the configuration says to what calls work with: nothing is opened here, nothing decided, only resolved.

use crate::call;
use crate::config::{self, Config};
use crate::http::{self, DeskKeys};
use crate::leg::{Agent, Bounds, Patience, Roster, Setup};
use crate::media::detect::Kind;
use crate::plugin::{Describe, Generation};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A listener holds this many lines for each call it may have: streams that have not started, or are closing.
const LINES_PER_CALL: usize = 2;

/// Who may be let in.
pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds {
        calls: config.limits.calls,
        calls_per_caller: config.limits.calls_per_caller,
        token: Duration::from_secs(config.limits.token_secs),
    }
}

/// How long streams may keep us waiting.
pub(super) fn patience(config: &Config) -> Patience {
    Patience {
        start: Duration::from_secs(config.limits.start_secs),
        idle: Duration::from_secs(config.limits.idle_secs),
        lateness: Duration::from_millis(config.limits.lateness_ms),
    }
}

/// What the routes need.
pub(super) fn desk_keys(config: &Config) -> DeskKeys {
    let token = config
        .twilio
        .auth_token
        .as_ref()
        .filter(|_| config.twilio.validate_signature);
    let account = config.twilio.account_sid.as_deref();
    let rest = account
        .zip(config.twilio.auth_token.as_ref())
        .and_then(|(sid, token)| http::rest_of(&config.twilio.api_url, sid, token.expose()));
    DeskKeys {
        public_url: config.http.public_url.clone(),
        auth_token: token.map(|token| token.expose().to_owned()),
        trusted_proxies: config.http.trusted_proxies.clone(),
        fallback_text: config.twilio.fallback_text.clone(),
        busy_text: config.twilio.busy_text.clone(),
        fallback_language: config.twilio.fallback_language.clone(),
        caller_id: config.twilio.caller_id.clone(),
        streams: config.limits.calls * LINES_PER_CALL,
        rest,
    }
}

/// Everybody the configuration names, with the plugins opened for it.
pub(super) fn roster(config: &Config, plugins: BTreeMap<String, Arc<Generation>>) -> Roster {
    let setup = |(name, keys): (&String, &config::Setup)| {
        let setup = Setup {
            name: name.clone(),
            plugin: keys.plugin.clone(),
            settings: keys.keys.clone(),
            language: keys.language.clone(),
            fallback: keys.fallback.clone(),
        };
        (name.clone(), Arc::new(setup))
    };
    let agent = |(name, keys): (&String, &config::Agent)| {
        let responder = plugins.get(&keys.responder);
        let describe = responder.map(|generation| generation.library().describe());
        let agent = agent(config, name, keys, describe);
        (name.clone(), Arc::new(agent))
    };
    let agents = config.agents.iter().map(agent).collect();
    let numbers = config.numbers.iter();
    Roster {
        voices: config.voices.iter().map(setup).collect(),
        transcribers: config.transcribers.iter().map(setup).collect(),
        agents,
        numbers: numbers
            .map(|(number, keys)| (number.clone(), keys.agent.clone()))
            .collect(),
        default_agent: config.default_agent.clone(),
        plugins,
    }
}

/// What a leg needs of one agent, whose responder describes itself so; nothing if it could not be loaded.
fn agent(config: &Config, name: &str, keys: &config::Agent, responder: Option<&Describe>) -> Agent {
    let nothing = Describe::default();
    let responder = responder.unwrap_or(&nothing);
    let said = |text: &String| Some(text.clone()).filter(|text| !text.trim().is_empty());
    let turn = &keys.turn;
    Agent {
        name: name.to_owned(),
        settings: call::Settings {
            greeting: keys.greeting.as_ref().and_then(said),
            start_voiced_ms: turn.start_voiced_ms,
            start_window_ms: turn.start_window_ms,
            end_of_turn_ms: turn.end_of_turn_ms,
            finished_ms: turn.finished_ms,
            unfinished_ms: turn.unfinished_ms,
            unfinished_words: turn.unfinished_words.clone(),
            transcribed: keys.transcriber.is_some(),
            endpointed: keys.endpointer.is_some(),
            speculate: turn.speculate,
            barge_in: turn.barge_in,
            barge_in_ms: turn.barge_in_ms,
            barge_in_words: turn.barge_in_words,
            barge_in_immune_ms: turn.barge_in_immune_ms,
            resume_ms: turn.resume_ms,
            barge_in_certain_ms: turn.barge_in_certain_ms,
            back_channels: turn.back_channels.clone(),
            // Without a detector nobody would ever seem to speak.
            no_input_ms: if turn.detector == config::Detector::Off {
                0
            } else {
                turn.no_input_ms
            },
            no_input_text: said(&turn.no_input_text),
            no_input_limit: turn.no_input_limit,
            goodbye_text: said(&turn.goodbye_text),
            apology_text: said(&turn.apology_text),
            one_moment_text: said(&turn.one_moment_text),
            one_moment_ms: turn.one_moment_ms,
            responder_deadline_ms: turn.responder_deadline_ms,
            transcriber_deadline_ms: turn.transcriber_deadline_ms,
            reply_deadline_ms: turn.reply_deadline_ms,
            voice_deadline_ms: turn.voice_deadline_ms,
            lead_ms: config.media.lead_ms,
            return_ms: config.limits.return_secs.saturating_mul(1000),
            max_call_secs: config.limits.call_secs,
            speaks_first: responder.speaks_first,
            takes_digits: responder.takes_digits,
            takes_silence: responder.takes_silence,
            ..call::Settings::default()
        },
        detector: match turn.detector {
            config::Detector::Neural => Kind::Neural,
            config::Detector::Energy => Kind::Energy,
            config::Detector::Off => Kind::Off,
        },
        responder: keys.responder.clone(),
        fallback_responder: keys.fallback_responder.clone(),
        voice: keys.voice.clone(),
        transcriber: keys.transcriber.clone(),
        endpointer: keys.endpointer.clone(),
        language: keys.language.clone(),
    }
}
