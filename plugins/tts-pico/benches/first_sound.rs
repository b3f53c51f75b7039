//! How soon the first sound is there, and how much faster than speech Pico is.
//!
//! `cargo bench -p tts-pico` prints, for each voice, the time from asking to the first 20 ms of sound (silence before
//! it already cut), with its median and its 95th percentile, and the work for one second of speech. With
//! `-- --wav FOLDER` it also writes one sentence of each voice there, to listen to. The times include the way through
//! queue and channel to another thread; the ring of the host is not in them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tts_pico::{Config, Pico, PicoError, SAMPLE_RATE, Voice};

/// Utterances per voice.
const ROUNDS: usize = 100;

const SENTENCES: [(&str, &str); 6] = [
    (
        "en-US",
        "Thank you for calling, please tell me how I can help you.",
    ),
    (
        "en-GB",
        "Thank you for calling, please tell me how I can help you.",
    ),
    (
        "es-ES",
        "Gracias por llamar, dígame por favor en qué puedo ayudarle.",
    ),
    (
        "de-DE",
        "Vielen Dank für Ihren Anruf, bitte sagen Sie mir, was ich für Sie tun kann.",
    ),
    (
        "fr-FR",
        "Merci de votre appel, dites-moi comment je peux vous aider.",
    ),
    (
        "it-IT",
        "Grazie per la chiamata, mi dica come posso aiutarla.",
    ),
];

struct Heard {
    first: Duration,
    whole: Duration,
    sound: Vec<i16>,
}

async fn hear(pico: &Pico, sentence: &str, voice: &Voice) -> Result<Heard, PicoError> {
    let start = Instant::now();
    let mut speech = pico.speech(sentence, voice, "")?;
    let mut first = None;
    let mut sound = Vec::new();
    while let Some(samples) = speech.next().await? {
        first.get_or_insert_with(|| start.elapsed());
        sound.extend(samples);
    }
    let whole = start.elapsed();
    let first = first.unwrap_or(whole);
    Ok(Heard {
        first,
        whole,
        sound,
    })
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let wav = arguments.iter().position(|a| a == "--wav");
    let folder: Option<PathBuf> = wav.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let pico = Pico::new(&Config::default())?;
    println!("voice   cold      p50       p95       speech   work per s of speech");
    for (name, sentence) in SENTENCES {
        let voice: Voice = serde_json::from_value(serde_json::json!({ "voice": name }))?;
        let cold = hear(&pico, sentence, &voice).await?;
        let mut firsts = Vec::with_capacity(ROUNDS);
        let mut whole = Duration::ZERO;
        for _ in 0..ROUNDS {
            let heard = hear(&pico, sentence, &voice).await?;
            firsts.push(heard.first);
            whole += heard.whole;
        }
        firsts.sort_unstable();
        let ms = |d: Duration| d.as_secs_f64() * 1_000.0;
        let speech = cold.sound.len() as f64 / f64::from(SAMPLE_RATE);
        println!(
            "{name}  {:5.1} ms  {:5.1} ms  {:5.1} ms  {speech:5.2} s  {:5.2} ms",
            ms(cold.first),
            ms(firsts[ROUNDS / 2]),
            ms(firsts[ROUNDS * 95 / 100]),
            ms(whole) / ROUNDS as f64 / speech,
        );
        if let Some(folder) = &folder {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: SAMPLE_RATE,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut file = hound::WavWriter::create(folder.join(format!("{name}.wav")), spec)?;
            for sample in &cold.sound {
                file.write_sample(*sample)?;
            }
            file.finalize()?;
        }
    }
    Ok(())
}
