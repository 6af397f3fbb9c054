//! Conflicts: values that a person is to choose from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{FieldValue, Json};

/// The name under which a conflict about the removal of a record stands: its alternatives are `true` (removed) or `false`.
pub const REMOVAL: &str = "deletedAt";

/// The conflicts of a record, and the choices that closed earlier ones, by field.
pub type Conflicts = BTreeMap<String, Conflict>;

/// A conflict of one field. The record has one of the values; the alternatives have the others. Without alternatives it is
/// closed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The last choice. It counts as a write of the field, also if it chose the value that the field had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Uuid>,
    /// The other values, by the id of the operation that wrote them.
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
}

/// A value of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// The operation that wrote it.
    pub op_id: Uuid,
    /// The value; null is an empty field.
    pub value: Option<Json>,
    /// When it was written.
    pub at: Timestamp,
    /// The device that wrote it.
    pub device_id: String,
}

impl Conflict {
    /// Adds a value, unless it is there already.
    pub fn add(&mut self, alternative: Alternative) {
        if self.alternatives.iter().any(|known| known.value == alternative.value) {
            return;
        }
        self.alternatives.push(alternative);
        self.alternatives.sort_by_key(|alternative| alternative.op_id);
    }

    /// Drops the value that the record has.
    pub fn drop_value(&mut self, value: Option<&FieldValue>) {
        let value = value.map(FieldValue::to_json);
        self.alternatives.retain(|alternative| alternative.value != value);
    }
}

/// The conflicts that still have a choice to make.
pub fn open(conflicts: &Conflicts) -> impl Iterator<Item = (&str, &Conflict)> {
    let with_alternatives = conflicts.iter().filter(|(_, conflict)| !conflict.alternatives.is_empty());
    with_alternatives.map(|(field, conflict)| (field.as_str(), conflict))
}
