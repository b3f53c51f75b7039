//! What a caller says, and what the built-in voice says, as the line carries it.

use super::{binary, read, until};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use voice_plugin::abi::{kind, role};
use voice_streamer::media::wav::{self, Wav};
use voice_streamer::plugin::{Generation, Library};

/// The recording of a caller: a human being, if Debian's prompts are installed, else the clip in the repository.
pub fn speech_file() -> PathBuf {
    let human = Path::new("/usr/share/asterisk/sounds/en_US_f_Allison/conf-getpin.wav");
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/good_morning.wav");
    let path = if human.exists() { human.into() } else { clip };
    println!("the caller is {}", path.display());
    path
}

/// The same as the line carries it.
pub fn speech() -> Arc<[u8]> {
    wav::to_line(&wav::read(&read(&speech_file()).unwrap()).unwrap()).into()
}

/// What the built-in English voice makes of a text, as the line carries it; asked here and not through a daemon.
pub fn spoken(text: &str) -> Vec<u8> {
    spoken_as(text, "en-US")
}

/// The same with another of the built-in voices.
pub fn spoken_as(text: &str, name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let library = binary().with_file_name("libtts_pico.so");
    let library = Library::load("pico", &library, folder.path(), None).unwrap();
    let generation = Generation::open(library, "pico", "{}").unwrap();
    let info = format!(
        r#"{{"call":{{"sid":"","from":"","to":""}},"format":{{"encoding":"s16le","rate":16000}},
        "language":"en-US","settings":{{"voice":"{name}"}}}}"#
    );
    let mut voice = generation.start(role::TTS, &info).unwrap();
    voice.send(kind::SPEAK, 0, 1, 0, text.as_bytes()).unwrap();
    let mut samples = Vec::new();
    until("the voice has said it", || {
        while let Some(record) = voice.next() {
            match record.kind {
                kind::AUDIO => samples.extend(
                    record
                        .data
                        .chunks_exact(2)
                        .map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                ),
                kind::FAILED => panic!("{}", String::from_utf8_lossy(record.data)),
                _ => {}
            }
            let done = record.kind == kind::DONE;
            voice.take();
            if done {
                return Some(());
            }
        }
        None
    });
    wav::to_line(&Wav {
        rate: 16_000,
        samples,
    })
}
