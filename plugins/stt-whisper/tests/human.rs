//! What a real model understands of people on the telephone: prompts and spoken numbers of Debian's
//! `asterisk-core-sounds-en-wav` and `-es-wav`, in the line's own format, through the plugin's table. Prints the word error
//! rate and how long a caller would have waited; fails above a bound that leaves room for another processor's rounding.
//!
//! ```sh
//! STT_WHISPER_MODEL=/models/tiny.en STT_WHISPER_BASE=/models/base \
//!     cargo test --release -p stt-whisper --test human -- --ignored --nocapture --test-threads 1
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../../../plugin-api/tests/host/mod.rs"]
mod host;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use host::{Opened, open};
use stt_whisper::plugin_table;
use voice_plugin::abi::{kind, role};

/// 20 ms of µ-law.
const FRAME: usize = 160;
/// A turn that is never begun.
const UNHEARD: u32 = 99;
/// Silence in µ-law.
const SILENCE: u8 = 0xff;
/// What the packages are read from.
const SOUNDS: &str = "/usr/share/asterisk/sounds";

const ENGLISH: &[(&str, &str)] = &[
    (
        "agent-newlocation",
        "Please enter a new extension, followed by pound.",
    ),
    (
        "conf-adminmenu-menu8",
        "Press 1 to list users currently in the conference, 2 to kick all non-administrator users, 3 to mute or unmute all non-administrator users, 4 to record this conference, or 8 to exit this menu and return to the conference.",
    ),
    ("conf-getpin", "Please enter the conference pin number."),
    ("conf-kicked", "You have been kicked from this conference."),
    (
        "conf-onlyone",
        "There is currently one other participant in the conference.",
    ),
    (
        "confbridge-pin-bad",
        "You have entered too many invalid personal identification numbers.",
    ),
    (
        "dir-intro",
        "Welcome to the directory. Please enter the first three letters of your party's last name using your touchtone keypad. Use the 7 key for Q and the 9 key for Z.",
    ),
    (
        "enter-num-blacklist",
        "Please enter the number to be blacklisted.",
    ),
    ("followme/no-recording", "You have an incoming call."),
    ("please-try-call-later", "Please try your call again later."),
    (
        "privacy-unident",
        "The party you are trying to reach does not accept unidentified calls.",
    ),
    (
        "queue-periodic-announce",
        "All of our representatives are currently busy. Please stay on the line and your call will be answered by the next available representative.",
    ),
    (
        "speed-dial-empty",
        "The speed dial entry you've accessed is empty.",
    ),
    ("tt-weasels", "Weasels have eaten our phone system."),
    (
        "vm-forward",
        "Press 1 to enter an extension, press 2 to use the directory.",
    ),
    (
        "vm-msginstruct",
        "To hear the next message press 6, to repeat this message press 5, to hear the previous message press 4, to delete or undelete this message press zero, to quit voicemail press pound.",
    ),
    (
        "vm-nobodyavail",
        "Nobody is available to take your call at the moment.",
    ),
    (
        "vm-saveoper",
        "Press 1 to accept this recording, otherwise, please continue to hold.",
    ),
];

const SPANISH: &[(&str, &str)] = &[
    (
        "conf-getchannel",
        "Por favor ingrese el número de canal seguido por la tecla de número.",
    ),
    (
        "conf-invalid",
        "Número de conferencia inválido. Por favor intente de nuevo.",
    ),
    ("conf-noempty", "Por el momento no hay conferencias vacías."),
    (
        "conf-onlyperson",
        "Por el momento, usted es la única persona en la conferencia.",
    ),
    (
        "confbridge-pin-bad",
        "Usted ha introducido demasiados números de identificación personal inválidos.",
    ),
    (
        "confbridge-rest-list-vol-in",
        "Para reiniciar el volumen del audio de la conferencia al nivel por defecto.",
    ),
    ("demo-echodone", "La prueba del eco ha sido completada."),
    (
        "queue-youarenext",
        "Su llamada es la primera en línea y será atendida por el próximo representante.",
    ),
    (
        "tt-allbusy",
        "Todos los representantes de la casa se encuentran ocupados asistiendo a otros vendedores por teléfono. Por favor espere y su llamada será atendida en el orden que fue recibida.",
    ),
    (
        "vm-helpexit",
        "Marque el asterisco para obtener ayuda o la tecla de número para salir.",
    ),
    (
        "vm-nobodyavail",
        "En este momento nadie está libre para responder a su llamada.",
    ),
    ("vm-passchanged", "Sus contraseñas han sido cambiadas."),
    (
        "auth-incorrect",
        "Contraseña incorrecta. Por favor ingrese su contraseña seguida por la tecla de número.",
    ),
    ("conf-leaderhasleft", "El líder ha dejado la conferencia."),
    (
        "confbridge-begin-glorious-a",
        "La conferencia iniciará cuando nuestro glorioso líder llegue.",
    ),
    (
        "followme/status",
        "La persona a quien ha llamado no se encuentra en su escritorio. Intentaré localizarla por usted.",
    ),
    (
        "pbx-invalidpark",
        "Lo siento, no hay llamadas sobre esa extensión. Por favor intente otra vez.",
    ),
    (
        "vm-review-urgent",
        "Presione 4 para marcar este mensaje como urgente.",
    ),
    ("vm-tempremoved", "Su saludo temporal ha sido borrado."),
];

/// Numbers of six digits, each spoken digit by digit.
const NUMBERS: [&str; 6] = ["042816", "539175", "760348", "918273", "405169", "227830"];

struct Language {
    code: &'static str,
    folder: &'static str,
    digits: [&'static str; 10],
}

const EN: Language = Language {
    code: "en",
    folder: "en_US_f_Allison",
    digits: [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ],
};

const ES: Language = Language {
    code: "es",
    folder: "es_MX_f_Allison",
    digits: [
        "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve",
    ],
};

impl Language {
    /// A recording, as the line carries it.
    fn sound(&self, name: &str) -> Vec<u8> {
        let path = PathBuf::from(SOUNDS)
            .join(self.folder)
            .join(format!("{name}.wav"));
        let mut wav = hound::WavReader::open(&path).unwrap_or_else(|e| {
            panic!(
                "{}: {e}; install asterisk-core-sounds-{}-wav",
                path.display(),
                self.code
            )
        });
        wav.samples::<i16>()
            .map(|sample| mulaw(sample.unwrap()))
            .collect()
    }

    /// A number, with a fifth of a second between its digits.
    fn number(&self, number: &str) -> Vec<u8> {
        let digits = number
            .chars()
            .map(|digit| self.sound(&format!("digits/{digit}")));
        digits.collect::<Vec<_>>().join(&[SILENCE; 10 * FRAME][..])
    }

    /// Words without their dress: small letters, no accents, digits as words.
    fn words(&self, text: &str) -> Vec<String> {
        let mut plain = String::new();
        for letter in text.to_lowercase().chars() {
            match letter {
                'á' => plain.push('a'),
                'é' => plain.push('e'),
                'í' => plain.push('i'),
                'ó' => plain.push('o'),
                'ú' | 'ü' => plain.push('u'),
                'ñ' => plain.push('n'),
                '\'' => plain.push('\''),
                '0'..='9' => {
                    let digit = letter as usize - '0' as usize;
                    plain.push_str(&format!(" {} ", self.digits[digit]));
                }
                letter if letter.is_alphabetic() => plain.push(letter),
                _ => plain.push(' '),
            }
        }
        plain.split_whitespace().map(str::to_owned).collect()
    }
}

/// One sample as G.711 µ-law.
fn mulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let exponent = 24 - magnitude.leading_zeros();
    let mantissa = (magnitude >> (exponent + 3)) & 15;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

/// Words to be put in, left out or replaced to get from one to the other.
fn errors(said: &[String], understood: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=understood.len()).collect();
    for (n, said) in said.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, understood) in understood.iter().enumerate() {
            let change = diagonal + usize::from(said != understood);
            diagonal = row[m + 1];
            row[m + 1] = change.min(row[m] + 1).min(diagonal + 1);
        }
    }
    row[understood.len()]
}

/// What a caller says, and what it took from his pause to the words.
fn understood(plugin: &Opened, language: &Language, sound: &[u8]) -> (String, Duration) {
    let info = format!(
        r#"{{"format":{{"encoding":"mulaw","rate":8000}},"language":"{}"}}"#,
        language.code
    );
    let stream = plugin.start(role::STT, &info).unwrap();
    let tell = |sound: &[u8]| {
        // Faster than speech, and never further ahead than a plugin keeps: a turn of which nothing was heard is
        // answered at once, and after all that came before it.
        for second in sound.chunks(50 * FRAME) {
            for frame in second.chunks(FRAME) {
                stream.tell(kind::AUDIO, 1, frame);
            }
            stream.turn_over(UNHEARD);
            stream.take_until(kind::TEXT);
        }
    };
    tell(&[SILENCE; 15 * FRAME]);
    // The start is noticed 100 ms late, the pause 100 ms after it.
    let late = sound.len().min(5 * FRAME);
    tell(&sound[..late]);
    stream.tell(kind::SPEECH_START, 1, b"");
    tell(&sound[late..]);
    tell(&[SILENCE; 5 * FRAME]);
    let begun = Instant::now();
    stream.tell(kind::SPEECH_END, 1, b"");
    stream.turn_over(1);
    let words = stream.take_until(kind::TEXT);
    (words.last().unwrap().text().to_owned(), begun.elapsed())
}

/// Prints the word error rate of all, and returns it in percent.
fn rate(plugin: &Opened, language: &Language, what: &str, all: &[(Vec<u8>, &str)]) -> f64 {
    let (mut wrong, mut words, mut took, mut longest) = (0, 0, Duration::ZERO, Duration::ZERO);
    for (sound, text) in all {
        let (heard, time) = understood(plugin, language, sound);
        let said = language.words(text);
        let errors = errors(&said, &language.words(&heard));
        if errors > 0 {
            println!("  {errors} wrong: {text}\n           {heard}");
        }
        wrong += errors;
        words += said.len();
        took += time;
        longest = longest.max(time);
    }
    let rate = 100.0 * wrong as f64 / words as f64;
    println!(
        "{} {what}: {rate:.1} % of {words} words wrong; {:.2} s from pause to words, {:.2} s at most, {} stretches",
        language.code,
        took.as_secs_f64() / all.len() as f64,
        longest.as_secs_f64(),
        all.len(),
    );
    rate
}

/// Hiss of a bad line for so many seconds, as loud as a voice.
fn hiss(secs: usize) -> Vec<u8> {
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        mulaw((seed >> 16) as i16 / 8)
    };
    (0..secs * 50 * FRAME).map(|_| noise()).collect()
}

/// Somebody coughs, as the line carries it; so many times quieter.
fn cough(who: &str, quieter: i16) -> Vec<u8> {
    let path = format!(
        "{}/../../daemon/tests/data/speech/people/cough_{who}.wav",
        env!("CARGO_MANIFEST_DIR")
    );
    // µ-law behind a header of a RIFF file, which hound does not read.
    let file = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let data = file.windows(4).position(|name| name == b"data").unwrap() + 8;
    let linear = |code: &u8| {
        let code = !code;
        let magnitude = ((i16::from(code & 15) << 3) + 132) << (code >> 4 & 7);
        let sample = (magnitude - 132) / quieter;
        mulaw(if code & 0x80 == 0 { sample } else { -sample })
    };
    file[data..].iter().map(linear).collect()
}

/// The plugin with the model that a variable names.
fn opened(variable: &str) -> Opened {
    let model = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} has to name a model; the README says how to get one")
    });
    let keys = serde_json::json!({ "model": model });
    open(plugin_table(), &keys.to_string()).unwrap()
}

fn rates(variable: &str, language: &Language, prompts: &[(&str, &'static str)]) -> (f64, f64) {
    let plugin = opened(variable);
    let prompts: Vec<_> = prompts
        .iter()
        .map(|(name, text)| (language.sound(name), *text))
        .collect();
    let numbers: Vec<_> = NUMBERS
        .iter()
        .map(|number| (language.number(number), *number))
        .collect();
    (
        rate(&plugin, language, "prompts", &prompts),
        rate(&plugin, language, "numbers", &numbers),
    )
}

#[test]
#[ignore = "needs a model and recordings: STT_WHISPER_MODEL=/models/tiny.en, see the head of human.rs"]
fn tiny_understands_english_prompts_and_numbers() {
    let (prompts, numbers) = rates("STT_WHISPER_MODEL", &EN, ENGLISH);
    assert!(
        prompts < 6.0 && numbers < 6.0,
        "prompts {prompts:.1} %, numbers {numbers:.1} %"
    );
}

#[test]
#[ignore = "needs a model and recordings: STT_WHISPER_BASE=/models/base, see the head of human.rs"]
fn base_understands_spanish_prompts_and_numbers() {
    let (prompts, numbers) = rates("STT_WHISPER_BASE", &ES, SPANISH);
    assert!(
        prompts < 20.0 && numbers < 6.0,
        "prompts {prompts:.1} %, numbers {numbers:.1} %"
    );
}

/// Whisper learned from subtitles, in which nothing is for ever silent: it makes words of noises unless it is stopped.
#[test]
#[ignore = "needs models: STT_WHISPER_MODEL and STT_WHISPER_BASE, see the head of human.rs"]
fn coughs_and_hiss_are_no_words() {
    for (variable, language) in [
        ("STT_WHISPER_MODEL", &EN),
        ("STT_WHISPER_BASE", &EN),
        ("STT_WHISPER_BASE", &ES),
    ] {
        let plugin = opened(variable);
        let coughs = ["woman", "man"].into_iter();
        let coughs = coughs.flat_map(|who| [1, 2, 4].map(|quieter| cough(who, quieter)));
        for noise in coughs.chain([1, 3, 8].map(hiss)) {
            let (words, _) = understood(&plugin, language, &noise);
            assert_eq!(words, "", "{variable}, {}", language.code);
        }
    }
}
