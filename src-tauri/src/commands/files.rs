//! The garage as files: export, backup, restore, repair. Long tasks say how far they are and can be stopped.

use std::path::Path;

use garage_core::{BackupFile, Existing, ExportFormat, Repair};

use super::{Answer, Garage};

/// Writes the garage into a file, as JSON everything, as CSV the vehicles. A file of this name is replaced: the
/// dialog that named it has asked.
#[tauri::command]
#[specta::specta]
pub async fn export_garage(garage: Garage<'_>, file: String, format: ExportFormat) -> Answer<()> {
    let progress = garage.new_task();
    Ok(garage.get().await?.export_to_file(format, Path::new(&file), Existing::Replace, progress).await?)
}

/// Copies the whole garage into a file. A file of this name is replaced: the dialog that named it has asked.
#[tauri::command]
#[specta::specta]
pub async fn back_up_garage(garage: Garage<'_>, file: String) -> Answer<()> {
    let progress = garage.new_task();
    Ok(garage.get().await?.back_up(Path::new(&file), Existing::Replace, progress).await?)
}

/// Replaces the whole garage by a backup, and gives the file that holds what was there before.
#[tauri::command]
#[specta::specta]
pub async fn restore_garage(garage: Garage<'_>, file: String) -> Answer<String> {
    let progress = garage.new_task();
    let replaced = garage.get().await?.restore_backup(Path::new(&file), progress).await?;
    Ok(replaced.display().to_string())
}

/// The backups beside the garage, the newest first.
#[tauri::command]
#[specta::specta]
pub async fn list_backups(garage: Garage<'_>) -> Answer<Vec<BackupFile>> {
    Ok(garage.get().await?.backups()?)
}

/// Stops the long task that is under way; it answers that it was stopped.
#[tauri::command]
#[specta::specta]
pub fn stop_task(garage: Garage<'_>) {
    garage.stop_task();
}

/// Moves a garage whose damage showed in use aside, and saves what can be read of it.
#[tauri::command]
#[specta::specta]
pub async fn repair_garage(garage: Garage<'_>) -> Answer<Repair> {
    Ok(garage.repair().await?)
}

/// What a repair at the start has done; told once.
#[tauri::command]
#[specta::specta]
pub async fn take_repair(garage: Garage<'_>) -> Answer<Option<Repair>> {
    garage.get().await?;
    Ok(garage.take_repair())
}
