//! Reader of CTranslate2's `model.bin`: a flat list of named arrays, little endian.
//!
//! ```text
//! u32 version (2 to 6) · string name of the model's kind · u32 revision of that
//! u32 how many, then for each:  string name · u8 dimensions · u32 each of them · u8 type · u32 bytes · the bytes
//! u32 how many, then for each:  string alias · string name                       (string: u16 length with its NUL, bytes)
//! ```
//!
//! The file comes from somewhere else, so nothing in it is believed: a length is compared with what is left of the file
//! before anything is allocated for it. Arrays of whole numbers are weights divided by a step, which lies beside them as
//! `NAME_scale`; they are multiplied out here.

use std::io::Read;

use super::tensors::{Tensor, Tensors};

/// Versions whose layout is the one above.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=6;
/// Longest name, in bytes.
const NAME_MAX_BYTES: usize = 512;
/// Most arrays in a file; the largest Whisper has under two thousand.
const ARRAYS_MAX: u32 = 10_000;
/// Most dimensions of an array.
const DIMENSIONS_MAX: u8 = 4;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ct2Error {
    #[error("it cannot be read: {0}")]
    Io(std::io::Error),
    #[error("it ends in the middle of {0}; it was not copied or joined completely: get it anew")]
    Cut(String),
    #[error(
        "it does not begin as such a file does (version {0} where 2 to 6 are known); is it the right file?"
    )]
    Version(u32),
    #[error(
        "it holds a {0:?}, not a WhisperSpec: a Whisper model converted by CTranslate2 is needed"
    )]
    Kind(String),
    #[error("its {0} is broken: get the file anew")]
    Broken(String),
    #[error(
        "`{name}` holds numbers of type {kind}, which is not known here: convert the model with --quantization float16"
    )]
    Type { name: String, kind: u8 },
    #[error("{0} bytes follow behind its end; it was not joined from the right parts")]
    TooLong(u64),
}

/// Reads a file of `length` bytes.
pub(crate) fn read(from: impl Read, length: u64) -> Result<Tensors, Ct2Error> {
    let mut bytes = Bytes { from, left: length };
    let version = bytes.u32("its head")?;
    if !VERSIONS.contains(&version) {
        return Err(Ct2Error::Version(version));
    }
    let kind = bytes.string("its head")?;
    if kind != "WhisperSpec" {
        return Err(Ct2Error::Kind(kind));
    }
    bytes.u32("its head")?;
    let count = bytes.u32("its head")?;
    if count > ARRAYS_MAX {
        return Err(Ct2Error::Broken(format!("number of arrays, {count},")));
    }
    let mut tensors = Tensors::default();
    for number in 0..count {
        let name = bytes.string(&format!("the name of array {number} of {count}"))?;
        let tensor = bytes.tensor(&name)?;
        tensors.insert(name, tensor);
    }
    // Aliases only say that the last layer uses the first one's weights, which Whisper always does.
    if bytes.left > 0 {
        for _ in 0..bytes.u32("its aliases")?.min(ARRAYS_MAX) {
            bytes.string("its aliases")?;
            bytes.string("its aliases")?;
        }
    }
    if bytes.left > 0 {
        return Err(Ct2Error::TooLong(bytes.left));
    }
    unscale(&mut tensors)?;
    Ok(tensors)
}

struct Bytes<R> {
    from: R,
    /// How much of the file has not been read.
    left: u64,
}

impl<R: Read> Bytes<R> {
    fn take(&mut self, count: usize, of: &str) -> Result<Vec<u8>, Ct2Error> {
        if count as u64 > self.left {
            return Err(Ct2Error::Cut(of.to_owned()));
        }
        let mut bytes = vec![0; count];
        self.from.read_exact(&mut bytes).map_err(Ct2Error::Io)?;
        self.left -= count as u64;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, of: &str) -> Result<[u8; N], Ct2Error> {
        let bytes = self.take(N, of)?;
        bytes.try_into().map_err(|_| Ct2Error::Cut(of.to_owned()))
    }

    fn u8(&mut self, of: &str) -> Result<u8, Ct2Error> {
        Ok(self.array::<1>(of)?[0])
    }

    fn u32(&mut self, of: &str) -> Result<u32, Ct2Error> {
        Ok(u32::from_le_bytes(self.array(of)?))
    }

    fn string(&mut self, of: &str) -> Result<String, Ct2Error> {
        let length = usize::from(u16::from_le_bytes(self.array(of)?));
        let broken = || Ct2Error::Broken(of.trim_start_matches("its ").to_owned());
        if length > NAME_MAX_BYTES {
            return Err(broken());
        }
        let mut bytes = self.take(length, of)?;
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        String::from_utf8(bytes).map_err(|_| broken())
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, Ct2Error> {
        let of = format!("`{name}`");
        let dimensions = self.u8(&of)?;
        let broken = || Ct2Error::Broken(format!("array {of}"));
        if dimensions > DIMENSIONS_MAX {
            return Err(broken());
        }
        let mut shape = Vec::with_capacity(usize::from(dimensions));
        let mut numbers: usize = 1;
        for _ in 0..dimensions {
            let dimension = self.u32(&of)? as usize;
            numbers = numbers.checked_mul(dimension).ok_or_else(broken)?;
            shape.push(dimension);
        }
        let kind = self.u8(&of)?;
        let count = self.u32(&of)? as usize;
        let width = match kind {
            0 | 3 => 4,
            1 => 1,
            2 | 4 | 5 => 2,
            _ => {
                let name = name.to_owned();
                return Err(Ct2Error::Type { name, kind });
            }
        };
        if numbers.checked_mul(width) != Some(count) {
            return Err(broken());
        }
        let bytes = self.take(count, &of)?;
        let pairs = || bytes.as_chunks::<2>().0.iter().copied();
        let fours = || bytes.as_chunks::<4>().0.iter().copied();
        let data = match kind {
            0 => fours().map(f32::from_le_bytes).collect(),
            1 => bytes.iter().map(|byte| f32::from(*byte as i8)).collect(),
            2 => pairs()
                .map(|pair| f32::from(i16::from_le_bytes(pair)))
                .collect(),
            3 => fours()
                .map(|four| i32::from_le_bytes(four) as f32)
                .collect(),
            4 => pairs().map(|pair| half(u16::from_le_bytes(pair))).collect(),
            _ => pairs()
                .map(|pair| f32::from_bits(u32::from(u16::from_le_bytes(pair)) << 16))
                .collect(),
        };
        Ok(Tensor { shape, data })
    }
}

/// Divides weights kept as whole numbers by their scale: one for all, or one for each row.
fn unscale(tensors: &mut Tensors) -> Result<(), Ct2Error> {
    let scaled: Vec<String> = tensors
        .names()
        .filter_map(|name| name.strip_suffix("_scale").map(str::to_owned))
        .collect();
    for name in scaled {
        let Some(scale) = tensors.remove(&format!("{name}_scale")) else {
            continue;
        };
        let broken = || Ct2Error::Broken(format!("array `{name}_scale`"));
        let weight = tensors.get_mut(&name).ok_or_else(broken)?;
        let rows = scale.data.len();
        if rows == 0 || weight.data.len() % rows != 0 || weight.data.is_empty() {
            return Err(broken());
        }
        let width = weight.data.len() / rows;
        for (row, scale) in weight.data.chunks_exact_mut(width).zip(&scale.data) {
            for x in row {
                *x /= scale;
            }
        }
    }
    Ok(())
}

/// A 16-bit float of IEEE 754.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 31);
    let fraction = u32::from(bits & 1023);
    match exponent {
        // Too small for an exponent of its own: a count of the smallest step.
        0 => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 255 << 23 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mini;

    fn reading(file: &[u8]) -> Result<Tensors, Ct2Error> {
        read(file, file.len() as u64)
    }

    fn refusal(file: &[u8]) -> String {
        reading(file).unwrap_err().to_string()
    }

    /// A file with one array and no aliases.
    fn one(shape: &[u32], kind: u8, data: &[u8]) -> Vec<u8> {
        let mut file = mini::head(1);
        mini::array(&mut file, "x/weight", shape, kind, data);
        file.extend([0; 4]);
        file
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        let table: [(u8, &[u8], &[f32]); 6] = [
            (0, &[0, 0, 0xc0, 0xbf, 0, 0, 0, 0x3f], &[-1.5, 0.5]),
            (1, &[0xff, 0x7f], &[-1.0, 127.0]),
            (2, &[0xfe, 0xff, 0, 1], &[-2.0, 256.0]),
            (3, &[0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0], &[-1.0, 3.0]),
            (4, &[0, 0xbe, 0, 0x38], &[-1.5, 0.5]),
            (5, &[0xc0, 0xbf, 0, 0x3f], &[-1.5, 0.5]),
        ];
        for (kind, data, expected) in table {
            let mut tensors = reading(&one(&[2], kind, data)).unwrap();
            assert_eq!(
                tensors.take("x/weight", &[2]).unwrap(),
                expected,
                "type {kind}"
            );
        }
    }

    #[test]
    fn halves_are_those_of_the_standard() {
        let table = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7bff, 65_504.0),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in table {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn whole_numbers_are_divided_by_the_scale_of_their_row() {
        let mut file = mini::head(2);
        mini::array(
            &mut file,
            "x/weight_scale",
            &[2],
            0,
            &[0, 0, 0, 0x40, 0, 0, 0x80, 0x40],
        );
        mini::array(&mut file, "x/weight", &[2, 2], 1, &[2, 4, 8, 0xf8]);
        let mut tensors = reading(&file).unwrap();
        assert_eq!(
            tensors.take("x/weight", &[2, 2]).unwrap(),
            [1.0, 2.0, 2.0, -2.0]
        );
    }

    #[test]
    fn wrong_files_are_told_apart() {
        let good = one(&[2], 1, &[1, 2]);
        let table: Vec<(Vec<u8>, &str)> = vec![
            (
                b"PK\x03\x04 a zip".to_vec(),
                "it does not begin as such a file does (version 67324752",
            ),
            (vec![], "it ends in the middle of its head"),
            (
                good[..good.len() - 5].to_vec(),
                "it ends in the middle of `x/weight`; it was not",
            ),
            (
                [&good[..], b"more"].concat(),
                "4 bytes follow behind its end",
            ),
            (one(&[2], 9, &[1, 2]), "`x/weight` holds numbers of type 9"),
            (one(&[3], 1, &[1, 2]), "its array `x/weight` is broken"),
            (
                one(&[u32::MAX; 4], 1, &[]),
                "its array `x/weight` is broken",
            ),
            (one(&[1; 5], 1, &[1]), "its array `x/weight` is broken"),
            (
                mini::head(u32::MAX),
                "its number of arrays, 4294967295, is broken",
            ),
            (
                mini::head(1),
                "it ends in the middle of the name of array 0 of 1",
            ),
        ];
        for (file, words) in table {
            let said = refusal(&file);
            assert!(said.starts_with(words), "{said}");
        }
        let other = String::from_utf8(good.iter().map(|b| b & 127).collect()).unwrap();
        let other = other.replace("WhisperSpec", "WhisperSpek");
        assert!(refusal(other.as_bytes()).starts_with(r#"it holds a "WhisperSpek""#));
    }

    #[test]
    fn no_change_of_a_file_makes_the_reader_panic() {
        let whole = mini::weights();
        let seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = seed;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let mut refused = 0;
        for _ in 0..2000 {
            // The last arrays and the aliases: what is read first is read each time.
            let mut file = whole.clone();
            for _ in 0..=next(3) {
                let at = match next(2) {
                    0 => next(64),
                    _ => file.len() - 1 - next(4000),
                };
                file[at] = next(256) as u8;
            }
            if next(4) == 0 {
                file.truncate(next(file.len()));
            }
            refused += usize::from(reading(&file).is_err());
        }
        assert!(
            refused > 500,
            "seed {seed:#x}: {refused} of 2000 were refused"
        );
    }
}
