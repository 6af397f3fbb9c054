//! `cargo xtask bench sync`: speed, traffic and memory of sync, between devices and the server on SQLite and on PostgreSQL.
//!
//! `bench/src/sync` measures; this builds it, and starts a durable PostgreSQL cluster for it.

use std::{path::Path, process::Command};

use crate::{cluster::Cluster, run, setup, setup::packages, shell};

/// The rows that can be measured alone.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Row {
    /// The first pull of 10 000 vehicles
    Pull,
    /// A push of 10 000 offline edits
    Push,
    /// A pass with nothing to do
    Idle,
    /// An edit on one device until it is visible on another
    Latency,
    /// The memory of a pass of 10 000
    Memory,
    /// The checks at the end of a pass
    Checks,
}

/// Builds the programs with optimizations, and prints the table, or one of its rows.
pub fn bench(root: &Path, only: Option<Row>) -> anyhow::Result<()> {
    packages::install(&[packages::BUILD, packages::FETCH])?;
    setup::snapshot::fetch()?;
    let packages = ["--package", "garage-server", "--package", "garage-bench"];
    shell::run(shell::cargo(&[&["build", "--profile", "bench"][..], &packages].concat()))?;
    let programs = run::target_folder(root).join("release");
    let cluster = Cluster::start_durable(root)?;
    let mut bench = Command::new(programs.join("garage-bench"));
    // Databases and garages are created in the current folder: use the disk of the target folder, not a tmpfs.
    bench.args(["sync", &cluster.url]).current_dir(&programs);
    if let Some(row) = only {
        use clap::ValueEnum;
        bench.args(row.to_possible_value().map(|row| row.get_name().to_owned()));
    }
    shell::run(bench)
}
