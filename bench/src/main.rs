//! Benchmarks of the core: ratios to a bare library, and absolute limits.
//!
//! Machines are noisy, so the two sides of a ratio alternate and the best of several rounds counts for each. Prints a
//! table for `docs/benchmarks.md`.
//!
//! - `local`: the core without a server
//! - `sync`: devices and a server
//! - `measure`: rounds, percentiles, and the rows of a table

mod local;
mod measure;
mod sync;

use std::path::{Path, PathBuf};

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let first = arguments.next().context("the path of the garage CLI, or sync")?;
    let mut text = |what| arguments.next().and_then(|text| text.into_string().ok()).context(what);
    match first.to_str() {
        Some("--memory") => {
            let garage = PathBuf::from(text("a garage file")?);
            runtime.block_on(local::use_everything(&garage))
        }
        Some("--pass") => {
            let (folder, server) = (PathBuf::from(text("a folder")?), text("a server")?);
            runtime.block_on(sync::memory::pass(&folder, &server))
        }
        Some("sync") => {
            let postgres = text("the URL of PostgreSQL")?;
            let only = text("a row").ok().map(|name| name.parse()).transpose()?;
            runtime.block_on(sync::run(&postgres, only))
        }
        _ => runtime.block_on(local::run(Path::new(&first))),
    }
}
