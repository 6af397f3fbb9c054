//! The events that the app sends to the page: changes of the garage and progress of a long task.

use std::collections::BTreeSet;

use garage_core::{Change, domain::COLLECTIONS};
use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Runtime};
use tauri_specta::Event;

/// Lists the queries of the page that are out of date.
#[derive(Debug, Clone, Serialize, Deserialize, specta::Type, Event)]
pub struct GarageChanged {
    /// `vehicles` for every list of vehicles, `vehicle:<id>` for one vehicle; likewise `serviceEntries` and
    /// `serviceEntry:<id>`. `decode` for decode results.
    pub tags: Vec<String>,
}

impl From<&Change> for GarageChanged {
    fn from(change: &Change) -> GarageChanged {
        let tags = match change {
            Change::Records(records) => {
                let lists: BTreeSet<&str> = records.iter().map(|record| record.collection).collect();
                let each = records.iter().map(|record| format!("{}:{}", singular(record.collection), record.id));
                lists.into_iter().map(str::to_owned).chain(each).collect()
            }
            Change::Everything => COLLECTIONS.iter().map(|collection| collection.name.to_owned()).collect(),
            Change::Decode(_) => vec!["decode".to_owned()],
        };
        GarageChanged { tags }
    }
}

/// Returns `vehicle` for `vehicles` and `serviceEntry` for `serviceEntries`.
fn singular(collection: &str) -> String {
    let stem = collection.strip_suffix("ies").map(|stem| format!("{stem}y"));
    stem.unwrap_or_else(|| collection.strip_suffix('s').unwrap_or(collection).to_owned())
}

pub(crate) fn emit_change<R: Runtime>(app: &AppHandle<R>, change: &Change) {
    // Emitting fails only while the app shuts down.
    let _ = GarageChanged::from(change).emit(app);
}

/// The progress of the running long task. Only one runs at a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, specta::Type, Event)]
pub struct TaskProgressed {
    /// The completed part in percent.
    pub percent: u32,
}

pub(crate) fn emit_progress<R: Runtime>(app: &AppHandle<R>, percent: u32) {
    let _ = TaskProgressed { percent }.emit(app);
}
