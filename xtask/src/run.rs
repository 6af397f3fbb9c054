//! `cargo xtask run`: the app, from nothing to its window.

use std::{
    collections::HashSet,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::{
    display::{self, VirtualDisplay},
    setup, shell,
};

/// How long the window may take to show something. The first start of WebKit on a loaded machine takes seconds.
const LONGEST_START: Duration = Duration::from_secs(60);
/// An empty window has one or two colors; text alone has more, since its edges are smoothed.
const FEWEST_COLORS: usize = 16;

/// Sets up, builds, and starts the app.
///
/// # Errors
/// The first step that fails.
pub fn run(root: &Path, is_release: bool) -> anyhow::Result<()> {
    let has_display = !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|it| !it.is_empty()));
    setup::for_running(root, !has_display)?;
    build(root, if is_release { Scope::Shipped } else { Scope::Programs })?;
    let folder = target_folder(root).join(if is_release { "release" } else { "debug" });
    let program = |name: &str| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    let (app, cli) = (program("motovault"), program("garage"));
    println!("The command line: {} --help", cli.display());
    if has_display {
        return shell::run(Command::new(app));
    }
    show_without_display(root, &app)
}

/// What is built together with the app.
#[derive(Clone, Copy)]
pub enum Scope {
    /// With optimizations: the app and the CLI
    Shipped,
    /// The app, the CLI and the journeys' host
    Programs,
    /// All programs of the workspace
    Workspace,
}

/// Builds the app with its page inside, and what belongs to the scope.
///
/// # Errors
/// The build fails.
pub fn build(root: &Path, scope: Scope) -> anyhow::Result<()> {
    // The Tauri CLI builds the page first, and the program around it. Its launcher runs on every system.
    let mut tauri = Command::new("node");
    tauri.current_dir(root).args(["ui/node_modules/@tauri-apps/cli/tauri.js", "build", "--no-bundle"]);
    // All at once: cargo chooses a dependency's features for the crates that it builds together. It would compile a fifth
    // of the dependencies again for a CLI or a host on its own, and two thirds for the tests after the programs alone.
    let programs = ["--", "--package", "motovault", "--package", "garage-cli"];
    match scope {
        Scope::Shipped => tauri.args(programs),
        Scope::Programs => tauri.arg("--debug").args(programs).args(["--package", "e2e-host"]),
        Scope::Workspace => tauri.args(["--debug", "--", "--workspace"]),
    };
    shell::run(tauri)
}

/// Where cargo puts what it builds.
pub fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn show_without_display(root: &Path, app: &Path) -> anyhow::Result<()> {
    println!("There is no display here: the app starts in a virtual one, for a picture of it");
    let picture = target_folder(root).join("motovault.png");
    let display = VirtualDisplay::start(1280, 800)?;
    let mut child = Command::new(app).env("DISPLAY", &display.name).stdin(Stdio::null()).spawn()?;
    let taken = take_picture(&display, &picture, || Ok(child.try_wait()?.is_none()));
    display::stop(&mut child);
    taken?;
    println!("The app's picture: {}", picture.display());
    Ok(())
}

/// Takes pictures until one shows something and the next shows the same: the window has been painted.
fn take_picture(
    display: &VirtualDisplay,
    picture: &Path,
    mut is_running: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut previous = Vec::new();
    while started.elapsed() < LONGEST_START {
        ensure!(is_running()?, "the app has ended by itself");
        thread::sleep(Duration::from_millis(700));
        display.screenshot(picture)?;
        let current = pixels(picture)?;
        if current == previous && current.iter().collect::<HashSet<_>>().len() >= FEWEST_COLORS {
            return Ok(());
        }
        previous = current;
    }
    bail!("the window has shown nothing for {} seconds", LONGEST_START.as_secs())
}

fn pixels(picture: &Path) -> anyhow::Result<Vec<[u8; 3]>> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(picture)?)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().context("the picture is too large")?];
    let info = reader.next_frame(&mut bytes)?;
    Ok(bytes.chunks_exact(info.color_type.samples()).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}
