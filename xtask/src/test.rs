//! `cargo xtask test`: every check and test, the quick ones first.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use clap::ValueEnum;

use crate::{contract, deny, display::VirtualDisplay, run, setup, shell, tidy};

/// One part of the tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Formatting of the Rust code
    Format,
    /// The rules of the code's layout
    Tidy,
    /// Licenses and sources of everything that is built in
    Deny,
    /// The page: types, lint, unit tests; the journeys' types
    Ui,
    /// The app with its page inside, the CLI and the journeys' host; journeys and desktop run this first
    Build,
    /// Clippy over everything, warnings refused
    Clippy,
    /// The Rust tests: unit, property, store, commands
    Rust,
    /// The server's contract on PostgreSQL; on SQLite it is among the Rust tests
    Contract,
    /// A minute of requests made up by the OpenAPI document
    Fuzz,
    /// Journeys in Chromium against the app's command layer
    Journeys,
    /// The app itself in its own webview
    Desktop,
}

impl Step {
    /// Whether it runs for these: the ones that start the app need it built, or they would try an old one.
    fn is_in(self, only: &[Step]) -> bool {
        let needs_build = || only.contains(&Step::Journeys) || only.contains(&Step::Desktop);
        only.contains(&self) || (self == Step::Build && needs_build())
    }
}

/// Runs a script of the journeys' folder in Chromium, on what has been built.
///
/// # Errors
/// There is no browser, or the script fails.
pub fn in_browser(root: &Path, script: &str) -> anyhow::Result<()> {
    let mut command = on_built_programs(root, shell::npm("e2e", &["run", script]));
    command.env("CHROMIUM_BIN", setup::browser()?);
    shell::run(command)
}

/// Sets up and runs the steps.
///
/// # Errors
/// The first step that fails.
pub fn test(root: &Path, only: &[Step]) -> anyhow::Result<()> {
    setup::for_tests(root)?;
    let mut durations = Vec::new();
    for step in Step::value_variants().iter().filter(|step| only.is_empty() || step.is_in(only)) {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("\n== {name}");
        let started = Instant::now();
        run_step(root, *step)?;
        durations.push((name, started.elapsed()));
    }
    println!();
    for (name, duration) in &durations {
        println!("{name:>10} {:>6.1} s", duration.as_secs_f64());
    }
    let total: Duration = durations.iter().map(|(_, duration)| *duration).sum();
    println!("{:>10} {:>6.1} s", "all", total.as_secs_f64());
    Ok(())
}

fn run_step(root: &Path, step: Step) -> anyhow::Result<()> {
    match step {
        Step::Format => shell::run(shell::cargo(&["fmt", "--all", "--check"])),
        Step::Tidy => tidy::tidy(root),
        Step::Deny => deny::check(root),
        Step::Ui => {
            ["check", "lint", "test"].iter().try_for_each(|script| shell::run(shell::npm("ui", &["run", script])))?;
            shell::run(shell::npm("e2e", &["run", "check"]))
        }
        Step::Build => run::build(root, false),
        Step::Clippy => {
            shell::run(shell::cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
        }
        Step::Rust => rust_tests(),
        Step::Contract => contract::on_postgres(root),
        #[cfg(unix)]
        Step::Fuzz => crate::fuzz::fuzz(root, 60),
        #[cfg(not(unix))]
        Step::Fuzz => {
            println!("skipped: the throw-away PostgreSQL is Debian's");
            Ok(())
        }
        Step::Journeys => in_browser(root, "journeys"),
        Step::Desktop if !cfg!(target_os = "linux") => {
            println!("skipped: only WebKitGTK's window can be driven without a display, and that is Linux's");
            Ok(())
        }
        Step::Desktop => {
            let display = VirtualDisplay::start(1280, 800)?;
            let mut desktop = on_built_programs(root, shell::npm("e2e", &["run", "desktop"]));
            desktop.env("DISPLAY", &display.name);
            shell::run(desktop)
        }
    }
}

/// nextest runs the tests of all crates side by side; cargo's own runner is the fallback, a crate after the other.
fn rust_tests() -> anyhow::Result<()> {
    if contract::has_nextest() {
        shell::run(shell::cargo(&["nextest", "run", "--workspace"]))
    } else {
        println!("cargo-nextest is not installed; cargo's own runner does, a little slower");
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
