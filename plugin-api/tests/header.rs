//! The header against `abi.rs`: a C program made from the lists below prints sizes, offsets and constants as the
//! header has them, and each line must be what Rust says.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::Command;

use voice_plugin::abi::*;

/// One line per struct member: its name in C, where Rust has it and how large it is there.
macro_rules! layout {
    ($($c:literal = $rust:ty { $($member:ident $(as $c_member:literal)?),* })*) => {{
        let mut lines = Vec::new();
        $(
            lines.push((format!("sizeof({})", $c), size_of::<$rust>()));
            $({
                let whole = MaybeUninit::<$rust>::uninit();
                let base = whole.as_ptr();
                // SAFETY: only addresses are computed, inside one allocation; nothing is read.
                let member = unsafe { std::ptr::addr_of!((*base).$member) };
                let name = [$($c_member,)? stringify!($member)][0];
                lines.push((format!("offsetof({}, {name})", $c), member as usize - base as usize));
                lines.push((format!("sizeof((({} *)0)->{name})", $c), pointee_size(member)));
            })*
        )*
        lines
    }};
}

fn pointee_size<T>(_: *const T) -> usize {
    size_of::<T>()
}

fn layouts() -> Vec<(String, usize)> {
    layout! {
        "vp_bytes" = VpBytes { ptr, len }
        "vp_event" = VpEvent { kind, flags, turn, at, data }
        "vp_error" = VpError { code, msg }
        "vp_host" = VpHost { size, abi, log_level, log, reserve, commit, emit, release, extension }
        "vp_plugin" = VpPlugin {
            size, abi, name, version, roles, describe, open, close, start, send, stop, extension
        }
        "vp_catalog" = VpCatalog { size, list }
        "vp_check" = VpCheck { size, check }
    }
}

fn constants() -> Vec<(&'static str, i64)> {
    vec![
        ("VP_ABI", ABI.into()),
        ("VP_AUDIO", kind::AUDIO.into()),
        ("VP_TEXT", kind::TEXT.into()),
        ("VP_PARTIAL", kind::PARTIAL.into()),
        ("VP_SPEAK", kind::SPEAK.into()),
        ("VP_CANCEL", kind::CANCEL.into()),
        ("VP_MARK", kind::MARK.into()),
        ("VP_DTMF", kind::DTMF.into()),
        ("VP_SPEECH_START", kind::SPEECH_START.into()),
        ("VP_SPEECH_END", kind::SPEECH_END.into()),
        ("VP_WRITABLE", kind::WRITABLE.into()),
        ("VP_ACTION", kind::ACTION.into()),
        ("VP_DONE", kind::DONE.into()),
        ("VP_FAILED", kind::FAILED.into()),
        ("VP_SILENCE", kind::SILENCE.into()),
        ("VP_FINISHED", kind::FINISHED.into()),
        ("VP_RETURNED", kind::RETURNED.into()),
        ("VP_PRIVATE", kind::PRIVATE.into()),
        ("VP_LAST", flag::LAST.into()),
        ("VP_FIRM", flag::FIRM.into()),
        ("VP_WITHDRAWN", flag::WITHDRAWN.into()),
        ("VP_FIXED", flag::FIXED.into()),
        ("VP_OK", status::OK.into()),
        ("VP_AGAIN", status::AGAIN.into()),
        ("VP_CANCELLED", status::CANCELLED.into()),
        ("VP_UNSUPPORTED", status::UNSUPPORTED.into()),
        ("VP_ERROR", status::ERROR.into()),
        ("VP_PANIC", status::PANIC.into()),
        ("VP_TTS", role::TTS as i64),
        ("VP_RESPONDER", role::RESPONDER as i64),
        ("VP_STT", role::STT as i64),
        ("VP_LOG_ERROR", level::ERROR.into()),
        ("VP_LOG_WARN", level::WARN.into()),
        ("VP_LOG_INFO", level::INFO.into()),
        ("VP_LOG_DEBUG", level::DEBUG.into()),
        ("VP_LOG_TRACE", level::TRACE.into()),
    ]
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn in_tmp(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn header_says_what_rust_says() {
    let mut expected: Vec<_> = layouts()
        .into_iter()
        .map(|(c, size)| (c, size as i64))
        .collect();
    expected.extend(
        constants()
            .into_iter()
            .map(|(c, value)| (c.to_owned(), value)),
    );
    let prints: String = expected
        .iter()
        .map(|(c, _)| format!("  printf(\"{c} %lld\\n\", (long long)({c}));\n"))
        .collect();
    let (source, program) = (in_tmp("layout.c"), in_tmp("layout"));
    let text = format!("#include <stdio.h>\n#include \"voice_plugin.h\"\nint main(void) {{\n{prints}  return 0;\n}}\n");
    fs::write(&source, text).unwrap();
    let compiled = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-std=c99", "-I"])
        .arg(here("include"))
        .arg("-o")
        .args([&program, &source])
        .output()
        .expect("a C compiler called cc is needed");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let said = String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap();
    let expected: String = expected
        .iter()
        .map(|(c, value)| format!("{c} {value}\n"))
        .collect();
    assert_eq!(said, expected);
}

/// The lists above are only as good as they are complete.
#[test]
fn no_constant_of_the_header_is_left_out() {
    let header = fs::read_to_string(here("include/voice_plugin.h")).unwrap();
    let defined = header.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix("VP_")?.split_once(" = ")?;
        Some(format!("VP_{name}"))
    });
    let listed: Vec<_> = constants()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| *name != "VP_ABI")
        .collect();
    assert_eq!(defined.collect::<Vec<_>>(), listed);
}

/// Names as text: compared as the header writes them, both ways.
#[test]
fn failures_and_extensions_have_the_same_names_on_both_sides() {
    let header = fs::read_to_string(here("include/voice_plugin.h")).unwrap();
    let texts: Vec<(&str, &str)> = header
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("#define VP_")?.split_once(" \"")?;
            Some((name, rest.split_once('"')?.0))
        })
        .collect();
    let mut expected: Vec<(String, &str)> = failure::ALL
        .iter()
        .map(|name| (format!("FAILURE_{}", name.to_uppercase()), *name))
        .collect();
    expected.push(("CATALOG_ID".to_owned(), CATALOG_ID));
    expected.push(("LANGUAGES_ID".to_owned(), LANGUAGES_ID));
    expected.push(("CHECK_ID".to_owned(), CHECK_ID));
    let expected: Vec<(&str, &str)> = expected
        .iter()
        .map(|(c, text)| (c.as_str(), *text))
        .collect();
    assert_eq!(texts, expected);
}

#[test]
fn event_is_32_bytes_and_error_256() {
    assert_eq!((size_of::<VpEvent>(), size_of::<VpError>()), (32, 256));
}

/// Where the C compiler has a C++ side to it; a machine without one proves nothing here and says so.
#[test]
fn header_is_good_cpp() {
    let check = |name: &str, text: &str| {
        let source = in_tmp(name);
        fs::write(&source, text).unwrap();
        Command::new("cc")
            .args([
                "-x",
                "c++",
                "-fsyntax-only",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-I",
            ])
            .arg(here("include"))
            .arg(source)
            .output()
            .expect("a C compiler called cc is needed")
    };
    if !check("empty.cpp", "int main() { return 0; }\n")
        .status
        .success()
    {
        eprintln!("no C++ compiler here: the header was not tried with it");
        return;
    }
    let tried = check(
        "header.cpp",
        "#include \"voice_plugin.h\"\nint main() { return voice_plugin(VP_ABI) == 0; }\n",
    );
    assert!(
        tried.status.success(),
        "{}",
        String::from_utf8_lossy(&tried.stderr)
    );
}
