//! Plugins for tests, compiled from C as a stranger would compile his.

use super::binary;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `tests/plugins/NAME.c` into this folder, as a stranger would compile his plugin; where the library is.
pub fn compile_plugin(name: &str, folder: &Path) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = folder.join(format!("lib{name}.so"));
    let compiled = Command::new("cc")
        .args([
            "-Wall",
            "-Wextra",
            "-Werror",
            "-std=gnu99",
            "-shared",
            "-fPIC",
            "-I",
        ])
        .arg(here.join("../plugin-api/include"))
        .arg("-o")
        .arg(&library)
        .arg(here.join(format!("tests/plugins/{name}.c")))
        .status()
        .unwrap();
    assert!(compiled.success());
    std::fs::set_permissions(&library, PermissionsExt::from_mode(0o755)).unwrap();
    library
}

/// A plugin that is built with optimisations whatever the daemon is: models are too slow without them.
pub fn release_library(package: &str) -> PathBuf {
    let target = binary().parent().unwrap().parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--release", "-p", package]);
    cargo.arg("--target-dir").arg(target);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    assert!(
        cargo.status().unwrap().success(),
        "{package} does not build"
    );
    let library = format!("lib{}.so", package.replace('-', "_"));
    target.join("release").join(library)
}
