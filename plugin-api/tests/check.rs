//! What a plugin makes of a configuration, asked for as the host does it: by the extension `check/1`, before anything is
//! open.

#![cfg(feature = "sdk")]
#![allow(clippy::unwrap_used)]

use std::ffi::{c_void, CString};

use voice_plugin::abi::{status, VpBytes, VpCheck, CHECK_ID};
use voice_plugin::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Config {
    lines: i64,
}

struct Careful;

impl Responder for Careful {
    type Config = Config;

    fn check(config: &Config) -> Checked {
        assert!(config.lines < 1000, "so many lines were never thought of");
        let below = |line| Problem::from(format!("line {line} is below the first"));
        let over = (config.lines > 100).then(|| Problem::InText {
            key: "lines".into(),
            line: 101,
            text: "too many".into(),
        });
        Checked {
            problems: (config.lines..0).map(below).chain(over).collect(),
            drawing: "|".repeat(usize::try_from(config.lines).unwrap_or(0)),
            voices: (config.lines == 3)
                .then(|| "deep".into())
                .into_iter()
                .collect(),
        }
    }

    async fn open(_: Config, _: Host) -> Result<Self> {
        Ok(Careful)
    }

    async fn run(&self, _: Call) -> Result<()> {
        Ok(())
    }
}

voice_plugin::export!(responder: Careful);

unsafe extern "C" fn keep(to: *mut c_void, json: VpBytes) {
    // SAFETY: the string behind `asked`, which waits for this call; the bytes are lent for it.
    let (kept, json) = unsafe { (&mut *to.cast::<String>(), json.bytes()) };
    kept.push_str(std::str::from_utf8(json).unwrap());
}

fn asked(config: &str) -> (i32, String) {
    let id = CString::new(CHECK_ID).unwrap();
    let mut kept = String::new();
    // SAFETY: as the contract has it: a static table, a configuration that is lent, a pointer that outlives the call.
    let status = unsafe {
        let table = plugin_table().extension.unwrap()(id.as_ptr()).cast::<VpCheck>();
        let check = (*table).check.unwrap();
        let to: *mut String = &mut kept;
        check(VpBytes::lend(config.as_bytes()), keep, to.cast())
    };
    (status, kept)
}

#[test]
fn a_check_draws_finds_mistakes_or_says_why_it_did_not_come_to_its_end() {
    for (config, answer) in [
        (r#"{"lines":2}"#, r#"{"drawing":"||"}"#),
        (r#"{"lines":3}"#, r#"{"drawing":"|||","voices":["deep"]}"#),
        (
            r#"{"lines":-1}"#,
            r#"{"problems":["line -1 is below the first"]}"#,
        ),
        (
            r#"{"lines":101}"#,
            &format!(
                r#"{{"problems":[{{"key":"lines","line":101,"text":"too many"}}],"drawing":"{}"}}"#,
                "|".repeat(101)
            ),
        ),
    ] {
        assert_eq!(asked(config), (status::OK, answer.to_owned()), "{config}");
    }
    let (status, answer) = asked(r#"{"lines":1000}"#);
    assert_eq!(status, status::OK);
    let panicked =
        r#"{"problems":["the check of the keys panicked: so many lines were never thought of ("#;
    assert!(answer.starts_with(panicked), "{answer}");
    assert!(answer.contains("tests/check.rs:"), "and where: {answer}");
    let (status, answer) = asked(r#"{"lines":"two"}"#);
    assert_eq!(status, status::OK);
    assert!(answer.starts_with(r#"{"problems":["#), "{answer}");
    assert!(answer.contains("invalid type"), "{answer}");
}
