//! `cargo xtask bundle`: builds the packages, and tests one in a bare system.
//!
//! Tauri's bundler writes the .deb and the .rpm. `tauri.conf.json` adds the files that `staging` puts into
//! `target/package`: the CLI with completions and a manual page, the compressed vPIC data, and licenses.

mod licenses;
mod staging;
mod trial;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{run, setup, shell};

const LARGEST_DEB_BYTES: u64 = 30_000_000;

/// Builds the app in release mode and its packages for this system. With `is_tried`, tests the .deb in a bare system.
pub fn bundle(root: &Path, is_tried: bool) -> anyhow::Result<()> {
    ensure!(cfg!(target_os = "linux"), "use `tauri build` for installers of other systems");
    setup::for_running(root, false)?;
    run::build(root, run::Scope::Shipped)?;
    let release = run::target_folder(root).join("release");
    staging::stage(root, &release)?;
    let mut tauri = Command::new("node");
    tauri.current_dir(root).args(["ui/node_modules/@tauri-apps/cli/tauri.js", "bundle", "--bundles", "deb,rpm"]);
    shell::run(tauri)?;
    let bundles = release.join("bundle");
    let (deb, rpm) = (newest(&bundles.join("deb"), "deb")?, newest(&bundles.join("rpm"), "rpm")?);
    for package in [&deb, &rpm] {
        println!("{}: {:.1} MB", package.display(), fs::metadata(package)?.len() as f64 / 1e6);
    }
    ensure!(fs::metadata(&deb)?.len() <= LARGEST_DEB_BYTES, "the .deb is larger than {LARGEST_DEB_BYTES} bytes");
    if is_tried { trial::run(root, &deb, &rpm) } else { Ok(()) }
}

fn newest(folder: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let packages = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    packages
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .max_by_key(|path| fs::metadata(path).and_then(|it| it.modified()).ok())
        .with_context(|| format!("the bundler wrote no .{ending} to {}", folder.display()))
}
