//! The project's tasks. `cargo xtask run` and `cargo xtask test` set up the machine themselves.

mod bench_app;
#[cfg(unix)]
mod bench_server;
#[cfg(unix)]
mod bench_sync;
#[cfg(unix)]
mod bundle;
#[cfg(unix)]
mod cluster;
mod contract;
mod deny;
mod display;
#[cfg(unix)]
mod fuzz;
#[cfg(target_os = "linux")]
mod image;
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

/// MotoVault's tasks. `run` and `test` list what they need and install it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up, build and start the app; without a display, start it in a virtual one and take a screenshot
    Run {
        /// Build in release mode
        #[arg(long)]
        release: bool,
    },
    /// Set up, then run all checks and tests
    ///
    /// A failed step does not stop steps that do not depend on it; the summary lists all failed and skipped steps. To
    /// find flaky tests: `cargo xtask test --only journeys --repeat 10 --slow 6`.
    Test(test::Options),
    /// Start the server on a SQLite file in the user's data folder; downloads the vPIC data if necessary
    ///
    /// Another backend needs a PostgreSQL database that `garage-server migrate` has migrated, and has its settings in the
    /// environment (docs/operating.md): `VEHICLES_BACKEND=fastify GARAGE_DATABASE=... GARAGE_JWKS=... cargo xtask serve`.
    Serve {
        /// The backend to start
        #[arg(long, env = "VEHICLES_BACKEND", default_value = "axum")]
        backend: contract::Backend,
        /// Options for `garage-server serve`, after --
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Run the contract suite on SQLite and a temporary PostgreSQL, or against a running server
    ///
    /// The suite skips tests of capabilities that a running server does not list. Another backend that accepts tokens of
    /// this key: `cargo xtask contract --base-url http://127.0.0.1:3001 --key my-key.pem --issuer https://id.example.org`.
    Contract(contract::Options),
    /// Fuzz the server on SQLite and PostgreSQL with requests generated from the OpenAPI document
    Fuzz {
        /// Total duration
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Install all dependencies for building and testing, and download the vPIC data; `run` and `test` include this
    Setup,
    /// Download the vPIC data into the user's cache folder; tasks that need it do so themselves
    Data,
    /// Check the rules for the layout of the code
    Tidy,
    /// Generate the TypeScript types of the app's commands
    Bindings,
    /// Run benchmarks and print the tables of docs/benchmarks.md
    Bench {
        #[arg(value_enum)]
        what: Bench,
        /// Only this part of `server`
        #[arg(long)]
        part: Option<ServerPart>,
        /// Only this backend of `server`
        #[arg(long, env = "VEHICLES_BACKEND")]
        backend: Option<contract::Backend>,
        /// Only this row of `sync`
        #[cfg(unix)]
        #[arg(long)]
        row: Option<bench_sync::Row>,
    },
    /// Build the app in release mode, and its packages for this system (.deb and .rpm)
    Bundle {
        /// Test the .deb in a bare Debian in the target folder: install, use, upgrade, uninstall; requires root
        #[arg(long = "try")]
        is_tried: bool,
    },
    /// Build the container image of the server with buildah, and print its sizes and how long it takes to start; requires root
    Image,
    /// Run histories of devices and a server, with faults, and check that nothing is lost
    ///
    /// `cargo xtask simulate -- --help` lists the options; `cargo xtask simulate -- plan` runs many more histories of small
    /// records through the planner alone.
    Simulate {
        /// Run each history on SQLite and on a temporary PostgreSQL, and compare both
        #[arg(long)]
        postgres: bool,
        /// Options of the simulation
        #[arg(last = true)]
        options: Vec<String>,
    },
    /// Type-check the app for Android and iOS
    CheckTargets,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Bench {
    /// Speed and memory of the core and the CLI
    Core,
    /// Start time, memory and idle CPU time of the app, compared with an empty window
    App,
    /// Input latency, scrolling and size of the page with 10 000 vehicles, in Chromium
    Ui,
    /// Requests a second and memory of the server, compared with a bare axum handler and the backends on Node
    Server,
    /// Speed, traffic and memory of sync, compared with bare transfers and bare writes
    Sync,
}

/// A part of the benchmark of the server.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ServerPart {
    /// Lists and health, compared with a bare axum handler
    Reads,
    /// Writes, compared with pgbench and with one connection
    Writes,
    /// Private memory, and latency while passwords are verified
    Memory,
    /// The three backends side by side
    Backends,
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
    // Arguments with relative paths refer to the current folder of the caller.
    let task = Args::parse().task;
    let root = root()?;
    std::env::set_current_dir(&root)?;
    match task {
        Task::Run { release } => run::run(&root, release),
        Task::Test(options) => test::test(&root, &options),
        Task::Serve { backend, options } if backend != contract::Backend::Axum => {
            anyhow::ensure!(options.is_empty(), "the settings of this backend are environment variables");
            setup::for_peers(&root)?;
            let mut serve = Command::new("deploy/serve.sh");
            serve.env("VEHICLES_BACKEND", backend.name());
            shell::run(serve)
        }
        Task::Serve { options, .. } => {
            if let Err(reason) = setup::snapshot::fetch() {
                println!("VIN decoding is not available: {reason:#}");
            }
            let mut words = vec!["run", "--quiet", "--package", "garage-server", "--", "serve"];
            words.extend(options.iter().map(String::as_str));
            shell::run(shell::cargo(&words))
        }
        Task::Contract(options) => contract::run(&root, &options),
        #[cfg(unix)]
        Task::Fuzz { seconds } => {
            setup::for_contract(&root)?;
            fuzz::fuzz(&root, seconds)
        }
        #[cfg(not(unix))]
        Task::Fuzz { .. } => anyhow::bail!("the temporary PostgreSQL cluster requires Debian"),
        Task::Setup => setup::for_tests(&root),
        Task::Data => setup::snapshot::fetch(),
        Task::Bench { what: Bench::Core | Bench::App | Bench::Ui | Bench::Sync, part: Some(_), .. } => {
            anyhow::bail!("only the benchmark of the server has parts")
        }
        Task::Bench { what: Bench::Core, .. } => bench_core(&root),
        Task::Bench { what: Bench::Ui, .. } => {
            setup::for_tests(&root)?;
            run::build(&root, run::Scope::Programs)?;
            test::in_browser(&root, "bench")
        }
        #[cfg(unix)]
        Task::Bench { what: Bench::Server, part, backend, .. } => bench_server::bench(&root, part, backend),
        #[cfg(unix)]
        Task::Bench { what: Bench::Sync, row, .. } => bench_sync::bench(&root, row),
        #[cfg(not(unix))]
        Task::Bench { what: Bench::Server | Bench::Sync, .. } => {
            anyhow::bail!("the temporary PostgreSQL cluster requires Debian")
        }
        Task::Bench { what: Bench::App, .. } => bench_app::bench(&root),
        #[cfg(unix)]
        Task::Bundle { is_tried } => bundle::bundle(&root, is_tried),
        #[cfg(not(unix))]
        Task::Bundle { .. } => anyhow::bail!("use `tauri build` on this system"),
        #[cfg(target_os = "linux")]
        Task::Image => image::image(&root),
        #[cfg(not(target_os = "linux"))]
        Task::Image => anyhow::bail!("the image can be built only on Linux"),
        Task::Tidy => tidy::tidy(&root),
        Task::Bindings => {
            shell::run(shell::cargo(&["run", "--quiet", "--package", "e2e-host", "--bin", "export-bindings"]))
        }
        Task::Simulate { postgres, options } => contract::simulate(&root, postgres, &options),
        #[cfg(unix)]
        Task::CheckTargets => targets::check_targets(&root),
        #[cfg(not(unix))]
        Task::CheckTargets => {
            println!("skipped: the stub tools are shell scripts");
            Ok(())
        }
    }
}

fn root() -> anyhow::Result<PathBuf> {
    let manifest_folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest_folder.parent().map(PathBuf::from).context("the xtask crate lies in a folder of the repository")
}

fn bench_core(root: &Path) -> anyhow::Result<()> {
    setup::for_running(root, false)?;
    shell::run(shell::cargo(&["build", "--profile", "bench", "--package", "garage-bench", "--package", "garage-cli"]))?;
    let folder = run::target_folder(root).join("release");
    let mut bench = Command::new(folder.join("garage-bench"));
    // Temporary garages are created in the current folder: use the disk of the target folder, not a tmpfs.
    bench.arg(folder.join("garage")).current_dir(&folder);
    shell::run(bench)
}
