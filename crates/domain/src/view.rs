//! Conversions for the members of typed views.

use crate::{FieldValue, OdometerUnit, RecordId, Vin};

/// A type that holds a field's value in a typed view.
pub trait FieldType {
    /// The type of the field in a draft, where null clears it.
    type Draft;

    /// Converts from the value in a column. A value of another type counts as empty, because `extra` holds it.
    fn from_value(value: Option<FieldValue>) -> Self;

    /// Converts to the value for a column.
    fn to_value(&self) -> Option<FieldValue>;
}

impl FieldType for Option<String> {
    type Draft = Option<String>;

    fn from_value(value: Option<FieldValue>) -> Option<String> {
        match value {
            Some(FieldValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn to_value(&self) -> Option<FieldValue> {
        self.clone().map(FieldValue::Text)
    }
}

/// A field that is never empty.
impl FieldType for String {
    type Draft = Option<String>;

    fn from_value(value: Option<FieldValue>) -> String {
        Option::from_value(value).unwrap_or_default()
    }

    fn to_value(&self) -> Option<FieldValue> {
        Some(FieldValue::Text(self.clone()))
    }
}

impl FieldType for Option<i32> {
    type Draft = Option<i32>;

    fn from_value(value: Option<FieldValue>) -> Option<i32> {
        match value {
            Some(FieldValue::Integer(integer)) => i32::try_from(integer).ok(),
            _ => None,
        }
    }

    fn to_value(&self) -> Option<FieldValue> {
        self.map(|integer| FieldValue::Integer(integer.into()))
    }
}

impl FieldType for bool {
    type Draft = Option<bool>;

    fn from_value(value: Option<FieldValue>) -> bool {
        !matches!(value, Some(FieldValue::Boolean(false)))
    }

    fn to_value(&self) -> Option<FieldValue> {
        Some(FieldValue::Boolean(*self))
    }
}

impl FieldType for Option<Vin> {
    type Draft = Option<String>;

    fn from_value(value: Option<FieldValue>) -> Option<Vin> {
        Option::<String>::from_value(value).and_then(Vin::stored)
    }

    fn to_value(&self) -> Option<FieldValue> {
        self.as_ref().map(|vin| FieldValue::Text(vin.as_str().to_owned()))
    }
}

impl FieldType for Option<OdometerUnit> {
    type Draft = Option<OdometerUnit>;

    fn from_value(value: Option<FieldValue>) -> Option<OdometerUnit> {
        Option::<String>::from_value(value).map(OdometerUnit::from)
    }

    fn to_value(&self) -> Option<FieldValue> {
        self.as_ref().map(|unit| FieldValue::Text(unit.as_str().to_owned()))
    }
}

impl FieldType for OdometerUnit {
    type Draft = Option<OdometerUnit>;

    fn from_value(value: Option<FieldValue>) -> OdometerUnit {
        Option::from_value(value).unwrap_or_default()
    }

    fn to_value(&self) -> Option<FieldValue> {
        Some(self.clone()).to_value()
    }
}

impl FieldType for Option<RecordId> {
    type Draft = Option<RecordId>;

    fn from_value(value: Option<FieldValue>) -> Option<RecordId> {
        Option::<String>::from_value(value).and_then(|id| id.parse().ok())
    }

    fn to_value(&self) -> Option<FieldValue> {
        self.map(|id| FieldValue::Text(id.to_string()))
    }
}
