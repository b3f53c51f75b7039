//! Tests only: valid messages, damaged at random. The short and the long way must agree on each, and nothing panics.

use super::super::is_sid;
use super::read::{read_json, scan};
use super::tests::{SID, media_text, schema};
use super::{Message, decode_payload, read};
use base64_simd::STANDARD;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Every example of the schema, and as many media messages in Twilio's own order of keys.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let (_, examples) = schema("inbound");
    let mut texts: Vec<_> = examples
        .iter()
        .map(|e| e["message"].to_string().into_bytes())
        .collect();
    let payloads = ["", "/w==", "//8=", "////", "AAECAwQFBgc="];
    let usual =
        |i: usize| media_text("3", "2", "25", payloads[i % payloads.len()], SID).into_bytes();
    texts.extend((0..texts.len()).map(usual));
    texts
});

/// Bytes that mean something in JSON, in base64 or to UTF-8.
const MEANINGFUL: &[u8] = b"\"\\{}[]:,0179/+= \n\xffnu";

/// Small damage: a byte replaced, added or removed, or a piece of the message repeated elsewhere.
fn damage(text: &mut Vec<u8>, kind: u8, at: usize, from: usize, byte: u8) {
    // Every second byte is one that means something.
    let byte = if byte.is_multiple_of(2) {
        MEANINGFUL[usize::from(byte / 2) % MEANINGFUL.len()]
    } else {
        byte
    };
    let at = at % (text.len() + 1);
    match kind % 4 {
        0 if at < text.len() => text[at] = byte,
        1 => text.insert(at, byte),
        2 if at < text.len() => drop(text.remove(at)),
        _ => {
            let from = from % (text.len() + 1);
            let piece = text[from..text.len().min(from + usize::from(byte) % 40)].to_vec();
            text.splice(at..at, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn short_and_long_way_agree_on_every_damaged_message(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<u8>(), any::<usize>(), any::<usize>(), any::<u8>()), 0..4),
    ) {
        let mut text = which.get(&MESSAGES).clone();
        for (kind, at, from, byte) in damages {
            damage(&mut text, kind, at, from, byte);
        }
        if let Some(message) = scan(&text) {
            prop_assert_eq!(read_json(&text), Ok(message));
        }
        let read = read(&text);
        if let Ok(Message::Media { payload, .. }) = &read {
            let mut out = [0; 4096];
            // Whatever it decodes to must encode to the same letters again: nothing is read that was not written.
            if let Ok(n) = decode_payload(payload, &mut out) {
                let encoded = STANDARD.encode_to_string(&out[..n]);
                prop_assert_eq!(encoded.as_bytes(), &**payload);
            }
        }
        if let Ok(Message::Start(start)) = read {
            // The writers rely on it.
            prop_assert!(is_sid(&start.stream_sid) && is_sid(&start.call_sid) && is_sid(&start.account_sid));
        }
    }

    #[test]
    fn counters_of_any_shape_mean_the_same_on_both_ways(
        sequence in "[0-9]{0,21}", chunk in "[0-9+ -]{0,4}", timestamp in "[0-9]{1,6}",
        payload in "[A-Za-z0-9+/=\\\\\"\u{7f}é]{0,12}", sid in "[ -~]{0,66}",
    ) {
        let text = media_text(&sequence, &chunk, &timestamp, &payload, &sid);
        if let Some(message) = scan(text.as_bytes()) {
            prop_assert_eq!(read_json(text.as_bytes()), Ok(message));
        }
    }
}
