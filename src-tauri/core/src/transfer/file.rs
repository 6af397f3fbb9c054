//! Parses the outer structure of a JSON file: its lists of records. `plan` validates each record on its own, so that
//! one invalid record does not reject the others.

use std::collections::BTreeMap;

use garage_domain::{Collection, HistoryEntry, Json, VEHICLES};

use super::{FORMAT, VERSION};
use crate::GarageError;

/// The content of a file, in its order.
pub(super) struct File {
    pub form: Form,
    /// The records by the name of their collection.
    pub lists: Vec<(String, Vec<Json>)>,
    /// Records of collections that the program that wrote the file did not know.
    pub foreign: Vec<Json>,
    pub history: Vec<HistoryEntry>,
    /// The number of changes that cannot be read.
    pub unreadable_history: usize,
    /// The number of rows that the program that wrote the file could not read.
    pub unreadable_rows: usize,
    /// The names of members that must be lists and are not.
    pub not_lists: Vec<String>,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An export of this program, of any version: values that this version does not know are kept.
    Export,
    /// A list from another source: values must obey the rules, and unknown fields are ignored.
    List,
}

/// # Errors
/// [`GarageError::ImportUnreadable`] if the text is not JSON, not an export or a list, or from a newer version.
pub(super) fn read(text: &str) -> Result<File, GarageError> {
    let unreadable = |reason: &str| GarageError::ImportUnreadable(reason.to_owned());
    // Some editors write a byte order mark before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json: Json = serde_json::from_str(text).map_err(|error| unreadable(&format!("it is not JSON: {error}")))?;
    if let Ok(vehicles) = serde_json::from_str(json.text()) {
        let lists = vec![(VEHICLES.name.to_owned(), vehicles)];
        return Ok(File {
            form: Form::List,
            lists,
            foreign: Vec::new(),
            history: Vec::new(),
            unreadable_history: 0,
            unreadable_rows: 0,
            not_lists: Vec::new(),
        });
    }
    let Ok(mut file) = serde_json::from_str::<BTreeMap<String, Json>>(json.text()) else {
        return Err(unreadable("it is neither an export nor a list of vehicles"));
    };
    let format = file.remove("format").map(|format| format.value());
    if format.as_ref().is_some_and(|format| format != FORMAT) {
        return Err(unreadable("another program wrote it"));
    }
    let version = file.remove("version").map(|version| version.value().as_u64());
    if version.is_some_and(|version| version.is_none_or(|it| it > VERSION.into())) {
        return Err(unreadable("it comes from a newer version of MotoVault"));
    }
    let list = |json: &Json| serde_json::from_str::<Vec<Json>>(json.text()).ok();
    if file.get(VEHICLES.name).and_then(list).is_none() {
        return Err(unreadable("it has no list of vehicles"));
    }
    let changes = match file.remove("history") {
        None => Vec::new(),
        Some(history) => list(&history).ok_or_else(|| unreadable("its history is not a list"))?,
    };
    let read: Vec<Option<HistoryEntry>> =
        changes.iter().map(|change| serde_json::from_str(change.text()).ok()).collect();
    let unreadable_history = read.iter().filter(|entry| entry.is_none()).count();
    // Absent, as in other formats.
    file.retain(|_, json| json.text() != "null");
    let mut not_lists = Vec::new();
    let foreign = file.remove("foreignRecords").map_or_else(Vec::new, |json| {
        list(&json).unwrap_or_else(|| {
            not_lists.push("foreignRecords".to_owned());
            Vec::new()
        })
    });
    // The rows are only for a person to inspect.
    let unreadable_rows = file.remove("unreadable").and_then(|json| list(&json)).map_or(0, |rows| rows.len());
    file.remove("exportedAt");
    let form = if format.is_some() { Form::Export } else { Form::List };
    // Vehicles come first, so that service entries find them.
    let vehicles = file.remove_entry(VEHICLES.name);
    let mut lists = Vec::new();
    for (name, json) in vehicles.into_iter().chain(file) {
        match list(&json) {
            Some(list) => lists.push((name, list)),
            None if form == Form::Export || Collection::by_name(&name).is_some() => not_lists.push(name),
            None => {}
        }
    }
    Ok(File {
        form,
        lists,
        foreign,
        history: read.into_iter().flatten().collect(),
        unreadable_history,
        unreadable_rows,
        not_lists,
    })
}
