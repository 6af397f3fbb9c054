//! Model years, makes and models, for entering a vehicle without a VIN.

use garage_core::CatalogEntry;

use super::{Answer, Garage};

/// Lists the model years for which vPIC has makes and models, latest first.
#[tauri::command]
#[specta::specta]
pub async fn list_model_years(garage: Garage<'_>) -> Answer<Vec<i32>> {
    Ok(garage.get().await?.model_years().await?)
}

/// Lists the makes that had a model in this year, or all makes, by name.
#[tauri::command]
#[specta::specta]
pub async fn list_makes(garage: Garage<'_>, year: Option<i32>) -> Answer<Vec<CatalogEntry>> {
    Ok(garage.get().await?.makes(year).await?)
}

/// Lists the models of a make in this year, or of all years, by name.
#[tauri::command]
#[specta::specta]
pub async fn list_models(garage: Garage<'_>, make_id: i32, year: Option<i32>) -> Answer<Vec<CatalogEntry>> {
    Ok(garage.get().await?.models(make_id, year).await?)
}
