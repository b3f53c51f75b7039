//! The arithmetic under the network: products of matrices through the one library, and the loops between them written so
//! that the compiler makes wide instructions of them. It knows no layers.
//!
//! Each loop is compiled twice on x86-64, for every processor and for those with AVX2, and chosen while running: the
//! exponentials alone would cost more than the matrices otherwise.

/// Floats worked on side by side in sums: two registers of AVX2.
const LANES: usize = 16;

/// Compiles a loop for the plain processor and for AVX2, and takes the better one.
macro_rules! vectorised {
    ($(#[$about:meta])* $visible:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $back:ty)? $body:block) => {
        $(#[$about])*
        $visible fn $name($($arg: $type),*) $(-> $back)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $back)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $type),*) $(-> $back)? {
                    plain($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has what the function was compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}

/// A matrix that lies somewhere in a slice, rows and columns any distance apart.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// `rows` of `cols` neighbouring floats, each row `stride` behind the last; rows may overlap.
    pub(crate) fn rows(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> View<'a> {
        assert!(rows > 0 && cols > 0 && (rows - 1) * stride + cols <= data.len());
        View {
            data,
            rows,
            cols,
            row_stride: stride,
            col_stride: 1,
        }
    }

    /// Rows become columns.
    pub(crate) fn turned(self) -> View<'a> {
        View {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// `out = a · b`, or `out += a · b` with `add`; rows of `out` are `stride` apart.
pub(crate) fn product(out: &mut [f32], stride: usize, a: View<'_>, b: View<'_>, add: bool) {
    assert_eq!(a.cols, b.rows);
    assert!(stride >= b.cols && (a.rows - 1) * stride + b.cols <= out.len());
    // SAFETY: both views checked that their last element lies in their slice, and so does the line above for `out`,
    // whose rows do not overlap; it is borrowed alone, so it overlaps neither input.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.cols,
            b.cols,
            1.0,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.col_stride as isize,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.col_stride as isize,
            if add { 1.0 } else { 0.0 },
            out.as_mut_ptr(),
            stride as isize,
            1,
        );
    }
}

/// Weights of one layer, `[outputs][inputs]`, and what is added to its outputs.
pub(crate) struct Linear {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Linear {
    /// Multiplies the first `rows` outputs.
    pub(crate) fn scale(&mut self, rows: usize, by: f32) {
        let inputs = self.weight.len() / self.bias.len();
        let weight = &mut self.weight[..rows * inputs];
        for x in weight.iter_mut().chain(&mut self.bias[..rows]) {
            *x *= by;
        }
    }

    /// For many rows at once: `x` has `rows` of `inputs`, `stride` apart; rows of outputs come out.
    pub(crate) fn of_rows(&self, x: &[f32], rows: usize, inputs: usize, stride: usize) -> Vec<f32> {
        let outputs = self.bias.len();
        let mut out = Vec::with_capacity(rows * outputs);
        for _ in 0..rows {
            out.extend_from_slice(&self.bias);
        }
        let weight = View::rows(&self.weight, outputs, inputs, inputs).turned();
        product(
            &mut out,
            outputs,
            View::rows(x, rows, inputs, stride),
            weight,
            true,
        );
        out
    }

    /// For one row.
    pub(crate) fn of_row(&self, x: &[f32], out: &mut [f32]) {
        rows_dot(&self.weight, x, out);
        add(out, &self.bias);
    }
}

/// Rows of numbers in bytes, each row with a step of its own: a quarter of the memory to read, and of the time, for a
/// precision that the transcripts do not notice.
pub(crate) struct Table {
    width: usize,
    bytes: Vec<i8>,
    steps: Vec<f32>,
}

impl Table {
    pub(crate) fn new(rows: &[f32], width: usize) -> Table {
        let mut table = Table {
            width,
            bytes: Vec::with_capacity(rows.len()),
            steps: Vec::with_capacity(rows.len() / width),
        };
        for row in rows.chunks_exact(width) {
            let greatest = row.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            let step = (greatest / 127.0).max(f32::MIN_POSITIVE);
            table.steps.push(step);
            // Between -127 and 127 by the choice of the step.
            table
                .bytes
                .extend(row.iter().map(|x| (x / step).round() as i8));
        }
        table
    }

    /// One row.
    pub(crate) fn row(&self, number: usize, out: &mut [f32]) {
        let row = &self.bytes[number * self.width..][..self.width];
        for (out, byte) in out.iter_mut().zip(row) {
            *out = f32::from(*byte) * self.steps[number];
        }
    }

    /// Every row times `x`.
    pub(crate) fn of_row(&self, x: &[f32], out: &mut [f32]) {
        table_dot(&self.bytes, &self.steps, x, out);
    }
}

vectorised! {
    fn table_dot(bytes: &[i8], steps: &[f32], x: &[f32], out: &mut [f32]) {
        for ((row, step), out) in bytes.chunks_exact(x.len()).zip(steps).zip(out) {
            let mut lanes = [0.0; LANES];
            let (row_whole, row_rest) = row.as_chunks::<LANES>();
            let (x_whole, x_rest) = x.as_chunks::<LANES>();
            for (row, x) in row_whole.iter().zip(x_whole) {
                for lane in 0..LANES {
                    lanes[lane] += f32::from(row[lane]) * x[lane];
                }
            }
            let rest: f32 = row_rest.iter().zip(x_rest).map(|(a, b)| f32::from(*a) * b).sum();
            *out = (lanes.iter().sum::<f32>() + rest) * step;
        }
    }
}

vectorised! {
    /// Every row of `weight` times `x`.
    pub(crate) fn rows_dot(weight: &[f32], x: &[f32], out: &mut [f32]) {
        for (row, out) in weight.chunks_exact(x.len()).zip(out) {
            *out = dot_plain(row, x);
        }
    }
}

#[inline(always)]
fn dot_plain(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

vectorised! {
    /// Attention of one query to `keys.len() / stride` positions: rows of `keys` and `values` are `stride` apart, heads
    /// `head` wide side by side. `query` is scaled already; `scores` is room for a number per position.
    pub(crate) fn attend_one(
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        stride: usize,
        head: usize,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        for (number, (query, out)) in query.chunks_exact(head).zip(out.chunks_exact_mut(head)).enumerate() {
            let at = number * head;
            for (position, score) in scores.iter_mut().enumerate() {
                let key = &keys[position * stride + at..][..head];
                *score = dot_plain(query, key);
            }
            softmax_plain(scores);
            out.fill(0.0);
            for (position, weight) in scores.iter().enumerate() {
                let value = &values[position * stride + at..][..head];
                for (out, value) in out.iter_mut().zip(value) {
                    *out += weight * value;
                }
            }
        }
    }
}

vectorised! {
    /// `x += y`.
    pub(crate) fn add(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

vectorised! {
    /// Every row of `width` becomes weights that sum to one.
    pub(crate) fn softmax(x: &mut [f32], width: usize) {
        for row in x.chunks_exact_mut(width) {
            softmax_plain(row);
        }
    }
}

#[inline(always)]
fn softmax_plain(row: &mut [f32]) {
    let greatest = greatest_plain(row);
    for x in row.iter_mut() {
        *x = exp(*x - greatest);
    }
    let scale = 1.0 / sum_plain(row);
    for x in row.iter_mut() {
        *x *= scale;
    }
}

#[inline(always)]
fn greatest_plain(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for x in whole {
        for lane in 0..LANES {
            lanes[lane] = if x[lane] > lanes[lane] {
                x[lane]
            } else {
                lanes[lane]
            };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

#[inline(always)]
fn sum_plain(row: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for x in whole {
        for lane in 0..LANES {
            lanes[lane] += x[lane];
        }
    }
    lanes.iter().chain(rest).sum()
}

/// Mean and variance of a row taken out, then scaled and moved.
pub(crate) struct Norm {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
}

impl Norm {
    /// Of each row.
    pub(crate) fn of(&self, x: &[f32]) -> Vec<f32> {
        let mut out = x.to_vec();
        norm(&mut out, &self.gamma, &self.beta);
        out
    }
}

vectorised! {
    fn norm(x: &mut [f32], gamma: &[f32], beta: &[f32]) {
        let width = gamma.len();
        for row in x.chunks_exact_mut(width) {
            let mean = sum_plain(row) / width as f32;
            for x in row.iter_mut() {
                *x -= mean;
            }
            let variance = dot_plain(row, row) / width as f32;
            let scale = 1.0 / (variance + 1e-5).sqrt();
            for ((x, gamma), beta) in row.iter_mut().zip(gamma).zip(beta) {
                *x = *x * scale * gamma + beta;
            }
        }
    }
}

vectorised! {
    /// x · Φ(x), the curve between the two halves of a layer.
    pub(crate) fn gelu(x: &mut [f32]) {
        for x in x.iter_mut() {
            let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
            // Abramowitz and Stegun 7.1.26: the error function to 1.5e-7.
            let t = 1.0 / (1.0 + 0.327_591_1 * z);
            let poly = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_74) * t + 0.254_829_6) * t;
            let tail = poly * exp(-z * z);
            let erf = if *x < 0.0 { tail - 1.0 } else { 1.0 - tail };
            *x *= 0.5 * (1.0 + erf);
        }
    }
}

/// e^x to about 1e-7 of itself, for x up to 0 and a little above; what would be smaller than a float becomes nearly 0.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a float it leaves the nearest whole number in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let whole = shifted - MAGIC;
    // ln 2 in two parts, so that the difference keeps its digits.
    let r = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let poly = ((((1.0 / 120.0 * r + 1.0 / 24.0) * r + 1.0 / 6.0) * r + 0.5) * r + 1.0) * r + 1.0;
    let exponent = shifted
        .to_bits()
        .wrapping_sub(MAGIC.to_bits())
        .wrapping_add(127);
    poly * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_standard_library() {
        for step in 0..20_000 {
            let x = step as f32 * -0.004;
            let (ours, theirs) = (exp(x), x.exp());
            assert!(
                (ours - theirs).abs() <= theirs * 4e-6,
                "{x}: {ours}, {theirs}"
            );
        }
        assert!(exp(-1e30) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn gelu_is_the_curve_of_the_papers() {
        // scipy: x * norm.cdf(x)
        let table = [
            (-3.0, -0.004_049_694),
            (-1.0, -0.158_655_25),
            (-0.1, -0.046_017_21),
            (0.0, 0.0),
            (0.5, 0.345_731_23),
            (2.0, 1.954_499_7),
            (10.0, 10.0),
        ];
        for (x, expected) in table {
            let mut row = [x; 3];
            gelu(&mut row);
            assert!((row[1] - expected).abs() < 1e-6, "{x}: {}", row[1]);
        }
    }

    #[test]
    fn softmax_of_a_row_that_is_no_multiple_of_a_register() {
        let mut row: Vec<f32> = (0..37).map(|n| n as f32 * 0.1).collect();
        let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        let expected: Vec<f64> = row.iter().map(|x| f64::from(*x).exp() / sum).collect();
        softmax(&mut row, 37);
        for (ours, theirs) in row.iter().zip(expected) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-6);
        }
    }

    #[test]
    fn products_take_overlapping_and_turned_rows() {
        let data: Vec<f32> = (0..12).map(|n| n as f32).collect();
        // Rows (0 1 2 3), (2 3 4 5), (4 5 6 7), times two columns that are the rows (0 1 2 3) and (4 5 6 7).
        let (a, b) = (
            View::rows(&data, 3, 4, 2),
            View::rows(&data, 2, 4, 4).turned(),
        );
        let mut out = [1.0; 6];
        product(&mut out, 2, a, b, true);
        assert_eq!(out, [15.0, 39.0, 27.0, 83.0, 39.0, 127.0]);
        product(&mut out, 2, a, b, false);
        assert_eq!(out, [14.0, 38.0, 26.0, 82.0, 38.0, 126.0]);
    }

    #[test]
    fn one_query_attends_as_many_do() {
        let (positions, width, head) = (5, 4, 2);
        let keys: Vec<f32> = (0..20).map(|n| (n as f32 * 0.7).sin()).collect();
        let query = [0.3, -0.2, 0.9, 0.4];
        let mut out = [0.0; 4];
        attend_one(&query, &keys, &keys, width, head, &mut [0.0; 5], &mut out);
        for number in 0..2 {
            let at = number * head;
            let mut scores = vec![0.0; positions];
            let q = View::rows(&query[at..], 1, head, width);
            let k = View::rows(&keys[at..], positions, head, width);
            product(&mut scores, positions, q, k.turned(), false);
            softmax(&mut scores, positions);
            let mut expected = vec![0.0; head];
            product(
                &mut expected,
                head,
                View::rows(&scores, 1, positions, positions),
                k,
                false,
            );
            for (ours, theirs) in out[at..].iter().zip(expected) {
                assert!((ours - theirs).abs() < 1e-6);
            }
        }
    }
}
