//! The user's preferences on this device.

use tauri::State;

use super::{Answer, Garage};
use crate::{
    error::CommandError,
    preferences::{PreferenceStore, Preferences},
};

/// Returns the preferences, with defaults for values that were never set.
#[tauri::command]
#[specta::specta]
pub fn preferences(store: State<'_, PreferenceStore>) -> Preferences {
    store.get()
}

/// Saves the preferences and applies them.
#[tauri::command]
#[specta::specta]
pub async fn set_preferences(
    store: State<'_, PreferenceStore>,
    garage: Garage<'_>,
    preferences: Preferences,
) -> Answer<()> {
    garage.set_vpic(preferences.asks_vpic).await;
    let kept = store.set(&preferences);
    garage.count_change();
    kept.map_err(CommandError::not_kept)
}
