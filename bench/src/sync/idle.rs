//! A pass with nothing to do: its requests and bytes, counted by a proxy.

use std::time::Duration;

use anyhow::ensure;

use super::{Side, device::Device, proxy::Proxy};
use crate::measure::row;

/// Enough for the audit to compare every vehicle, 100 in each pass, and to begin again.
const PASSES: usize = 110;
const MOST_BYTES: u64 = 1_024;

pub async fn print(side: &Side) -> anyhow::Result<()> {
    let proxy = Proxy::start(&side.server.url)?;
    let device = Device::sign_in(&side.folder.join("idle"), &proxy.url, "all").await?;
    device.pass().await?;
    let session = device.session().await?;
    let [mut requests, mut to_server, mut to_device] = [0; 3];
    for _ in 0..PASSES {
        let before = proxy.counts();
        let exchanged = device.garage.sync(&session, Duration::ZERO, |_| ()).await?;
        ensure!(exchanged.sent == 0 && exchanged.received == 0, "there was something to do");
        let after = proxy.counts();
        requests = requests.max(after.requests - before.requests);
        to_server = to_server.max(after.to_server - before.to_server);
        to_device = to_device.max(after.to_device - before.to_device);
    }
    device.close().await;
    let is_reached = requests == 1 && to_server <= MOST_BYTES && to_device <= MOST_BYTES;
    let measured = format!("{requests} request, {to_server} bytes to the server, {to_device} bytes back");
    let what = format!("pass with nothing to do, 10 000 vehicles, {}", side.name);
    row(&what, &measured, "1 request, ≤ 1 KB each way", is_reached);
    Ok(())
}
