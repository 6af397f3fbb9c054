//! The first pull of all vehicles, compared with their bare transfer and a bare insert.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Side, VEHICLES, device::Device, insert, insert::Rows, transfer};
use crate::measure::row;

const ROUNDS: usize = 3;

pub async fn print(side: &Side) -> anyhow::Result<()> {
    let [mut of_device, mut of_transfer, mut of_insert] = [Duration::MAX; 3];
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let folder = |name: &str| side.folder.join(format!("{name}-{round}"));
        let device = Device::sign_in(&folder("pulled"), &side.server.url, "all").await?;
        let session = device.session().await?;
        let started = Instant::now();
        let exchanged = device.garage.sync(&session, Duration::ZERO, |_| ()).await?;
        of_device = started.elapsed().min(of_device);
        ensure!(exchanged.received == VEHICLES, "{} vehicles were received", exchanged.received);
        let file = device.file.clone();
        device.close().await;

        // Accepts gzip, like the device.
        let client = reqwest::Client::builder().no_proxy().gzip(true).build()?;
        let started = Instant::now();
        let transferred = transfer::pull(&client, &session).await?;
        of_transfer = started.elapsed().min(of_transfer);
        ensure!(transferred.requests == exchanged.requests, "{} pages", transferred.requests);
        bytes = transferred.bytes;

        let rows = Rows::read(&file)?;
        ensure!(rows.len() == VEHICLES, "{} vehicles were stored", rows.len());
        let empty = Device::signed_out(&folder("inserted")).await?;
        let file = empty.file.clone();
        empty.close().await;
        let mut connection = insert::open(&file)?;
        let started = Instant::now();
        rows.insert(&mut connection, VEHICLES.div_ceil(exchanged.requests))?;
        of_insert = started.elapsed().min(of_insert);
    }
    let bare = of_transfer + of_insert;
    let ratio = of_device.as_secs_f64() / bare.as_secs_f64();
    let measured = format!(
        "{ratio:.2} × bare ({:.2} s; bare: transfer of {:.1} MB {:.2} s, insert {:.2} s)",
        of_device.as_secs_f64(),
        bytes as f64 / 1e6,
        of_transfer.as_secs_f64(),
        of_insert.as_secs_f64(),
    );
    row(&format!("first pull of 10 000 vehicles, {}", side.name), &measured, "≤ 2 ×", ratio <= 2.0);
    Ok(())
}
