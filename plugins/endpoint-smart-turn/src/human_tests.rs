//! How well the model agrees with human beings who have finished, or were cut off in the middle of a sentence, and what a
//! decision takes. Runs where `SMART_TURN_MODEL` names the model's file and Debian's prompts are installed
//! (asterisk-core-sounds-en-wav, -es-wav); says loudly elsewhere that it was left out. Figures: `--nocapture --release`.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::model::SmartTurn;

/// Samples of the pause after which it is asked: a fifth of a second.
const PAUSE: usize = 3200;

fn read(path: &Path) -> Vec<i16> {
    let mut file = hound::WavReader::open(path).unwrap();
    assert_eq!(file.spec().sample_rate, 8000);
    file.samples::<i16>().map(Result::unwrap).collect()
}

/// Twice as many samples, by a windowed sinc of 32 taps.
fn doubled(sound: &[i16]) -> Vec<i16> {
    const HALF: i64 = 16;
    let tap = |x: f64| {
        let window = 0.5 + 0.5 * (std::f64::consts::PI * x / HALF as f64).cos();
        (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) * window
    };
    let taps: Vec<f64> = (-HALF..HALF).map(|n| tap(n as f64 + 0.5)).collect();
    let between = |at: usize| -> f64 {
        let first = at as i64 - HALF + 1;
        let near = (0..2 * HALF).map(|n| {
            let sample = usize::try_from(first + n).ok().and_then(|at| sound.get(at));
            f64::from(*sample.unwrap_or(&0)) * taps[n as usize]
        });
        near.sum()
    };
    (0..sound.len())
        .flat_map(|at| {
            [
                sound[at],
                between(at).round().clamp(-32768.0, 32767.0) as i16,
            ]
        })
        .collect()
}

/// How often one of `more` is above one of `less`.
fn area(more: &[f32], less: &[f32]) -> f64 {
    let pairs = more.iter().flat_map(|m| less.iter().map(move |l| (m, l)));
    let won: f64 = pairs
        .map(|(m, l)| {
            if m > l {
                1.0
            } else if m < l {
                0.0
            } else {
                0.5
            }
        })
        .sum();
    won / (more.len() * less.len()) as f64
}

#[test]
fn human_beings_who_have_finished_are_told_from_those_who_were_cut_off() {
    let Some(model) = std::env::var_os("SMART_TURN_MODEL") else {
        return eprintln!(
            "LEFT OUT: set SMART_TURN_MODEL to the file smart-turn-v3.2-cpu.onnx to run this test"
        );
    };
    let mut model = SmartTurn::open(Path::new(&model), 1).unwrap();
    let mut took = Vec::new();
    for voice in ["en_US_f_Allison", "es_MX_f_Allison"] {
        let folder = Path::new("/usr/share/asterisk/sounds").join(voice);
        let Ok(files) = std::fs::read_dir(&folder) else {
            eprintln!("LEFT OUT: no human prompts in {}", folder.display());
            continue;
        };
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let seconds = |sound: &Vec<i16>| (16_000..48_000).contains(&sound.len());
        let wav = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wav");
        let prompts: Vec<Vec<i16>> = files
            .iter()
            .filter(|path| wav(path))
            .map(|path| read(path))
            .filter(seconds)
            .step_by(3)
            .take(40)
            .collect();
        let mut judge = |sound: &[i16]| {
            let loud = |sample: &i16| sample.unsigned_abs() > 500;
            let end = sound.iter().rposition(loud).map_or(0, |at| at + 1);
            let mut heard = doubled(&sound[..end]);
            heard.resize(heard.len() + PAUSE, 0);
            let began = Instant::now();
            let likely = model.finished(&heard).unwrap();
            took.push(began.elapsed());
            likely
        };
        let whole: Vec<f32> = prompts.iter().map(|sound| judge(sound)).collect();
        let cut: Vec<f32> = prompts
            .iter()
            .map(|sound| judge(&sound[..sound.len() * 55 / 100]))
            .collect();
        let share = |of: &[f32], is: fn(&f32) -> bool| {
            of.iter().filter(|p| is(p)).count() as f64 / of.len() as f64
        };
        let (finished, unfinished) = (share(&whole, |p| *p > 0.5), share(&cut, |p| *p <= 0.5));
        let area = area(&whole, &cut);
        eprintln!(
            "{voice}: {} prompts; area under the curve {area:.2}; finished called finished {:.0} %, cut off called \
             unfinished {:.0} %",
            prompts.len(),
            finished * 100.0,
            unfinished * 100.0
        );
        assert!(area > 0.7, "{voice}: {area}");
    }
    took.sort();
    if let (Some(middle), Some(most)) = (took.get(took.len() / 2), took.last()) {
        let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
        eprintln!(
            "a decision took {:.0} ms, {:.0} ms at most",
            ms(middle),
            ms(most)
        );
    }
}
