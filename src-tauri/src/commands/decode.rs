//! Decoding, live while a VIN is typed.

use garage_core::{Decode, Detail};

use super::{Answer, Garage};

/// Decodes a VIN or a part of one, with every fact. A known model year decides where the VIN fits two.
#[tauri::command]
#[specta::specta]
pub async fn decode_vin(garage: Garage<'_>, text: String, year: Option<i32>) -> Answer<Decode<'static>> {
    Ok(garage.get().await?.decode_vin(&text, year, Detail::Full).await?)
}
