//! The project's tasks. `cargo xtask run` and `cargo xtask test` are all the set-up a machine needs.

mod bench_app;
#[cfg(unix)]
mod bundle;
#[cfg(unix)]
mod cluster;
mod contract;
mod deny;
mod display;
#[cfg(unix)]
mod fuzz;
mod run;
mod setup;
mod shell;
#[cfg(unix)]
mod targets;
mod test;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// MotoVault's tasks. `run` and `test` install what they need, after saying what that is.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up, build and start the app; without a display, start it in a virtual one and take a picture
    Run {
        /// Build with optimizations, as it ships
        #[arg(long)]
        release: bool,
    },
    /// Set up, then run every check and test
    ///
    /// A step that fails keeps only those from running that need it; the end names all that have not passed. To look for
    /// tests that fail by chance: `cargo xtask test --only journeys --repeat 10 --slow 6`.
    Test(test::Options),
    /// Start the server on SQLite, in the user's data folder; nothing needs to be installed for it but the vPIC data
    Serve {
        /// More for `garage-server serve`, after --
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Run the contract's suite: on SQLite and on a throw-away PostgreSQL, or against a server that runs already
    Contract {
        /// The server, such as http://127.0.0.1:3001; it must let anybody register
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
    },
    /// Make up requests by the OpenAPI document, on SQLite and PostgreSQL, and refuse server errors and undocumented answers
    Fuzz {
        /// For how long
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Install what building and testing need, and fetch the vPIC data; `run` and `test` do this first
    Setup,
    /// Check the rules of the code's layout, each with its reason
    Tidy,
    /// Write the TypeScript types of the app's commands anew
    Bindings,
    /// Measure against peers in the same run, and print the tables of docs/benchmarks.md
    Bench {
        #[arg(value_enum)]
        what: Bench,
    },
    /// Build the app as it ships, and its installers for this system (.deb and .rpm)
    Bundle {
        /// Install the .deb into a bare Debian below the target folder, use, upgrade and remove it there; needs root
        #[arg(long = "try")]
        is_tried: bool,
    },
    /// Type-check the app for Android and iOS
    CheckTargets,
}

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Bench {
    /// Decoding, writing, reading, memory of the core and its CLI
    Core,
    /// Start, memory and idling of the app, against an empty window
    App,
    /// Typing, scrolling and size of the page with 10 000 vehicles, in Chromium
    Ui,
}

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> anyhow::Result<()> {
    let root = root()?;
    std::env::set_current_dir(&root)?;
    match Args::parse().task {
        Task::Run { release } => run::run(&root, release),
        Task::Test(options) => test::test(&root, &options),
        Task::Serve { options } => {
            if let Err(reason) = setup::snapshot::fetch() {
                println!("VINs will not be decoded: {reason:#}");
            }
            let mut words = vec!["run", "--quiet", "--package", "garage-server", "--", "serve"];
            words.extend(options.iter().map(String::as_str));
            shell::run(shell::cargo(&words))
        }
        Task::Contract { base_url: Some(url) } => contract::against(&url),
        Task::Contract { base_url: None } => {
            setup::for_contract(&root)?;
            contract::on_sqlite()?;
            contract::on_postgres(&root)
        }
        #[cfg(unix)]
        Task::Fuzz { seconds } => {
            setup::for_contract(&root)?;
            fuzz::fuzz(&root, seconds)
        }
        #[cfg(not(unix))]
        Task::Fuzz { .. } => anyhow::bail!("the throw-away PostgreSQL is Debian's"),
        Task::Setup => setup::for_tests(&root),
        Task::Bench { what: Bench::Core } => bench_core(&root),
        Task::Bench { what: Bench::Ui } => {
            setup::for_tests(&root)?;
            run::build(&root, run::Scope::Programs)?;
            test::in_browser(&root, "bench")
        }
        Task::Bench { what: Bench::App } => bench_app::bench(&root),
        #[cfg(unix)]
        Task::Bundle { is_tried } => bundle::bundle(&root, is_tried),
        #[cfg(not(unix))]
        Task::Bundle { .. } => anyhow::bail!("here `tauri build` writes the installer by itself"),
        Task::Tidy => tidy::tidy(&root),
        Task::Bindings => {
            shell::run(shell::cargo(&["run", "--quiet", "--package", "e2e-host", "--bin", "export-bindings"]))
        }
        #[cfg(unix)]
        Task::CheckTargets => targets::check_targets(&root),
        #[cfg(not(unix))]
        Task::CheckTargets => {
            println!("skipped: the stand-ins for foreign tools are shell scripts");
            Ok(())
        }
    }
}

/// The repository's root.
fn root() -> anyhow::Result<PathBuf> {
    let manifest_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest_folder.parent().map(PathBuf::from).context("the xtask crate lies in a folder of the repository")
}

fn bench_core(root: &Path) -> anyhow::Result<()> {
    setup::for_running(root, false)?;
    shell::run(shell::cargo(&["build", "--profile", "bench", "--package", "garage-bench", "--package", "garage-cli"]))?;
    let folder = run::target_folder(root).join("release");
    let mut bench = Command::new(folder.join("garage-bench"));
    // The garages that are measured lie on the disk of the target folder, not in a memory file system.
    bench.arg(folder.join("garage")).current_dir(&folder);
    shell::run(bench)
}
