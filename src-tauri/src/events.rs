//! The one event of the app: something in the garage changed.

use garage_core::Change;
use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Runtime};
use tauri_specta::Event;

/// Tells the page which of its queries are out of date.
#[derive(Debug, Clone, Serialize, Deserialize, specta::Type, Event)]
pub struct GarageChanged {
    /// `vehicles` for any list of vehicles, `vehicle:<id>` for one, `decode` for what VINs decode to.
    pub tags: Vec<String>,
}

impl From<&Change> for GarageChanged {
    fn from(change: &Change) -> GarageChanged {
        let tags = match change {
            Change::Vehicle(id) => vec!["vehicles".to_owned(), format!("vehicle:{id}")],
            Change::ManyVehicles => vec!["vehicles".to_owned()],
            Change::Decode(_) => vec!["decode".to_owned()],
        };
        GarageChanged { tags }
    }
}

/// Hands a change of the garage to the page.
pub(crate) fn emit<R: Runtime>(app: &AppHandle<R>, change: &Change) {
    // Fails only while the app shuts down, when there is no page left to tell.
    let _ = GarageChanged::from(change).emit(app);
}
