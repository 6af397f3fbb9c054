//! `cargo xtask check-targets`: type-checks the app for phones, on a machine without their SDKs.
//!
//! Needs only this compiler and the source of its standard library: the library is checked along with the app.
//! C code is not compiled but stubbed out, so this says nothing about linking; see `docs/platforms.md`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::shell;

const TARGETS: &[&str] = &["aarch64-linux-android", "aarch64-apple-ios"];

/// Type-checks the app for Android and iOS; prints `skipped:` and why, where the library's source is not to be had.
///
/// # Errors
/// The app, or a crate below it, does not compile for a target.
pub fn check_targets(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/check-targets");
    fs::create_dir_all(&folder)?;
    if let Err(reason) = provide_library_source(&folder) {
        println!("skipped: the source of the standard library is not to be had: {reason:#}");
        return Ok(());
    }
    let tools = stand_in_tools(&folder)?;
    for target in TARGETS {
        println!("\n== {target}");
        shell::run(check(&folder, &tools, target)?)?;
    }
    println!("The app type-checks for {}", TARGETS.join(" and "));
    Ok(())
}

fn check(folder: &Path, tools: &Path, target: &str) -> anyhow::Result<Command> {
    let variable = |name: &str| format!("{name}_{}", target.replace('-', "_"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools.to_owned()).chain(std::env::split_paths(&path)))?;
    let mut cargo = shell::cargo(&["check", "-Zbuild-std=std,panic_abort", "--package", "motovault", "--lib"]);
    cargo.args(["--target", target]).arg("--target-dir").arg(folder);
    cargo
        // Building the standard library is not offered on stable compilers; this is a check, nothing ships from it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path)
        .env(variable("CC"), tools.join("foreign-cc"))
        .env(variable("CXX"), tools.join("foreign-cc"))
        .env(variable("AR"), "ar")
        .env("SDKROOT", folder)
        // wry writes Kotlin files for the app's Android project; there is none, and nobody reads them.
        .env("WRY_ANDROID_PACKAGE", "org.motovault.garage")
        .env("WRY_ANDROID_LIBRARY", "motovault")
        .env("WRY_ANDROID_KOTLIN_FILES_OUT_DIR", folder.join("kotlin"));
    fs::create_dir_all(folder.join("kotlin"))?;
    Ok(cargo)
}

/// Programs that answer as a C compiler and as Apple's tool finder do, and compile nothing.
fn stand_in_tools(folder: &Path) -> anyhow::Result<PathBuf> {
    const COMPILER: &str = r#"#!/bin/sh
# Answers build scripts as clang would; writes empty objects.
output=
for argument; do
    case "$argument" in
    --version) echo "clang version 19.0.0"; exit 0 ;;
    -E) exec gcc -E -x c - < /dev/null ;;
    '-?') exit 1 ;;
    esac
    [ "$previous" = -o ] && output=$argument
    previous=$argument
done
[ -n "$output" ] && : > "$output"
exit 0
"#;
    const XCRUN: &str = "#!/bin/sh\n# Names an SDK that is nowhere.\necho /\n";
    let tools = folder.join("tools");
    fs::create_dir_all(&tools)?;
    // Not `cc`: the folder is on the path, and programs of this machine are linked by that name.
    for (name, text) in [("foreign-cc", COMPILER), ("xcrun", XCRUN)] {
        let path = tools.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(tools)
}

/// Puts the standard library's source where cargo looks for it: rustup's, or that of Debian's package of the same
/// version.
fn provide_library_source(folder: &Path) -> anyhow::Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]);
    let expected = PathBuf::from(shell::output(rustc)?).join("lib/rustlib/src/rust/library");
    let is_there = || expected.join("Cargo.lock").is_file();
    if is_there() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rust-src"]);
    let from_rustup = shell::output(rustup);
    if is_there() {
        return Ok(());
    }
    let library = debian_source(folder).with_context(|| match from_rustup {
        Ok(_) => "rustup has none".to_owned(),
        Err(reason) => reason.to_string().lines().next().unwrap_or_default().to_owned(),
    })?;
    println!("Linking {} to the source in Debian's package", expected.display());
    fs::create_dir_all(expected.parent().context("it lies in a folder")?)?;
    // A link from an earlier run may lead nowhere by now.
    if expected.is_symlink() {
        fs::remove_file(&expected)?;
    }
    symlink(library, expected)?;
    Ok(())
}

/// Debian's package of this compiler's source, unpacked and not installed.
fn debian_source(folder: &Path) -> anyhow::Result<PathBuf> {
    let version = compiler_version()?;
    let unpacked = folder.join("rust-src");
    let library = unpacked.join(format!("usr/src/rustc-{version}/library"));
    if library.join("Cargo.lock").is_file() {
        return Ok(library);
    }
    // An apt of its own: the machine's list of sources stays as it is.
    let apt = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "empty"] {
        fs::create_dir_all(apt.join(part))?;
    }
    let mirror = debian_mirror().context("this machine has no Debian mirror in its sources")?;
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keyring}] {mirror} trixie-backports main\n");
    fs::write(apt.join("sources.list"), source)?;
    let with_own_lists = |program: &str| {
        let mut command = Command::new(program);
        let option = |name: &str, value: PathBuf| format!("--option={name}={}", value.display());
        command
            .current_dir(&apt)
            .arg(option("Dir::Etc::sourcelist", apt.join("sources.list")))
            .arg(option("Dir::Etc::sourceparts", apt.join("empty")))
            .arg(option("Dir::State::lists", apt.join("lists")))
            .arg(option("Dir::Cache", apt.join("cache")))
            // Root's downloads would be handed to a user who may not read this folder.
            .arg("--option=APT::Sandbox::User=root");
        command
    };
    let mut update = with_own_lists("apt-get");
    update.args(["update", "--quiet"]);
    shell::output(update)?;
    let mut madison = with_own_lists("apt-cache");
    madison.args(["madison", "rust-src"]);
    let versions = shell::output(madison)?;
    let package = versions
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|candidate| {
            candidate.starts_with(&format!("{version}+")) || candidate.starts_with(&format!("{version}-"))
        })
        .with_context(|| format!("Debian has no rust-src {version}"))?;
    println!("About to download Debian's rust-src {package} into {}", apt.display());
    let mut download = with_own_lists("apt-get");
    download.args(["download", &format!("rust-src={package}")]);
    shell::output(download)?;
    let archive = fs::read_dir(&apt)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt left no package")?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(archive).arg(&unpacked);
    shell::output(unpack)?;
    if !library.join("Cargo.lock").is_file() {
        bail!("the package holds no {}", library.display());
    }
    Ok(library)
}

fn compiler_version() -> anyhow::Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("--version");
    let line = shell::output(rustc)?;
    line.split(' ').nth(1).map(str::to_owned).context("rustc names its version")
}

/// The mirror that this machine's own sources name.
fn debian_mirror() -> Option<String> {
    let folder = fs::read_dir("/etc/apt/sources.list.d").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    folder
        .chain([PathBuf::from("/etc/apt/sources.list")])
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))
}
