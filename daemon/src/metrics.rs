//! The numbers the daemon keeps about itself, as OpenMetrics and in the older Prometheus text format.
//!
//! One struct of typed handles, made once and handed down; every handle is an atomic, so nothing here blocks. Labels
//! hold only words from our own small vocabularies, never a call's id or a number: label sets live as long as the
//! process. What is counted per frame is gathered in plain integers on the media thread and added here once a tick.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

/// One label and its value.
pub type Label = [(&'static str, &'static str); 1];

/// Route, method and status code of one answered request.
pub type Request = [(&'static str, String); 3];

/// Every metric of the daemon. Names and units as registered in [`Metrics::new`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub ready: Gauge,
    pub draining: Gauge,
    pub http_requests: Family<Request, Counter>,
    pub http_request_duration: Histogram,
    pub http_in_flight: Gauge,
    pub webhook_rejected: Family<Label, Counter>,
    pub calls_active: Gauge,
    pub calls_away: Family<Label, Gauge>,
    pub calls: Family<Label, Counter>,
    pub calls_shed: Family<Label, Counter>,
    pub call_duration: Histogram,
    pub media_frames: Family<Label, Counter>,
    pub media_lateness: Histogram,
    pub media_ignored: Family<Label, Counter>,
    pub playout_underruns: Counter,
    pub ws_close: Family<[(&'static str, u16); 1], Counter>,
    pub first_audio: Histogram,
    pub turn_latency: Histogram,
    pub turns: Counter,
    pub interruptions: Counter,
    pub interruptions_resumed: Counter,
    pub replies_wasted: Counter,
    pub turns_withdrawn: Counter,
    pub turns_without_words: Counter,
    pub transcript_delay: Histogram,
    pub plugin_failures: Family<Label, Counter>,
    pub plugin_rests: Family<Label, Counter>,
    pub voice_replacements: Counter,
    pub phrases: Family<Label, Counter>,
    pub phrases_kept: Gauge,
    pub plugin_builds: Gauge,
    pub store_queue: Gauge,
    pub store_dropped: Gauge,
    pub store_ok: Gauge,
    pub store_commits: Gauge,
    pub config_reloads: Family<Label, Counter>,
    pub config_last_reload_successful: Gauge,
    pub config_last_reload_success: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Every metric at zero, the process' start time set.
    pub fn new(start_unix_secs: f64) -> Metrics {
        // Turn latency as people feel it: below .5 s it is a conversation, above 2 s callers say "hello?".
        let felt = [0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0];
        let metrics = Metrics {
            registry: Registry::with_prefix("voice_streamer"),
            ready: Gauge::default(),
            draining: Gauge::default(),
            http_requests: Family::default(),
            http_request_duration: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            http_in_flight: Gauge::default(),
            webhook_rejected: Family::default(),
            calls_active: Gauge::default(),
            calls_away: Family::default(),
            calls: Family::default(),
            calls_shed: Family::default(),
            call_duration: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            media_frames: Family::default(),
            media_lateness: Histogram::new(exponential_buckets(0.00025, 2.0, 12)),
            media_ignored: Family::default(),
            playout_underruns: Counter::default(),
            ws_close: Family::default(),
            first_audio: Histogram::new(exponential_buckets(0.0005, 2.0, 12)),
            turn_latency: Histogram::new(felt),
            turns: Counter::default(),
            interruptions: Counter::default(),
            interruptions_resumed: Counter::default(),
            replies_wasted: Counter::default(),
            turns_withdrawn: Counter::default(),
            turns_without_words: Counter::default(),
            transcript_delay: Histogram::new(felt),
            plugin_failures: Family::default(),
            plugin_rests: Family::default(),
            voice_replacements: Counter::default(),
            phrases: Family::default(),
            phrases_kept: Gauge::default(),
            plugin_builds: Gauge::default(),
            store_queue: Gauge::default(),
            store_dropped: Gauge::default(),
            store_ok: Gauge::default(),
            store_commits: Gauge::default(),
            config_reloads: Family::default(),
            config_last_reload_successful: Gauge::default(),
            config_last_reload_success: Gauge::default(),
        };
        metrics.registered(start_unix_secs)
    }

    fn registered(mut self, start_unix_secs: f64) -> Metrics {
        let r = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "What is running", build);
        let start = Gauge::<f64, AtomicU64>::default();
        start.set(start_unix_secs);
        r.register_with_unit(
            "process_start_time",
            "Unix time of the start",
            Unit::Seconds,
            start,
        );
        r.register("ready", "1 while new calls are taken", self.ready.clone());
        r.register("draining", "1 while shutting down", self.draining.clone());
        r.register(
            "http_requests",
            "Requests answered",
            self.http_requests.clone(),
        );
        r.register_with_unit(
            "http_request_duration",
            "From the head read to the answer made",
            Unit::Seconds,
            self.http_request_duration.clone(),
        );
        r.register(
            "http_in_flight",
            "Connections open, media streams excluded",
            self.http_in_flight.clone(),
        );
        r.register(
            "webhook_rejected",
            "Carrier requests refused, by reason",
            self.webhook_rejected.clone(),
        );
        r.register(
            "calls_active",
            "Calls that go on, those away from their stream included",
            self.calls_active.clone(),
        );
        r.register(
            "calls_away",
            "Calls that wait for their next stream, by where they went: lost, digits, transfer",
            self.calls_away.clone(),
        );
        r.register("calls", "Calls ended, by outcome", self.calls.clone());
        r.register(
            "calls_shed",
            "Calls turned away politely, by reason",
            self.calls_shed.clone(),
        );
        r.register_with_unit(
            "call_duration",
            "Length of ended calls",
            Unit::Seconds,
            self.call_duration.clone(),
        );
        r.register(
            "media_frames",
            "Media messages, by direction",
            self.media_frames.clone(),
        );
        r.register_with_unit(
            "media_lateness",
            "How late the 5 ms tick of the media threads came",
            Unit::Seconds,
            self.media_lateness.clone(),
        );
        r.register(
            "media_ignored",
            "Messages from a carrier that were ignored, by reason",
            self.media_ignored.clone(),
        );
        r.register(
            "playout_underruns",
            "Times the line ran dry within an utterance",
            self.playout_underruns.clone(),
        );
        r.register(
            "ws_close",
            "Media streams we closed, by code",
            self.ws_close.clone(),
        );
        r.register_with_unit(
            "first_audio",
            "From the stream's start message to the first frame out",
            Unit::Seconds,
            self.first_audio.clone(),
        );
        r.register_with_unit(
            "turn_latency",
            "From the turn's end decided to the first frame out",
            Unit::Seconds,
            self.turn_latency.clone(),
        );
        r.register(
            "turns",
            "Turns of callers that were answered",
            self.turns.clone(),
        );
        r.register(
            "interruptions",
            "Times a caller took the floor",
            self.interruptions.clone(),
        );
        r.register(
            "interruptions_resumed",
            "Times the agent went on after a sound that was no interruption",
            self.interruptions_resumed.clone(),
        );
        r.register(
            "replies_wasted",
            "Answers asked for before a turn was over, and thrown away unheard",
            self.replies_wasted.clone(),
        );
        r.register(
            "turns_withdrawn",
            "Turns the caller went on with before he had heard a word of the answer",
            self.turns_withdrawn.clone(),
        );
        r.register(
            "turns_without_words",
            "Coughs and noises of callers in which a transcriber found no word, and which were no turns",
            self.turns_without_words.clone(),
        );
        r.register_with_unit(
            "transcript_delay",
            "From the end of the caller's speech to its final words",
            Unit::Seconds,
            self.transcript_delay.clone(),
        );
        r.register(
            "plugin_failures",
            "Failed plugin steps, by step",
            self.plugin_failures.clone(),
        );
        r.register(
            "plugin_rests",
            "Times a plugin was not asked because it had failed too often lately, by step",
            self.plugin_rests.clone(),
        );
        r.register(
            "voice_replacements",
            "Times a voice failed and its fallback spoke in its place",
            self.voice_replacements.clone(),
        );
        r.register(
            "phrases",
            "Times words were said that are the same in every call, by their sound: kept, or made by a voice",
            self.phrases.clone(),
        );
        r.register_with_unit(
            "phrases_kept",
            "What kept sound takes; at 24 MiB the phrase unused for longest goes",
            Unit::Bytes,
            self.phrases_kept.clone(),
        );
        r.register(
            "plugin_builds",
            "Plugin builds resident in memory",
            self.plugin_builds.clone(),
        );
        r.register(
            "store_queue_records",
            "Records waiting for the disk",
            self.store_queue.clone(),
        );
        r.register(
            "store_dropped_records",
            "Records given up at the bound",
            self.store_dropped.clone(),
        );
        r.register(
            "store_ok",
            "1 while the store writes",
            self.store_ok.clone(),
        );
        r.register(
            "store_commits",
            "Commits since the start",
            self.store_commits.clone(),
        );
        r.register(
            "config_reloads",
            "Times the configuration was read again, by outcome",
            self.config_reloads.clone(),
        );
        r.register(
            "config_last_reload_successful",
            "1 while the file on disk is the one in force",
            self.config_last_reload_successful.clone(),
        );
        r.register_with_unit(
            "config_last_reload_success_timestamp",
            "Unix time the configuration was last read without a mistake",
            Unit::Seconds,
            self.config_last_reload_success.clone(),
        );
        self
    }

    /// Everything for a scraper that accepts these media types (its `Accept` header): the type it is in, and the text.
    /// Without a word about OpenMetrics it is the older format, which everybody reads.
    pub fn exposed(&self, accept: Option<&str>) -> (&'static str, String) {
        if accept.is_some_and(takes_openmetrics) {
            (OPENMETRICS, self.text())
        } else {
            (CLASSIC, classic(&self.text()))
        }
    }

    /// Everything as OpenMetrics.
    fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Formatting into a String cannot fail; if it ever does, the scrape shows it.
            Err(error) => format!("# the metrics could not be written: {error}\n"),
        }
    }
}

/// What Prometheus asks for first; it reads the body by this type and by nothing else.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What it has read since 2014.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether an `Accept` header has room for OpenMetrics 1.0.
fn takes_openmetrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|media| media.eq_ignore_ascii_case("application/openmetrics-text"));
        named
            && parts
                .filter_map(|part| part.split_once('='))
                .all(
                    |(name, value)| match name.trim().to_ascii_lowercase().as_str() {
                        "version" => value.trim().trim_matches('"') == "1.0.0",
                        "q" => value.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0),
                        _ => true,
                    },
                )
    })
}

/// OpenMetrics in the older format: that one knows no units, no end and no `info`, and its counters are called what
/// their lines are called.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ').map(|(_, words)| words);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some(words) = help.take() {
                text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus 2.53 and 3.1 send, by their documentation.
    const PROMETHEUS: [&str; 2] = [
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    ];

    #[test]
    fn a_scraper_gets_the_format_it_accepts_under_its_name() {
        let metrics = Metrics::new(1.0);
        for accept in PROMETHEUS {
            let (kind, text) = metrics.exposed(Some(accept));
            assert_eq!(kind, OPENMETRICS, "{accept}");
            assert!(text.ends_with("# EOF\n"), "{text}");
        }
        for accept in [
            None,
            Some("*/*"),
            Some("text/html, */*;q=0.8"),
            Some("application/openmetrics-text;version=0.0.1"),
            Some("application/openmetrics-text;q=0, text/plain"),
        ] {
            let (kind, text) = metrics.exposed(accept);
            assert_eq!(kind, CLASSIC, "{accept:?}");
            assert!(!text.contains("EOF") && !text.contains("# UNIT"), "{text}");
        }
    }

    #[test]
    fn the_older_format_has_only_what_it_knows() {
        let metrics = Metrics::new(1.0);
        metrics.turns.inc();
        let (_, text) = metrics.exposed(None);
        for line in [
            "# TYPE voice_streamer_build_info gauge",
            "# HELP voice_streamer_turns_total Turns of callers that were answered.",
            "# TYPE voice_streamer_turns_total counter",
            "voice_streamer_turns_total 1",
            "# TYPE voice_streamer_turn_latency_seconds histogram",
            "voice_streamer_turn_latency_seconds_bucket{le=\"+Inf\"} 0",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is missing in:\n{text}"
            );
        }
        let known = ["counter", "gauge", "histogram", "summary", "untyped"];
        for line in text.lines().filter(|line| line.starts_with('#')) {
            let known =
                line.starts_with("# HELP ") || known.iter().any(|kind| line.ends_with(kind));
            assert!(known, "{line}");
        }
    }

    #[test]
    fn names_carry_the_prefix_and_the_unit() {
        let metrics = Metrics::new(1.0);
        metrics
            .calls
            .get_or_create(&[("outcome", "completed")])
            .inc();
        metrics.media_lateness.observe(0.001);
        let text = metrics.text();
        for name in [
            "voice_streamer_build_info{version=",
            "voice_streamer_process_start_time_seconds 1.0",
            "voice_streamer_calls_total{outcome=\"completed\"} 1",
            "voice_streamer_media_lateness_seconds_bucket",
            "voice_streamer_ready 0",
        ] {
            assert!(text.contains(name), "{name} is missing in:\n{text}");
        }
    }
}
