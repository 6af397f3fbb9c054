//! What this app is and where it keeps things.

use serde::Serialize;

use super::{Answer, Garage};

/// For the settings and for reports of trouble.
#[derive(Serialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The app's version.
    version: String,
    /// The garage's file on this device.
    garage_file: String,
    /// The release of the vPIC data, such as `2026-10`; null where there is none to decode with.
    snapshot_month: Option<String>,
}

/// The app's version, the garage's file and the month of the vPIC data.
#[tauri::command]
#[specta::specta]
pub async fn about(garage: Garage<'_>) -> Answer<About> {
    let garage = garage.get().await?;
    Ok(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        garage_file: garage.garage_file().display().to_string(),
        snapshot_month: garage.snapshot_month().await.ok().map(str::to_owned),
    })
}
