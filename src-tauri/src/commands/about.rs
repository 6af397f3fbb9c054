//! The app's version and files.

use serde::Serialize;

use super::{Answer, Garage};

/// Shown in the settings and included in bug reports.
#[derive(Serialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The app's version.
    version: String,
    /// The path of the garage's file.
    garage_file: String,
    /// The release of the vPIC data, such as `2026-10`; null if there is none.
    snapshot_month: Option<String>,
}

/// Returns the app's version, the garage's file and the release of the vPIC data.
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
