//! `cargo xtask tidy`: rules for the layout of the code.
//!
//! Only rules that span crates and folders; clippy and ESLint check the others.

mod journal;
mod layers;
mod migrations;
mod modules;
mod source;
mod text;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, bail};

use crate::shell;

/// Text files of the repository, by path from its root.
type Texts = BTreeMap<String, String>;

pub fn tidy(root: &Path) -> anyhow::Result<()> {
    let mut problems = layers::check(root)?;
    let texts = tracked_texts(root)?;
    for (path, text) in &texts {
        problems.extend(text::check(path, text));
    }
    problems.extend(modules::check(&texts)?);
    problems.extend(journal::check(&texts)?);
    problems.extend(migrations::check(&root.join("migrations"))?);
    if problems.is_empty() {
        println!("tidy: no problems");
        return Ok(());
    }
    bail!("{} problems found:\n  {}", problems.len(), problems.join("\n  "))
}

fn tracked_texts(root: &Path) -> anyhow::Result<Texts> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let paths = shell::output(git).context("cannot list files with git")?;
    // Skip binary files, and files that git lists but that are deleted.
    let read = |path: &str| fs::read_to_string(root.join(path)).ok().map(|text| (path.to_owned(), text));
    Ok(paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect())
}
