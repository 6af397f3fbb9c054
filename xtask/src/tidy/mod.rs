//! `cargo xtask tidy`: the rules of the code's layout, checked by a program, each with its reason.
//!
//! What clippy and the page's linter can check is theirs; here are the rules that span crates and folders.

mod journal;
mod layers;
mod migrations;
mod modules;
mod source;
mod text;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, bail};

use crate::shell;

/// The repository's text files, by their paths from its root.
type Texts = BTreeMap<String, String>;

/// Checks everything and reports all that is wrong at once.
///
/// # Errors
/// A rule is broken, or the files cannot be read.
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
        println!("tidy: the layout's rules hold");
        return Ok(());
    }
    bail!("{} rules of the layout are broken:\n  {}", problems.len(), problems.join("\n  "))
}

fn tracked_texts(root: &Path) -> anyhow::Result<Texts> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let paths = shell::output(git).context("the files of the repository come from git")?;
    // A file that git still lists but that is gone, and one that is no text, have no lines to check.
    let read = |path: &str| fs::read_to_string(root.join(path)).ok().map(|text| (path.to_owned(), text));
    Ok(paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect())
}
