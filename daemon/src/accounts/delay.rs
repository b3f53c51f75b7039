//! Who failed to sign in how often, and how long to wait therefore: nothing for the first few, then twice as long each
//! time. Pure: the time is given. Bounded: when the table is full, whoever failed least and longest ago is forgotten, so
//! that many names tried once push out nobody who guesses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Failures that cost nothing.
const FREE: u32 = 4;

/// The wait after the first failure that costs, ms; doubled with each further one.
const FIRST_WAIT_MS: u64 = 2000;

/// The longest wait. Longer would lock people out rather than guessers.
const LONGEST_WAIT_MS: u64 = 60_000;

/// After so long without a failure all is forgiven.
const FORGIVEN_MS: u64 = 30 * 60_000;

/// Pairs of account and address that are remembered.
const REMEMBERED: usize = 1024;

/// Characters of a name that are looked at here.
const NAME_CHARS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Failures {
    by_pair: HashMap<(String, IpAddr), Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    count: u32,
    last_ms: u64,
}

impl Failed {
    fn until_ms(self) -> u64 {
        let costs = self.count.saturating_sub(FREE);
        if costs == 0 {
            return 0;
        }
        let wait = FIRST_WAIT_MS
            .checked_shl(costs - 1)
            .unwrap_or(LONGEST_WAIT_MS);
        self.last_ms.saturating_add(wait.min(LONGEST_WAIT_MS))
    }
}

impl Failures {
    /// Milliseconds this pair has to wait from now; 0: none.
    pub(super) fn wait_ms(&self, name: &str, ip: IpAddr, now_ms: u64) -> u64 {
        let failed = self.by_pair.get(&pair(name, ip));
        failed.map_or(0, |failed| failed.until_ms().saturating_sub(now_ms))
    }

    pub(super) fn failed(&mut self, name: &str, ip: IpAddr, now_ms: u64) {
        let pair = pair(name, ip);
        if !self.by_pair.contains_key(&pair) && self.by_pair.len() >= REMEMBERED {
            let forget = self
                .by_pair
                .iter()
                .min_by_key(|(_, failed)| (failed.count, failed.last_ms));
            let forget = forget.map(|(pair, _)| pair.clone());
            forget.map(|pair| self.by_pair.remove(&pair));
        }
        let failed = self.by_pair.entry(pair).or_insert(Failed {
            count: 0,
            last_ms: now_ms,
        });
        if now_ms.saturating_sub(failed.last_ms) > FORGIVEN_MS {
            failed.count = 0;
        }
        failed.count = failed.count.saturating_add(1);
        failed.last_ms = now_ms;
    }

    pub(super) fn succeeded(&mut self, name: &str, ip: IpAddr) {
        self.by_pair.remove(&pair(name, ip));
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
fn pair(name: &str, ip: IpAddr) -> (String, IpAddr) {
    let ip = match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 => v4,
    };
    (name.chars().take(NAME_CHARS).collect(), ip)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn from_the_fifth_failure_each_costs_twice_as_much() {
        let mut failures = Failures::default();
        let mut waits = vec![];
        let mut now = 1000;
        for _ in 0..12 {
            failures.failed("ana", HERE, now);
            let wait = failures.wait_ms("ana", HERE, now);
            waits.push(wait / 1000);
            now += wait;
            assert_eq!(failures.wait_ms("ana", HERE, now), 0);
        }
        assert_eq!(waits, [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(failures.wait_ms("ana", THERE, now), 0, "another address");
        assert_eq!(failures.wait_ms("ben", HERE, now), 0, "another account");
        failures.succeeded("ana", HERE);
        failures.failed("ana", HERE, now);
        assert_eq!(failures.wait_ms("ana", HERE, now), 0);
    }

    #[test]
    fn half_an_hour_later_all_is_forgiven() {
        let mut failures = Failures::default();
        for _ in 0..20 {
            failures.failed("ana", HERE, 0);
        }
        failures.failed("ana", HERE, FORGIVEN_MS + 1);
        assert_eq!(failures.wait_ms("ana", HERE, FORGIVEN_MS + 1), 0);
    }

    #[test]
    fn many_names_tried_once_push_out_nobody_who_guesses() {
        let mut failures = Failures::default();
        for _ in 0..5 {
            failures.failed("ana", HERE, 1);
        }
        for number in 0..REMEMBERED * 3 {
            failures.failed(&format!("junk {number}"), HERE, 2);
        }
        assert_eq!(failures.by_pair.len(), REMEMBERED);
        assert!(failures.wait_ms("ana", HERE, 2) > 0);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let mut failures = Failures::default();
        for host in 1..=5 {
            failures.failed("ana", format!("2001:db8::{host}").parse().unwrap(), 1);
        }
        assert!(failures.wait_ms("ana", "2001:db8::99".parse().unwrap(), 1) > 0);
        assert_eq!(
            failures.wait_ms("ana", "2001:db8:0:1::1".parse().unwrap(), 1),
            0
        );
    }
}
