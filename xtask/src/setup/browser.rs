//! A Chromium for the journeys: one that the machine has, else the system's package. Never a download of Playwright's.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use super::packages;
use crate::shell;

/// Names that Chromium and Chrome go by; the last is where a snap puts it.
const NAMES: &[&str] =
    &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "/snap/bin/chromium"];

/// Gives the browser, after installing one if there is none.
///
/// # Errors
/// There is none, and none can be installed.
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

/// The first that answers: Ubuntu's script stands there and fails where the snap behind it is missing.
fn find() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM_BIN").filter(|path| !path.is_empty()).map(PathBuf::from);
    named.into_iter().chain(NAMES.iter().map(PathBuf::from)).find_map(|browser| {
        let mut version = Command::new(&browser);
        version.arg("--version");
        shell::output(version).ok().and_then(|_| full_path(browser))
    })
}

/// Playwright wants a path where the system takes a name.
fn full_path(browser: PathBuf) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(&browser)).find(|file| file.is_file())
}
