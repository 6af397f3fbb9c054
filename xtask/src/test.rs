//! `cargo xtask test`: all checks and tests, fast ones first.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use clap::ValueEnum;

use crate::{
    contract, deny,
    display::VirtualDisplay,
    run::{self, Scope},
    setup, shell, tidy,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Formatting of the Rust code
    Format,
    /// Rules for the layout of the code
    Tidy,
    /// Types, lint and unit tests of the page; types of the journeys
    Ui,
    /// Licenses and sources of all dependencies
    Deny,
    /// Build of the app and the other programs; required by journeys and desktop
    Build,
    /// Clippy, with warnings as errors
    Clippy,
    /// Rust tests
    Rust,
    /// Contract suite on PostgreSQL and on all backends, devices that sync with those, and histories of sync; on SQLite they
    /// are part of the Rust tests
    Contract,
    /// Tests of the backends on Node, with the coverage of their lines
    Peers,
    /// A minute of fuzzing with the OpenAPI document
    Fuzz,
    /// Journeys in Chromium against the app's command layer
    Journeys,
    /// The app in its own webview
    Desktop,
}

impl Step {
    /// Whether the step runs. Steps that start the app include their build, because an old build would be tested
    /// otherwise.
    fn is_in(self, only: &[Step]) -> bool {
        only.is_empty() || only.contains(&self) || only.iter().any(|step| step.prerequisite() == Some(self))
    }

    fn prerequisite(self) -> Option<Step> {
        matches!(self, Step::Journeys | Step::Desktop).then_some(Step::Build)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[derive(clap::Args)]
pub struct Options {
    /// Run only these steps, in the usual order
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Run each step this many times, also after failures, and list all failures; the build runs once
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Slow the journeys' pages down by this factor with Chromium's CPU throttling
    #[arg(long, value_name = "FACTOR", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    slow: u32,
}

#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(anyhow::Error),
    Skipped(Step),
}

/// Runs an npm script of the journeys' folder in Chromium, with the existing build.
pub fn in_browser(root: &Path, script: &str) -> anyhow::Result<()> {
    shell::run(browser_command(root, &["run", script])?)
}

/// Sets up the machine and runs the steps, also after failures.
pub fn test(root: &Path, options: &Options) -> anyhow::Result<()> {
    let steps: Vec<Step> = Step::value_variants().iter().copied().filter(|step| step.is_in(&options.only)).collect();
    // Compile cargo-deny while packages are downloaded and the page is checked, which use a single core at most.
    let mut installation = steps.contains(&Step::Deny).then(|| {
        let root = root.to_owned();
        thread::spawn(move || deny::install(&root))
    });
    setup::for_tests(root)?;
    let mut durations = Vec::new();
    let outcomes = run_all(&steps, |step| {
        println!("\n== {}", step.name());
        let started = Instant::now();
        if step == Step::Deny
            && let Some(installation) = installation.take()
        {
            // Ignore errors here: the step retries the installation and reports the second error.
            let _ = installation.join();
        }
        let result = run_step(root, step, &steps, options);
        if let Err(error) = &result {
            eprintln!("error: {error:#}");
        }
        durations.push((step, started.elapsed()));
        result
    });
    println!();
    for (step, outcome) in &outcomes {
        let duration = durations.iter().find(|(timed, _)| timed == step).map(|(_, duration)| duration.as_secs_f64());
        let duration = duration.map_or_else(String::new, |seconds| format!("{seconds:.1} s"));
        let remark = match outcome {
            Outcome::Passed => String::new(),
            Outcome::Failed(_) => "  failed".to_owned(),
            Outcome::Skipped(prerequisite) => format!("  skipped: requires {}", prerequisite.name()),
        };
        println!("{:>10} {duration:>8}{remark}", step.name());
    }
    let total: Duration = durations.iter().map(|(_, duration)| *duration).sum();
    println!("{:>10} {:>8}", "all", format!("{:.1} s", total.as_secs_f64()));
    summarize(&outcomes)
}

/// Runs each step unless its prerequisite is one of the steps and did not pass.
fn run_all(steps: &[Step], mut run: impl FnMut(Step) -> anyhow::Result<()>) -> Vec<(Step, Outcome)> {
    let mut outcomes: Vec<(Step, Outcome)> = Vec::new();
    for &step in steps {
        let has_passed = |wanted: Step| match outcomes.iter().find(|(done, _)| *done == wanted) {
            Some((_, outcome)) => matches!(outcome, Outcome::Passed),
            None => true,
        };
        let outcome = match step.prerequisite().filter(|wanted| !has_passed(*wanted)) {
            Some(missing) => Outcome::Skipped(missing),
            None => run(step).map_or_else(Outcome::Failed, |()| Outcome::Passed),
        };
        outcomes.push((step, outcome));
    }
    outcomes
}

fn summarize(outcomes: &[(Step, Outcome)]) -> anyhow::Result<()> {
    let lines: Vec<String> = outcomes
        .iter()
        .filter_map(|(step, outcome)| match outcome {
            Outcome::Passed => None,
            Outcome::Failed(error) => Some(format!("\n  {}: {error:#}", step.name())),
            Outcome::Skipped(missing) => Some(format!("\n  {}: skipped, since {} failed", step.name(), missing.name())),
        })
        .collect();
    ensure!(lines.is_empty(), "{} of {} steps have not passed:{}", lines.len(), outcomes.len(), lines.concat());
    Ok(())
}

fn repeatedly(times: u32, mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if times == 1 {
        return run();
    }
    let mut failures = Vec::new();
    for number in 1..=times {
        println!("-- run {number} of {times}");
        if let Err(error) = run() {
            eprintln!("error: {error:#}");
            failures.push(format!("\n    run {number}: {error:#}"));
        }
    }
    ensure!(failures.is_empty(), "{} of {times} runs failed:{}", failures.len(), failures.concat());
    Ok(())
}

fn each(commands: Vec<Command>) -> anyhow::Result<()> {
    let failures: Vec<String> = commands
        .into_iter()
        .filter_map(|command| shell::run(command).err())
        .map(|error| format!("{error:#}"))
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

fn run_step(root: &Path, step: Step, steps: &[Step], options: &Options) -> anyhow::Result<()> {
    match step {
        // With the features that the tests use, so that dependencies are compiled once.
        Step::Build if steps.contains(&Step::Rust) => run::build(root, Scope::Workspace),
        Step::Build => run::build(root, Scope::Programs),
        Step::Journeys => journeys(root, options),
        _ => repeatedly(options.repeat, || run_once(root, step)),
    }
}

fn run_once(root: &Path, step: Step) -> anyhow::Result<()> {
    match step {
        Step::Format => shell::run(shell::cargo(&["fmt", "--all", "--check"])),
        Step::Tidy => tidy::tidy(root),
        Step::Deny => deny::check(root, &deny::install(root)?),
        Step::Ui => {
            let mut checks: Vec<Command> =
                ["check", "lint", "test"].iter().map(|script| shell::npm("ui", &["run", script])).collect();
            checks.push(shell::npm("e2e", &["run", "check"]));
            each(checks)
        }
        Step::Clippy => {
            let words = ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "--deny", "warnings"];
            shell::run(shell::cargo(&words))
        }
        Step::Rust => rust_tests(),
        Step::Contract => {
            let [vehicles, store] = &contract::STORES;
            let tests = [&contract::SUITE, vehicles, store, &contract::DEVICES, &contract::HISTORIES];
            contract::on_postgres(root, &tests)
        }
        #[cfg(unix)]
        Step::Peers => contract::peers(root),
        #[cfg(unix)]
        Step::Fuzz => crate::fuzz::fuzz(root, 60),
        #[cfg(not(unix))]
        Step::Peers | Step::Fuzz => {
            println!("skipped: the temporary PostgreSQL cluster requires Debian");
            Ok(())
        }
        Step::Desktop if !cfg!(target_os = "linux") => {
            println!("skipped: WebDriver without a display requires WebKitGTK on Linux");
            Ok(())
        }
        Step::Desktop => {
            let display = VirtualDisplay::start(1280, 800)?;
            let mut desktop = on_built_programs(root, shell::npm("e2e", &["run", "desktop"]));
            desktop.env("DISPLAY", &display.name);
            shell::run(desktop)
        }
        Step::Build | Step::Journeys => bail!("{} needs options", step.name()),
    }
}

/// Playwright repeats each journey itself: it starts once, and reports each repetition that fails.
fn journeys(root: &Path, options: &Options) -> anyhow::Result<()> {
    let repeat = format!("--repeat-each={}", options.repeat);
    let mut command = browser_command(root, &["run", "journeys", "--", &repeat])?;
    command.env("E2E_SLOWDOWN", options.slow.to_string());
    shell::run(command)
}

fn browser_command(root: &Path, words: &[&str]) -> anyhow::Result<Command> {
    let mut command = on_built_programs(root, shell::npm("e2e", words));
    command.env("CHROMIUM_BIN", setup::browser()?);
    Ok(command)
}

/// nextest runs the tests of all crates in parallel; cargo's own runner is the fallback.
fn rust_tests() -> anyhow::Result<()> {
    if contract::has_nextest() {
        shell::run(shell::cargo(&["nextest", "run", "--workspace"]))
    } else {
        println!("cargo-nextest is not installed; using cargo's own test runner, which is slower");
        shell::run(shell::cargo(&["test", "--workspace", "--no-fail-fast"]))
    }
}

fn on_built_programs(root: &Path, mut command: Command) -> Command {
    let folder = run::target_folder(root).join("debug");
    let program = |name: &str| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    command.env("E2E_HOST", program("e2e-host")).env("GARAGE_CLI", program("garage"));
    command.env("MOTOVAULT_APP", program("motovault"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 5] = [Step::Tidy, Step::Build, Step::Rust, Step::Journeys, Step::Desktop];

    /// Runs `STEPS`, of which `failing` fail; returns the steps that ran, and the error.
    fn run_with_failures(failing: &[Step]) -> (Vec<Step>, Option<String>) {
        let mut ran = Vec::new();
        let outcomes = run_all(&STEPS, |step| {
            ran.push(step);
            ensure!(!failing.contains(&step), "{} broke", step.name());
            Ok(())
        });
        (ran, summarize(&outcomes).err().map(|error| error.to_string()))
    }

    #[test]
    fn later_steps_run_after_a_failure_and_all_failures_are_reported() {
        let (ran, error) = run_with_failures(&[Step::Tidy, Step::Rust]);
        assert_eq!(ran, STEPS);
        let expected = "2 of 5 steps have not passed:\n  tidy: tidy broke\n  rust: rust broke";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn steps_with_a_failed_prerequisite_are_reported_as_skipped() {
        let (ran, error) = run_with_failures(&[Step::Build]);
        assert_eq!(ran, [Step::Tidy, Step::Build, Step::Rust]);
        let expected = "3 of 5 steps have not passed:\n  build: build broke\n  \
                        journeys: skipped, since build failed\n  desktop: skipped, since build failed";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn no_error_if_all_steps_pass() {
        assert_eq!(run_with_failures(&[]), (STEPS.to_vec(), None));
    }

    #[test]
    fn selected_step_includes_its_prerequisite() {
        let chosen = |only: &[Step]| STEPS.iter().copied().filter(|step| step.is_in(only)).collect::<Vec<_>>();
        assert_eq!(chosen(&[Step::Desktop]), [Step::Build, Step::Desktop]);
        assert_eq!(chosen(&[Step::Rust]), [Step::Rust]);
        assert_eq!(chosen(&[]), STEPS);
    }

    #[test]
    fn repeated_step_continues_after_failures_and_reports_each() {
        let mut number = 0;
        let result = repeatedly(3, || {
            number += 1;
            ensure!(number == 2, "failure {number}");
            Ok(())
        });
        let error = result.expect_err("two runs fail").to_string();
        assert_eq!(error, "2 of 3 runs failed:\n    run 1: failure 1\n    run 3: failure 3");
    }
}
