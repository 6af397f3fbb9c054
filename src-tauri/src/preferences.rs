//! What a person prefers on this device, kept by the store plugin beside the garage.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use garage_core::{Sort, domain::OdometerUnit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tauri::{App, Manager, Runtime};
use tauri_plugin_store::{Store, StoreBuilder};

/// The file beside the garage.
const FILE_NAME: &str = "preferences.json";
/// What it held before: the plugin writes the file in place, and a program can be killed at any moment.
const PREVIOUS_FILE_NAME: &str = "preferences.previous.json";

/// What a person prefers on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct Preferences {
    /// Light, dark, or as the system is.
    pub theme: Theme,
    /// What new vehicles count in.
    pub odometer_unit: OdometerUnit,
    /// How the garage is shown.
    pub view: View,
    /// How the garage is sorted.
    pub sort: Sort,
    /// Which vehicles were shown last.
    pub filter: Filter,
    /// Whether vPIC is asked over the network about VINs.
    pub asks_vpic: bool,
}

/// Light, dark, or as the system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

/// How the garage is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// One card a vehicle.
    #[default]
    Cards,
    /// One row a vehicle.
    Rows,
}

/// Which vehicles are shown; the default is all that are not removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Only of this make.
    pub make: Option<String>,
    /// Only of this model year.
    pub year: Option<i32>,
    /// Only of this vehicle type.
    pub vehicle_type: Option<String>,
    /// Only those in use, or only those not in use.
    pub is_active: Option<bool>,
    /// The removed ones instead of the others.
    pub is_removed: bool,
}

/// The store's file as the app holds it.
pub(crate) struct PreferenceStore {
    store: Arc<dyn Kept>,
    file: PathBuf,
    /// Two who wrote the file at once would leave a mixture.
    saving: Mutex<()>,
}

/// The plugin's store, whatever the runtime: commands must not depend on it.
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
    /// What is kept. A value that is missing, or that this version cannot read, is the usual one.
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

    /// Keeps all of them, on the disk when this returns.
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

/// Opens the store beside the garage and makes it available to commands.
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

/// Whether a file was written to its end.
fn is_whole(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|bytes| serde_json::from_slice::<serde_json::Map<_, Value>>(&bytes).is_ok())
}
