//! Packages of the system: installed with apt on Debian and its kin, named elsewhere.

use std::process::Command;

use anyhow::bail;

use crate::shell;

/// What one purpose needs.
#[derive(Clone, Copy)]
pub struct Packages {
    purpose: &'static str,
    /// Debian's packages.
    names: &'static [&'static str],
    /// What is looked for where packages have other names: programs,
    programs: &'static [&'static str],
    /// and libraries as pkg-config knows them.
    libraries: &'static [&'static str],
}

/// To compile the app.
pub const BUILD: Packages = Packages {
    purpose: "build the app",
    names: &["build-essential", "pkg-config", "libwebkit2gtk-4.1-dev"],
    programs: &["cc", "pkg-config"],
    libraries: &["webkit2gtk-4.1"],
};
/// To fetch the vPIC data.
pub const FETCH: Packages = Packages {
    purpose: "fetch the vPIC data",
    names: &["ca-certificates", "curl"],
    programs: &["curl"],
    libraries: &[],
};
/// To fetch the vPIC data where its release is out of reach.
pub const PIP: Packages =
    Packages { purpose: "fetch the vPIC data with pip", names: &["python3-pip"], programs: &["pip3"], libraries: &[] };
/// To show the app where there is no display, and take its picture.
pub const VIRTUAL_DISPLAY: Packages = Packages {
    purpose: "show the app without a display",
    names: &["xvfb", "xauth", "dbus", "scrot"],
    programs: &["Xvfb", "scrot"],
    libraries: &[],
};
/// To test the app in its own webview.
pub const WEBVIEW_DRIVER: Packages = Packages {
    purpose: "test the app in its window",
    names: &["procps", "webkit2gtk-driver"],
    programs: &["pgrep", "WebKitWebDriver"],
    libraries: &[],
};
/// To test the server on PostgreSQL.
pub const POSTGRES: Packages = Packages {
    purpose: "test the server on PostgreSQL",
    names: &["openssl", "postgresql", "util-linux"],
    programs: &["initdb", "openssl", "setpriv"],
    libraries: &[],
};
/// To install Python programs into folders of their own.
pub const PYTHON: Packages = Packages {
    purpose: "test the server with schemathesis",
    names: &["python3-venv"],
    programs: &["python3"],
    libraries: &[],
};
/// To try a package out on a bare system.
pub const BARE_SYSTEM: Packages = Packages {
    purpose: "try the package on a bare system",
    names: &["debootstrap", "dpkg-dev", "rpm"],
    programs: &["debootstrap", "dpkg-deb", "rpm"],
    libraries: &[],
};
/// To compare pictures of the page, whose text is drawn in this font.
pub const FONT: Packages =
    Packages { purpose: "compare pictures of the page", names: &["fonts-dejavu-core"], programs: &[], libraries: &[] };
/// To test the page; see `browser`, which knows when this is needed.
pub const CHROMIUM: Packages =
    Packages { purpose: "test the page in a browser", names: &["chromium"], programs: &["chromium"], libraries: &[] };
/// The same on Ubuntu, where the package fetches a snap.
pub const CHROMIUM_OF_UBUNTU: Packages = Packages { names: &["chromium-browser"], ..CHROMIUM };

/// Installs what is missing, after saying so.
///
/// # Errors
/// apt fails, or may not be used; on other systems: something is missing. The error names it.
pub fn install(wanted: &[Packages]) -> anyhow::Result<()> {
    if !cfg!(target_os = "linux") {
        // The webview is a part of macOS and Windows, and so are their compilers' installers.
        return Ok(());
    }
    if !shell::is_on_path("apt-get") || !shell::is_on_path("dpkg-query") {
        return check_without_apt(wanted);
    }
    let mut missing = Vec::new();
    for packages in wanted {
        let names: Vec<&str> = packages.names.iter().copied().filter(|name| !is_installed(name)).collect();
        if !names.is_empty() {
            println!("To {}, these packages are about to be installed with apt: {}", packages.purpose, names.join(" "));
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
            "installing needs root, and there is no sudo. Run as root: apt-get update && apt-get install {}",
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

/// Other Linux systems name their packages differently, so what is needed is looked for itself.
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
