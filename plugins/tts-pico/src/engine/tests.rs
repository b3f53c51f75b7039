//! What an engine must do with any text: sound right, forget it afterwards, and touch nothing outside.
//!
//! The voices are the real ones; nothing is imitated. Texts go the way of the daemon's, through `text`, except where a
//! test shows what Pico would do without it.

use super::*;
use crate::text::pieces;
use std::path::{Path, PathBuf};

const SENTENCE: &str = "Thank you for calling, please tell me how I can help you.";

fn said(engine: &mut Engine, text: &str, manner: Manner) -> Vec<i16> {
    let mut all = Vec::new();
    for piece in pieces(text).unwrap_or_default() {
        engine
            .say(&piece, manner, |samples| {
                all.extend_from_slice(samples);
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    all
}

fn seconds(sound: &[i16]) -> f64 {
    sound.len() as f64 / f64::from(SAMPLE_RATE)
}

fn loudness(sound: &[i16]) -> f64 {
    let squares: f64 = sound.iter().map(|s| f64::from(*s).powi(2)).sum();
    (squares / sound.len() as f64).sqrt()
}

/// The pitch of the loudest half second in Hz, by the best match of the sound with itself.
fn pitch(sound: &[i16]) -> f64 {
    let loudest = sound
        .chunks_exact(8_000)
        .max_by(|a, b| loudness(a).total_cmp(&loudness(b)))
        .unwrap();
    let alike = |lag: usize| -> f64 {
        let pairs = loudest.iter().zip(&loudest[lag..]);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    // 60 to 500 Hz.
    let lag = (32..266)
        .max_by(|a, b| alike(*a).total_cmp(&alike(*b)))
        .unwrap();
    f64::from(SAMPLE_RATE) / lag as f64
}

/// A folder of its own for texts that want to write files; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("tts-pico-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|e| e.unwrap().path()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// xorshift64*: enough for texts nobody would write.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

#[test]
fn every_voice_says_a_sentence() {
    let sentences = [
        "Thank you for calling, how may I help you?",
        "Thank you for calling, how may I help you?",
        "Gracias por llamar, ¿en qué puedo ayudarle?",
        "Vielen Dank für Ihren Anruf, was kann ich für Sie tun?",
        "Merci de votre appel, comment puis-je vous aider?",
        "Grazie per la chiamata, come posso aiutarla?",
    ];
    let mut sounds: Vec<Vec<i16>> = Vec::new();
    for (voice, sentence) in VoiceName::ALL.into_iter().zip(sentences) {
        let mut engine = Engine::open(voice).unwrap();
        let half = Manner {
            volume: 50,
            ..Manner::NATURAL
        };
        let sound = said(&mut engine, sentence, half);
        let length = seconds(&sound);
        assert!((2.0..5.0).contains(&length), "{voice:?} took {length} s");
        // -22 to -14 dBFS over all, and no sample at the stop.
        let level = loudness(&sound);
        assert!(
            (2_600.0..6_500.0).contains(&level),
            "{voice:?} is at {level}"
        );
        let peak = sound.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((8_000..32_767).contains(&peak), "{voice:?} peaks at {peak}");
        assert!(
            sounds.iter().all(|other| *other != sound),
            "{voice:?} is another voice"
        );
        sounds.push(sound);
    }
}

#[test]
fn languages_read_the_same_text_differently() {
    let text = "Hotel general, 23.";
    let mut english = Engine::open(VoiceName::EnUs).unwrap();
    let mut spanish = Engine::open(VoiceName::EsEs).unwrap();
    let (english, spanish) = (
        said(&mut english, text, Manner::NATURAL),
        said(&mut spanish, text, Manner::NATURAL),
    );
    assert_ne!(english.len(), spanish.len());
}

#[test]
fn speed_pitch_and_volume_do_what_they_say() {
    let mut engine = Engine::open(VoiceName::EnUs).unwrap();
    let usual = said(&mut engine, SENTENCE, Manner::NATURAL);
    let mut with = |speed, pitch, volume| {
        let manner = Manner {
            speed,
            pitch,
            volume,
        };
        said(&mut engine, SENTENCE, manner)
    };
    let slow = seconds(&with(50, 100, 100)) / seconds(&usual);
    let fast = seconds(&with(200, 100, 100)) / seconds(&usual);
    assert!(
        (1.6..2.1).contains(&slow) && (0.5..0.7).contains(&fast),
        "{slow} {fast}"
    );
    let (low, mid, high) = (
        pitch(&with(100, 70, 50)),
        pitch(&with(100, 100, 50)),
        pitch(&with(100, 140, 50)),
    );
    assert!(low < mid * 0.85 && high > mid * 1.2, "{low} {mid} {high}");
    let (quarter, half) = (with(100, 100, 25), with(100, 100, 50));
    let louder = loudness(&half) / loudness(&quarter);
    assert!((1.95..2.05).contains(&louder), "{louder}");
    assert_eq!(loudness(&with(100, 100, 0)), 0.0);
}

#[test]
fn an_engine_that_has_spoken_is_like_a_new_one() {
    for voice in VoiceName::ALL {
        let mut engine = Engine::open(voice).unwrap();
        let fresh = said(&mut engine, SENTENCE, Manner::NATURAL);
        let slow = Manner {
            speed: 60,
            pitch: 120,
            volume: 90,
        };
        assert_ne!(said(&mut engine, SENTENCE, slow), fresh);
        assert!(
            said(&mut engine, SENTENCE, Manner::NATURAL) == fresh,
            "{voice:?} after slow"
        );
        let mut heard = 0;
        let piece = &pieces("One, two, three, four, five, six, seven.").unwrap()[0];
        engine
            .say(piece, slow, |_| {
                heard += 1;
                if heard < 100 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
            .unwrap();
        assert_eq!(heard, 100);
        assert!(
            said(&mut engine, SENTENCE, Manner::NATURAL) == fresh,
            "{voice:?} broken off"
        );
    }
}

#[test]
fn text_cannot_make_pico_write_a_file() {
    let folder = Folder::new("genfile");
    let file = folder.0.join("written.wav");
    let path = file.to_str().unwrap();
    let tag = format!("<genfile file='{path}'>hello</genfile>");
    let mut engine = Engine::open(VoiceName::EnUs).unwrap();
    let encoded = [
        tag.clone(),
        tag.replace('\'', "\""),
        tag.replace('<', "&lt;").replace('>', "&gt;"),
        tag.replace('<', "&#60;").replace('>', "&#x3e;"),
        tag.replace('<', "\u{ff1c}").replace('>', "\u{ff1e}"),
        tag.replace('<', "\u{fe64}").replace('>', "\u{fe65}"),
        tag.replace('<', "\u{2039}").replace('>', "\u{203a}"),
        tag.replace('<', "<\u{200b}"),
        tag.replace('<', "\0<"),
        tag.replace('<', "<<"),
        tag.replace('<', "\\u003c"),
        tag.replace('<', "%3C").replace('>', "%3E"),
        // The low byte of these is that of the bracket.
        tag.replace('<', "\u{13c}").replace('>', "\u{13e}"),
        format!("<svox:genfile file='{path}'>hello"),
        format!("<ignore>{tag}"),
        format!("{}{tag}", "a".repeat(254)),
    ];
    for text in encoded {
        said(&mut engine, &text, Manner::NATURAL);
        assert_eq!(folder.files(), Vec::<PathBuf>::new(), "text {text:?}");
    }
    // And it is the list of characters that prevents it: Pico itself is willing.
    engine
        .pull(format!("{tag}\0").as_bytes(), |_| ControlFlow::Continue(()))
        .unwrap();
    drop(engine);
    assert_eq!(folder.files(), [file]);
}

#[test]
fn hostile_texts_do_no_harm() {
    let seed = 0x9e37_79b9_7f4a_7c15;
    let folder = Folder::new("hostile");
    let tag = format!("<genfile file='{}/x.wav'>", folder.0.display());
    let parts = [
        tag.as_str(),
        "<",
        ">",
        "</",
        "/>",
        "<play file='/etc/passwd'/>",
        "<volume level='0'>",
        "<ignore>",
        "<phoneme ph='",
        "\0",
        "\u{1b}[31m",
        "%s%n%x",
        "&lt;",
        "\\",
        "'",
        "\"",
        "\u{ff1c}",
        "\u{202e}",
        "\u{1f468}\u{200d}\u{1f469}",
        "\u{feff}",
        "e\u{301}\u{301}\u{301}",
        "你好",
        "Ünïcödé",
        "ß",
        "¼",
        "€€€",
        "99999999999999999999",
        "1e309",
        "-0",
        "0x",
        "1/0",
        "10:99:99",
        "$1,2,3.4.5",
        "...",
        "?!?!",
        "((((",
        "))",
        "----",
        "a",
        "hello",
        "the quick brown fox",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        ",,,",
        "Dr.",
        "e.g.",
        "@@",
        "xn--",
        "qzxqzxqzxqzx",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "XIV",
        "1st",
        "2nd.",
        "III.",
    ];
    let mut dice = Dice(seed);
    let mut engines: Vec<Engine> = VoiceName::ALL
        .into_iter()
        .map(|voice| Engine::open(voice).unwrap())
        .collect();
    let fresh: Vec<Vec<i16>> = engines
        .iter_mut()
        .map(|e| said(e, SENTENCE, Manner::NATURAL))
        .collect();
    for number in 0..200 {
        let mut text = String::new();
        for _ in 0..=dice.roll(8) {
            if dice.roll(4) == 0 {
                let any = u32::try_from(dice.roll(0x11_0000)).unwrap();
                text.extend(char::from_u32(any));
            } else {
                text.push_str(dice.pick(&parts));
            }
        }
        let voice = dice.roll(engines.len());
        said(&mut engines[voice], &text, Manner::NATURAL);
        if number % 20 == 0 {
            let again = said(&mut engines[voice], SENTENCE, Manner::NATURAL);
            assert!(
                again == fresh[voice],
                "seed {seed:#x}, number {number}, after {text:?}"
            );
        }
    }
    for (engine, fresh) in engines.iter_mut().zip(&fresh) {
        assert!(
            said(engine, SENTENCE, Manner::NATURAL) == *fresh,
            "seed {seed:#x}, at the end"
        );
    }
    assert_eq!(folder.files(), Vec::<PathBuf>::new(), "seed {seed:#x}");
}

#[test]
fn the_longest_piece_is_not_too_much_for_any_voice() {
    let texts = [
        "a".repeat(8_000),
        "9".repeat(8_000),
        "1 ".repeat(4_000),
        "ä-".repeat(2_600),
    ];
    for voice in VoiceName::ALL {
        let mut engine = Engine::open(voice).unwrap();
        for text in &texts {
            let piece = &pieces(text).unwrap()[0];
            let mut samples = 0;
            // Ten seconds: what is too much for Pico is so before the first sound.
            engine
                .say(piece, Manner::NATURAL, |s| {
                    samples += s.len();
                    if samples < 160_000 {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })
                .unwrap();
            assert!(samples > 0, "{voice:?} {:?}", &text[..8]);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn engines_give_back_their_files() {
    // Other tests open files at the same time, so only those of lingware count; other engines may live, too, but
    // not fifty of them.
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|l| std::fs::read_link(l.ok()?.path()).ok());
        targets
            .filter(|t| t.to_string_lossy().contains("tts-pico-"))
            .count()
    };
    for _ in 0..50 {
        drop(Engine::open(VoiceName::ItIt).unwrap());
    }
    assert!(open() < 100, "{} files are open", open());
    assert!(
        !Path::new("/dev/shm")
            .join(format!("tts-pico-{}-0.bin", std::process::id()))
            .exists()
    );
}
