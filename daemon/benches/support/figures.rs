//! Times in a histogram, and how a row of them is printed.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Longest time a histogram tells apart, in µs.
const LONGEST_US: u64 = 60_000_000;

/// An empty one, in µs.
pub(crate) fn histogram() -> Histogram<u64> {
    // The arguments are right, so there is always one.
    Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap_or_else(|_| unreachable!("fixed bounds"))
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn ms(of: &Histogram<u64>, quantile: f64) -> f64 {
    of.value_at_quantile(quantile) as f64 / 1000.0
}

/// What stands above [`row`]s.
pub(crate) fn heading(what: &str) {
    println!(
        "{what:<42} {:>8} {:>8} {:>8} {:>8}   ms",
        "p50", "p95", "p99", "max"
    );
}

pub(crate) fn row(name: &str, of: &Histogram<u64>) {
    println!(
        "{name:<42} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        ms(of, 0.5),
        ms(of, 0.95),
        ms(of, 0.99),
        ms(of, 1.0)
    );
}

/// The middle one; not a number if there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
