//! Vehicles: add, list, get, edit, remove, restore, history, undo, and decode offers.

use garage_core::{
    ChangeId, FilterChoices, HistoryEntry, Offer, Vehicle, VehicleDraft, VehicleId, VehiclePage, VehicleQuery,
};

use super::{Answer, Garage};

/// Adds a vehicle. Decoding its VIN fills the fields that the draft leaves empty.
#[tauri::command]
#[specta::specta]
pub async fn add_vehicle(garage: Garage<'_>, draft: VehicleDraft) -> Answer<Vehicle> {
    Ok(garage.get().await?.add_vehicle(&draft).await?)
}

/// Returns one page of the vehicles that match the query.
#[tauri::command]
#[specta::specta]
pub async fn list_vehicles(garage: Garage<'_>, query: VehicleQuery) -> Answer<VehiclePage> {
    Ok(garage.get().await?.list_vehicles(query).await?)
}

/// Returns how many vehicles match the query, regardless of its page.
#[tauri::command]
#[specta::specta]
pub async fn count_vehicles(garage: Garage<'_>, query: VehicleQuery) -> Answer<u32> {
    Ok(garage.get().await?.count_vehicles(query).await?)
}

/// Returns how often the garage or the preferences have changed since the app started. The page compares it with the
/// value in its embedded data.
#[tauri::command]
#[specta::specta]
pub fn change_count(garage: Garage<'_>) -> u32 {
    garage.change_count()
}

/// Lists the values by which the vehicles can be filtered.
#[tauri::command]
#[specta::specta]
pub async fn filter_choices(garage: Garage<'_>) -> Answer<FilterChoices> {
    Ok(garage.get().await?.filter_choices().await?)
}

/// Returns a vehicle, removed or not. A removed vehicle has `deletedAt`.
#[tauri::command]
#[specta::specta]
pub async fn get_vehicle(garage: Garage<'_>, id: VehicleId) -> Answer<Vehicle> {
    Ok(garage.get().await?.vehicle_or_removed(id).await?)
}

/// Sets the fields that the draft names; null clears a field.
#[tauri::command]
#[specta::specta]
pub async fn edit_vehicle(garage: Garage<'_>, id: VehicleId, draft: VehicleDraft) -> Answer<Vehicle> {
    Ok(garage.get().await?.edit_vehicle(id, &draft).await?)
}

/// Removes a vehicle, which can be restored.
#[tauri::command]
#[specta::specta]
pub async fn remove_vehicle(garage: Garage<'_>, id: VehicleId) -> Answer<Vehicle> {
    Ok(garage.get().await?.remove_vehicle(id).await?)
}

/// Restores a removed vehicle.
#[tauri::command]
#[specta::specta]
pub async fn restore_vehicle(garage: Garage<'_>, id: VehicleId) -> Answer<Vehicle> {
    Ok(garage.get().await?.restore_vehicle(id).await?)
}

/// Lists all changes of a vehicle, newest first.
#[tauri::command]
#[specta::specta]
pub async fn vehicle_history(garage: Garage<'_>, id: VehicleId) -> Answer<Vec<HistoryEntry>> {
    Ok(garage.get().await?.history(id).await?)
}

/// Undoes a change.
#[tauri::command]
#[specta::specta]
pub async fn undo_change(garage: Garage<'_>, id: ChangeId) -> Answer<Vehicle> {
    Ok(garage.get().await?.undo(id).await?)
}

/// Lists the fields that decoding the vehicle's VIN would change today. Never offers to replace a typed value.
#[tauri::command]
#[specta::specta]
pub async fn decode_offers(garage: Garage<'_>, id: VehicleId) -> Answer<Vec<Offer>> {
    Ok(garage.get().await?.decode_offers(id).await?)
}

/// Sets the named fields to their offered values.
#[tauri::command]
#[specta::specta]
pub async fn accept_offers(garage: Garage<'_>, id: VehicleId, fields: Vec<String>) -> Answer<Vehicle> {
    Ok(garage.get().await?.accept_offers(id, fields).await?)
}
