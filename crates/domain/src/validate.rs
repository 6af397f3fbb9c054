//! Validation of single values, with the contract's messages.

use iso_currency::Currency;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use crate::{Field, FieldValue, RecordId, Rule, Vin, amount};

/// The year of the first automobile.
pub const FIRST_YEAR: i16 = 1886;
/// Model years may be this far ahead, because models are sold before their year.
pub const YEARS_AHEAD: i16 = 2;

impl Field {
    /// Validates a raw value; `Ok(None)` is an empty field.
    ///
    /// # Errors
    /// The contract's message for the broken rule.
    pub fn validate(&self, value: &Value, now: Timestamp) -> Result<Option<FieldValue>, String> {
        let name = self.name;
        if value.is_null() {
            return Ok(None);
        }
        let last_year = || now.to_zoned(TimeZone::UTC).year().saturating_add(YEARS_AHEAD);
        match self.rule {
            Rule::Vin => {
                let text = string(name, value)?;
                if text.trim().is_empty() {
                    return Ok(None);
                }
                let vin = Vin::parse(text).map_err(|error| error.to_string())?;
                Ok(Some(FieldValue::Text(vin.into())))
            }
            Rule::Text { longest, line_breaks } => {
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
            Rule::Year => integer_between(name, value, FIRST_YEAR.into(), last_year().into()),
            Rule::Integer { least, greatest } => integer_between(name, value, least, greatest),
            Rule::Choice(choices) => match value.as_str().filter(|text| choices.contains(text)) {
                Some(choice) => Ok(Some(FieldValue::Text(choice.to_owned()))),
                None => Err(format!("{name} must be one of {}", choices.join(", "))),
            },
            Rule::Boolean => match value {
                Value::Bool(flag) => Ok(Some(FieldValue::Boolean(*flag))),
                _ => Err(format!("{name} must be a boolean")),
            },
            Rule::Date => {
                let text = string(name, value)?.trim();
                if text.is_empty() {
                    return Ok(None);
                }
                // jiff also parses `20260314`; the contract allows only `2026-03-14`.
                let date = (text.len() == "2026-03-14".len()).then(|| text.parse::<Date>().ok()).flatten();
                let date = date.ok_or_else(|| format!("{name} must be a date such as 2026-03-14"))?;
                if !(FIRST_YEAR..=last_year()).contains(&date.year()) {
                    return Err(format!("{name} must be between {FIRST_YEAR}-01-01 and {}-12-31", last_year()));
                }
                Ok(Some(FieldValue::Text(date.to_string())))
            }
            Rule::Amount => {
                let text = string(name, value)?.trim();
                if text.is_empty() {
                    return Ok(None);
                }
                let amount = amount::parse(text).map_err(|error| error.message(name))?;
                Ok(Some(FieldValue::Text(amount)))
            }
            Rule::Currency => {
                let code = string(name, value)?.trim().to_ascii_uppercase();
                if code.is_empty() {
                    return Ok(None);
                }
                match Currency::from_code(&code) {
                    Some(_) => Ok(Some(FieldValue::Text(code))),
                    None => Err(format!("{name} must be an ISO 4217 code such as EUR")),
                }
            }
            Rule::Reference { .. } => match value.as_str().and_then(|text| text.trim().parse::<RecordId>().ok()) {
                Some(id) => Ok(Some(FieldValue::Text(id.to_string()))),
                None => Err(format!("{name} must be a UUID")),
            },
        }
    }

    /// Adapts a value that no person typed, such as a decoded one, to the rule of this field: removes control
    /// characters and truncates text. Returns `None` if the result is empty or out of range.
    #[must_use]
    pub fn fitted(&self, value: FieldValue, now: Timestamp) -> Option<FieldValue> {
        let raw = match (value, self.rule) {
            (FieldValue::Text(text), Rule::Text { longest, .. }) => {
                let printable = text.replace(char::is_control, " ");
                Value::String(printable.trim().chars().take(longest).collect())
            }
            (value, _) => value.to_json().value(),
        };
        self.validate(&raw, now).ok().flatten()
    }

    /// Whether an invalid value may be valid in another version, and is therefore kept: an unknown choice, a VIN of
    /// another form, another JSON type. Text that is too long or has control characters is not.
    #[must_use]
    pub fn may_be_of_another_version(&self, value: &FieldValue) -> bool {
        const LONGEST_UNKNOWN: usize = 100;
        match (value, self.rule) {
            (FieldValue::Text(_), Rule::Text { .. }) => false,
            (FieldValue::Text(text), _) => {
                text.chars().count() <= LONGEST_UNKNOWN && !text.chars().any(char::is_control)
            }
            (FieldValue::Boolean(_) | FieldValue::Integer(_) | FieldValue::Other(_), _) => true,
        }
    }
}

fn string<'a>(name: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{name} must be a string"))
}

/// The integer that a JSON number is, in any notation: JSON has a single type of numbers, so 2003.0 and 2.003e3 are 2003.
/// Limited to the range of the type. `None` if the value is not an integer.
#[must_use]
pub fn json_integer(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    number.as_i64().or_else(|| number.as_f64().filter(|float| float.fract() == 0.0).map(|float| float as i64))
}

fn integer_between(name: &str, value: &Value, least: i64, greatest: i64) -> Result<Option<FieldValue>, String> {
    let integer = json_integer(value).ok_or_else(|| format!("{name} must be an integer"))?;
    if (least..=greatest).contains(&integer) {
        Ok(Some(FieldValue::Integer(integer)))
    } else {
        Err(format!("{name} must be between {least} and {greatest}"))
    }
}
