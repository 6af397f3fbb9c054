//! The user's preferences on this device, stored by the store plugin in a file beside the garage's file.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use garage_core::{Sort, domain::OdometerUnit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tauri::{App, Manager, Runtime};
use tauri_plugin_store::{Store, StoreBuilder};

const FILE_NAME: &str = "preferences.json";
/// A copy of the last complete file: the plugin writes in place, so a crash can leave `preferences.json` truncated.
const PREVIOUS_FILE_NAME: &str = "preferences.previous.json";

/// The user's preferences on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct Preferences {
    /// Light, dark, or the system's setting.
    pub theme: Theme,
    /// The default odometer unit of new vehicles.
    pub odometer_unit: OdometerUnit,
    /// Cards or rows.
    pub view: View,
    /// The sort order of the vehicle list.
    pub sort: Sort,
    /// The last filter of the vehicle list.
    pub filter: Filter,
    /// Whether VINs are sent to vPIC over the network.
    pub asks_vpic: bool,
}

/// The color theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants need no explanation")]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

/// The layout of the vehicle list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// One card per vehicle.
    #[default]
    Cards,
    /// One row per vehicle.
    Rows,
}

/// The filter of the vehicle list. The default lists all vehicles that are not removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Lists only this make.
    pub make: Option<String>,
    /// Lists only this model year.
    pub year: Option<i32>,
    /// Lists only this vehicle type.
    pub vehicle_type: Option<String>,
    /// Lists only vehicles in use (`true`) or not in use (`false`).
    pub is_active: Option<bool>,
    /// Lists removed vehicles instead of the others.
    pub is_removed: bool,
}

/// The preferences file and the plugin's store for it.
pub(crate) struct PreferenceStore {
    store: Arc<dyn Kept>,
    file: PathBuf,
    /// Held while the file is written: two concurrent writes would interleave.
    saving: Mutex<()>,
}

/// The plugin's store without its runtime type parameter, so that commands are not generic over the runtime.
trait Kept: Send + Sync {
    fn get(&self, key: &str) -> Option<Value>;
    fn set(&self, key: String, value: Value);
    fn save(&self) -> tauri_plugin_store::Result<()>;
}

impl<R: Runtime> Kept for Store<R> {
    fn get(&self, key: &str) -> Option<Value> {
        Store::get(self, key)
    }

    fn set(&self, key: String, value: Value) {
        Store::set(self, key, value);
    }

    fn save(&self) -> tauri_plugin_store::Result<()> {
        Store::save(self)
    }
}

impl PreferenceStore {
    /// Returns the stored preferences. A value that is missing or unreadable gets its default.
    pub fn get(&self) -> Preferences {
        Preferences {
            theme: self.value("theme").unwrap_or_default(),
            odometer_unit: self.value("odometerUnit").unwrap_or_default(),
            view: self.value("view").unwrap_or_default(),
            sort: self.value("sort").unwrap_or_default(),
            filter: self.value("filter").unwrap_or_default(),
            asks_vpic: self.value("asksVpic").unwrap_or(true),
        }
    }

    /// Stores all preferences. They are on disk when this returns.
    pub fn set(&self, preferences: &Preferences) -> tauri_plugin_store::Result<()> {
        let _turn = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Value::Object(values)) = serde_json::to_value(preferences) {
            for (key, value) in values {
                self.store.set(key, value);
            }
        }
        if is_whole(&self.file) {
            let _ = std::fs::copy(&self.file, self.file.with_file_name(PREVIOUS_FILE_NAME));
        }
        self.store.save()
    }

    fn value<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_value(self.store.get(key)?).ok()
    }
}

/// Opens the store beside the garage's file and registers it as app state.
pub(crate) fn manage<R: Runtime>(app: &App<R>, garage_file: &Path) -> tauri_plugin_store::Result<Preferences> {
    let file = garage_file.with_file_name(FILE_NAME);
    let previous = garage_file.with_file_name(PREVIOUS_FILE_NAME);
    if !is_whole(&file) && is_whole(&previous) {
        let _ = std::fs::copy(&previous, &file);
    }
    let store = PreferenceStore {
        store: StoreBuilder::new(app, &file).disable_auto_save().build()?,
        file,
        saving: Mutex::default(),
    };
    let preferences = store.get();
    app.manage(store);
    Ok(preferences)
}

/// Whether the file holds a complete JSON object.
fn is_whole(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|bytes| serde_json::from_slice::<serde_json::Map<_, Value>>(&bytes).is_ok())
}
