//! Runs `cargo deny`: licenses, bans and sources of all dependencies, according to deny.toml.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{run, shell};

const VERSION: &str = "0.20.2";

/// Installs cargo-deny into the target folder if necessary, and returns its path.
pub fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(run::target_folder(root))?.join("tools");
    let program = folder.join("bin/cargo-deny").with_extension(std::env::consts::EXE_EXTENSION);
    let mut version = Command::new(&program);
    version.arg("--version");
    if !shell::output(version).is_ok_and(|found| found.ends_with(VERSION)) {
        println!("Installing cargo-deny {VERSION} into {}", folder.display());
        // An unoptimized build without advisories: it compiles faster and runs for seconds only.
        let mut install = shell::cargo(&["install", "cargo-deny", "--locked", "--version", VERSION, "--debug"]);
        install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
        install.args(["--no-default-features", "--quiet", "--root"]).arg(&folder);
        shell::run(install)?;
    }
    Ok(program)
}

pub fn check(root: &Path, program: &Path) -> anyhow::Result<()> {
    let mut deny = Command::new(program);
    deny.current_dir(root).args(["check", "bans", "licenses", "sources"]);
    shell::run(deny)
}
