//! The fields of a collection, as they are declared.

use serde::{Serialize, Serializer};

use crate::{ColumnKind, FieldValue, Rule};

/// An editable field of a collection.
#[derive(PartialEq, Eq)]
pub struct Field {
    /// The name on the wire and in messages, camel case.
    pub name: &'static str,
    /// The column in the store, snake case.
    pub column: &'static str,
    /// The name that a person reads.
    pub label: &'static str,
    /// A hint of what to enter, for forms and `--help`.
    pub help: &'static str,
    /// What the field may hold.
    pub rule: Rule,
    /// What stands in a field that is never empty; `None` for fields that may be empty.
    pub default: Option<DefaultValue>,
}

/// A default as a constant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// Of a choice.
    Text(&'static str),
    /// Of a flag.
    Boolean(bool),
}

impl Field {
    /// The default, if the field is never empty.
    #[must_use]
    pub fn default_value(&self) -> Option<FieldValue> {
        self.default.map(|default| match default {
            DefaultValue::Text(text) => FieldValue::Text(text.to_owned()),
            DefaultValue::Boolean(flag) => FieldValue::Boolean(flag),
        })
    }

    /// Whether the field's column can hold this value, whatever the rule says of it.
    #[must_use]
    pub fn holds(&self, value: &FieldValue) -> bool {
        match (self.rule.column_kind(), value) {
            (ColumnKind::Text, FieldValue::Text(_)) | (ColumnKind::Boolean, FieldValue::Boolean(_)) => true,
            (ColumnKind::Integer, FieldValue::Integer(integer)) => i32::try_from(*integer).is_ok(),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}
