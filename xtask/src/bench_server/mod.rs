//! `cargo xtask bench server`: speed and memory of the server, on SQLite and on PostgreSQL.
//!
//! The servers run on one core and the load on the other. Prints the tables of `docs/benchmarks.md`.
//!
//! - `load`: servers, wrk and curl
//! - `reads`, `writes`, `memory`: the tables of this server
//! - `backends`: the tables of the three backends

mod backends;
mod load;
mod memory;
mod reads;
mod writes;

use std::path::Path;

use self::reads::Garage;
use crate::{ServerPart as Part, cluster::Cluster, contract::Backend, run, setup, setup::packages, shell};

/// Builds the servers with optimizations, measures them, and prints the tables, or one part of them.
///
/// With a backend, only the tables of the backends, and only of this one.
pub fn bench(root: &Path, part: Option<Part>, only: Option<Backend>) -> anyhow::Result<()> {
    packages::install(&[packages::LOAD])?;
    setup::for_contract(root)?;
    shell::run(shell::cargo(&[
        "build",
        "--profile",
        "bench",
        "--package",
        "garage-server",
        "--package",
        "bare-server",
    ]))?;
    // The profile `server` optimizes more, but takes minutes longer to build.
    let programs = run::target_folder(root).join("release");
    // On the disk of the target folder, not on a tmpfs.
    let folder = tempfile::tempdir_in(&programs)?;
    let is_measured = |other: Part| part.map_or(only.is_none() || other == Part::Backends, |part| part == other);
    if is_measured(Part::Reads) {
        let cluster = Cluster::start(root)?;
        let database = format!("sqlite:{}", folder.path().join("reads.db").display());
        let sqlite = Garage::start(&programs, &folder.path().join("sqlite"), &database)?;
        let postgres = Garage::start(&programs, &folder.path().join("postgres"), &cluster.url)?;
        reads::print(&programs, folder.path(), &sqlite, &postgres)?;
    }
    if is_measured(Part::Writes) {
        writes::print(root, &programs, folder.path())?;
    }
    if is_measured(Part::Memory) {
        let cluster = Cluster::start(root)?;
        memory::print(root, &programs, folder.path(), &cluster.url)?;
    }
    if is_measured(Part::Backends) {
        backends::print(root, &programs, folder.path(), only)?;
    }
    Ok(())
}
