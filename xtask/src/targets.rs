//! `cargo xtask check-targets`: type-checks the app for phones without their SDKs.
//!
//! Requires only this compiler and the source of its standard library, which is checked as well. C code is replaced by
//! stubs, so linking is not tested; see `docs/platforms.md`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::shell;

const TARGETS: &[&str] = &["aarch64-linux-android", "aarch64-apple-ios"];

/// Type-checks the app for Android and iOS. Prints `skipped:` if the source of the standard library is not available.
pub fn check_targets(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/check-targets");
    fs::create_dir_all(&folder)?;
    if let Err(reason) = provide_library_source(&folder) {
        println!("skipped: the source of the standard library is not available: {reason:#}");
        return Ok(());
    }
    let tools = stand_in_tools(&folder)?;
    for target in TARGETS {
        println!("\n== {target}");
        shell::run(check(root, &folder, &tools, target)?)?;
    }
    println!("The app type-checks for {}", TARGETS.join(" and "));
    Ok(())
}

fn check(root: &Path, folder: &Path, tools: &Path, target: &str) -> anyhow::Result<Command> {
    let variable = |name: &str| format!("{name}_{}", target.replace('-', "_"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools.to_owned()).chain(std::env::split_paths(&path)))?;
    let mut cargo = shell::cargo(&["check", "-Zbuild-std=std,panic_abort", "--package", "motovault", "--lib"]);
    cargo.args(["--target", target]).arg("--target-dir").arg(folder);
    cargo
        .current_dir(root)
        // Stable compilers do not support building the standard library. This variable is acceptable for a check.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path)
        .env(variable("CC"), tools.join("foreign-cc"))
        .env(variable("CXX"), tools.join("foreign-cc"))
        .env(variable("AR"), "ar")
        .env("SDKROOT", folder)
        // wry requires these variables for the Android project, which does not exist yet.
        .env("WRY_ANDROID_PACKAGE", "org.motovault.garage")
        .env("WRY_ANDROID_LIBRARY", "motovault")
        .env("WRY_ANDROID_KOTLIN_FILES_OUT_DIR", folder.join("kotlin"));
    fs::create_dir_all(folder.join("kotlin"))?;
    Ok(cargo)
}

/// Writes stubs of a C compiler and of Apple's `xcrun`, which compile nothing.
fn stand_in_tools(folder: &Path) -> anyhow::Result<PathBuf> {
    const COMPILER: &str = r#"#!/bin/sh
# Answers build scripts as clang would; writes empty objects.
output=
previous=
for argument; do
    case "$argument" in
    --version) echo "clang version 19.0.0"; exit 0 ;;
    -E) exec gcc "$@" ;;
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
    // Not `cc`: the folder is in `PATH`, and rustc links this machine's programs with `cc`.
    for (name, text) in [("foreign-cc", COMPILER), ("xcrun", XCRUN)] {
        let path = tools.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(tools)
}

/// Provides the standard library's source where cargo expects it, from rustup or from Debian's package of the same
/// version.
fn provide_library_source(folder: &Path) -> anyhow::Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]);
    let expected = PathBuf::from(shell::output(rustc)?).join("lib/rustlib/src/rust/library");
    if is_library(&expected) {
        return Ok(());
    }
    // After `cargo clean`, a link from an earlier run is broken and blocks rustup.
    if expected.is_symlink() {
        fs::remove_file(&expected).with_context(|| format!("cannot remove the old link {}", expected.display()))?;
    }
    let from_rustup = add_with_rustup();
    if is_library(&expected) {
        return Ok(());
    }
    let library = debian_source(folder).with_context(|| match from_rustup {
        Ok(()) => "rustup has none".to_owned(),
        Err(reason) => reason.to_string().lines().next().unwrap_or_default().to_owned(),
    })?;
    println!("Linking {} to the source in Debian's package", expected.display());
    link(&library, &expected).with_context(|| format!("cannot write {}", expected.display()))
}

/// Cargo also needs the library's lock file.
fn is_library(folder: &Path) -> bool {
    folder.join("Cargo.lock").is_file()
}

fn add_with_rustup() -> anyhow::Result<()> {
    if !shell::is_on_path("rustup") {
        bail!("rustup is missing");
    }
    println!("Adding rust-src to the toolchain with rustup");
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rust-src"]);
    shell::output(rustup).map(drop)
}

fn link(library: &Path, expected: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(expected.parent().context("the path has no parent folder")?)?;
    Ok(symlink(library, expected)?)
}

/// Unpacks Debian's package with this compiler's source, without installing it.
fn debian_source(folder: &Path) -> anyhow::Result<PathBuf> {
    let version = compiler_version()?;
    let unpacked = folder.join("rust-src");
    let library = unpacked.join(format!("usr/src/rustc-{version}/library"));
    if is_library(&library) {
        return Ok(library);
    }
    let archive = debian_package(&folder.join("apt"), &version)?;
    // Unpack into another folder, so that an interrupted run leaves no partial source.
    let part = folder.join("rust-src.part");
    for old in [&part, &unpacked].into_iter().filter(|old| old.exists()) {
        fs::remove_dir_all(old)?;
    }
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(archive).arg(&part);
    shell::output(unpack)?;
    fs::rename(&part, &unpacked)?;
    if !is_library(&library) {
        bail!("the package does not contain {}", library.display());
    }
    Ok(library)
}

/// Downloads Debian's `rust-src` package for a compiler version and returns its path.
fn debian_package(apt: &Path, version: &str) -> anyhow::Result<PathBuf> {
    write_apt_configuration(apt)?;
    let mut update = with_own_lists(apt, "apt-get");
    // By default apt succeeds if it cannot download an index, and the version would then seem not to exist.
    update.args(["update", "--quiet", "--error-on=any"]);
    shell::output(update)?;
    let mut madison = with_own_lists(apt, "apt-cache");
    madison.args(["madison", "rust-src"]);
    let versions = shell::output(madison)?;
    let package = versions
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|candidate| candidate.strip_prefix(version).is_some_and(|rest| rest.starts_with(['+', '-'])))
        .with_context(|| format!("Debian has no rust-src {version}"))?;
    println!("Downloading Debian's rust-src {package} into {}", apt.display());
    let mut download = with_own_lists(apt, "apt-get");
    download.args(["download", &format!("rust-src={package}")]);
    shell::output(download)?;
    // Select by name: packages of earlier compilers may remain.
    let archive = apt.join(format!("rust-src_{package}_all.deb"));
    if !archive.is_file() {
        bail!("apt did not download {}", archive.display());
    }
    Ok(archive)
}

/// Creates a separate apt configuration, so that the machine's sources remain unchanged.
fn write_apt_configuration(apt: &Path) -> anyhow::Result<()> {
    for part in ["lists/partial", "cache/archives/partial", "empty"] {
        fs::create_dir_all(apt.join(part))?;
    }
    let mirror = debian_mirror().context("the apt sources of this machine contain no Debian mirror")?;
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keyring}] {mirror} trixie-backports main\n");
    Ok(fs::write(apt.join("sources.list"), source)?)
}

fn with_own_lists(apt: &Path, program: &str) -> Command {
    let option = |name: &str, value: &str| format!("--option={name}={}", apt.join(value).display());
    let mut command = Command::new(program);
    command
        .current_dir(apt)
        .arg(option("Dir::Etc::sourcelist", "sources.list"))
        .arg(option("Dir::Etc::sourceparts", "empty"))
        .arg(option("Dir::State::lists", "lists"))
        .arg(option("Dir::Cache", "cache"))
        // apt downloads as a separate user, who may not have access to this folder.
        .arg("--option=APT::Sandbox::User=root");
    command
}

fn compiler_version() -> anyhow::Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("--version");
    let line = shell::output(rustc)?;
    line.split(' ').nth(1).map(str::to_owned).context("rustc names its version")
}

fn debian_mirror() -> Option<String> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
    let files = parts.filter_map(Result::ok).map(|entry| entry.path()).chain([PathBuf::from("/etc/apt/sources.list")]);
    files.filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| mirror_in(&text))
}

fn mirror_in(sources: &str) -> Option<String> {
    sources
        .lines()
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}
