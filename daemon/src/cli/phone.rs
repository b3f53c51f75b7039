//! `phone`: ring the daemon like a carrier would. One call, with what is said in it in the terminal and a WAV of what the
//! caller heard, or many calls with a table of what they measured.

use super::remote::base_url;
use super::steps::Steps;
use super::{Failure, load, runtime, spoken, watched};
use crate::config::{self, Config};
use crate::media::wav;
use crate::phone::{self, Line, PhoneError, Report, Script, Step, Swarm, SwarmReport};
use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct PhoneArguments {
    #[command(flatten)]
    steps: Steps,

    /// Stay on the line for so long and then hang up, whatever happens (10s, 2m); without it when all is done and the
    /// agent has finished
    #[arg(long, value_name = "TIME", value_parser = duration)]
    hang_up_after: Option<Duration>,

    /// Write what the caller heard to this WAV file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// The caller's number
    #[arg(long, default_value = "+15550123")]
    from: String,

    /// The number that is rung
    #[arg(long, default_value = "+15550100")]
    to: String,

    /// Ring the daemon at this address instead of the configuration's
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The state folder of the daemon if it is not store.path: there stands the address that a tunnel lends it
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Ring so often at once and measure, instead of one call
    #[arg(long, value_name = "N")]
    calls: Option<usize>,

    /// How long many calls talk
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = duration, requires = "calls")]
    length: Duration,

    /// New calls per second while many are set up
    #[arg(long, value_name = "N", default_value_t = 200, requires = "calls")]
    ramp: usize,

    /// The report as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn phone(path: &Path, arguments: &PhoneArguments) -> Result<(), Failure> {
    let config = load(path)?;
    let mut line = Line::to(arguments.url.clone().unwrap_or_else(|| base_url(&config)));
    line.from.clone_from(&arguments.from);
    line.to.clone_from(&arguments.to);
    if let (true, Some(token)) = (config.twilio.validate_signature, &config.twilio.auth_token) {
        // As the daemon itself does: the configured address, a tunnel's, its own.
        let state = arguments.state.as_ref().unwrap_or(&config.store.path);
        let public = match (config.http.public_url.clone(), config::lent_url(state)) {
            (Some(url), _) | (None, Ok(Some(url))) => url,
            (None, Ok(None)) => line.base.clone(),
            (None, Err(why)) => {
                eprintln!(
                    "voice-streamer: {why}; the request is signed for {}",
                    line.base
                );
                line.base.clone()
            }
        };
        line = line.signed(token.expose(), &public);
    }
    match arguments.calls {
        Some(calls) => many(&config, &line, calls, arguments),
        None => one(&config, &line, arguments),
    }
}

fn one(config: &Config, line: &Line, arguments: &PhoneArguments) -> Result<(), Failure> {
    let script = script(arguments, |what| sound(config, arguments, what))?;
    let report = runtime()?.block_on(async {
        if arguments.json {
            phone::call(line, script, |_, _| ())
                .await
                .map_err(as_failure)
        } else {
            watched::call(line, script).await?.map_err(as_failure)
        }
    })?;
    if let Some(record) = &arguments.record {
        let mut pcm = vec![0; report.heard.len()];
        crate::media::mulaw::decode(&report.heard, &mut pcm);
        std::fs::write(record, wav::write(crate::media::frame::RATE, &pcm)).map_err(|error| {
            Failure::failed(format!(
                "{} could not be written: {error}",
                record.display()
            ))
        })?;
    }
    print_report(&report, arguments);
    Ok(())
}

/// What was typed as a script. Somebody who says how long he stays does not leave before, even with nothing to do.
fn script(
    arguments: &PhoneArguments,
    sound: impl FnMut(&str) -> Result<Arc<[u8]>, Failure>,
) -> Result<Script, Failure> {
    let mut steps = arguments.steps.script(sound)?;
    let ends_after_ms = arguments
        .hang_up_after
        .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    if ends_after_ms.is_none() {
        steps.push(Step::HangUp);
    }
    Ok(Script {
        steps,
        ends_after_ms,
        ..Script::default()
    })
}

/// A file if there is one of that name, else a text for the agent's voice.
fn sound(config: &Config, arguments: &PhoneArguments, what: &str) -> Result<Arc<[u8]>, Failure> {
    let path = Path::new(what);
    if path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("wav"))
    {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::failed(format!("{what} could not be read: {error}")))?;
        let wav = wav::read(&bytes).map_err(|error| Failure::failed(format!("{what}: {error}")))?;
        return Ok(wav::to_line(&wav).into());
    }
    spoken::say(config, &arguments.to, what).map(Into::into)
}

fn print_report(report: &Report, arguments: &PhoneArguments) {
    let seconds = report.heard.len() as f64 / f64::from(crate::media::frame::RATE);
    if arguments.json {
        say!(
            "{}",
            json!({
                "call_sid": report.call_sid,
                "seconds": seconds,
                "webhook_ms": report.webhook_ms,
                "first_audio_ms": report.first_audio_ms,
                "response_ms": report.response_ms,
                "clears": report.clears,
                "marks": report.marks,
                "underruns": report.underruns,
                "longest_underrun_ms": report.longest_underrun_ms,
                "violations": report.violations,
                "close_code": report.close_code,
                "then": report.then,
            })
        );
        return;
    }
    let first = report
        .first_audio_ms
        .map_or("never".into(), |ms| format!("{ms:.1} ms after the start"));
    say!("\ncall {}, {seconds:.1} s", report.call_sid);
    say!("  first sound     {first}");
    for (number, ms) in report.response_ms.iter().enumerate() {
        say!(
            "  answer {}        {ms} ms after the caller fell silent",
            number + 1
        );
    }
    say!(
        "  underruns       {}",
        holes(report.underruns.into(), report.longest_underrun_ms)
    );
    if report.violations > 0 {
        say!(
            "  violations      {} (the carrier would complain: see above)",
            report.violations
        );
    }
    if let Some(record) = &arguments.record {
        say!("  recorded        {}", record.display());
    }
}

/// `3, the longest 120 ms`.
fn holes(count: u64, longest_ms: u64) -> String {
    if count == 0 {
        "0".to_owned()
    } else {
        format!("{count}, the longest {longest_ms} ms")
    }
}

fn many(
    config: &Config,
    line: &Line,
    calls: usize,
    arguments: &PhoneArguments,
) -> Result<(), Failure> {
    let speech = match arguments.steps.first_words() {
        Some(what) => Some(sound(config, arguments, what)?),
        None => None,
    };
    let plan = Swarm {
        calls,
        length: arguments.length,
        ramp_per_sec: arguments.ramp.max(1),
        speech,
    };
    let length_ms = u64::try_from(plan.length.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(length_ms);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {msg} {elapsed}") {
        bar.set_style(style);
    }
    let report = runtime()?
        .block_on(phone::swarm(line, &plan, |progress| {
            bar.set_position(u64::try_from(progress.talked.as_millis()).unwrap_or(u64::MAX));
            if progress.talked.as_millis() % 100 < 2 {
                bar.set_message(format!("{} of {calls} calls", progress.set_up));
            }
        }))
        .map_err(as_failure);
    bar.finish_and_clear();
    let report = report?;
    print_swarm(&report, arguments.json);
    if report.set_up < calls {
        return Err(Failure::failed(format!(
            "{} of {calls} calls could not be set up",
            calls - report.set_up
        )));
    }
    Ok(())
}

fn print_swarm(report: &SwarmReport, as_json: bool) {
    let rows = [
        ("round trip", "ms", &report.round_trip_us, 1000.0),
        ("first sound", "ms", &report.first_audio_us, 1000.0),
        ("answer", "ms", &report.response_ms, 1.0),
        ("webhook", "ms", &report.set_up_us, 1000.0),
        (
            "phone's own lateness",
            "ms",
            &report.generator_late_us,
            1000.0,
        ),
    ];
    if as_json {
        let percentiles = |histogram: &Histogram<u64>, unit: f64| {
            json!({
                "count": histogram.len(),
                "p50": histogram.value_at_quantile(0.5) as f64 / unit,
                "p95": histogram.value_at_quantile(0.95) as f64 / unit,
                "p99": histogram.value_at_quantile(0.99) as f64 / unit,
                "p999": histogram.value_at_quantile(0.999) as f64 / unit,
                "max": histogram.max() as f64 / unit,
            })
        };
        let mut report = json!({
            "calls": report.calls,
            "set_up": report.set_up,
            "failures": report.failures,
            "frames_sent": report.frames_sent,
            "frames_back": report.frames_back,
            "frames_lost": report.frames_lost,
            "underruns": report.underruns,
            "longest_underrun_ms": report.longest_underrun_ms,
            "dropped": report.dropped,
            "stuck_frames": report.stuck_frames,
        });
        for (name, unit, histogram, scale) in rows {
            report[format!("{}_{unit}", name.replace([' ', '\''], "_"))] =
                Value::clone(&percentiles(histogram, scale));
        }
        say!("{report}");
        return;
    }
    say!(
        "{} of {} calls set up, {} dropped by the daemon",
        report.set_up,
        report.calls,
        report.dropped
    );
    for (reason, count) in &report.failures {
        say!("  {count} × {reason}");
    }
    say!(
        "frames: {} sent, {} back, {} lost, {} not sent because the daemon did not read; underruns: {}",
        report.frames_sent,
        report.frames_back,
        report.frames_lost,
        report.stuck_frames,
        holes(report.underruns, report.longest_underrun_ms)
    );
    say!(
        "{:22} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "",
        "count",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "max"
    );
    for (name, unit, histogram, scale) in rows {
        if histogram.is_empty() {
            continue;
        }
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / scale;
        say!(
            "{:22} {:>9} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            format!("{name} ({unit})"),
            histogram.len(),
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999),
            histogram.max() as f64 / scale
        );
    }
}

fn as_failure(error: PhoneError) -> Failure {
    let message = error.to_string();
    match error {
        PhoneError::NoAnswer { .. } => Failure::unavailable(message),
        PhoneError::Refused {
            status: StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED,
            ..
        } => Failure::permission(message),
        PhoneError::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..
        } => Failure::temporary(message),
        PhoneError::Refused { .. } | PhoneError::Twiml(_) | PhoneError::Broken { .. } => {
            Failure::failed(message)
        }
    }
}

/// `500ms`, `30s`, `2m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("\"{text}\" is not a time; write 30s, 2m or 1h"))?;
    let ms = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => {
            return Err(format!(
                "\"{unit}\" is not a unit of time; write ms, s, m or h"
            ));
        }
    };
    number
        .checked_mul(ms)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("\"{text}\" is too long"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        phone: PhoneArguments,
    }

    #[test]
    fn who_says_how_long_he_stays_does_not_leave_before() {
        for (line, ends_after_ms) in [
            ("phone --say one.wav", None),
            ("phone --say one.wav --hang-up-after 30s", Some(30_000)),
        ] {
            let arguments = Line::try_parse_from(line.split(' ')).unwrap().phone;
            let script = script(&arguments, |_| Ok([].into())).unwrap();
            assert_eq!(script.ends_after_ms, ends_after_ms, "{line}");
            let leaves_by_himself = script.steps.contains(&Step::HangUp);
            assert_eq!(leaves_by_himself, ends_after_ms.is_none(), "{line}");
        }
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("30", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in [
            "",
            "s",
            "-1s",
            "1.5s",
            "3x",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
