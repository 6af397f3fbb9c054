//! Sets up a machine for building, running and testing. Each part does nothing if it is already done.

mod browser;
mod node;
pub mod packages;
pub mod snapshot;

use std::path::Path;

pub use browser::browser;

/// Sets up everything needed to run the app.
pub fn for_running(root: &Path, is_without_display: bool) -> anyhow::Result<()> {
    let mut wanted = vec![packages::BUILD, packages::FETCH];
    if is_without_display {
        wanted.push(packages::VIRTUAL_DISPLAY);
    }
    packages::install(&wanted)?;
    node::install(root, "ui")?;
    snapshot::fetch()
}

/// Sets up everything needed for the contract suite alone.
pub fn for_contract(root: &Path) -> anyhow::Result<()> {
    packages::install(&[packages::BUILD, packages::FETCH])?;
    node::install(root, "server/tests/issuer")?;
    node::install(root, "peers")?;
    snapshot::fetch()
}

/// Sets up everything needed to run a backend on Node.
pub fn for_peers(root: &Path) -> anyhow::Result<()> {
    node::install(root, "peers")
}

/// Sets up everything needed for the tests.
pub fn for_tests(root: &Path) -> anyhow::Result<()> {
    packages::install(&[
        packages::BUILD,
        packages::FETCH,
        packages::VIRTUAL_DISPLAY,
        packages::WEBVIEW_DRIVER,
        packages::FONT,
        packages::KEY_STORE,
    ])?;
    node::install(root, "ui")?;
    node::install(root, "e2e")?;
    node::install(root, "server/tests/issuer")?;
    node::install(root, "peers")?;
    snapshot::fetch()?;
    browser().map(drop)
}
