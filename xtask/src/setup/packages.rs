//! System packages: installed with apt on Debian and derivatives; only checked on other systems.

use std::process::Command;

use anyhow::bail;

use crate::shell;

#[derive(Clone, Copy)]
pub struct Packages {
    purpose: &'static str,
    names: &'static [&'static str],
    /// The programs to check for on systems without apt.
    programs: &'static [&'static str],
    /// The libraries to check for with pkg-config on systems without apt.
    libraries: &'static [&'static str],
}

pub const BUILD: Packages = Packages {
    purpose: "build the app",
    names: &["build-essential", "pkg-config", "libwebkit2gtk-4.1-dev"],
    programs: &["cc", "pkg-config"],
    libraries: &["webkit2gtk-4.1"],
};
pub const FETCH: Packages = Packages {
    purpose: "fetch the vPIC data",
    names: &["ca-certificates", "curl"],
    programs: &["curl"],
    libraries: &[],
};
/// Needed if the release cannot be downloaded.
pub const PIP: Packages =
    Packages { purpose: "fetch the vPIC data with pip", names: &["python3-pip"], programs: &["pip3"], libraries: &[] };
/// Needed for screenshots without a display.
pub const VIRTUAL_DISPLAY: Packages = Packages {
    purpose: "show the app without a display",
    names: &["xvfb", "xauth", "dbus", "scrot"],
    programs: &["Xvfb", "scrot"],
    libraries: &[],
};
pub const WEBVIEW_DRIVER: Packages = Packages {
    purpose: "test the app in its window",
    names: &["procps", "webkit2gtk-driver"],
    programs: &["pgrep", "WebKitWebDriver"],
    libraries: &[],
};
/// GNOME's keyring on a session bus of its own.
pub const KEY_STORE: Packages = Packages {
    purpose: "test sessions with a key store",
    names: &["dbus", "gnome-keyring"],
    programs: &["dbus-daemon", "dbus-send", "gnome-keyring-daemon"],
    libraries: &[],
};
pub const POSTGRES: Packages = Packages {
    purpose: "test the server on PostgreSQL",
    names: &["openssl", "postgresql", "util-linux"],
    programs: &["initdb", "openssl", "setpriv"],
    libraries: &[],
};
pub const IMAGE: Packages =
    Packages { purpose: "make a container image", names: &["buildah"], programs: &["buildah"], libraries: &[] };
pub const LOAD: Packages = Packages {
    purpose: "put load on the server",
    names: &["curl", "util-linux", "wrk"],
    programs: &["curl", "taskset", "wrk"],
    libraries: &[],
};
pub const PYTHON: Packages = Packages {
    purpose: "test the server with schemathesis",
    names: &["python3-venv"],
    programs: &["python3"],
    libraries: &[],
};
pub const BARE_SYSTEM: Packages = Packages {
    purpose: "try the package on a bare system",
    names: &["debootstrap", "dpkg-dev", "rpm"],
    programs: &["debootstrap", "dpkg-deb", "rpm"],
    libraries: &[],
};
/// The font of the page in screenshots.
pub const FONT: Packages =
    Packages { purpose: "compare pictures of the page", names: &["fonts-dejavu-core"], programs: &[], libraries: &[] };
/// Only installed if no browser is found; see `browser`.
pub const CHROMIUM: Packages =
    Packages { purpose: "test the page in a browser", names: &["chromium"], programs: &["chromium"], libraries: &[] };
/// Ubuntu's package, which installs a snap.
pub const CHROMIUM_OF_UBUNTU: Packages = Packages { names: &["chromium-browser"], ..CHROMIUM };

/// Lists missing packages and installs them.
pub fn install(wanted: &[Packages]) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        // macOS and Windows include the webview, and their compilers have installers of their own.
        return Ok(());
    }
    if !shell::is_on_path("apt-get") || !shell::is_on_path("dpkg-query") {
        return check_without_apt(wanted);
    }
    let mut missing = Vec::new();
    for packages in wanted {
        let names: Vec<&str> = packages.names.iter().copied().filter(|name| !is_installed(name)).collect();
        if !names.is_empty() {
            println!("Installing packages with apt to {}: {}", packages.purpose, names.join(" "));
            missing.extend(names);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut id = Command::new("id");
    id.arg("--user");
    let is_root = shell::output(id)? == "0";
    if !is_root && !shell::is_on_path("sudo") {
        bail!(
            "installing packages requires root, and sudo is missing. Run as root: apt-get update && apt-get install {}",
            missing.join(" ")
        );
    }
    shell::run(apt(is_root, &["update", "--quiet"]))?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(&missing);
    shell::run(apt(is_root, &arguments))
}

fn is_installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", name]);
    shell::output(query).is_ok_and(|status| status == "installed")
}

fn apt(is_root: bool, arguments: &[&str]) -> Command {
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").args(arguments);
    command
}

/// Checks for programs and libraries, because package names differ between distributions.
fn check_without_apt(wanted: &[Packages]) -> anyhow::Result<()> {
    let programs = wanted.iter().flat_map(|it| it.programs).filter(|program| !shell::is_on_path(program));
    let libraries = wanted.iter().flat_map(|it| it.libraries).filter(|library| !is_known_library(library));
    let missing: Vec<String> = programs
        .map(|program| format!("the program {program}"))
        .chain(libraries.map(|library| format!("the development files of {library}")))
        .collect();
    if missing.is_empty() { Ok(()) } else { bail!("missing on this system: {}", missing.join(", ")) }
}

fn is_known_library(library: &str) -> bool {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--exists", library]);
    shell::output(pkg_config).is_ok()
}
