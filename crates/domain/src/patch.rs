//! From what somebody typed or sent to a validated change.
//!
//! Input is JSON of any shape, since it comes from forms, command lines, files and the network alike. Nothing is
//! coerced: `"2003"` is not a year. Every broken field is reported, in the contract's order.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Field, FieldValue, OdometerUnit, VehicleFields, Vin, field::FieldRule};

/// The year of the first automobile; no vehicle is older.
const FIRST_YEAR: i64 = 1886;
/// Models are sold ahead of their year; the contract allows two.
const YEARS_AHEAD: i64 = 2;

/// The fields somebody sent, not yet validated: absent means "leave", null means "clear".
///
/// Kept as raw JSON so that a value of the wrong kind gets its field's message and not a parser's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(transparent)]
pub struct VehicleDraft(
    #[cfg_attr(feature = "specta", specta(type = draft_type::VehicleDraftFields))] pub Map<String, Value>,
);

/// The fields of a draft as a typed caller sees them.
#[cfg(feature = "specta")]
mod draft_type {
    use crate::OdometerUnit;

    #[derive(serde::Serialize, specta::Type)]
    #[serde(rename_all = "camelCase")]
    pub struct VehicleDraftFields {
        #[specta(optional)]
        vin: Option<String>,
        #[specta(optional)]
        license_plate: Option<String>,
        #[specta(optional)]
        color: Option<String>,
        #[specta(optional)]
        nickname: Option<String>,
        #[specta(optional)]
        make: Option<String>,
        #[specta(optional)]
        model: Option<String>,
        #[specta(optional)]
        trim_level: Option<String>,
        #[specta(optional)]
        engine: Option<String>,
        #[specta(optional)]
        transmission: Option<String>,
        #[specta(optional)]
        drive_type: Option<String>,
        #[specta(optional)]
        fuel_type: Option<String>,
        #[specta(optional)]
        body_class: Option<String>,
        #[specta(optional)]
        vehicle_type: Option<String>,
        #[specta(optional)]
        notes: Option<String>,
        #[specta(optional)]
        year: Option<i32>,
        #[specta(optional)]
        odometer_reading: Option<i32>,
        #[specta(optional)]
        odometer_unit: Option<OdometerUnit>,
        #[specta(optional)]
        is_active: Option<bool>,
    }
}

/// One broken rule of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's wire name.
    pub field: String,
    /// What is wrong, as a person reads it.
    pub message: String,
}

/// A draft that breaks rules. Displays as the first message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// At least one field is broken; all that are, in the contract's order. Never empty.
    #[error("{}", .0.first().map_or("", |error| error.message.as_str()))]
    Fields(Vec<FieldError>),
    /// The whole has nothing to be told by.
    #[error("A vehicle needs a VIN, a license plate, a nickname or a make")]
    NotIdentifiable,
}

/// A validated change: the fields to set, each with a value its rule allows, or to clear.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VehiclePatch(BTreeMap<Field, Option<FieldValue>>);

impl VehiclePatch {
    /// Validates every field of `draft`; names that are no field are ignored.
    ///
    /// # Errors
    /// [`Invalid::Fields`] with every broken field.
    pub fn parse(draft: &VehicleDraft, now: Timestamp) -> Result<VehiclePatch, Invalid> {
        let mut patch = BTreeMap::new();
        let mut errors = Vec::new();
        for field in Field::ALL {
            let Some(value) = draft.0.get(field.name()) else { continue };
            match validate(field, value, now) {
                Ok(value) => {
                    patch.insert(field, value);
                }
                Err(message) => errors.push(FieldError { field: field.name().to_owned(), message }),
            }
        }
        if errors.is_empty() { Ok(VehiclePatch(patch)) } else { Err(Invalid::Fields(errors)) }
    }

    /// A change to values that were validated once, such as those of history: a file may have brought others.
    ///
    /// # Errors
    /// [`Invalid::Fields`] with every broken field.
    pub fn of_values(
        values: impl IntoIterator<Item = (Field, Option<FieldValue>)>,
        now: Timestamp,
    ) -> Result<VehiclePatch, Invalid> {
        let raw = |value: Option<FieldValue>| match value {
            None => Value::Null,
            Some(FieldValue::Boolean(flag)) => flag.into(),
            Some(FieldValue::Integer(integer)) => integer.into(),
            Some(FieldValue::Text(text)) => text.into(),
        };
        let draft = values.into_iter().map(|(field, value)| (field.name().to_owned(), raw(value)));
        VehiclePatch::parse(&VehicleDraft(draft.collect()), now)
    }

    /// The fields that this change sets or clears.
    pub fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        self.0.keys().copied()
    }

    /// Whether this change sets or clears `field`.
    #[must_use]
    pub fn names(&self, field: Field) -> bool {
        self.0.contains_key(&field)
    }

    /// The fields as they are after this change.
    ///
    /// # Errors
    /// [`Invalid::NotIdentifiable`] if nothing is left to tell the vehicle by.
    pub fn apply(&self, mut fields: VehicleFields) -> Result<VehicleFields, Invalid> {
        for (field, value) in &self.0 {
            fields.set(*field, value.clone());
        }
        if fields.is_identifiable() { Ok(fields) } else { Err(Invalid::NotIdentifiable) }
    }
}

impl Field {
    /// What a value that nobody typed, such as a decoder's, becomes under the rule of this field: text without control
    /// characters and no longer than allowed; nothing where no value is left, or it is out of bounds.
    #[must_use]
    pub fn fitted(self, value: FieldValue, now: Timestamp) -> Option<FieldValue> {
        let raw = match (value, self.rule()) {
            (FieldValue::Text(text), FieldRule::Text { longest, .. }) => {
                let printable = text.replace(char::is_control, " ");
                Value::String(printable.trim().chars().take(longest).collect())
            }
            (FieldValue::Text(text), _) => Value::String(text),
            (FieldValue::Integer(integer), _) => integer.into(),
            (FieldValue::Boolean(flag), _) => flag.into(),
        };
        validate(self, &raw, now).ok().flatten()
    }
}

/// Turns one raw value into a valid one; the error is the contract's message for the rule it breaks.
fn validate(field: Field, value: &Value, now: Timestamp) -> Result<Option<FieldValue>, String> {
    let name = field.name();
    if value.is_null() {
        return Ok(None);
    }
    match field.rule() {
        FieldRule::Vin => {
            let text = string(name, value)?;
            if text.trim().is_empty() {
                return Ok(None);
            }
            let vin = Vin::parse(text).map_err(|error| error.to_string())?;
            Ok(Some(FieldValue::Text(vin.into())))
        }
        FieldRule::Text { longest, line_breaks } => {
            let text = string(name, value)?.trim();
            if text.chars().count() > longest {
                return Err(format!("{name} must be at most {longest} characters"));
            }
            let is_allowed =
                |character: char| !character.is_control() || (line_breaks && matches!(character, '\n' | '\r'));
            if !text.chars().all(is_allowed) {
                return Err(format!("{name} contains control characters"));
            }
            Ok((!text.is_empty()).then(|| FieldValue::Text(text.to_owned())))
        }
        FieldRule::Year => {
            let current_year = i64::from(now.to_zoned(TimeZone::UTC).year());
            integer_between(name, value, FIRST_YEAR, current_year + YEARS_AHEAD)
        }
        FieldRule::Integer { least, greatest } => integer_between(name, value, least, greatest),
        FieldRule::OdometerUnit => match value.as_str().and_then(OdometerUnit::by_name) {
            Some(unit) => Ok(Some(FieldValue::Text(unit.as_str().to_owned()))),
            None => Err(format!("{name} must be one of mi, km, h")),
        },
        FieldRule::Boolean => match value {
            Value::Bool(flag) => Ok(Some(FieldValue::Boolean(*flag))),
            _ => Err(format!("{name} must be a boolean")),
        },
    }
}

fn string<'a>(name: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{name} must be a string"))
}

fn integer_between(name: &str, value: &Value, least: i64, greatest: i64) -> Result<Option<FieldValue>, String> {
    let out_of_range = || format!("{name} must be between {least} and {greatest}");
    let integer = match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer,
            // JSON has one kind of number: 2003.0 and 2.003e3 are the integer 2003, for a Node backend too.
            (None, Some(float)) if float.fract() == 0.0 => {
                if !(least as f64..=greatest as f64).contains(&float) {
                    return Err(out_of_range());
                }
                float as i64
            }
            _ => return Err(format!("{name} must be an integer")),
        },
        _ => return Err(format!("{name} must be an integer")),
    };
    if (least..=greatest).contains(&integer) { Ok(Some(FieldValue::Integer(integer))) } else { Err(out_of_range()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().expect("a time")
    }

    fn draft(value: Value) -> VehicleDraft {
        serde_json::from_value(value).expect("an object")
    }

    fn message(value: Value) -> String {
        VehiclePatch::parse(&draft(value.clone()), now())
            .map_or_else(|invalid| invalid.to_string(), |patch| panic!("{value} was accepted as {patch:?}"))
    }

    fn accepted(value: Value) -> VehicleFields {
        let patch = VehiclePatch::parse(&draft(value), now()).expect("a valid draft");
        patch
            .apply(VehicleFields { nickname: Some("kept".to_owned()), ..VehicleFields::default() })
            .expect("identifiable")
    }

    #[test]
    fn every_message_is_the_contracts() {
        for (value, expected) in [
            (json!({"vin": "123"}), "VIN must be 17 characters, or 5 to 16 for vehicles before 1981"),
            (json!({"vin": "1HGCM8263IA004352"}), "VIN cannot contain I, O or Q"),
            (json!({"vin": "1HGCM82633A00435!"}), "VIN can contain only letters and digits"),
            (json!({"vin": 5}), "vin must be a string"),
            (json!({"nickname": 5}), "nickname must be a string"),
            (json!({"nickname": "n".repeat(101)}), "nickname must be at most 100 characters"),
            (json!({"nickname": "a\u{7}b"}), "nickname contains control characters"),
            (json!({"nickname": "a\nb"}), "nickname contains control characters"),
            (json!({"licensePlate": "p".repeat(21)}), "licensePlate must be at most 20 characters"),
            (json!({"color": "c".repeat(51)}), "color must be at most 50 characters"),
            (json!({"notes": "n".repeat(10_001)}), "notes must be at most 10000 characters"),
            (json!({"notes": "a\0b"}), "notes contains control characters"),
            (json!({"year": "2003"}), "year must be an integer"),
            (json!({"year": 2003.5}), "year must be an integer"),
            (json!({"year": 1885}), "year must be between 1886 and 2028"),
            (json!({"year": 3000}), "year must be between 1886 and 2028"),
            (json!({"odometerReading": -1}), "odometerReading must be between 0 and 9999999"),
            (json!({"odometerReading": 1e12}), "odometerReading must be between 0 and 9999999"),
            (json!({"odometerReading": 1e300}), "odometerReading must be between 0 and 9999999"),
            (json!({"odometerReading": true}), "odometerReading must be an integer"),
            (json!({"odometerUnit": "miles"}), "odometerUnit must be one of mi, km, h"),
            (json!({"odometerUnit": 1}), "odometerUnit must be one of mi, km, h"),
            (json!({"isActive": "true"}), "isActive must be a boolean"),
        ] {
            assert_eq!(message(value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn every_broken_field_is_reported_in_the_contracts_order() {
        let broken = draft(json!({"isActive": 1, "year": "x", "nickname": 1, "vin": "!", "make": "HONDA"}));
        let Err(Invalid::Fields(errors)) = VehiclePatch::parse(&broken, now()) else { panic!("accepted") };
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["vin", "nickname", "year", "isActive"]);
    }

    #[test]
    fn bounds_are_inclusive_and_lengths_count_characters() {
        let fields = accepted(json!({
            "year": 2028, "odometerReading": 9_999_999, "color": "é".repeat(50), "notes": "a\r\nb\n", "make": "  HONDA ",
        }));
        assert_eq!(fields.year, Some(2028));
        assert_eq!(fields.odometer_reading, Some(9_999_999));
        assert_eq!(fields.notes.as_deref(), Some("a\r\nb"));
        assert_eq!(fields.make.as_deref(), Some("HONDA"));
        assert_eq!(accepted(json!({"year": 1886})).year, Some(1886));
        assert_eq!(accepted(json!({"year": 2003.0})).year, Some(2003));
    }

    #[test]
    fn null_clears_and_restores_defaults_and_empty_text_is_null() {
        let fields = accepted(json!({"make": "   ", "vin": " ", "odometerUnit": null, "isActive": null, "year": null}));
        assert_eq!(fields, VehicleFields { nickname: Some("kept".to_owned()), ..VehicleFields::default() });
        assert_eq!(accepted(json!({"odometerUnit": "h"})).odometer_unit, OdometerUnit::H);
        assert!(!accepted(json!({"isActive": false})).is_active);
    }

    #[test]
    fn a_vehicle_needs_something_to_be_told_by() {
        let clearing = VehiclePatch::parse(&draft(json!({"nickname": null})), now()).expect("valid");
        let only_nickname = VehicleFields { nickname: Some("Blue".to_owned()), ..VehicleFields::default() };
        assert_eq!(
            clearing.apply(only_nickname).map_err(|invalid| invalid.to_string()),
            Err("A vehicle needs a VIN, a license plate, a nickname or a make".to_owned())
        );
    }

    #[test]
    fn unknown_names_are_ignored() {
        let fields = accepted(json!({"userId": "x", "version": 3, "createdAt": "x", "__proto__": {}, "make": "HONDA"}));
        assert_eq!(fields.make.as_deref(), Some("HONDA"));
    }

    #[test]
    fn what_nobody_typed_is_made_to_fit() {
        let text = |text: &str| FieldValue::Text(text.to_owned());
        let fitted = |field: Field, value: FieldValue| field.fitted(value, now());
        assert_eq!(fitted(Field::Model, text("Accord")), Some(text("Accord")));
        assert_eq!(fitted(Field::Model, text(" a\u{7}b\n")), Some(text("a b")));
        assert_eq!(fitted(Field::Model, text(&"é".repeat(300))), Some(text(&"é".repeat(100))));
        assert_eq!(fitted(Field::Model, text("\u{1b}\0")), None);
        assert_eq!(fitted(Field::Model, FieldValue::Integer(5)), None);
        assert_eq!(fitted(Field::Year, FieldValue::Integer(2003)), Some(FieldValue::Integer(2003)));
        assert_eq!(fitted(Field::Year, FieldValue::Integer(1500)), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,40}".prop_map(Value::from),
            Just(json!([1])),
            Just(json!({"a": 1})),
        ]
    }

    proptest! {
        /// Whatever comes in: it is refused, or what is stored comes back the same and is accepted again.
        #[test]
        fn accepted_values_read_back_and_are_accepted_again(index in 0..Field::ALL.len(), value in any_json()) {
            let field = Field::ALL[index];
            let one = VehicleDraft(Map::from_iter([(field.name().to_owned(), value)]));
            if let Ok(patch) = VehiclePatch::parse(&one, now()) {
                let base = VehicleFields { nickname: Some("kept".to_owned()), make: Some("kept".to_owned()), ..VehicleFields::default() };
                let fields = patch.apply(base).expect("identifiable");
                let stored = fields.get(field);
                let again = VehicleDraft(Map::from_iter([(field.name().to_owned(), serde_json::to_value(&stored).expect("json"))]));
                let patch = VehiclePatch::parse(&again, now()).expect("accepted again");
                prop_assert_eq!(patch.apply(fields.clone()).expect("identifiable"), fields);
            }
        }
    }
}
