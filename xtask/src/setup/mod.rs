//! What a machine needs before it can build, run or test; each part does nothing where it is there already.

mod browser;
mod node;
pub mod packages;
pub mod snapshot;

use std::path::Path;

pub use browser::browser;

/// Everything that starting the app needs.
pub fn for_running(root: &Path, is_without_display: bool) -> anyhow::Result<()> {
    let mut wanted = vec![packages::BUILD, packages::FETCH];
    if is_without_display {
        wanted.push(packages::VIRTUAL_DISPLAY);
    }
    packages::install(&wanted)?;
    node::install(root, "ui")?;
    snapshot::fetch()
}

/// Everything that the contract's suite needs on a server of its own.
pub fn for_contract(root: &Path) -> anyhow::Result<()> {
    packages::install(&[packages::BUILD, packages::FETCH])?;
    node::install(root, "server/tests/issuer")?;
    snapshot::fetch()
}

/// Everything that the tests need.
pub fn for_tests(root: &Path) -> anyhow::Result<()> {
    packages::install(&[
        packages::BUILD,
        packages::FETCH,
        packages::VIRTUAL_DISPLAY,
        packages::WEBVIEW_DRIVER,
        packages::FONT,
    ])?;
    node::install(root, "ui")?;
    node::install(root, "e2e")?;
    node::install(root, "server/tests/issuer")?;
    snapshot::fetch()?;
    browser().map(drop)
}
