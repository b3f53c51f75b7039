//! The first look at a library: is it whole, and is it for this machine? The dynamic linker would find out too, but in
//! its own words, and a file cut short would not be refused but kill the process when a missing page is touched. Bytes
//! in, verdict out; nothing here opens a file.

use super::error::LoadProblem;

// The offsets below are those of 64-bit files.
const _: () = assert!(
    usize::BITS == 64,
    "plugins can be loaded on 64-bit machines only"
);

/// `e_machine` of the processors Linux runs on that anybody would put a telephone on.
const MACHINES: [(u16, &str); 7] = [
    (3, "x86"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SHARED_OBJECT: u16 = 3;

/// Whether these are the bytes of a whole shared library for this machine.
pub(crate) fn check(file: &[u8]) -> Result<(), LoadProblem> {
    let broken = LoadProblem::NotALibrary;
    if file.is_empty() {
        return Err(broken("the file is empty"));
    }
    if !file.starts_with(b"\x7fELF") {
        return Err(broken("it is no ELF file"));
    }
    if file.len() < HEADER_BYTES {
        return Err(broken("it ends inside its header"));
    }
    let little = file[5] == 1;
    let machine = if little {
        half(file, 16 + 2)
    } else {
        half(file, 16 + 2).swap_bytes()
    };
    let bits = if file[4] == 2 { 64 } else { 32 };
    let host = std::env::consts::ARCH;
    let same_bits = bits == usize::BITS && little == cfg!(target_endian = "little");
    if !same_bits || !MACHINES.contains(&(machine, host)) {
        return Err(LoadProblem::Foreign {
            found: in_words(machine, bits, little),
            host: host.to_owned(),
        });
    }
    if half(file, 16) != SHARED_OBJECT {
        return Err(broken(
            "it is an object file or a program, no shared library",
        ));
    }
    let (segments, size, count) = (long(file, 32), half(file, 54), half(file, 56));
    if usize::from(size) != SEGMENT_BYTES || count == 0 {
        return Err(broken("its segment table makes no sense"));
    }
    for i in 0..usize::from(count) {
        let begins = usize::try_from(segments)
            .unwrap_or(usize::MAX)
            .saturating_add(i * SEGMENT_BYTES);
        let Some(segment) = file.get(begins..begins.saturating_add(SEGMENT_BYTES)) else {
            return Err(broken("it ends inside its segment table"));
        };
        let ends = long(segment, 8).saturating_add(long(segment, 32));
        if ends > file.len() as u64 {
            return Err(broken(
                "it ends inside a segment: the copy or the build is incomplete",
            ));
        }
    }
    Ok(())
}

fn in_words(machine: u16, bits: u32, little: bool) -> String {
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    let order = if little { "" } else { ", big-endian" };
    match known {
        Some((_, name)) => format!("{name} ({bits} bit{order})"),
        None => format!("machine {machine} ({bits} bit{order})"),
    }
}

/// A 16-bit number in native order; the header was found long enough before.
fn half(file: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([file[at], file[at + 1]])
}

fn long(file: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&file[at..at + 8]);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::smallest_library;
    use super::*;

    fn said(file: &[u8]) -> String {
        check(file).map_or_else(|no| no.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn what_is_no_whole_library_for_us_is_refused_in_words() {
        let whole = smallest_library();
        let with = |at: usize, byte: u8| {
            let mut file = whole.clone();
            file[at] = byte;
            file
        };
        for (file, word) in [
            (whole.clone(), "fine"),
            (vec![], "empty"),
            (b"#!/bin/sh\n".to_vec(), "no ELF"),
            (b"\x7fELF".to_vec(), "inside its header"),
            (whole[..100].to_vec(), "inside its segment table"),
            (whole[..1119].to_vec(), "inside a segment"),
            (with(16, 2), "no shared library"),
            (with(54, 1), "makes no sense"),
            (with(32 + 7, 0xff), "inside its segment table"),
            (with(18, 243), "is built for riscv64 (64 bit)"),
            (with(18, 9), "is built for machine 9"),
            (with(4, 1), "(32 bit)"),
        ] {
            assert!(said(&file).contains(word), "{word}: {}", said(&file));
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = smallest_library();
        let mut dice = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut file = whole.clone();
            for _ in 0..4 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                file[dice as usize % 64] = (dice >> 32) as u8;
            }
            file.truncate((dice >> 40) as usize % 1121);
            // Whatever it says, it says it.
            said(&file);
        }
    }
}
