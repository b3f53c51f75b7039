//! Whisper: sound in, words out, on the thread that asks. The network is the published one and nothing in it is ours but
//! the way it is computed: no graph, no tensors of any rank, two halves in two files and the loops in a third.
//!
//! ```text
//! samples ──→ mel ──→ encoder: what is heard ──→ decoder: token by token ──→ text
//! ```
//!
//! When to listen, and to what, is decided elsewhere.

mod decoder;
mod encoder;
mod math;
mod mel;
mod transcript;

pub use mel::SAMPLE_RATE;
pub use transcript::Text;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::file::{self, FileError, Tensors, Token, Vocabulary};
use decoder::Decoder;
use encoder::Encoder;
use math::{Linear, Norm};
use mel::Filter;

/// What a window holds at most: the network knows nothing longer.
pub const WINDOW_SECS: usize = 30;

/// Where a vocabulary of English alone ends; the one of many languages has a token more before its end.
const ENGLISH_END: Token = 50_256;

/// Rows of a model without a token; more says that its vocabulary is another's.
const SPARE_ROWS_MAX: usize = 64;

/// A model, ready to hear. Used by all workers at once.
pub struct Model {
    filter: Filter,
    encoder: Encoder,
    decoder: Decoder,
    vocabulary: Vocabulary,
    /// Whether it has to be told the language.
    multilingual: bool,
    languages: Vec<Token>,
    /// Never written, in order.
    never: Vec<Token>,
    /// Not written first.
    not_first: Vec<Token>,
}

/// Tells work that nobody waits for it any longer.
#[derive(Debug, Default)]
pub struct Watch(AtomicBool);

/// The work was broken off.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped;

impl Watch {
    /// Breaks the work off at its next layer or token.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn look(&self) -> Result<(), Stopped> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Stopped),
            false => Ok(()),
        }
    }
}

impl Model {
    /// Reads a model from a folder or from its `model.bin`.
    ///
    /// # Errors
    /// [`FileError`], which names the file and says what to do about it.
    pub fn read(path: &Path) -> Result<Model, FileError> {
        let mut files = file::read(path)?;
        let weights = &mut files.weights;
        let encoder = Encoder::read(weights)?;
        let decoder = Decoder::read(weights, encoder.width())?;
        let vocabulary = files.vocabulary;
        // Every token has a row; there may be a few rows more, for the sake of round numbers.
        let spare = decoder.tokens().checked_sub(vocabulary.len());
        if spare.is_none_or(|rows| rows > SPARE_ROWS_MAX) {
            return Err(weights.unusable(format!(
                "it has {} tokens and the vocabulary beside it {}: they belong to different models",
                decoder.tokens(),
                vocabulary.len()
            )));
        }
        let tokens = decoder.tokens();
        let usable = |ids: Vec<i64>| {
            let ids = ids.into_iter().filter_map(|id| Token::try_from(id).ok());
            ids.filter(|id| *id < tokens).collect::<Vec<_>>()
        };
        let mut never = usable(files.suppressed.always);
        // Signals behind the end are never part of a text.
        never.extend(vocabulary.end + 1..tokens);
        let mut not_first = usable(files.suppressed.at_first);
        not_first.push(vocabulary.end);
        let languages: Vec<Token> = vocabulary
            .languages()
            .into_iter()
            .filter(|l| *l < tokens)
            .collect();
        Ok(Model {
            filter: Filter::new(encoder.bands()),
            // The models for English alone hold the signals of all languages too, without a use for them.
            multilingual: vocabulary.end != ENGLISH_END && !languages.is_empty(),
            encoder,
            decoder,
            vocabulary,
            languages,
            never,
            not_first,
        })
    }

    /// Whether it knows more than English.
    pub fn multilingual(&self) -> bool {
        self.multilingual
    }

    /// The languages it can be told to expect, as codes.
    pub fn languages(&self) -> Vec<String> {
        match self.multilingual {
            true => self.vocabulary.codes(),
            false => vec!["en".to_owned()],
        }
    }

    /// Whether it can be told to expect this language.
    pub fn knows(&self, language: &str) -> bool {
        match self.multilingual {
            true => self.vocabulary.language(language).is_some(),
            false => language.split(['-', '_']).next() == Some("en"),
        }
    }
}

/// A block of attention: what it makes of its input, and what becomes of what it found.
struct Attention {
    norm: Norm,
    /// Queries, keys and values at once; the queries scaled for their length.
    from: Linear,
    to: Linear,
}

impl Attention {
    /// Self-attention of a width in so many heads.
    fn read(
        weights: &mut Tensors,
        name: &str,
        width: usize,
        heads: usize,
    ) -> Result<Attention, FileError> {
        let mut from = linear(weights, &format!("{name}/linear_0"), width, 3 * width)?;
        from.scale(width, query_scale(width, heads));
        Ok(Attention {
            norm: norm(weights, &format!("{name}/layer_norm"), width)?,
            from,
            to: linear(weights, &format!("{name}/linear_1"), width, width)?,
        })
    }
}

/// What queries are multiplied with, so that long ones do not shout.
fn query_scale(width: usize, heads: usize) -> f32 {
    1.0 / ((width / heads) as f32).sqrt()
}

/// How many heads share the width; 64 numbers each when the file does not say.
fn heads(weights: &Tensors, half: &str, width: usize) -> Result<usize, FileError> {
    let said = weights.number(&format!("{half}/num_heads"));
    let heads = said.map_or(width / 64, |heads| heads as usize);
    match heads > 0 && width.is_multiple_of(heads) {
        true => Ok(heads),
        false => Err(weights.unusable(format!(
            "its {half} has {heads} heads of {width} numbers together"
        ))),
    }
}

fn linear(
    weights: &mut Tensors,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Linear, FileError> {
    Ok(Linear {
        weight: weights.take(&format!("{name}/weight"), &[outputs, inputs])?,
        bias: weights.take(&format!("{name}/bias"), &[outputs])?,
    })
}

fn norm(weights: &mut Tensors, name: &str, width: usize) -> Result<Norm, FileError> {
    Ok(Norm {
        gamma: weights.take(&format!("{name}/gamma"), &[width])?,
        beta: weights.take(&format!("{name}/beta"), &[width])?,
    })
}

/// The layers of one half, read one after the other until there is none.
fn layers<L>(
    weights: &mut Tensors,
    half: &str,
    read: impl Fn(&mut Tensors, &str) -> Result<L, FileError>,
) -> Result<Vec<L>, FileError> {
    let mut layers = Vec::new();
    loop {
        let name = format!("{half}/layer_{}", layers.len());
        if !weights.has(&format!("{name}/ffn/linear_0/weight")) {
            break;
        }
        layers.push(read(weights, &name)?);
    }
    match layers.is_empty() {
        true => Err(weights.unusable(format!("its {half} has no layers"))),
        false => Ok(layers),
    }
}
