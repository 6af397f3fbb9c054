//! Export, backup, restore and repair. Long tasks report progress and can be canceled.

use std::path::Path;

use garage_core::{BackupFile, Existing, ExportFormat, Repair};

use super::{Answer, Garage};

/// Writes the garage to a file: everything as JSON, or the vehicles as CSV. Replaces an existing file, which the save
/// dialog has confirmed.
#[tauri::command]
#[specta::specta]
pub async fn export_garage(garage: Garage<'_>, file: String, format: ExportFormat) -> Answer<()> {
    let progress = garage.new_task();
    Ok(garage.get().await?.export_to_file(format, Path::new(&file), Existing::Replace, progress).await?)
}

/// Backs up the whole garage to a file. Replaces an existing file, which the save dialog has confirmed.
#[tauri::command]
#[specta::specta]
pub async fn back_up_garage(garage: Garage<'_>, file: String) -> Answer<()> {
    let progress = garage.new_task();
    Ok(garage.get().await?.back_up(Path::new(&file), Existing::Replace, progress).await?)
}

/// Replaces the whole garage with a backup. Returns the path of a backup of the replaced content.
#[tauri::command]
#[specta::specta]
pub async fn restore_garage(garage: Garage<'_>, file: String) -> Answer<String> {
    let progress = garage.new_task();
    let replaced = garage.get().await?.restore_backup(Path::new(&file), progress).await?;
    Ok(replaced.display().to_string())
}

/// Lists the backups beside the garage, newest first.
#[tauri::command]
#[specta::specta]
pub async fn list_backups(garage: Garage<'_>) -> Answer<Vec<BackupFile>> {
    Ok(garage.get().await?.backups()?)
}

/// Cancels the running long task, which then fails with the code `canceled`.
#[tauri::command]
#[specta::specta]
pub fn stop_task(garage: Garage<'_>) {
    garage.stop_task();
}

/// Repairs a garage that was found to be damaged after it had been opened: moves the file aside and saves its readable
/// content.
#[tauri::command]
#[specta::specta]
pub async fn repair_garage(garage: Garage<'_>) -> Answer<Repair> {
    Ok(garage.repair().await?)
}

/// Returns the result of a repair at startup, once.
#[tauri::command]
#[specta::specta]
pub async fn take_repair(garage: Garage<'_>) -> Answer<Option<Repair>> {
    garage.get().await?;
    Ok(garage.take_repair())
}
