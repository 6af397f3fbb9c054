//! The checks at the end of a pass.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Side, device::Device};
use crate::measure::{milliseconds, percentile, row};

/// The vehicles of a small garage.
pub const VEHICLES: usize = 100;
const SAMPLES: usize = 1_000;

pub async fn print(side: &Side) -> anyhow::Result<()> {
    let device = Device::sign_up(&side.folder.join("checked"), &side.server.url, "few").await?;
    device.import(VEHICLES).await?;
    device.pass().await?;
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let started = Instant::now();
        let (problems, digests) = device.garage.check_sync().await?;
        samples.push(started.elapsed());
        ensure!(problems.is_empty(), "{problems:?}");
        let is_complete = digests.get("vehicles").is_some_and(|digest| digest.count == VEHICLES as i64);
        ensure!(is_complete, "the digest is of other vehicles");
    }
    device.close().await;
    let median = percentile(&mut samples, 50);
    let p99 = percentile(&mut samples, 99);
    let measured = format!("p50 {}, p99 {}", milliseconds(median), milliseconds(p99));
    let what = "checks at the end of a pass, 100 vehicles";
    row(what, &measured, "≤ 1 ms", p99 <= Duration::from_millis(1));
    Ok(())
}
