//! The first half of the network: what the sound is, at 50 positions a second. Two convolutions, then layers of attention
//! from every position to every other. Most of the work of hearing is done here, and it grows with the length of the
//! window, which is why the window is no longer than it must be.

use super::math::{Linear, Norm, View, add, gelu, product, softmax};
use super::mel::Mel;
use super::{Attention, Stopped, Watch, heads, layers, linear, norm};
use crate::file::{FileError, Tensors};

/// Queries whose scores are worked on at once: 64 rows over 1500 positions fit the second cache.
const QUERY_ROWS: usize = 64;
/// Positions that a kernel of the convolutions spans.
const KERNEL: usize = 3;

pub(crate) struct Encoder {
    bands: usize,
    width: usize,
    heads: usize,
    conv1: Linear,
    conv2: Linear,
    /// `[positions][width]`
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Norm,
}

struct Layer {
    attention: Attention,
    ffn_norm: Norm,
    ffn_in: Linear,
    ffn_out: Linear,
}

impl Encoder {
    pub(crate) fn read(weights: &mut Tensors) -> Result<Encoder, FileError> {
        let [width, bands, kernel] = weights.shape("encoder/conv1/weight")?;
        let [positions, _] = weights.shape("encoder/position_encodings/encodings")?;
        if kernel != KERNEL || !matches!(bands, 80 | 128) || positions == 0 || width == 0 {
            return Err(weights.unusable(format!(
                "its first layer has the shape [{width}, {bands}, {kernel}], which no Whisper has"
            )));
        }
        let heads = heads(weights, "encoder", width)?;
        let layers = layers(weights, "encoder", |weights, name| {
            Ok(Layer {
                attention: Attention::read(
                    weights,
                    &format!("{name}/self_attention"),
                    width,
                    heads,
                )?,
                ffn_norm: norm(weights, &format!("{name}/ffn/layer_norm"), width)?,
                ffn_in: linear(weights, &format!("{name}/ffn/linear_0"), width, 4 * width)?,
                ffn_out: linear(weights, &format!("{name}/ffn/linear_1"), 4 * width, width)?,
            })
        })?;
        Ok(Encoder {
            bands,
            width,
            heads,
            conv1: convolution(weights, "encoder/conv1", bands, width)?,
            conv2: convolution(weights, "encoder/conv2", width, width)?,
            positions: weights.take("encoder/position_encodings/encodings", &[positions, width])?,
            layers,
            norm: norm(weights, "encoder/layer_norm", width)?,
        })
    }

    pub(crate) fn bands(&self) -> usize {
        self.bands
    }

    /// The longest window, in positions of 20 ms.
    pub(crate) fn positions(&self) -> usize {
        self.positions.len() / self.width
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// `[positions][width]` for a window of so many positions, silence behind the sound; what does not fit is cut.
    pub(crate) fn run(
        &self,
        mel: &Mel,
        positions: usize,
        watch: &Watch,
    ) -> Result<Vec<f32>, Stopped> {
        let (width, bands) = (self.width, self.bands);
        let columns = 2 * positions;
        // A column of nothing on both sides, for the convolutions to lean over.
        let mut input = vec![0.0; (columns + 2) * bands];
        let sound = &mel.data[..mel.columns.min(columns) * bands];
        let (heard, silence) = input[bands..][..columns * bands].split_at_mut(sound.len());
        heard.copy_from_slice(sound);
        silence.fill(mel.silence);
        let mut hidden = vec![0.0; (columns + 2) * width];
        let mut first = self.conv1.of_rows(&input, columns, KERNEL * bands, bands);
        gelu(&mut first);
        hidden[width..][..columns * width].copy_from_slice(&first);
        let mut x = self
            .conv2
            .of_rows(&hidden, positions, KERNEL * width, 2 * width);
        gelu(&mut x);
        add(&mut x, &self.positions);
        for layer in &self.layers {
            watch.look()?;
            let heard = self.attend(&layer.attention, &x, positions);
            add(&mut x, &heard);
            let normed = layer.ffn_norm.of(&x);
            let mut inner = layer.ffn_in.of_rows(&normed, positions, width, width);
            gelu(&mut inner);
            let outer = layer
                .ffn_out
                .of_rows(&inner, positions, 4 * width, 4 * width);
            add(&mut x, &outer);
        }
        Ok(self.norm.of(&x))
    }

    fn attend(&self, attention: &Attention, x: &[f32], positions: usize) -> Vec<f32> {
        let width = self.width;
        let head = width / self.heads;
        let normed = attention.norm.of(x);
        // Queries, keys and values beside each other in a row.
        let qkv = attention.from.of_rows(&normed, positions, width, width);
        let mut heard = vec![0.0; positions * width];
        let mut scores = vec![0.0; QUERY_ROWS * positions];
        for number in 0..self.heads {
            let at = number * head;
            let keys = View::rows(&qkv[width + at..], positions, head, 3 * width).turned();
            let values = View::rows(&qkv[2 * width + at..], positions, head, 3 * width);
            for from in (0..positions).step_by(QUERY_ROWS) {
                let rows = QUERY_ROWS.min(positions - from);
                let queries = View::rows(&qkv[from * 3 * width + at..], rows, head, 3 * width);
                let scores = &mut scores[..rows * positions];
                product(scores, positions, queries, keys, false);
                softmax(scores, positions);
                let weights = View::rows(scores, rows, positions, positions);
                product(
                    &mut heard[from * width + at..],
                    width,
                    weights,
                    values,
                    false,
                );
            }
        }
        attention.to.of_rows(&heard, positions, width, width)
    }
}

/// The weights of a convolution, `[outputs][inputs][KERNEL]` in the file, with the positions outermost: then the rows
/// that a kernel covers lie one behind the other, and a convolution is a product of overlapping rows.
fn convolution(
    weights: &mut Tensors,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Linear, FileError> {
    let kept = weights.take(&format!("{name}/weight"), &[outputs, inputs, KERNEL])?;
    let mut weight = Vec::with_capacity(kept.len());
    for row in kept.chunks_exact(inputs * KERNEL) {
        for at in 0..KERNEL {
            weight.extend(row.iter().skip(at).step_by(KERNEL));
        }
    }
    Ok(Linear {
        weight,
        bias: weights.take(&format!("{name}/bias"), &[outputs])?,
    })
}
