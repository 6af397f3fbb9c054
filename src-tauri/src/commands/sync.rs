//! Sync with the server of the garage's account.

use super::Garage;

/// Syncs without waiting, for example because the device is online again. Does nothing in a garage without an account.
#[tauri::command]
#[specta::specta]
pub fn sync_now(garage: Garage<'_>) {
    garage.sync_now();
}
