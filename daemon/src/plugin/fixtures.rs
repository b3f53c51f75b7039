//! Plugins to test with: small C files compiled by the system's compiler at test time, so that what is loaded is what a
//! stranger would bring, a library built by another compiler from the header alone.

#![allow(clippy::unwrap_used)]

use super::{Generation, Library, LoadError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A folder of one test's own, with libraries in it and their private copies.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(super) fn keep_dir(&self) -> PathBuf {
        self.dir.path().join("keep")
    }

    /// Compiles `tests/plugins/SOURCE.c` with these macros set into `FILE.so`.
    pub(crate) fn build(&self, source: &str, macros: &[&str], file: &str) -> PathBuf {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = self.dir.path().join(file).with_extension("so");
        // Under another name first: the linker would write into a file that may be mapped.
        let fresh = library.with_extension("fresh");
        let compiled = Command::new("cc")
            .args([
                "-std=gnu99",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-O1",
                "-fPIC",
                "-shared",
                "-o",
            ])
            .arg(&fresh)
            .arg("-I")
            .arg(package.join("../plugin-api/include"))
            .args(macros.iter().map(|m| format!("-D{m}")))
            .arg(package.join(format!("tests/plugins/{source}.c")))
            .output()
            .expect("the tests need a C compiler called cc");
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        std::fs::rename(fresh, &library).unwrap();
        library
    }

    pub(crate) fn load(&self, path: &Path) -> Result<Arc<Library>, LoadError> {
        Library::load("test", path, &self.keep_dir(), None)
    }

    /// The echo of `tests/plugins/echo.c`, loaded.
    pub(super) fn echo(&self) -> Arc<Library> {
        self.load(&self.build("echo", &[], "echo")).unwrap()
    }

    /// The echo, opened.
    pub(super) fn open(&self, config: &str) -> Arc<Generation> {
        Generation::open(self.echo(), "test", config).unwrap()
    }
}

/// The smallest file that is, to all appearances, a whole library for this machine: the header of the running program,
/// cut down to one segment that holds everything.
pub(super) fn smallest_library() -> Vec<u8> {
    const HEADER_BYTES: usize = 64;
    const SEGMENT_BYTES: usize = 56;
    let mut file = vec![0; HEADER_BYTES];
    std::fs::File::open("/proc/self/exe")
        .unwrap()
        .read_exact(&mut file)
        .unwrap();
    let (one, shared_object) = (1u16.to_ne_bytes(), 3u16.to_ne_bytes());
    file[16..18].copy_from_slice(&shared_object);
    file[32..40].copy_from_slice(&(HEADER_BYTES as u64).to_ne_bytes());
    file[56..58].copy_from_slice(&one);
    file.resize(HEADER_BYTES + SEGMENT_BYTES, 0);
    let whole = file.len() + 1000;
    file[HEADER_BYTES + 32..HEADER_BYTES + 40].copy_from_slice(&(whole as u64).to_ne_bytes());
    file.resize(whole, 0x90);
    file
}
