//! Changes of records: the rows of history.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{FieldValue, Origin, Record, RecordId, VEHICLES};

/// The id of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ChangeId(#[cfg_attr(feature = "specta", specta(type = String))] pub Uuid);

/// What a change did to the record as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// The record was added.
    Added,
    /// Fields were edited.
    Edited,
    /// The record was removed.
    Removed,
    /// The record was restored.
    Restored,
    /// A duplicate record was merged into this one.
    Merged,
    /// A kind written by another version, by its name.
    Other(String),
}

/// The known kinds, for generated types.
#[cfg(feature = "specta")]
mod known {
    #[derive(serde::Serialize, specta::Type)]
    #[serde(rename_all = "lowercase", rename = "ChangeKind")]
    #[expect(dead_code, reason = "only its TypeScript type is used")]
    pub enum Known {
        /// The record was added.
        Added,
        /// Fields were edited.
        Edited,
        /// The record was removed.
        Removed,
        /// The record was restored.
        Restored,
        /// A duplicate record was merged into this one.
        Merged,
    }
}

#[cfg(feature = "specta")]
impl specta::Type for ChangeKind {
    fn definition(types: &mut specta::Types) -> specta::datatype::DataType {
        known::Known::definition(types)
    }
}

impl ChangeKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Edited => "edited",
            ChangeKind::Removed => "removed",
            ChangeKind::Restored => "restored",
            ChangeKind::Merged => "merged",
            ChangeKind::Other(name) => name,
        }
    }
}

impl From<String> for ChangeKind {
    fn from(name: String) -> ChangeKind {
        match name.as_str() {
            "added" => ChangeKind::Added,
            "edited" => ChangeKind::Edited,
            "removed" => ChangeKind::Removed,
            "restored" => ChangeKind::Restored,
            "merged" => ChangeKind::Merged,
            _ => ChangeKind::Other(name),
        }
    }
}

impl Serialize for ChangeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ChangeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ChangeKind, D::Error> {
        String::deserialize(deserializer).map(ChangeKind::from)
    }
}

/// A changed field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The field's name.
    pub field: String,
    /// The value before; null if the field was empty.
    pub old: Option<FieldValue>,
    /// The value after.
    pub new: Option<FieldValue>,
    /// The origin of the new value.
    pub origin: Origin,
    /// The origin of the old value; undo restores it.
    pub old_origin: Origin,
}

/// A change of a record, as its history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The id of the change.
    pub id: ChangeId,
    /// The name of the record's collection.
    pub collection: String,
    /// The id of the record.
    pub record_id: RecordId,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The changed fields, in the contract's order.
    pub fields: Vec<FieldChange>,
    /// The id of the change that this one undid.
    pub undoes: Option<ChangeId>,
    /// When the change was made.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub at: Timestamp,
    /// The device that made the change.
    pub device_id: String,
    /// The program that made the change: `app` or `cli`.
    pub program: String,
    /// The record's id at the time, if it was a duplicate later merged into this record. Such a change is only shown:
    /// it cannot be undone and does not block undo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<RecordId>,
}

impl<'de> Deserialize<'de> for HistoryEntry {
    /// Deserializes a change, also in the older form without a collection, which means vehicles.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HistoryEntry, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            id: ChangeId,
            collection: Option<String>,
            #[serde(alias = "vehicleId")]
            record_id: RecordId,
            kind: ChangeKind,
            fields: Vec<FieldChange>,
            undoes: Option<ChangeId>,
            at: Timestamp,
            device_id: String,
            program: String,
            moved_from: Option<RecordId>,
        }
        let Written { id, collection, record_id, kind, fields, undoes, at, device_id, program, moved_from } =
            Written::deserialize(deserializer)?;
        let collection = collection.unwrap_or_else(|| VEHICLES.name.to_owned());
        Ok(HistoryEntry { id, collection, record_id, kind, fields, undoes, at, device_id, program, moved_from })
    }
}

/// Returns the differences between two states of a record, in the contract's order. A field whose value stays and
/// whose origin changes is a difference, as when a person types the decoded value.
#[must_use]
pub fn differences(before: Option<&Record>, after: &Record) -> Vec<FieldChange> {
    let nothing = Record::new(after.collection, after.id, after.created_at);
    let before = before.unwrap_or(&nothing);
    let unknown = before.extra.keys().chain(after.extra.keys()).filter(|name| after.collection.field(name).is_none());
    let mut names: Vec<&str> = after.collection.fields.iter().map(|field| field.name).collect();
    names.extend(unknown.map(String::as_str));
    names[after.collection.fields.len()..].sort_unstable();
    names.dedup();
    let changes = names.into_iter().map(|name| FieldChange {
        field: name.to_owned(),
        old: before.value(name),
        new: after.value(name),
        origin: after.origin(name),
        old_origin: before.origin(name),
    });
    changes.filter(|it| it.old != it.new || it.origin != it.old_origin).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn kinds_have_a_name_each_and_other_names_are_kept() {
        use ChangeKind::{Added, Edited, Merged, Other, Removed, Restored};
        for (kind, name) in [
            (Added, "added"),
            (Edited, "edited"),
            (Removed, "removed"),
            (Restored, "restored"),
            (Merged, "merged"),
            (Other("split".to_owned()), "split"),
        ] {
            assert_eq!(kind.name(), name);
            assert_eq!(ChangeKind::from(name.to_owned()), kind);
        }
    }

    use super::*;
    use crate::{FieldAccess, Json, vehicle};

    #[test]
    fn deserializes_changes_of_older_and_newer_versions() {
        let old = r#"{"id":"018f0000-0000-7000-8000-000000000001","vehicleId":"018f0000-0000-7000-8000-000000000002",
            "kind":"painted","fields":[{"field":"wheels","old":null,"new":{"n":4},"origin":{"by":"typed"},"oldOrigin":{"by":"typed"}}],"undoes":null,
            "at":"2026-03-14T00:00:00Z","deviceId":"d","program":"app"}"#;
        let entry: HistoryEntry = serde_json::from_str(old).expect("an entry");
        assert_eq!((entry.collection.as_str(), entry.kind.name()), ("vehicles", "painted"));
        assert_eq!(entry.fields[0].new.as_ref().map(ToString::to_string).as_deref(), Some(r#"{"n":4}"#));
        let text = serde_json::to_string(&entry).expect("JSON");
        assert_eq!(serde_json::from_str::<HistoryEntry>(&text).expect("an entry"), entry);
    }

    #[test]
    fn differences_include_values_origins_and_unknown_fields() {
        let id = "018f0000-0000-7000-8000-000000000001".parse().expect("an id");
        let mut before = Record::new(&VEHICLES, id, Timestamp::UNIX_EPOCH);
        before.set(&vehicle::MAKE, Some(FieldValue::Text("HONDA".to_owned())));
        before.set_origin("make", Origin::Imported);
        let mut after = before.clone();
        assert_eq!(differences(Some(&before), &after), []);
        after.set_origin("make", Origin::Typed);
        after.extra.insert("wheels".to_owned(), Json::parse("4").expect("JSON"));
        let changes = differences(Some(&before), &after);
        assert_eq!(changes.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["make", "wheels"]);
        assert_eq!((&changes[0].origin, &changes[0].old_origin), (&Origin::Typed, &Origin::Imported));
        let added = differences(None, &before);
        assert_eq!(added.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["make"]);
    }
}
