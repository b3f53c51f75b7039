//! Who answers and with what: agents, voices and the plugins behind them, as they are in use at this moment.

use super::{Place, door};
use crate::http::answer::Answer;
use crate::http::configuration::Standing;
use crate::http::desk::Desk;
use crate::http::pages::Reader;
use crate::leg::Roster;
use hyper::Request;
use hyper::body::Incoming;
use maud::{Markup, html};
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
    let body = html! {
        h1 { (words.voices) }
        section.card { h2 { (words.agents) } (agents(&reader, &roster)) }
        section.card { h2 { (words.voices_only) } (voices(&reader, &roster)) }
        section.card { h2 { (words.plugins) } (plugins(&reader, &roster, &standing)) }
    };
    super::page(&reader, &signed_in, Place::Voices, words.voices, body)
}

fn head(names: &[&str]) -> Markup {
    html! {
        thead { tr { @for name in names { th scope="col" { (name) } } } }
    }
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
                (head(&[words.name, words.numbers, words.responder, words.voice, words.language]))
                tbody {
                    @for agent in roster.agents.values() {
                        tr {
                            td data-label=(words.name) { strong { (agent.name) } }
                            td data-label=(words.numbers) { (numbers(&agent.name)) }
                            td.name data-label=(words.responder) { (agent.responder) }
                            td.name data-label=(words.voice) { (agent.voice) }
                            td data-label=(words.language) { (agent.language) }
                        }
                    }
                }
            }
        }
    }
}

fn voices(reader: &Reader, roster: &Roster) -> Markup {
    let words = &reader.words().admin;
    html! {
        div.scroll {
            table.rows {
                (head(&[words.name, words.plugin, words.language, words.fallback]))
                tbody {
                    @for voice in roster.voices.values() {
                        tr {
                            td data-label=(words.name) { strong { (voice.name) } }
                            td.name data-label=(words.plugin) { (voice.plugin) }
                            td data-label=(words.language) { (voice.language.as_deref().unwrap_or("–")) }
                            td.name data-label=(words.fallback) { (voice.fallback.as_deref().unwrap_or("–")) }
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
                ]))
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
