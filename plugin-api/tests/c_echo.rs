//! The example in C: compiled from the header with every warning an error, loaded as the daemon loads plugins, and put
//! to work through its table.

#![allow(clippy::unwrap_used)]

mod host;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use host::{describe, open, sound, HEAD_BYTES};
use voice_plugin::abi::{kind, role, status, VpEntry, VpPlugin, ABI, ENTRY_SYMBOL};

/// The table of the compiled example.
fn echo() -> &'static VpPlugin {
    static TABLE: OnceLock<&VpPlugin> = OnceLock::new();
    TABLE.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libc_echo.so");
        let compiled = Command::new("cc")
            .args([
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                "-std=c99",
                "-O2",
                "-shared",
                "-fPIC",
                "-I",
            ])
            .arg(here.join("include"))
            .arg("-o")
            .arg(&library)
            .arg(here.join("examples/c_echo/echo.c"))
            .output()
            .expect("a C compiler called cc is needed");
        assert!(
            compiled.status.success(),
            "{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        // SAFETY: the library was just made from the example, which has no constructors.
        let loaded = unsafe { libloading::Library::new(&library) }.unwrap();
        // SAFETY: the header declares the symbol with this type.
        let entry = *unsafe { loaded.get::<VpEntry>(ENTRY_SYMBOL.as_bytes()) }.unwrap();
        // Plugins are never unloaded.
        std::mem::forget(loaded);
        // SAFETY: any thread may call it.
        assert!(unsafe { entry(ABI + 1) }.is_null());
        // SAFETY: as above; what it returns is static.
        unsafe { entry(ABI).as_ref() }.expect("a table for this version")
    })
}

#[test]
fn frames_come_straight_back() {
    let plugin = open(echo(), "{}").unwrap();
    let stream = plugin.start(role::RESPONDER, "{}").unwrap();
    let started = stream.take();
    assert_eq!(
        (started[0].kind, started[0].text()),
        (kind::ACTION, r#"{"do":"own_turns"}"#)
    );
    for n in 0..50u8 {
        assert_eq!(stream.tell(kind::AUDIO, 1, &[n; 160]), status::OK);
        assert_eq!(stream.tell(kind::SPEECH_START, 1, b""), status::OK);
        assert_eq!(sound(&stream.take()), [n; 160]);
    }
    let watch = stream.stop();
    drop(plugin);
    watch.assert_released_once();
}

#[test]
fn full_ring_loses_frames_and_nothing_else() {
    let plugin = open(echo(), "{}").unwrap();
    let stream = plugin.start_with(role::RESPONDER, "{}", 1024).unwrap();
    stream.take();
    for n in 0..10u8 {
        assert_eq!(stream.tell(kind::AUDIO, 1, &[n; 160]), status::OK);
    }
    // Two records of 176 bytes before the 512 that are kept for control.
    assert_eq!(stream.used(), 2 * (160 + HEAD_BYTES));
    assert_eq!(sound(&stream.take()), [[0; 160], [1; 160]].concat());
    stream.tell(kind::AUDIO, 1, &[9; 160]);
    assert_eq!(sound(&stream.take()), [9; 160]);
}

#[test]
fn another_role_is_refused_and_released() {
    let plugin = open(echo(), "{}").unwrap();
    let Err(refused) = plugin.start(role::TTS, "{}") else {
        panic!("started")
    };
    assert_eq!(refused.status, status::ERROR);
    assert_eq!(refused.text, "no memory, no room, or not asked to respond");
}

#[test]
fn table_and_description_are_whole() {
    let table = echo();
    assert_eq!(
        (table.size as usize, table.abi, table.roles),
        (size_of::<VpPlugin>(), ABI, role::RESPONDER)
    );
    assert!(table.extension.is_none());
    assert!(describe(table).contains(r#""hears_audio":true"#));
}
