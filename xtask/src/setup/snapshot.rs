//! Downloads the vPIC snapshot, verifies its digest, and stores it where the app and the CLI look for it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use super::packages;
use crate::shell;

#[path = "../../../crates/decode/src/pinned.rs"]
pub mod pinned;

/// The data as an asset of the decoding library's release.
const RELEASE_ASSET: &str = "https://github.com/blackthorn-interstellar/ultravin/releases/download/v3.0.2/vpic.rkyv";
/// The library's Python package, which contains the same data.
const PYTHON_PACKAGE: &str = "ultravin==3.0.2";
const MAGIC: &[u8] = b"ULTRAVIN";
/// The header before the range of the digest.
const HEADER_BYTES: usize = 64;

/// A source of the data, by name. Returns the unverified bytes.
type Route = (&'static str, fn(&Path) -> anyhow::Result<Vec<u8>>);

/// Downloads the snapshot into the user's cache folder unless it is there.
pub fn fetch() -> anyhow::Result<()> {
    let cached = cached_path()?;
    if fs::read(&cached).is_ok_and(|bytes| check(&bytes).is_ok()) {
        return Ok(());
    }
    let folder = cached.parent().context("the path has a parent folder")?;
    println!(
        "Downloading the vPIC data of {} ({} MB) into {}",
        pinned::MONTH,
        pinned::SIZE_BYTES / 1_000_000,
        folder.display()
    );
    fs::create_dir_all(folder)?;
    let scratch = tempfile::tempdir_in(folder)?;
    let named: &[Route] = &[("GARAGE_VPIC_FILE", named_file)];
    let fetched: &[Route] = &[("the release", release_asset), ("pip", python_package)];
    let routes = if named_path().is_some() { [named, fetched].concat() } else { fetched.to_vec() };
    let mut reasons = Vec::new();
    for (name, route) in routes {
        match route(scratch.path()).and_then(|bytes| check(&bytes).map(|()| bytes)) {
            Ok(bytes) => {
                // Write a temporary file and rename it, so that an interrupted run leaves no partial file.
                let mut file = tempfile::NamedTempFile::new_in(folder)?;
                file.write_all(&bytes)?;
                file.as_file().sync_all()?;
                file.persist(&cached)?;
                println!("Downloaded the vPIC data from {name} and verified its digest");
                return Ok(());
            }
            Err(reason) => {
                println!("  {name} failed: {reason:#}");
                reasons.push(format!("{name}: {reason:#}"));
            }
        }
    }
    bail!("cannot download the vPIC data. Set GARAGE_VPIC_FILE to the path of a copy.\n  {}", reasons.join("\n  "))
}

pub fn cached_path() -> anyhow::Result<PathBuf> {
    let folder = dirs::cache_dir().context("the system has no cache folder; set HOME")?;
    Ok(folder.join(pinned::APP_IDENTIFIER).join(pinned::FILE_NAME))
}

fn named_path() -> Option<PathBuf> {
    std::env::var_os("GARAGE_VPIC_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn named_file(_scratch: &Path) -> anyhow::Result<Vec<u8>> {
    let path = named_path().context("not set")?;
    fs::read(&path).with_context(|| path.display().to_string())
}

fn release_asset(scratch: &Path) -> anyhow::Result<Vec<u8>> {
    let path = scratch.join("release.rkyv");
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--connect-timeout", "5", "--max-time", "900"]);
    curl.arg("--output").arg(&path).arg(RELEASE_ASSET);
    shell::output(curl)?;
    Ok(fs::read(path)?)
}

fn python_package(scratch: &Path) -> anyhow::Result<Vec<u8>> {
    // Debian's Python does not include pip.
    if shell::output(python("pip", &["--version"])).is_err() {
        packages::install(&[packages::PIP])?;
    }
    let mut pip = python("pip", &["--disable-pip-version-check", "download", "--quiet", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--dest"]).arg(scratch).arg(PYTHON_PACKAGE);
    shell::output(pip)?;
    let wheel = fs::read_dir(scratch)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    let mut unpack = python("zipfile", &["--extract"]);
    unpack.arg(&wheel).arg(scratch);
    shell::output(unpack)?;
    let library = fs::read_dir(scratch.join("ultravin"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("_ultravin")))
        .context("the wheel contains no library")?;
    find_in(&fs::read(library)?).context("the library does not contain the data")
}

fn python(module: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(windows) { "python" } else { "python3" });
    command.args(["-m", module]).args(arguments);
    command
}

/// Finds the snapshot in a library. It starts with a magic number, which can also occur elsewhere.
fn find_in(library: &[u8]) -> Option<Vec<u8>> {
    let size = usize::try_from(pinned::SIZE_BYTES).ok()?;
    let last_start = library.len().checked_sub(size)?;
    let windows = library.windows(MAGIC.len()).take(last_start + 1);
    let starts = windows.enumerate().filter(|(_, window)| *window == MAGIC);
    starts
        .filter_map(|(start, _)| library.get(start..start + size))
        .find(|bytes| check(bytes).is_ok())
        .map(<[u8]>::to_vec)
}

fn check(bytes: &[u8]) -> anyhow::Result<()> {
    ensure!(
        bytes.len() as u64 == pinned::SIZE_BYTES,
        "the size is {} bytes instead of {}",
        bytes.len(),
        pinned::SIZE_BYTES
    );
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[HEADER_BYTES..]).update(&bytes[10..14]);
    ensure!(hasher.finalize().to_hex().as_str() == pinned::BLAKE3, "the digest is wrong");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_rejects_other_bytes() {
        assert!(check(b"ULTRAVIN").is_err());
        let mut bytes = vec![0; usize::try_from(pinned::SIZE_BYTES).expect("fits")];
        bytes[..8].copy_from_slice(MAGIC);
        assert!(check(&bytes).expect_err("refused").to_string().contains("digest"));
        assert!(find_in(&bytes).is_none());
    }
}
