//! Rounds, percentiles, and the rows of a table.

use std::time::{Duration, Instant};

pub const ROUNDS: usize = 5;

pub fn row(what: &str, measured: &str, reach: &str, is_reached: bool) {
    println!("| {what} | {measured} | {reach} | {} |", if is_reached { "reached" } else { "missed" });
}

/// Returns the best time of each side, which alternate.
pub fn best_of<const N: usize>(
    mut sides: [&mut dyn FnMut() -> anyhow::Result<()>; N],
) -> anyhow::Result<[Duration; N]> {
    let mut best = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (side, best) in sides.iter_mut().zip(&mut best) {
            let started = Instant::now();
            side()?;
            *best = started.elapsed().min(*best);
        }
    }
    Ok(best)
}

pub fn percent(of: Duration, by: Duration) -> f64 {
    100.0 * of.as_secs_f64() / by.as_secs_f64()
}

/// Sorts the durations.
pub fn percentile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort();
    durations[(durations.len() * percent / 100).min(durations.len() - 1)]
}

pub fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}
