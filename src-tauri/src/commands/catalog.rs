//! Model years, makes and models, for a vehicle without a VIN.

use garage_core::CatalogEntry;

use super::{Answer, Garage};

/// The model years that vPIC knows makes and models for, the latest first.
#[tauri::command]
#[specta::specta]
pub async fn list_model_years(garage: Garage<'_>) -> Answer<Vec<i32>> {
    Ok(garage.get().await?.model_years().await?)
}

/// The makes that had a model in this year, or all, by name.
#[tauri::command]
#[specta::specta]
pub async fn list_makes(garage: Garage<'_>, year: Option<i32>) -> Answer<Vec<CatalogEntry>> {
    Ok(garage.get().await?.makes(year).await?)
}

/// The models that a make had in this year, or ever, by name.
#[tauri::command]
#[specta::specta]
pub async fn list_models(garage: Garage<'_>, make_id: i32, year: Option<i32>) -> Answer<Vec<CatalogEntry>> {
    Ok(garage.get().await?.models(make_id, year).await?)
}
