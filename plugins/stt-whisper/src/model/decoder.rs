//! The second half of the network: words, token after token, each from those before it and from what was heard. A step
//! reads all of its weights once for one token, so memory's speed decides what it costs; the last layer alone is more
//! than all others and is kept in bytes for that reason.

use super::math::{Linear, Norm, Table, add, attend_one, gelu};
use super::{Attention, heads, layers, linear, norm, query_scale};
use crate::file::{FileError, Tensors, Token};

/// Fewest positions of a model: the four before a text, and a few for the text.
const POSITIONS_MIN: usize = 16;

pub(crate) struct Decoder {
    width: usize,
    heads: usize,
    tokens: usize,
    embeddings: Table,
    /// `[positions][width]`
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Norm,
}

struct Layer {
    itself: Attention,
    heard_norm: Norm,
    heard_query: Linear,
    heard_keys: Linear,
    heard_to: Linear,
    ffn_norm: Norm,
    ffn_in: Linear,
    ffn_out: Linear,
}

/// A transcript being written.
pub(crate) struct Writing<'a> {
    decoder: &'a Decoder,
    heard_positions: usize,
    /// For each layer: keys and values of what was heard, `[positions][2 · width]`.
    heard: Vec<Vec<f32>>,
    /// For each layer: queries, keys and values of the tokens so far, `[tokens][3 · width]`.
    itself: Vec<Vec<f32>>,
    written: usize,
    scores: Vec<f32>,
}

impl Decoder {
    pub(crate) fn read(weights: &mut Tensors, width: usize) -> Result<Decoder, FileError> {
        let [tokens, _] = weights.shape("decoder/embeddings/weight")?;
        let [positions, _] = weights.shape("decoder/position_encodings/encodings")?;
        if positions < POSITIONS_MIN {
            return Err(weights.unusable(format!("it can write {positions} tokens only")));
        }
        let heads = heads(weights, "decoder", width)?;
        let layers = layers(weights, "decoder", |weights, name| {
            let mut heard_query =
                linear(weights, &format!("{name}/attention/linear_0"), width, width)?;
            heard_query.scale(width, query_scale(width, heads));
            Ok(Layer {
                itself: Attention::read(weights, &format!("{name}/self_attention"), width, heads)?,
                heard_norm: norm(weights, &format!("{name}/attention/layer_norm"), width)?,
                heard_query,
                heard_keys: linear(
                    weights,
                    &format!("{name}/attention/linear_1"),
                    width,
                    2 * width,
                )?,
                heard_to: linear(weights, &format!("{name}/attention/linear_2"), width, width)?,
                ffn_norm: norm(weights, &format!("{name}/ffn/layer_norm"), width)?,
                ffn_in: linear(weights, &format!("{name}/ffn/linear_0"), width, 4 * width)?,
                ffn_out: linear(weights, &format!("{name}/ffn/linear_1"), 4 * width, width)?,
            })
        })?;
        Ok(Decoder {
            width,
            heads,
            tokens,
            embeddings: Table::new(
                &weights.take("decoder/embeddings/weight", &[tokens, width])?,
                width,
            ),
            positions: weights.take("decoder/position_encodings/encodings", &[positions, width])?,
            layers,
            norm: norm(weights, "decoder/layer_norm", width)?,
        })
    }

    /// Tokens it has numbers for.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Tokens a transcript may have, with those before its text.
    pub(crate) fn positions(&self) -> usize {
        self.positions.len() / self.width
    }

    /// Begins to write down what the encoder heard.
    pub(crate) fn begin(&self, heard: &[f32]) -> Writing<'_> {
        let positions = heard.len() / self.width;
        let keys = |layer: &Layer| {
            layer
                .heard_keys
                .of_rows(heard, positions, self.width, self.width)
        };
        Writing {
            decoder: self,
            heard_positions: positions,
            heard: self.layers.iter().map(keys).collect(),
            itself: self.layers.iter().map(|_| Vec::new()).collect(),
            written: 0,
            scores: vec![0.0; positions.max(self.positions())],
        }
    }
}

impl Writing<'_> {
    /// Takes a token in; there must be a position left for it.
    pub(crate) fn write(&mut self, token: Token) -> Vec<f32> {
        let decoder = self.decoder;
        let width = decoder.width;
        let head = width / decoder.heads;
        let mut x = vec![0.0; width];
        decoder.embeddings.row(token, &mut x);
        add(&mut x, &decoder.positions[self.written * width..][..width]);
        self.written += 1;
        let (mut row, mut inner) = (vec![0.0; width], vec![0.0; 4 * width]);
        let mut qkv = vec![0.0; 3 * width];
        let states = self.itself.iter_mut().zip(&self.heard);
        for (layer, (itself, heard)) in decoder.layers.iter().zip(states) {
            layer
                .itself
                .from
                .of_row(&layer.itself.norm.of(&x), &mut qkv);
            itself.extend_from_slice(&qkv);
            let scores = &mut self.scores[..self.written];
            attend_one(
                &qkv[..width],
                &itself[width..],
                &itself[2 * width..],
                3 * width,
                head,
                scores,
                &mut row,
            );
            let mut out = vec![0.0; width];
            layer.itself.to.of_row(&row, &mut out);
            add(&mut x, &out);

            layer.heard_query.of_row(&layer.heard_norm.of(&x), &mut out);
            let scores = &mut self.scores[..self.heard_positions];
            attend_one(
                &out,
                heard,
                &heard[width..],
                2 * width,
                head,
                scores,
                &mut row,
            );
            layer.heard_to.of_row(&row, &mut out);
            add(&mut x, &out);

            layer.ffn_in.of_row(&layer.ffn_norm.of(&x), &mut inner);
            gelu(&mut inner);
            layer.ffn_out.of_row(&inner, &mut out);
            add(&mut x, &out);
        }
        decoder.norm.of(&x)
    }

    /// How likely each token is next, as logarithms of something that does not sum to one.
    pub(crate) fn weigh(&self, state: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; self.decoder.tokens];
        self.decoder.embeddings.of_row(state, &mut logits);
        logits
    }

    /// Tokens there is still room for.
    pub(crate) fn room(&self) -> usize {
        self.decoder.positions() - self.written
    }
}
