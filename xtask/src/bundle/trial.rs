//! Tests the package in a bare Debian in the target folder: installs an older version, adds a vehicle through the
//! window, upgrades, uninstalls, and verifies that the garage remains.
//!
//! Each command runs in a chroot with a mount namespace of its own, so mounts disappear when it ends.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{
    display::VirtualDisplay,
    setup::{packages, snapshot::pinned},
    shell,
};

/// The oldest Debian release whose WebKit can run the app.
const SUITE: &str = "bookworm";
const ACCORD: &str = "1HGCM82633A004352";
/// Files that the package must install.
const FILES: &[&str] = &[
    "usr/bin/motovault",
    "usr/bin/garage",
    "usr/share/applications/MotoVault.desktop",
    "usr/share/bash-completion/completions/garage",
    "usr/share/zsh/vendor-completions/_garage",
    "usr/share/fish/vendor_completions.d/garage.fish",
    "usr/share/man/man1/garage.1.gz",
    "usr/share/man/man1/garage-vehicle-add.1.gz",
    "usr/share/icons/hicolor/128x128/apps/motovault.png",
    "usr/share/metainfo/org.motovault.garage.metainfo.xml",
    "usr/share/doc/moto-vault/copyright",
    "usr/share/doc/moto-vault/third-party-licenses.txt.gz",
];

/// Installs, uses, upgrades and uninstalls the .deb, and checks the file list of the .rpm.
pub fn run(root: &Path, deb: &Path, rpm: &Path) -> anyhow::Result<()> {
    packages::install(&[packages::BARE_SYSTEM, packages::VIRTUAL_DISPLAY])?;
    let system = Bare::new(root)?;
    let older = system.place(&with_version(deb, "0.0.1")?)?;
    let newer = system.place(deb)?;

    println!("Installing an older package and its dependencies");
    system.apt(&["install", "--yes", "--no-install-recommends", &older])?;
    let packed = format!("usr/share/motovault/{}", pinned::PACKED_FILE_NAME);
    for file in FILES.iter().copied().chain([packed.as_str()]) {
        let mode =
            fs::metadata(system.root.join(file)).with_context(|| format!("the package does not install /{file}"))?;
        ensure!(mode.permissions().mode() & 0o004 != 0, "/{file} is not world-readable");
    }
    system.run(&["desktop-file-validate", "/usr/share/applications/MotoVault.desktop"])?;

    println!("Starting the app and adding a vehicle through its window");
    let display = VirtualDisplay::start(1280, 800)?;
    let mut window = Command::new("node");
    window.current_dir(root).args(["--test", "--test-timeout=900000", "e2e/package/"]);
    window.env("PACKAGE_ROOT", &system.root).env("DISPLAY", &display.name);
    shell::run(window)?;
    system.expect_accord("after adding it")?;

    println!("Upgrading to the newer package");
    system.apt(&["install", "--yes", "--no-install-recommends", &newer])?;
    system.expect_accord("after the upgrade")?;
    let decoded = system.run_without_network(&["garage", "decode", "--offline", "--json", ACCORD])?;
    ensure!(decoded.contains("\"Accord\""), "decoding a VIN with the package's data failed: {decoded}");
    let page = system.run(&["sh", "-c", "zcat /usr/share/man/man1/garage.1.gz"])?;
    ensure!(page.contains("garage"), "the manual page is empty");

    println!("Uninstalling the package");
    system.apt(&["purge", "--yes", "moto-vault"])?;
    for file in FILES {
        ensure!(!system.root.join(file).exists(), "/{file} remains after uninstalling");
    }
    ensure!(system.root.join(GARAGE_FILE).exists(), "uninstalling the package deleted the user's garage");

    let mut list = Command::new("rpm");
    list.args(["--query", "--package", "--list"]).arg(rpm);
    let listed = shell::output(list)?;
    for file in ["usr/bin/motovault", "usr/bin/garage", "usr/share/man/man1/garage.1.gz"] {
        ensure!(listed.contains(file), "the .rpm does not contain /{file}");
    }
    println!("All checks of the package passed");
    Ok(())
}

const GARAGE_FILE: &str = "root/.local/share/org.motovault.garage/garage.db";

fn with_version(deb: &Path, version: &str) -> anyhow::Result<PathBuf> {
    let scratch = tempfile::tempdir()?;
    let content = scratch.path().join("content");
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--raw-extract").arg(deb).arg(&content);
    shell::output(unpack)?;
    let control = content.join("DEBIAN/control");
    let lines = fs::read_to_string(&control)?;
    let changed = lines.lines().map(|line| match line.starts_with("Version:") {
        true => format!("Version: {version}\n"),
        false => format!("{line}\n"),
    });
    fs::write(&control, changed.collect::<String>())?;
    let older = deb.with_file_name("older.deb.part");
    let mut build = Command::new("dpkg-deb");
    build.args(["-Znone", "--build"]).arg(&content).arg(&older);
    shell::output(build)?;
    Ok(older)
}

struct Bare {
    root: PathBuf,
}

impl Bare {
    /// Unpacks a system. Downloads are cached.
    fn new(repository: &Path) -> anyhow::Result<Bare> {
        let root = repository.join("target/bare-system");
        let archive = repository.join("target/bare-system.tar");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        if !archive.exists() {
            println!("Downloading a bare Debian; this takes some minutes and the result is cached");
            let mut fetch = Command::new("debootstrap");
            fetch.args(["--variant=minbase", SUITE]).arg(&root);
            shell::output(fetch)?;
            let system = Bare { root: root.clone() };
            // The driver depends on WebKit; all other dependencies must come from the package.
            system.apt(&["update"])?;
            system.apt(&[
                "install",
                "--yes",
                "--no-install-recommends",
                "webkit2gtk-driver",
                "desktop-file-utils",
                "dbus",
            ])?;
            let mut pack = Command::new("tar");
            pack.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(&root).arg(".");
            shell::output(pack)?;
            return Ok(system);
        }
        fs::create_dir_all(&root)?;
        let mut unpack = Command::new("tar");
        unpack.arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&root);
        shell::output(unpack)?;
        Ok(Bare { root })
    }

    fn place(&self, deb: &Path) -> anyhow::Result<String> {
        let name = deb.file_name().context("a file")?.to_string_lossy().replace(".part", "");
        fs::copy(deb, self.root.join("tmp").join(&name))?;
        Ok(format!("/tmp/{name}"))
    }

    fn command(&self, options: &[&str], words: &[&str]) -> Command {
        let root = self.root.display();
        let enter = format!(
            "mount --bind /dev {root}/dev && mount -t proc proc {root}/proc && \
             cp /etc/resolv.conf {root}/etc/resolv.conf && exec chroot {root} \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]).args(options).args(["sh", "-c", &enter, "sh"]);
        command.args(words).env("HOME", "/root").env("LC_ALL", "C.UTF-8").env_remove("TMPDIR");
        for name in ["XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GARAGE_FILE", "GARAGE_VPIC_FILE"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        shell::output(self.command(&[], words))
    }

    fn run_without_network(&self, words: &[&str]) -> anyhow::Result<String> {
        shell::output(self.command(&["--net"], words))
    }

    fn apt(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let words = [&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"][..], arguments].concat();
        self.run(&words).map(drop)
    }

    fn expect_accord(&self, when: &str) -> anyhow::Result<()> {
        let vehicles = self.run(&["garage", "vehicle", "list", "--json"])?;
        ensure!(vehicles.contains(ACCORD), "{when}, the vehicle is not in the garage: {vehicles}");
        Ok(())
    }
}
