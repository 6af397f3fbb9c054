//! Prepares the additional files of the packages, with the layout of the installed system.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
    process::Command,
};

use anyhow::Context;
use flate2::{Compression, write::GzEncoder};

use super::licenses;
use crate::{setup::snapshot, shell};

/// Compresses 84 MB to 15, which unpack in 0.2 s; higher levels need more memory on both sides.
const ZSTD_LEVEL: i32 = 19;

/// Writes the files to `target/package`, where `tauri.conf.json` expects them.
pub fn stage(root: &Path, release: &Path) -> anyhow::Result<()> {
    let usr = root.join("target/package/usr");
    if usr.exists() {
        fs::remove_dir_all(&usr)?;
    }
    let place = |name: &str| -> anyhow::Result<_> {
        let path = usr.join(name);
        fs::create_dir_all(path.parent().context("the path has a parent folder")?)?;
        Ok(path)
    };
    let garage = release.join("garage");
    fs::copy(&garage, place("bin/garage")?)?;
    let said = |arguments: &[&str]| {
        let mut command = Command::new(&garage);
        command.args(arguments);
        shell::output(command)
    };
    fs::write(place("share/bash-completion/completions/garage")?, said(&["completions", "bash"])? + "\n")?;
    fs::write(place("share/zsh/vendor-completions/_garage")?, said(&["completions", "zsh"])? + "\n")?;
    fs::write(place("share/fish/vendor_completions.d/garage.fish")?, said(&["completions", "fish"])? + "\n")?;
    let pages = root.join("target/package/man");
    if pages.exists() {
        fs::remove_dir_all(&pages)?;
    }
    said(&["man", "--folder", pages.to_str().context("the path is UTF-8")?])?;
    for page in fs::read_dir(&pages)? {
        let page = page?;
        gzip(&place(&format!("share/man/man1/{}.gz", page.file_name().display()))?, &fs::read(page.path())?)?;
    }

    let packed = place(&format!("share/motovault/{}", snapshot::pinned::PACKED_FILE_NAME))?;
    fs::copy(pack(root)?, packed)?;
    let linux = root.join("src-tauri/linux");
    let metainfo = "org.motovault.garage.metainfo.xml";
    fs::copy(linux.join(metainfo), place(&format!("share/metainfo/{metainfo}"))?)?;
    fs::copy(linux.join("copyright"), place("share/doc/moto-vault/copyright")?)?;
    gzip(&place("share/doc/moto-vault/third-party-licenses.txt.gz")?, licenses::of_everything(root)?.as_bytes())?;
    allow_everybody_to_read(&usr)
}

/// Sets file permissions, because packages keep them and those in the checkout depend on the umask.
fn allow_everybody_to_read(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            allow_everybody_to_read(&path)?;
        } else {
            let is_program = path.parent().is_some_and(|folder| folder.ends_with("bin"));
            fs::set_permissions(&path, fs::Permissions::from_mode(if is_program { 0o755 } else { 0o644 }))?;
        }
    }
    Ok(())
}

/// Returns the compressed vPIC data. Cached, because compression takes a minute.
fn pack(root: &Path) -> anyhow::Result<std::path::PathBuf> {
    let packed = root.join(format!("target/packed/{}.zst", snapshot::pinned::BLAKE3));
    if !packed.exists() {
        println!("Compressing the vPIC data; this takes a minute and the result is cached");
        let folder = packed.parent().context("the path has a parent folder")?;
        fs::create_dir_all(folder)?;
        // Write a temporary file and rename it, so that an interrupted run leaves no partial file.
        let scratch = tempfile::NamedTempFile::new_in(folder)?;
        zstd::stream::copy_encode(
            BufReader::new(File::open(snapshot::cached_path()?)?),
            scratch.as_file(),
            ZSTD_LEVEL,
        )?;
        scratch.persist(&packed)?;
    }
    Ok(packed)
}

fn gzip(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    // Omit the timestamp, so that equal content gives an equal file.
    let mut encoder = GzEncoder::new(File::create(path)?, Compression::best());
    io::copy(&mut &content[..], &mut encoder)?;
    encoder.finish()?;
    Ok(())
}
