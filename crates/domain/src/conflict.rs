//! Conflicts: values that a person is to choose from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{FieldValue, Json};

/// The name of the field under which a record's conflicts travel. Opaque to the server.
pub const CONFLICTS: &str = "conflicts";
/// The name under which a conflict about the removal of a record stands: its alternatives are `true` (removed) or `false`.
pub const REMOVAL: &str = "deletedAt";

/// The conflicts of a record, and the choices that closed earlier ones, by field.
pub type Conflicts = BTreeMap<String, Conflict>;

/// A conflict of one field. The record has one of the values; the alternatives have the others. Without alternatives it is
/// closed. Conflicts of another form are kept as a value ([`Replica`](crate::replica::Replica)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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

/// Closes the conflict of a field, if it is open, by a decision with this id. Returns whether it was open.
pub fn close(conflicts: &mut Conflicts, name: &str, decision: Uuid) -> bool {
    let open = conflicts.get_mut(name).filter(|conflict| !conflict.alternatives.is_empty());
    let is_open = open.is_some();
    if let Some(conflict) = open {
        *conflict = Conflict { decision: Some(decision), alternatives: Vec::new() };
    }
    is_open
}

/// The conflicts that still have a choice to make.
pub fn open(conflicts: &Conflicts) -> impl Iterator<Item = (&str, &Conflict)> {
    let with_alternatives = conflicts.iter().filter(|(_, conflict)| !conflict.alternatives.is_empty());
    with_alternatives.map(|(field, conflict)| (field.as_str(), conflict))
}
