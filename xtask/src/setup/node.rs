//! Installs the npm packages of a folder from its lock file.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, bail};

use crate::shell;

const OLDEST_NODE: (u32, u32) = (20, 19);

/// Installs the packages unless those of the lock file are already installed.
pub fn install(root: &Path, folder: &str) -> anyhow::Result<()> {
    check_node()?;
    let lock = fs::read(root.join(folder).join("package-lock.json")).context("cannot read the lock file")?;
    let digest = blake3::hash(&lock).to_hex().to_string();
    let stamp = root.join(folder).join("node_modules/.motovault-lock");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == digest) {
        return Ok(());
    }
    println!("Installing the npm packages of {folder}/ from its lock file");
    shell::run(shell::npm(folder, &["ci", "--no-fund", "--no-audit"]))?;
    fs::write(stamp, digest)?;
    Ok(())
}

fn check_node() -> anyhow::Result<()> {
    let (major, minor) = OLDEST_NODE;
    let mut node = Command::new("node");
    node.arg("--version");
    let version = shell::output(node).with_context(|| format!("Node {major}.{minor} or newer with npm is missing"))?;
    let numbers: Vec<u32> = version.trim_start_matches('v').split('.').filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [found_major, found_minor, ..] if (found_major, found_minor) >= OLDEST_NODE => Ok(()),
        _ => bail!("Node {major}.{minor} or newer is required; found {version}"),
    }
}
