//! What a Whisper model is made of on disk: a folder with `model.bin`, the weights as CTranslate2 keeps them, beside a
//! `vocabulary.txt` or `vocabulary.json`, and a `config.json` that may be missing. Nothing here knows what the weights do.

mod ct2;
mod tensors;
mod vocabulary;

pub(crate) use tensors::Tensors;
pub(crate) use vocabulary::{Token, Vocabulary};

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Largest file of weights that is read: the greatest Whisper has 3.1 GB.
const WEIGHTS_MAX_BYTES: u64 = 4 << 30;
/// Largest vocabulary and configuration that is read; the usual ones have half a megabyte.
const TEXT_MAX_BYTES: u64 = 16 << 20;

/// Why a model cannot be read: which file, what is wrong with it, what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file or folder.
    #[error("there is no {what} at {path}: {hint}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// The system does not let us read it.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It is there and is not what it should be.
    #[error("{path} is not a usable {what}: {why}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// Short, because the host shows 250 bytes of an error and the path comes before it.
const GET_MODEL: &str = "give `model` the folder of model.bin and vocabulary.txt; stt-whisper's README says how to get one";

/// A model as it was read.
pub(crate) struct Files {
    pub(crate) weights: Tensors,
    pub(crate) vocabulary: Vocabulary,
    /// Tokens never to be written, and those not to begin with.
    pub(crate) suppressed: Suppressed,
}

/// The part of `config.json` that matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Suppressed {
    #[serde(rename = "suppress_ids")]
    pub(crate) always: Vec<i64>,
    #[serde(rename = "suppress_ids_begin")]
    pub(crate) at_first: Vec<i64>,
}

/// Reads a model from its folder, or from the path of its `model.bin`.
pub(crate) fn read(path: &Path) -> Result<Files, FileError> {
    if !path.exists() {
        return Err(FileError::Missing {
            what: "model",
            path: path.to_owned(),
            hint: GET_MODEL,
        });
    }
    let (folder, weights) = if path.is_dir() {
        (path, path.join("model.bin"))
    } else {
        (path.parent().unwrap_or(Path::new("")), path.to_owned())
    };
    let vocabulary = vocabulary(folder)?;
    let config = folder.join("config.json");
    let suppressed = match config.exists() {
        true => serde_json::from_str(&text(&config)?).map_err(|e| FileError::Unusable {
            path: config,
            what: "configuration of a model",
            why: format!("{e}; get the file anew, or delete it: the model works without it"),
        })?,
        false => Suppressed::default(),
    };
    let tensors = {
        let (file, length) = open(&weights, "model.bin", WEIGHTS_MAX_BYTES)?;
        ct2::read(BufReader::with_capacity(1 << 20, file), length)
    };
    match tensors {
        Ok(tensors) => Ok(Files {
            weights: tensors.read_from(weights),
            vocabulary,
            suppressed,
        }),
        Err(ct2::Ct2Error::Io(why)) => Err(FileError::Unreadable { path: weights, why }),
        Err(why) => Err(FileError::Unusable {
            path: weights,
            what: "model.bin of CTranslate2",
            why: why.to_string(),
        }),
    }
}

fn vocabulary(folder: &Path) -> Result<Vocabulary, FileError> {
    let (lines, json) = (
        folder.join("vocabulary.txt"),
        folder.join("vocabulary.json"),
    );
    let (path, read) = if lines.exists() || !json.exists() {
        let read = Vocabulary::from_lines(&text(&lines)?);
        (lines, read)
    } else {
        let read = Vocabulary::from_json(&text(&json)?);
        (json, read)
    };
    read.map_err(|why| FileError::Unusable {
        path,
        what: "vocabulary of Whisper",
        why,
    })
}

fn open(path: &Path, what: &'static str, limit: u64) -> Result<(File, u64), FileError> {
    let unreadable = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing {
            what,
            path: path.to_owned(),
            hint: GET_MODEL,
        },
        _ => FileError::Unreadable {
            path: path.to_owned(),
            why,
        },
    };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    let length = about.len();
    let unusable = |why: String| FileError::Unusable {
        path: path.to_owned(),
        what,
        why,
    };
    if !about.is_file() {
        return Err(unusable("it is not a file".into()));
    }
    if length > limit {
        return Err(unusable(format!(
            "it has {length} bytes, and at most {limit} are read"
        )));
    }
    Ok((file, length))
}

fn text(path: &Path) -> Result<String, FileError> {
    let (file, _) = open(path, "vocabulary.txt beside model.bin", TEXT_MAX_BYTES)?;
    std::io::read_to_string(file).map_err(|why| FileError::Unreadable {
        path: path.to_owned(),
        why,
    })
}
