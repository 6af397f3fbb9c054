//! Runs programs: prints each command and stops at the first failure.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Variables of the outer `cargo run` must not affect other builds.
    command.env_remove("CARGO_MANIFEST_DIR").args(arguments);
    command
}

pub fn npm(folder: &str, arguments: &[&str]) -> Command {
    // On Windows npm is a script, and the file extension is required to start it.
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(["--prefix", folder]).args(arguments).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    command
}

pub fn run(mut command: Command) -> anyhow::Result<()> {
    let line = display(&command);
    println!("$ {line}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a program and returns its trimmed output.
pub fn output(mut command: Command) -> anyhow::Result<String> {
    let line = display(&command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
