//! Packages of the system: installed with apt on Debian and its kin, named elsewhere.

use std::process::Command;

use anyhow::bail;

use crate::shell;

/// Debian's packages for one purpose.
#[derive(Clone, Copy)]
pub struct Packages {
    purpose: &'static str,
    names: &'static [&'static str],
}

/// To compile the app.
pub const BUILD: Packages =
    Packages { purpose: "build the app", names: &["build-essential", "pkg-config", "libwebkit2gtk-4.1-dev"] };
/// To fetch the vPIC data.
pub const FETCH: Packages = Packages { purpose: "fetch the vPIC data", names: &["ca-certificates", "curl"] };
/// To show the app where there is no display, and take its picture.
pub const VIRTUAL_DISPLAY: Packages =
    Packages { purpose: "show the app without a display", names: &["xvfb", "xauth", "dbus", "scrot"] };
/// To test the page in Chromium and the app in its own webview.
pub const BROWSERS: Packages =
    Packages { purpose: "test the app", names: &["chromium", "procps", "webkit2gtk-driver"] };

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
        return check_without_apt();
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
    shell::run(apt(&["update", "--quiet"])?)?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(&missing);
    shell::run(apt(&arguments)?)
}

fn is_installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", name]);
    shell::output(query).is_ok_and(|status| status == "installed")
}

fn apt(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut id = Command::new("id");
    id.arg("--user");
    let is_root = shell::output(id)? == "0";
    if !is_root && !shell::is_on_path("sudo") {
        bail!("installing needs root; there is no sudo. Run as root: apt-get {}", arguments.join(" "));
    }
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").args(arguments);
    Ok(command)
}

/// Other Linux systems name their packages differently, so what is needed is looked for itself.
fn check_without_apt() -> anyhow::Result<()> {
    let mut missing: Vec<&str> = ["cc", "pkg-config", "curl"].into_iter().filter(|it| !shell::is_on_path(it)).collect();
    let mut webkit = Command::new("pkg-config");
    webkit.args(["--exists", "webkit2gtk-4.1"]);
    if shell::output(webkit).is_err() {
        missing.push("the development files of WebKitGTK 4.1 (webkit2gtk-4.1.pc)");
    }
    if missing.is_empty() { Ok(()) } else { bail!("missing on this system: {}", missing.join(", ")) }
}
