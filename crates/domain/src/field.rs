//! The declaration of a field.

use serde::{Serialize, Serializer};

use crate::{ColumnKind, FieldValue, Rule};

/// An editable field of a collection.
#[derive(PartialEq, Eq)]
pub struct Field {
    /// The name on the wire and in messages, in camel case.
    pub name: &'static str,
    /// The column in the database, in snake case.
    pub column: &'static str,
    /// The label for people.
    pub label: &'static str,
    /// An input hint for forms and `--help`.
    pub help: &'static str,
    /// The rule for values of the field.
    pub rule: Rule,
    /// The default of a field that is never empty; `None` for optional fields.
    pub default: Option<DefaultValue>,
}

/// A default value as a constant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// The default of a choice.
    Text(&'static str),
    /// The default of a flag.
    Boolean(bool),
}

impl Field {
    /// Returns the default if the field is never empty.
    #[must_use]
    pub fn default_value(&self) -> Option<FieldValue> {
        self.default.map(|default| match default {
            DefaultValue::Text(text) => FieldValue::Text(text.to_owned()),
            DefaultValue::Boolean(flag) => FieldValue::Boolean(flag),
        })
    }

    /// Whether the column can store this value, whether or not it satisfies the rule.
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
