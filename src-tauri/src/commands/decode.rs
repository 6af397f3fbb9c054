//! Decoding a VIN while it is typed.

use garage_core::{Decode, Detail};

use super::{Answer, Garage};

/// Decodes a full or partial VIN with all facts. `year` decides between two model years that fit the VIN.
#[tauri::command]
#[specta::specta]
pub async fn decode_vin(garage: Garage<'_>, text: String, year: Option<i32>) -> Answer<Decode<'static>> {
    Ok(garage.get().await?.decode_vin(&text, year, Detail::Full).await?)
}
