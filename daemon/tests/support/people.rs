//! Human beings who say single words: the recordings in `data/speech/people`.

use super::read;
use std::path::Path;
use voice_streamer::media::wav;
use voice_streamer::phone::Step;

/// Each of these recordings, with a short breath behind it, as the line carries it.
pub fn people(names: &[&str]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/speech/people");
    let mut said = Vec::new();
    for name in names {
        let path = folder.join(format!("{name}.wav"));
        said.extend(wav::to_line(&wav::read(&read(&path).unwrap()).unwrap()));
        said.extend([0xFF; 800]);
    }
    said
}

/// A human being says these words.
pub fn says(names: &[&str]) -> Step {
    Step::Say(people(names).into())
}
