//! Who answers and with what: agents, voices, transcribers and the plugins behind them, as they are in use at this moment.

use super::{Place, door};
use crate::http::answer::Answer;
use crate::http::configuration::Standing;
use crate::http::desk::Desk;
use crate::http::pages::{Reader, head};
use crate::leg::{Roster, Setup};
use hyper::Request;
use hyper::body::Incoming;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use voice_plugin::abi::role;

/// Digits of a library's hash that are shown; the rest is in the title.
const HASH_DIGITS: usize = 12;

/// `GET /admin/voices/`
pub(super) fn page(desk: &Arc<Desk>, peer: SocketAddr, request: &Request<Incoming>) -> Answer {
    let reader = Reader::of(request);
    let signed_in = match door(desk, peer, request) {
        Ok(signed_in) => signed_in,
        Err(answer) => return *answer,
    };
    let words = &reader.words().admin;
    let (roster, standing) = (desk.house.roster.now(), desk.configuration.standing());
    let library = |setup: &Setup| Some(roster.plugins.get(&setup.plugin)?.library());
    let speaks = |setup: &Setup| Some(listed(&library(setup)?.describe().tts_produces));
    let hears = |setup: &Setup| Some(listed(&library(setup)?.describe().stt_accepts));
    let body = html! {
        h1 { (words.voices) }
        section.card { h2 { (words.agents) } (agents(&reader, &roster)) }
        section.card { h2 { (words.voices_only) } (set_up(&reader, &roster.voices, speaks)) }
        @if !roster.transcribers.is_empty() {
            section.card { h2 { (words.transcribers) } (set_up(&reader, &roster.transcribers, hears)) }
        }
        section.card { h2 { (words.plugins) } (plugins(&reader, &roster, &standing)) }
    };
    super::page(&reader, &signed_in, Place::Voices, words.voices, body)
}

fn agents(reader: &Reader, roster: &Roster) -> Markup {
    let words = &reader.words().admin;
    let numbers = |name: &str| {
        let own = roster.numbers.iter().filter(|(_, agent)| *agent == name);
        let mut numbers: Vec<&str> = own.map(|(number, _)| number.as_str()).collect();
        if roster.default_agent == name {
            numbers.push(words.every_other);
        }
        numbers.join(", ")
    };
    html! {
        div.scroll {
            table.rows {
                (head(&[
                    words.name, words.numbers, words.responder, words.voice, words.transcriber, words.endpointer,
                    words.language,
                ], &[]))
                tbody {
                    @for agent in roster.agents.values() {
                        tr {
                            td data-label=(words.name) { strong { (agent.name) } }
                            td data-label=(words.numbers) { (numbers(&agent.name)) }
                            td.name data-label=(words.responder) { (agent.responder) }
                            td.name data-label=(words.voice) { (agent.voice) }
                            td.name data-label=(words.transcriber) { (agent.transcriber.as_deref().unwrap_or("–")) }
                            td.name data-label=(words.endpointer) { (agent.endpointer.as_deref().unwrap_or("–")) }
                            td data-label=(words.language) { (agent.language) }
                        }
                    }
                }
            }
        }
    }
}

/// In one line, best first.
fn listed(formats: &[impl ToString]) -> String {
    let formats: Vec<String> = formats.iter().map(ToString::to_string).collect();
    formats.join(", ")
}

/// Voices or transcribers, with the sound they make or take.
fn set_up(
    reader: &Reader,
    all: &BTreeMap<String, Arc<Setup>>,
    sound: impl Fn(&Setup) -> Option<String>,
) -> Markup {
    let words = &reader.words().admin;
    html! {
        div.scroll {
            table.rows {
                (head(&[words.name, words.plugin, words.format, words.language, words.fallback], &[]))
                tbody {
                    @for setup in all.values() {
                        tr {
                            td data-label=(words.name) { strong { (setup.name) } }
                            td.name data-label=(words.plugin) { (setup.plugin) }
                            td.name data-label=(words.format) { (sound(setup).as_deref().unwrap_or("–")) }
                            td data-label=(words.language) { (setup.language.as_deref().unwrap_or("–")) }
                            td.name data-label=(words.fallback) { (setup.fallback.as_deref().unwrap_or("–")) }
                        }
                    }
                }
            }
        }
    }
}

fn plugins(reader: &Reader, roster: &Roster, standing: &Standing) -> Markup {
    let words = &reader.words().admin;
    let roles = |roles: u64| {
        let known = [
            (role::RESPONDER, words.responder),
            (role::TTS, words.voice),
            (role::STT, words.transcriber),
        ];
        let played = known.iter().filter(|(one, _)| roles & one != 0);
        played.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    html! {
        div.scroll {
            table.rows {
                (head(&[
                    words.name, words.state, words.generation, words.library, words.roles, words.isolation,
                    words.streams, words.panics, "SHA-256",
                ], &[words.generation, words.streams, words.panics]))
                tbody {
                    @for (name, plugin) in &roster.plugins {
                        @let library = plugin.library();
                        @let hash = library.hash();
                        tr {
                            td data-label=(words.name) { strong { (name) } }
                            td data-label=(words.state) {
                                @if plugin.is_hung() {
                                    span.badge.bad { (words.hung) }
                                } @else {
                                    span.badge.good { (words.open) }
                                }
                            }
                            td.number data-label=(words.generation) { (plugin.number()) }
                            td data-label=(words.library) { (library.name()) " " (library.version()) }
                            td data-label=(words.roles) { (roles(library.roles())) }
                            td data-label=(words.isolation) { (words.in_process) }
                            td.number data-label=(words.streams) { (plugin.streams()) }
                            td.number data-label=(words.panics) { (plugin.panics()) }
                            td.name data-label="SHA-256" title=(hash) { (hash.get(..HASH_DIGITS).unwrap_or(hash)) }
                        }
                    }
                    @for (name, why) in &standing.left_out {
                        tr {
                            td data-label=(words.name) { strong { (name) } }
                            td data-label=(words.state) { span.badge.bad { (words.left_out) } }
                            td.words colspan="7" data-label=(words.reason) { (why) }
                        }
                    }
                }
            }
        }
    }
}
