//! Vehicles: add, list, get, edit, remove, restore; their history, and undo; what decoding offers.

use garage_core::{
    ChangeId, FilterChoices, HistoryEntry, Offer, Vehicle, VehicleDraft, VehicleId, VehiclePage, VehicleQuery,
};

use super::{Answer, Garage};

/// Adds a vehicle; its VIN fills what the draft leaves empty.
#[tauri::command]
#[specta::specta]
pub async fn add_vehicle(garage: Garage<'_>, draft: VehicleDraft) -> Answer<Vehicle> {
    Ok(garage.get().await?.add_vehicle(&draft).await?)
}

/// A page of the vehicles that are wanted.
#[tauri::command]
#[specta::specta]
pub async fn list_vehicles(garage: Garage<'_>, query: VehicleQuery) -> Answer<VehiclePage> {
    Ok(garage.get().await?.list_vehicles(query).await?)
}

/// How many vehicles are wanted, whatever the page.
#[tauri::command]
#[specta::specta]
pub async fn count_vehicles(garage: Garage<'_>, query: VehicleQuery) -> Answer<u32> {
    Ok(garage.get().await?.count_vehicles(query).await?)
}

/// How often the garage or the preferences have changed since the app started, to compare with what came with the page.
#[tauri::command]
#[specta::specta]
pub fn change_count(garage: Garage<'_>) -> u32 {
    garage.change_count()
}

/// What the vehicles in the garage can be filtered by.
#[tauri::command]
#[specta::specta]
pub async fn filter_choices(garage: Garage<'_>) -> Answer<FilterChoices> {
    Ok(garage.get().await?.filter_choices().await?)
}

/// One vehicle; a removed one has the time of it in `deletedAt`.
#[tauri::command]
#[specta::specta]
pub async fn get_vehicle(garage: Garage<'_>, id: VehicleId) -> Answer<Vehicle> {
    Ok(garage.get().await?.vehicle_or_removed(id).await?)
}

/// Changes the fields that the draft names; null clears one.
#[tauri::command]
#[specta::specta]
pub async fn edit_vehicle(garage: Garage<'_>, id: VehicleId, draft: VehicleDraft) -> Answer<Vehicle> {
    Ok(garage.get().await?.edit_vehicle(id, &draft).await?)
}

/// Removes a vehicle; it can be restored.
#[tauri::command]
#[specta::specta]
pub async fn remove_vehicle(garage: Garage<'_>, id: VehicleId) -> Answer<Vehicle> {
    Ok(garage.get().await?.remove_vehicle(id).await?)
}

/// Brings a removed vehicle back.
#[tauri::command]
#[specta::specta]
pub async fn restore_vehicle(garage: Garage<'_>, id: VehicleId) -> Answer<Vehicle> {
    Ok(garage.get().await?.restore_vehicle(id).await?)
}

/// Everything that happened to a vehicle, newest first.
#[tauri::command]
#[specta::specta]
pub async fn vehicle_history(garage: Garage<'_>, id: VehicleId) -> Answer<Vec<HistoryEntry>> {
    Ok(garage.get().await?.history(id).await?)
}

/// Takes a change back.
#[tauri::command]
#[specta::specta]
pub async fn undo_change(garage: Garage<'_>, id: ChangeId) -> Answer<Vehicle> {
    Ok(garage.get().await?.undo(id).await?)
}

/// What decoding the vehicle's VIN would change today; nothing that was typed.
#[tauri::command]
#[specta::specta]
pub async fn decode_offers(garage: Garage<'_>, id: VehicleId) -> Answer<Vec<Offer>> {
    Ok(garage.get().await?.decode_offers(id).await?)
}

/// Takes what is on offer for the fields of these names.
#[tauri::command]
#[specta::specta]
pub async fn accept_offers(garage: Garage<'_>, id: VehicleId, fields: Vec<String>) -> Answer<Vehicle> {
    Ok(garage.get().await?.accept_offers(id, fields).await?)
}
