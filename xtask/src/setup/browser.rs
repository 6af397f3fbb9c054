//! Chromium for the journeys: an installed one or the system's package, not Playwright's download.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use super::packages;
use crate::shell;

/// Program names of Chromium and Chrome; the last is the path in a snap.
const NAMES: &[&str] =
    &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "/snap/bin/chromium"];

/// Returns the browser's path, and installs a browser if necessary.
pub fn browser() -> anyhow::Result<PathBuf> {
    if let Some(browser) = find() {
        return Ok(browser);
    }
    let is_ubuntu =
        fs::read_to_string("/etc/os-release").is_ok_and(|text| text.lines().any(|line| line == "ID=ubuntu"));
    packages::install(&[if is_ubuntu { packages::CHROMIUM_OF_UBUNTU } else { packages::CHROMIUM }])?;
    find().context(if is_ubuntu {
        "there is no Chromium: Ubuntu's package only fetches a snap, which needs snapd running. Install Chromium or \
         Chrome another way and name it in CHROMIUM_BIN"
    } else {
        "Chromium or Chrome is missing: install one, and name it in CHROMIUM_BIN if it is not on the path"
    })
}

/// Returns the first program that runs. Ubuntu's wrapper script exists even if its snap is missing, and then fails.
fn find() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM_BIN").filter(|path| !path.is_empty()).map(PathBuf::from);
    named.into_iter().chain(NAMES.iter().map(PathBuf::from)).find_map(|browser| {
        let mut version = Command::new(&browser);
        version.arg("--version");
        shell::output(version).ok().and_then(|_| full_path(browser))
    })
}

/// Resolves the name, because Playwright requires a path.
fn full_path(browser: PathBuf) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(&browser)).find(|file| file.is_file())
}
