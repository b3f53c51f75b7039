//! Rows of weights times a column: the one loop of every step of the network.

use super::network::WIDE;

/// Outputs computed side by side. 32 floats are eight registers of the narrowest vector unit we run on (SSE2, NEON):
/// enough independent sums to hide the latency of an addition, few enough to stay in registers. In registers of eight
/// floats two such strips, or one for two columns, are as many.
const LANES: usize = 32;

/// Inputs of the widest layer.
const MOST_INPUTS: usize = 3 * WIDE;

/// One matrix of weights with its biases, stored in strips of [`LANES`] outputs, each strip input by input.
pub(super) struct Layer {
    inputs: usize,
    strips: Vec<[f32; LANES]>,
    bias: Vec<f32>,
}

impl Layer {
    /// `weights` is `[input][output]`.
    pub(super) fn new(inputs: usize, weights: &[f32], bias: Vec<f32>) -> Layer {
        let outputs = bias.len();
        assert!(outputs.is_multiple_of(2 * LANES) && weights.len() == inputs * outputs);
        assert!(inputs <= MOST_INPUTS);
        let mut strips = vec![[0.0; LANES]; inputs * outputs / LANES];
        for (input, row) in weights.chunks_exact(outputs).enumerate() {
            for (strip, lanes) in row.chunks_exact(LANES).enumerate() {
                strips[strip * inputs + input].copy_from_slice(lanes);
            }
        }
        Layer {
            inputs,
            strips,
            bias,
        }
    }

    #[inline(always)]
    pub(super) fn bias<const OUTPUTS: usize>(&self) -> [f32; OUTPUTS] {
        let mut bias = [0.0; OUTPUTS];
        bias.copy_from_slice(&self.bias);
        bias
    }

    /// Adds weights times column to `outputs`. A convolution is this with the neighbouring columns laid end to end.
    ///
    /// Half of what the layers hear of each other, and three quarters of what they tell the cell, was clipped to zero:
    /// the weights of those inputs are not even read, and reading them is what the cell's half megabyte costs. Two calls
    /// at a time, sharing that, would save 0.5 µs of 6 per frame, and make them wait for each other; if all weights always
    /// lay in the nearest cache, 1.1 µs would be saved. The cell's in 16 bits with a scale for each output (no verdict
    /// changes, a probability by 0.0001) save 0.5 µs, and cost processors without AVX2 3 µs of 12.
    #[inline(always)]
    pub(super) fn add<const VECTOR: bool>(&self, outputs: &mut [f32], column: &[f32]) {
        let mut active = [(0_u32, 0.0); MOST_INPUTS];
        let mut count = 0;
        for (input, &x) in column.iter().enumerate() {
            active[count] = (input as u32, x);
            count += usize::from(x != 0.0);
        }
        let active = active[..count]
            .iter()
            .map(|&(input, x)| (input as usize, [x]));
        if VECTOR {
            for (lanes, strips) in outputs
                .as_chunks_mut::<LANES>()
                .0
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .zip(self.strips.chunks_exact(2 * self.inputs))
            {
                let (one, other) = strips.split_at(self.inputs);
                let [a, b] = lanes;
                sums::<VECTOR, 1, 2>([[a, b]], [one, other], active.clone());
            }
        } else {
            for (lanes, strip) in outputs
                .as_chunks_mut::<LANES>()
                .0
                .iter_mut()
                .zip(self.strips.chunks_exact(self.inputs))
            {
                sums::<VECTOR, 1, 1>([[lanes]], [strip], active.clone());
            }
        }
    }

    /// The same for two columns that are mostly not zero: each weight is read once for both.
    #[inline(always)]
    pub(super) fn add_pair<const VECTOR: bool>(
        &self,
        outputs: [&mut [f32]; 2],
        columns: [&[f32]; 2],
    ) {
        let [a, b] = outputs;
        let lanes = a.as_chunks_mut::<LANES>().0.iter_mut();
        let lanes = lanes.zip(b.as_chunks_mut::<LANES>().0);
        for ((a, b), strip) in lanes.zip(self.strips.chunks_exact(self.inputs)) {
            if VECTOR {
                let both = columns[0].iter().zip(columns[1]).map(|(&x, &y)| [x, y]);
                sums::<VECTOR, 2, 1>([[a], [b]], [strip], both.enumerate());
            } else {
                for (lanes, column) in [a, b].into_iter().zip(columns) {
                    let inputs = column.iter().map(|&x| [x]).enumerate();
                    sums::<VECTOR, 1, 1>([[lanes]], [strip], inputs);
                }
            }
        }
    }
}

/// The innermost loop: for each input its weights times what each column says of it, added to that column's lanes.
#[inline(always)]
pub(super) fn sums<const VECTOR: bool, const COLUMNS: usize, const STRIPS: usize>(
    lanes: [[&mut [f32; LANES]; STRIPS]; COLUMNS],
    strips: [&[[f32; LANES]]; STRIPS],
    inputs: impl Iterator<Item = (usize, [f32; COLUMNS])>,
) {
    // A copy, so that it can live in registers.
    let mut sums = [[[0.0; LANES]; STRIPS]; COLUMNS];
    for column in 0..COLUMNS {
        for strip in 0..STRIPS {
            sums[column][strip] = *lanes[column][strip];
        }
    }
    for (input, xs) in inputs {
        for column in 0..COLUMNS {
            for strip in 0..STRIPS {
                let weights = &strips[strip][input];
                for lane in 0..LANES {
                    let sum = &mut sums[column][strip][lane];
                    *sum = multiply_add::<VECTOR>(weights[lane], xs[column], *sum);
                }
            }
        }
    }
    for (lanes, sums) in lanes.into_iter().flatten().zip(sums.as_flattened()) {
        *lanes = *sums;
    }
}

/// One rounding instead of two where one instruction does both; elsewhere that would be a call into a library.
#[inline(always)]
pub(super) fn multiply_add<const VECTOR: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if VECTOR {
        a.mul_add(b, sum)
    } else {
        a * b + sum
    }
}

#[inline(always)]
pub(super) fn clip(column: &mut [f32]) {
    for x in column {
        *x = x.max(0.0);
    }
}
