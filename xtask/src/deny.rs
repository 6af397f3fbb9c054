//! `cargo deny`: licenses, bans and sources of everything that is built in, by the rules of deny.toml.

use std::{path::Path, process::Command};

use crate::{run, shell};

const VERSION: &str = "0.20.2";

/// Checks them; installs cargo-deny below the target folder first, unless it is there.
///
/// # Errors
/// It cannot be installed, or a rule is broken.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let folder = std::path::absolute(run::target_folder(root))?.join("tools");
    let program = folder.join("bin/cargo-deny").with_extension(std::env::consts::EXE_EXTENSION);
    let mut version = Command::new(&program);
    version.arg("--version");
    if !shell::output(version).is_ok_and(|found| found.ends_with(VERSION)) {
        println!("About to install cargo-deny {VERSION} into {}", folder.display());
        // Unoptimized and without fetching advisories it is built in a minute, and checks in seconds.
        let mut install = shell::cargo(&["install", "cargo-deny", "--locked", "--version", VERSION, "--debug"]);
        install.args(["--no-default-features", "--quiet", "--root"]).arg(&folder);
        shell::run(install)?;
    }
    let mut deny = Command::new(program);
    deny.current_dir(root).args(["check", "bans", "licenses", "sources"]);
    shell::run(deny)
}
