//! `cargo xtask bench app`: compares the app with an empty Tauri window on the same display.
//!
//! A window counts as painted when the display stops changing, except for a blinking caret. The two alternate, and the
//! best of several rounds counts. Prints a table for `docs/benchmarks.md`.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::{
    display::{self, VirtualDisplay},
    run, setup, shell,
};

const ROUNDS: usize = 5;
const VEHICLES: usize = 10_000;
/// The display counts as stable after this time without changes.
const SETTLED: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(60);
/// The display's size in pixels.
const WIDTH: usize = 1280;
const HEIGHT: usize = 800;
/// The area of the scroll bar, which WebKit hides some seconds after painting.
const SCROLL_BAR_PIXELS: usize = 24;
/// The number of pixels that may change, for a blinking caret or a clock.
const CARET_PIXELS: usize = 200;
/// An empty window has one or two colors; antialiased text has more.
const FEWEST_COLORS: usize = 8;
const LONGEST_START: Duration = Duration::from_secs(60);
/// Clock ticks per second in `/proc/*/stat`; the same on all Linux targets of Rust.
const TICKS_PER_SECOND: f64 = 100.0;

/// Builds both with optimizations, measures them, and prints the table.
pub fn bench(root: &Path) -> anyhow::Result<()> {
    setup::for_running(root, true)?;
    shell::run(shell::npm("ui", &["run", "build"]))?;
    let packages = ["--package", "motovault", "--package", "empty-window", "--package", "garage-cli"];
    shell::run(shell::cargo(&[&["build", "--profile", "bench"][..], &packages].concat()))?;
    let folder = run::target_folder(root).join("release");

    let home = tempfile::tempdir_in(&folder)?;
    let vehicles: Vec<String> = (0..VEHICLES)
        .map(|index| {
            format!(
                r#"{{"nickname":"Vehicle {index}","vin":"1HGCM82633A{index:06}","licensePlate":"BE {index}","year":{},
                "make":"HONDA","model":"Accord","bodyClass":"Coupe","odometerReading":{}}}"#,
                1981 + index % 45,
                index * 17
            )
        })
        .collect();
    let list = home.path().join("vehicles.json");
    fs::write(&list, format!("[{}]", vehicles.join(",")))?;
    let environment = Environment { home: home.path().to_owned(), snapshot: setup::snapshot::cached_path()? };
    let mut import = environment.command(&folder.join("garage"));
    shell::output({
        import.arg("import").arg(&list);
        import
    })?;

    let mut sides =
        [Side::new("the app", folder.join("motovault")), Side::new("an empty window", folder.join("empty-window"))];
    for side in &mut sides {
        side.reference = side.settle(&environment)?;
    }
    for _ in 0..ROUNDS {
        for side in &mut sides {
            side.start_once(&environment)?;
        }
    }
    for side in &mut sides {
        side.rest(&environment)?;
    }
    let [app, empty] = &sides;
    println!("| what | measured | target | |\n| --- | --- | --- | --- |");
    let row = |what: &str, measured: String, reach: &str, is_reached: bool| {
        println!("| {what} | {measured} | {reach} | {} |", if is_reached { "reached" } else { "missed" });
    };
    let start = app.start.as_secs_f64() / empty.start.as_secs_f64();
    let measured = format!("{start:.2} × {:.2} s", empty.start.as_secs_f64());
    row("start to a painted list of 10 000 vehicles", measured, "≤ 1.5 ×", start <= 1.5);
    let memory = app.memory_kb as f64 / empty.memory_kb as f64;
    let measured = format!("{memory:.2} × {} MB", empty.memory_kb / 1024);
    row("memory of all processes, shared pages divided", measured, "≤ 1.3 ×", memory <= 1.3);
    let idle = app.idle_s - empty.idle_s;
    row("processor time of 60 s idle, beyond the empty window's", format!("{idle:.2} s"), "≤ 0.1 s", idle <= 0.1);
    Ok(())
}

/// The environment of both: a home folder with the garage, and this machine's vPIC data.
struct Environment {
    home: PathBuf,
    snapshot: PathBuf,
}

impl Environment {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", &self.home)
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("GARAGE_VPIC_FILE", &self.snapshot)
            // A closed port, so that the benchmark does not query the real vPIC.
            .env("GARAGE_VPIC_URL", "http://127.0.0.1:9")
            // Without a graphics card, trying to share buffers takes up most of the start.
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .stdin(Stdio::null());
        command
    }
}

struct Side {
    name: &'static str,
    program: PathBuf,
    reference: Vec<u8>,
    start: Duration,
    memory_kb: u64,
    idle_s: f64,
}

impl Side {
    fn new(name: &'static str, program: PathBuf) -> Side {
        Side { name, program, reference: Vec::new(), start: Duration::MAX, memory_kb: 0, idle_s: 0.0 }
    }

    fn launch(&self, environment: &Environment) -> anyhow::Result<(Running, VirtualDisplay, Instant)> {
        let display = VirtualDisplay::start(WIDTH as u32, HEIGHT as u32)?;
        let mut command = environment.command(&self.program);
        command.env("DISPLAY", &display.name).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        Ok((Running(command.spawn()?), display, started))
    }

    fn settle(&self, environment: &Environment) -> anyhow::Result<Vec<u8>> {
        let (_running, display, started) = self.launch(environment)?;
        let (mut last, mut since) = (display.pixels()?, Instant::now());
        while started.elapsed() < LONGEST_START {
            thread::sleep(Duration::from_millis(50));
            let now = display.pixels()?;
            if differing(&now, &last) > CARET_PIXELS {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > SETTLED && colors(&last) >= FEWEST_COLORS {
                return Ok(last);
            }
        }
        bail!("{} did not stop changing within {} seconds", self.name, LONGEST_START.as_secs())
    }

    fn start_once(&mut self, environment: &Environment) -> anyhow::Result<()> {
        let (_running, display, started) = self.launch(environment)?;
        while differing(&display.pixels()?, &self.reference) > CARET_PIXELS {
            ensure!(started.elapsed() < LONGEST_START, "{} painted a different image in this round", self.name);
            thread::sleep(Duration::from_millis(2));
        }
        self.start = started.elapsed().min(self.start);
        Ok(())
    }

    /// Measures memory and idle CPU time after the start.
    fn rest(&mut self, environment: &Environment) -> anyhow::Result<()> {
        let (running, _display, _) = self.launch(environment)?;
        thread::sleep(Duration::from_secs(8));
        let processes = running.processes()?;
        self.memory_kb = processes.iter().filter_map(|id| memory_kb(*id)).sum();
        let before: u64 = processes.iter().filter_map(|id| ticks(*id)).sum();
        thread::sleep(IDLE);
        let after: u64 = processes.iter().filter_map(|id| ticks(*id)).sum();
        self.idle_s = (after - before) as f64 / TICKS_PER_SECOND;
        Ok(())
    }
}

/// A running program; dropping it ends the program.
struct Running(Child);

impl Running {
    /// The process and its descendants.
    fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let parents: HashMap<u32, u32> = fs::read_dir("/proc")?
            .filter_map(|entry| {
                let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
                Some((id, stat(id)?.get(1)?.parse().ok()?))
            })
            .collect();
        let is_ours = |id: u32| {
            std::iter::successors(Some(id), |id| parents.get(id).copied()).any(|ancestor| ancestor == self.0.id())
        };
        Ok(parents.keys().copied().filter(|id| is_ours(*id)).collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        display::stop(&mut self.0);
    }
}

/// Returns the fields of `/proc/ID/stat` after the name, which may contain spaces: state, parent, …
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

fn ticks(id: u32) -> Option<u64> {
    let stat = stat(id)?;
    Some(stat.get(11)?.parse::<u64>().ok()? + stat.get(12)?.parse::<u64>().ok()?)
}

/// Returns the proportional set size: private memory plus a share of memory used by several processes.
fn memory_kb(id: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Counts pixels that differ, except in the area of the scroll bar.
fn differing(a: &[u8], b: &[u8]) -> usize {
    if a.len() != b.len() {
        return usize::MAX;
    }
    let compared = (WIDTH - SCROLL_BAR_PIXELS) * 4;
    let in_row = |(a, b): (&[u8], &[u8])| {
        a[..compared].chunks_exact(4).zip(b[..compared].chunks_exact(4)).filter(|(a, b)| a != b).count()
    };
    a.chunks_exact(WIDTH * 4).zip(b.chunks_exact(WIDTH * 4)).map(in_row).sum()
}

fn colors(pixels: &[u8]) -> usize {
    pixels.chunks_exact(4).collect::<std::collections::HashSet<_>>().len()
}

impl VirtualDisplay {
    /// Reads the display's contents from the X server's memory, as four bytes a pixel.
    fn pixels(&self) -> anyhow::Result<Vec<u8>> {
        let dump = fs::read(&self.framebuffer)?;
        // XWD format: a header of big-endian numbers, starting with its size, then colors of 12 bytes, then the
        // pixels.
        let number = |index: usize| {
            let bytes = dump.get(index * 4..index * 4 + 4).context("a short XWD header")?;
            Ok::<_, anyhow::Error>(u32::from_be_bytes(bytes.try_into()?) as usize)
        };
        const COLOR_COUNT: usize = 19;
        let start = number(0)? + number(COLOR_COUNT)? * 12;
        Ok(dump.get(start..).context("an XWD file without pixels")?.to_vec())
    }
}
