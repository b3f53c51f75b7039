//! Where a caller can be transferred: the one rule, for the host that does it and for plugins that want to know before.

use core::ops::RangeInclusive;

/// What [`is_dialable`] takes, for sentences that say what is wrong.
pub const DIALABLE: &str =
    "+ and 3 to 15 digits, a short number of 3 to 6 digits, or sip:name@host";

/// Longest SIP address that carriers take, in bytes.
const SIP_BYTES: usize = 255;

/// Digits of an international number behind its `+`: E.164 has 15 at most.
const E164_DIGITS: RangeInclusive<usize> = 3..=15;

/// Digits of a number without a `+`: an emergency, a short code. A longer one is a number whose country was forgotten.
const SHORT_DIGITS: RangeInclusive<usize> = 3..=6;

/// Whether the host takes it as the `to` of a transfer: a number as E.164 has it (`+` and digits) or a short one, or a SIP
/// address (`sip:user@host`, also `sips:`). Spaces and dashes are part of neither.
pub fn is_dialable(to: &str) -> bool {
    if let Some(address) = to.strip_prefix("sip:").or(to.strip_prefix("sips:")) {
        let (user, host) = address.split_once('@').unwrap_or_default();
        return !user.is_empty()
            && !host.is_empty()
            && to.len() <= SIP_BYTES
            && to.bytes().all(|byte| byte.is_ascii_graphic());
    }
    let (digits, bound) = match to.strip_prefix('+') {
        Some(digits) => (digits, E164_DIGITS),
        None => (to, SHORT_DIGITS),
    };
    bound.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::format;

    #[test]
    fn a_number_or_a_sip_address_can_be_dialled() {
        for (to, can) in [
            ("+15550199", true),
            ("911", true),
            ("123456", true),
            ("sip:desk@example.com", true),
            ("sips:desk@example.com;x=y", true),
            ("", false),
            ("+", false),
            ("12", false),
            ("+12", false),
            ("15550199", false),
            ("+123456789012345", true),
            ("+1234567890123456", false),
            ("555 0199", false),
            ("+1555x", false),
            ("sip:", false),
            ("sip:desk", false),
            ("sip:@example.com", false),
            ("sip:desk@", false),
            ("sip:a b@example.com", false),
            ("https://h/", false),
        ] {
            assert_eq!(is_dialable(to), can, "{to}");
        }
        let host = "h".repeat(SIP_BYTES - "sip:a@".len());
        assert!(is_dialable(&format!("sip:a@{host}")));
        assert!(!is_dialable(&format!("sip:a@{host}h")));
    }
}
