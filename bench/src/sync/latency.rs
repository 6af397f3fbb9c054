//! How long it takes until an edit on one device is visible on another, both kept synced.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::{sync::Notify, time};

use super::{Side, checks::VEHICLES, device::Device};
use crate::measure::{percentile, row};

const SAMPLES: usize = 25;
/// No edit is begun after this time.
const LONGEST: Duration = Duration::from_secs(90);
/// Longer than a device ever waits between two passes.
const LONGEST_SAMPLE: Duration = Duration::from_secs(60);

pub async fn print(side: &Side) -> anyhow::Result<()> {
    let mut editing = Device::sign_up(&side.folder.join("editing"), &side.server.url, "two").await?;
    editing.import(VEHICLES).await?;
    editing.pass().await?;
    editing.reopen().await?;
    let mut watching = Device::sign_in(&side.folder.join("watching"), &side.server.url, "two").await?;
    watching.pass().await?;
    watching.reopen().await?;
    let never = Notify::new();
    let edited = tokio::select! {
        () = editing.garage.keep_synced(&editing.changed, &never, |_| ()) => Ok(Vec::new()),
        () = watching.garage.keep_synced(&watching.changed, &never, |_| ()) => Ok(Vec::new()),
        edited = edit(&editing, &watching) => edited,
    };
    let mut samples = edited?;
    ensure!(!samples.is_empty(), "no edit arrived");
    let median = percentile(&mut samples, 50);
    let longest = samples.last().copied().unwrap_or_default();
    let measured =
        format!("p50 {:.2} s, longest {:.2} s of {}", median.as_secs_f64(), longest.as_secs_f64(), samples.len());
    let what = format!("edit on one device visible on another, {}", side.name);
    row(&what, &measured, "p50 ≤ 1 s", median <= Duration::from_secs(1));
    editing.close().await;
    watching.close().await;
    Ok(())
}

/// Edits a vehicle again and again. Returns the times from each edit until the other device has it.
async fn edit(editing: &Device, watching: &Device) -> anyhow::Result<Vec<Duration>> {
    let id = editing.ids().await?[0];
    let (mut samples, begun) = (Vec::new(), Instant::now());
    time::sleep(Duration::from_secs(1)).await;
    while samples.len() < SAMPLES && begun.elapsed() < LONGEST {
        // Pauses of different lengths, because both devices also do something now and then.
        time::sleep(Duration::from_millis(400 + samples.len() as u64 * 137 % 1_000)).await;
        let reading = 1_000_000 + samples.len() as i32;
        let started = Instant::now();
        editing.edit(id, reading).await?;
        let arrived = async {
            while watching.garage.vehicle(id).await?.fields.odometer_reading != Some(reading) {
                watching.seen.notified().await;
            }
            Ok::<_, anyhow::Error>(())
        };
        time::timeout(LONGEST_SAMPLE, arrived).await??;
        samples.push(started.elapsed());
    }
    Ok(samples)
}
