//! Human beings and hold music, from where Debian's packages put them. Nothing of it is in this repository: it is 90 MB
//! under a licence that would spread.

use std::fs;
use std::path::{Path, PathBuf};
use voice_streamer::media::{RATE, mulaw, wav};

/// Prompts spoken by professionals, a language each.
const PROMPTS: [(&str, &str); 2] = [
    (
        "/usr/share/asterisk/sounds/en_US_f_Allison",
        "asterisk-core-sounds-en-wav",
    ),
    (
        "/usr/share/asterisk/sounds/es_MX_f_Allison",
        "asterisk-core-sounds-es-wav",
    ),
];

/// Readers of books and of playing cards, men among them, each in his own room.
const READERS: [&str; 2] = [
    "/usr/share/pocketsphinx/test/data/librivox",
    "/usr/share/pocketsphinx/test/data/cards",
];
const READERS_PACKAGE: &str = "pocketsphinx-testdata";

const MUSIC: &str = "/usr/share/asterisk/moh";
const MUSIC_PACKAGE: &str = "asterisk-moh-opsound-wav";

/// Prompts in names of which these stand are no speech, or not only.
const NO_SPEECH: [&str; 5] = ["beep", "tone", "monkeys", "glorious", "confbridge-begin"];

/// Clips shorter than this are single words, longer ones would outweigh the others.
const SHORTEST_MS: usize = 1200;
const LONGEST_MS: usize = 15_000;

/// Of each language. The others make the babble, so that nobody is drowned in his own words.
const SPOKEN_PROMPTS: usize = 50;
const BABBLED_PROMPTS: usize = 80;

pub(crate) type Clip = Vec<i16>;

pub(crate) struct Recordings {
    /// What callers say.
    pub(crate) spoken: Vec<Clip>,
    /// What others say meanwhile.
    pub(crate) babbled: Vec<Clip>,
    /// Empty without its package.
    pub(crate) music: Vec<Clip>,
    /// Packages without which something is left out.
    pub(crate) missing: Vec<&'static str>,
}

impl Recordings {
    pub(crate) fn installed() -> Recordings {
        let mut found = Recordings {
            spoken: Vec::new(),
            babbled: Vec::new(),
            music: Vec::new(),
            missing: Vec::new(),
        };
        for (folder, package) in PROMPTS {
            let clips = clips(Path::new(folder));
            if clips.is_empty() {
                found.missing.push(package);
            }
            // Every so many of the alphabet: all kinds of prompts, the same on every machine.
            let step = (clips.len() / (SPOKEN_PROMPTS + BABBLED_PROMPTS)).max(1);
            let spread = clips.into_iter().step_by(step);
            for (at, clip) in spread.take(SPOKEN_PROMPTS + BABBLED_PROMPTS).enumerate() {
                if at % 13 < 5 {
                    found.spoken.push(clip);
                } else {
                    found.babbled.push(clip);
                }
            }
        }
        let readers: Vec<Clip> = READERS
            .iter()
            .flat_map(|folder| clips(Path::new(folder)))
            .collect();
        if readers.is_empty() {
            found.missing.push(READERS_PACKAGE);
        }
        found.spoken.extend(readers);
        found.music = read(Path::new(MUSIC));
        if found.music.is_empty() {
            found.missing.push(MUSIC_PACKAGE);
        }
        found
    }
}

fn clips(folder: &Path) -> Vec<Clip> {
    let mut clips = read(folder);
    let samples = |ms: usize| ms * RATE as usize / 1000;
    clips.retain(|clip| (samples(SHORTEST_MS)..=samples(LONGEST_MS)).contains(&clip.len()));
    clips
}

/// The WAV files of a folder by name, as the line carries them; what is none is left out.
fn read(folder: &Path) -> Vec<Clip> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".wav") && !NO_SPEECH.iter().any(|word| name.contains(word))
        })
        .filter_map(|path| wav::read(&fs::read(path).ok()?).ok())
        .map(|sound| {
            let line = wav::to_line(&sound);
            line.into_iter().map(mulaw::decode_sample).collect()
        })
        .collect()
}
