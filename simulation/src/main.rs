//! Runs histories of the simulation.

mod plan;

use std::{process::ExitCode, time::Instant};

use clap::{Parser, Subcommand};
use garage_domain::rules::Rule;
use garage_simulation::{Settings, Template, run};

/// Runs histories of devices and a server, with faults, and checks that nothing is lost.
#[derive(Parser)]
#[command(name = "simulate", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Runs histories of small records through the planner alone: millions in a minute.
    Plan(plan::PlanArgs),
}

#[derive(clap::Args)]
struct EngineArgs {
    /// How many histories to run.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this seed alone, and prints what happens.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    #[command(flatten)]
    rules: RuleArgs,
    /// Runs each history whose seed is a multiple of this twice, and compares what has happened.
    #[arg(long, default_value_t = 100)]
    repeat_every: u64,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
}

#[derive(clap::Args)]
struct RuleArgs {
    /// Switches this rule of sync off.
    #[arg(long, value_parser = rule)]
    without: Option<Rule>,
}

impl RuleArgs {
    fn apply(&self) {
        if let Some(rule) = self.without {
            rule.switch_off();
        }
    }
}

fn rule(name: &str) -> Result<Rule, String> {
    let rule = Rule::ALL.into_iter().find(|rule| format!("{rule:?}") == name);
    rule.ok_or_else(|| format!("the rules are {}", Rule::ALL.map(|rule| format!("{rule:?}")).join(", ")))
}

fn main() -> anyhow::Result<ExitCode> {
    let Args { engine, part } = Args::parse();
    match part {
        None => run_engine(&engine),
        Some(Part::Plan(plan)) => Ok(plan::run(&plan)),
    }
}

fn run_engine(args: &EngineArgs) -> anyhow::Result<ExitCode> {
    args.rules.apply();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let template = Template::new().await?;
        if let Some(seed) = args.seed {
            return Ok(match run(&template, seed, Settings { is_logged: true }).await {
                Ok(history) => {
                    println!("{}\nNothing is lost.", history.log);
                    ExitCode::SUCCESS
                }
                Err(failure) => {
                    println!("{}\n{}", failure.log, failure.what);
                    ExitCode::FAILURE
                }
            });
        }
        let started = Instant::now();
        let (mut failures, mut exchanges) = (0, 0);
        for seed in args.from..args.from + args.seeds {
            let settings = Settings { is_logged: false };
            match run(&template, seed, settings).await {
                Ok(history) => {
                    exchanges += history.exchanges;
                    let is_repeated = seed % args.repeat_every.max(1) == 0;
                    let again = if is_repeated { run(&template, seed, settings).await.ok() } else { None };
                    if again.is_some_and(|again| again.trace != history.trace) {
                        failures += 1;
                        println!("seed {seed}: it has had two different histories");
                    }
                }
                Err(failure) => {
                    failures += 1;
                    println!("seed {seed}: {}\n  to see it: cargo xtask simulate -- --seed {seed}", failure.what);
                    if !args.keep_going {
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
        }
        let each = started.elapsed().as_secs_f64() * 1000.0 / args.seeds.max(1) as f64;
        println!("{} histories, {exchanges} requests, {failures} failures, {each:.1} ms each", args.seeds);
        Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
