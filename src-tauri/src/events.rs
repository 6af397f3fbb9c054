//! What the page hears: that something in the garage changed, and how far a long task is.

use std::collections::BTreeSet;

use garage_core::{Change, domain::COLLECTIONS};
use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Runtime};
use tauri_specta::Event;

/// Tells the page which of its queries are out of date.
#[derive(Debug, Clone, Serialize, Deserialize, specta::Type, Event)]
pub struct GarageChanged {
    /// `vehicles` for any list of vehicles, `vehicle:<id>` for one, likewise `serviceEntries` and `serviceEntry:<id>`;
    /// `decode` for what VINs decode to.
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

/// `vehicle` of `vehicles`, `serviceEntry` of `serviceEntries`.
fn singular(collection: &str) -> String {
    let stem = collection.strip_suffix("ies").map(|stem| format!("{stem}y"));
    stem.unwrap_or_else(|| collection.strip_suffix('s').unwrap_or(collection).to_owned())
}

/// Hands a change of the garage to the page.
pub(crate) fn emit_change<R: Runtime>(app: &AppHandle<R>, change: &Change) {
    // Fails only while the app shuts down, when there is no page left to tell.
    let _ = GarageChanged::from(change).emit(app);
}

/// How far the long task is that is under way; there is one at a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, specta::Type, Event)]
pub struct TaskProgressed {
    /// What is done, in percent.
    pub percent: u32,
}

/// Hands a long task's progress to the page.
pub(crate) fn emit_progress<R: Runtime>(app: &AppHandle<R>, percent: u32) {
    let _ = TaskProgressed { percent }.emit(app);
}
