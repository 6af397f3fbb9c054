//! Runs histories of the simulation.

mod plan;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use garage_domain::rules::Rule;
use garage_simulation::{Failure, History, Settings, Template, run, run_on_both};

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
    /// Runs each history on SQLite and on this PostgreSQL cluster, and compares both; its URL, of an administrator.
    #[arg(long, value_name = "URL", env = "GARAGE_TEST_POSTGRES")]
    postgres: Option<String>,
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

/// The pause between two lines about how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

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
        let postgres = match &args.postgres {
            Some(url) => Some(Template::on_postgres(url).await?),
            None => None,
        };
        let simulation =
            Simulation { sqlite: Template::new().await?, postgres, repeat_every: args.repeat_every.max(1) };
        match args.seed {
            Some(seed) => Ok(simulation.show(seed).await),
            None => Ok(simulation.run(args.from, args.seeds, args.keep_going).await),
        }
    })
}

struct Simulation {
    sqlite: Template,
    postgres: Option<Template>,
    repeat_every: u64,
}

impl Simulation {
    /// Prints what happens in a history.
    async fn show(&self, seed: u64) -> ExitCode {
        let has_server_files = self.postgres.is_none();
        let template = self.postgres.as_ref().unwrap_or(&self.sqlite);
        match run(template, seed, Settings { is_logged: true, has_server_files }).await {
            Ok(history) => {
                println!("{}\nNothing is lost.", history.log);
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{}\n{}", failure.log, failure.what);
                ExitCode::FAILURE
            }
        }
    }

    async fn run(&self, from: u64, count: u64, keeps_going: bool) -> ExitCode {
        let started = Instant::now();
        let (mut failures, mut exchanges) = (0, 0);
        let mut told = started;
        for seed in from..from + count {
            if told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                eprintln!("{} of {count} histories, {failures} failures", seed - from);
            }
            match self.history(seed).await {
                Ok(history) => exchanges += history.exchanges,
                Err(failure) => {
                    failures += 1;
                    let on_postgres = if self.postgres.is_some() { "--postgres " } else { "" };
                    let command = format!("cargo xtask simulate {on_postgres}-- --seed {seed}");
                    println!("seed {seed}: {}\n  to see it: {command}", failure.what);
                    if !keeps_going {
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
        let each = started.elapsed().as_secs_f64() * 1000.0 / count.max(1) as f64;
        println!("{count} histories, {exchanges} requests, {failures} failures, {each:.1} ms each");
        if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    async fn history(&self, seed: u64) -> Result<History, Failure> {
        if let Some(postgres) = &self.postgres {
            return run_on_both(&self.sqlite, postgres, seed).await;
        }
        let history = run(&self.sqlite, seed, Settings::default()).await?;
        if seed.is_multiple_of(self.repeat_every)
            && run(&self.sqlite, seed, Settings::default()).await?.trace != history.trace
        {
            return Err(Failure { seed, what: "it has had two different histories".to_owned(), log: history.log });
        }
        Ok(history)
    }
}
