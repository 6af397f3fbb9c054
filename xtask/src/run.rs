//! `cargo xtask run`: sets up, builds and starts the app.

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

/// The timeout for painting the window. The first start of WebKit on a loaded machine takes seconds.
const LONGEST_START: Duration = Duration::from_secs(60);
/// An empty window has one or two colors; antialiased text has more.
const FEWEST_COLORS: usize = 16;

pub fn run(root: &Path, is_release: bool) -> anyhow::Result<()> {
    let has_display = !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|it| !it.is_empty()));
    setup::for_running(root, !has_display)?;
    build(root, if is_release { Scope::Shipped } else { Scope::Programs })?;
    let folder = target_folder(root).join(if is_release { "release" } else { "debug" });
    let program = |name: &str| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    let (app, cli) = (program("motovault"), program("garage"));
    println!("Command line: {} --help", cli.display());
    if has_display {
        return shell::run(Command::new(app));
    }
    show_without_display(root, &app)
}

#[derive(Clone, Copy)]
pub enum Scope {
    /// The app and the CLI, in release mode
    Shipped,
    /// The app, the CLI and the host of the journeys
    Programs,
    /// All programs of the workspace
    Workspace,
}

/// Builds the app with its page, and the other programs of the scope.
pub fn build(root: &Path, scope: Scope) -> anyhow::Result<()> {
    // The Tauri CLI builds the page, then the app.
    let mut tauri = Command::new("node");
    tauri.current_dir(root).args(["ui/node_modules/@tauri-apps/cli/tauri.js", "build", "--no-bundle"]);
    // Build all programs together: cargo unifies features across the crates of one build. Building the CLI or the host
    // separately would recompile a fifth of the dependencies, and the tests after that two thirds.
    let programs = ["--", "--package", "motovault", "--package", "garage-cli"];
    match scope {
        Scope::Shipped => tauri.args(programs),
        Scope::Programs => tauri.arg("--debug").args(programs).args(["--package", "e2e-host"]),
        Scope::Workspace => tauri.args(["--debug", "--", "--workspace"]),
    };
    shell::run(tauri)
}

pub fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn show_without_display(root: &Path, app: &Path) -> anyhow::Result<()> {
    println!("No display found: starting the app in a virtual one and taking a screenshot");
    let picture = target_folder(root).join("motovault.png");
    let display = VirtualDisplay::start(1280, 800)?;
    let mut child = Command::new(app).env("DISPLAY", &display.name).stdin(Stdio::null()).spawn()?;
    let taken = take_picture(&display, &picture, || Ok(child.try_wait()?.is_none()));
    display::stop(&mut child);
    taken?;
    println!("Screenshot: {}", picture.display());
    Ok(())
}

/// Takes screenshots until two in a row are equal and not blank, which means that the window is painted.
fn take_picture(
    display: &VirtualDisplay,
    picture: &Path,
    mut is_running: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut previous = Vec::new();
    while started.elapsed() < LONGEST_START {
        ensure!(is_running()?, "the app exited");
        thread::sleep(Duration::from_millis(700));
        display.screenshot(picture)?;
        let current = pixels(picture)?;
        if current == previous && current.iter().collect::<HashSet<_>>().len() >= FEWEST_COLORS {
            return Ok(());
        }
        previous = current;
    }
    bail!("the window is still blank after {} seconds", LONGEST_START.as_secs())
}

fn pixels(picture: &Path) -> anyhow::Result<Vec<[u8; 3]>> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(picture)?)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().context("the screenshot is too large")?];
    let info = reader.next_frame(&mut bytes)?;
    Ok(bytes.chunks_exact(info.color_type.samples()).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}
