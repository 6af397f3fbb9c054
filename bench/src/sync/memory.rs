//! The memory of a pass, in a process of its own: the peak of `RssAnon` above that of the idle device.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{Side, VEHICLES, device::Device};
use crate::measure::row;

/// The time between two looks at the memory.
const INTERVAL: Duration = Duration::from_millis(1);
const REACH_KB: u64 = 32 << 10;

pub async fn print(side: &mut Side) -> anyhow::Result<()> {
    let pull = in_process(&side.folder.join("memory"), &side.server.url)?;
    side.first.edit_all(200_000).await?;
    side.first.close().await;
    let push = in_process(&side.folder.join("first"), &side.server.url)?;
    side.first.reopen().await?;
    let mb = |[idle, peak]: [u64; 2]| format!("{:.1} MB", (peak - idle) as f64 / 1024.0);
    let measured = format!("first pull {}, push {} (idle: {:.1} MB)", mb(pull), mb(push), pull[0] as f64 / 1024.0);
    let is_reached = [pull, push].iter().all(|[idle, peak]| peak - idle <= REACH_KB);
    row(&format!("memory of a pass of 10 000, {}", side.name), &measured, "≤ 32 MB above idle", is_reached);
    Ok(())
}

/// Lets another process do a pass. Returns its memory in KiB, idle and at most.
fn in_process(folder: &Path, server: &str) -> anyhow::Result<[u64; 2]> {
    let output = Command::new(std::env::current_exe()?).arg("--pass").arg(folder).arg(server).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let (idle, peak) = text.trim().split_once(' ').context("two numbers")?;
    Ok([idle.parse()?, peak.parse()?])
}

/// A pass of the device in this folder, in this process. Prints the memory.
pub async fn pass(folder: &Path, server: &str) -> anyhow::Result<()> {
    let device = Device::sign_in(folder, server, "all").await?;
    let session = device.session().await?;
    session.access_token().await?;
    let idle = rss_anon_kb()?;
    let is_done = Arc::new(AtomicBool::new(false));
    let is_over = is_done.clone();
    let watching = thread::spawn(move || -> anyhow::Result<u64> {
        let mut peak = 0;
        while !is_over.load(Relaxed) {
            peak = rss_anon_kb()?.max(peak);
            thread::sleep(INTERVAL);
        }
        Ok(peak)
    });
    let exchanged = device.garage.sync(&session, Duration::ZERO, |_| ()).await?;
    is_done.store(true, Relaxed);
    let peak = watching.join().map_err(|_| anyhow::anyhow!("the watching thread panicked"))??;
    ensure!(exchanged.sent.max(exchanged.received) == VEHICLES, "{exchanged:?}");
    device.close().await;
    println!("{idle} {}", peak.max(idle));
    Ok(())
}

fn rss_anon_kb() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is measured on Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
