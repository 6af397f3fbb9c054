//! Runs random histories of small records through the planner.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use garage_core::sync::model::Cases;

use crate::RuleArgs;

/// The time between two lines that say how far it is.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
/// The histories between two looks at the clock.
const BETWEEN_LOOKS: u64 = 4_096;

#[derive(clap::Args)]
pub struct PlanArgs {
    /// How many histories to run.
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
    /// The seed of the first one; each of the others has the next.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    rules: RuleArgs,
}

/// Runs histories until one fails, and prints it with the command that runs it alone.
pub fn run(args: &PlanArgs) -> ExitCode {
    args.rules.apply();
    let mut cases = Cases::default();
    let started = Instant::now();
    let mut last_line = started;
    for number in 0..args.cases {
        let seed = args.seed.wrapping_add(number);
        if let Err(fault) = cases.run(seed) {
            let without = args.rules.without.map(|rule| format!(" --without {rule:?}")).unwrap_or_default();
            println!("{fault}\n  to see it: cargo xtask simulate -- plan --cases 1 --seed {seed}{without}");
            return ExitCode::FAILURE;
        }
        if number % BETWEEN_LOOKS == 0 && last_line.elapsed() > BETWEEN_LINES {
            last_line = Instant::now();
            eprintln!("{number} of {} histories, {} a second", args.cases, per_second(number, started));
        }
    }
    let each_second = per_second(args.cases, started);
    println!("{} histories, {each_second} a second, {} inputs of the planner", args.cases, cases.inputs());
    ExitCode::SUCCESS
}

fn per_second(count: u64, since: Instant) -> u64 {
    let milliseconds = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    count.saturating_mul(1000) / milliseconds.max(1)
}
