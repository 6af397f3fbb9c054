//! Field values, and JSON of unknown shape that is kept byte for byte.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Uninterpreted JSON text. Equality compares bytes.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Parses any JSON text and keeps it as written, without surrounding whitespace.
    ///
    /// # Errors
    /// `serde_json::Error` if the text is not a single JSON value.
    pub fn parse(text: &str) -> serde_json::Result<Json> {
        serde_json::from_str(text).map(Json)
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Parses the text for inspection. Large numbers can lose precision here, but not in [`Json::text`].
    #[must_use]
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(self.text()).unwrap_or_default()
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Json {
        let text = RawValue::from_string(value.to_string());
        Json(text.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Json)
    }
}

/// A value of a field. An empty field is represented by `Option::None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(untagged)]
pub enum FieldValue {
    /// A flag, such as `isActive`.
    Boolean(bool),
    /// A year or an odometer reading.
    Integer(#[cfg_attr(feature = "specta", specta(type = i32))] i64),
    /// Any other known value, including VINs and units.
    Text(String),
    /// A value of unknown shape, written by another version.
    #[cfg_attr(feature = "specta", specta(skip))]
    Other(Json),
}

impl FieldValue {
    /// Converts a JSON value; null becomes `None`.
    #[must_use]
    pub fn of_json(json: Json) -> Option<FieldValue> {
        match json.value() {
            serde_json::Value::Null => None,
            serde_json::Value::Bool(flag) => Some(FieldValue::Boolean(flag)),
            serde_json::Value::String(text) => Some(FieldValue::Text(text)),
            serde_json::Value::Number(number) => match number.as_i64() {
                // `-0` and `1e2` are integers too, but would be serialized differently.
                Some(integer) if integer.to_string() == json.text() => Some(FieldValue::Integer(integer)),
                _ => Some(FieldValue::Other(json)),
            },
            _ => Some(FieldValue::Other(json)),
        }
    }

    /// Converts to JSON text.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            FieldValue::Boolean(flag) => Json::from(&serde_json::Value::from(*flag)),
            FieldValue::Integer(integer) => Json::from(&serde_json::Value::from(*integer)),
            FieldValue::Text(text) => Json::from(&serde_json::Value::from(text.as_str())),
            FieldValue::Other(json) => json.clone(),
        }
    }
}

/// Formats a value for people; values of unknown shape as JSON.
impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Boolean(flag) => flag.fmt(f),
            FieldValue::Integer(integer) => integer.fmt(f),
            FieldValue::Text(text) => f.write_str(text),
            FieldValue::Other(json) => f.write_str(json.text()),
        }
    }
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FieldValue, D::Error> {
        let json = Json::deserialize(deserializer)?;
        FieldValue::of_json(json).ok_or_else(|| serde::de::Error::custom("null is no value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips_byte_for_byte() {
        for text in
            [r#""mi""#, "5", "-5", "true", "1.50", "1e2", "-0", "12345678901234567890", r#"{"a": [1,  2.00]}"#, "[]"]
        {
            let value: FieldValue = serde_json::from_str(text).expect("a value");
            assert_eq!(serde_json::to_string(&value).expect("JSON"), text);
            assert_eq!(value.to_json().text(), text);
            let is_known = ["\"mi\"", "5", "-5", "true"].contains(&text);
            assert_eq!(matches!(value, FieldValue::Other(_)), !is_known, "{text}");
        }
        assert_eq!(FieldValue::of_json(Json::parse(" null ").expect("JSON")), None);
        assert!(Json::parse("{").is_err());
    }

    #[test]
    fn json_is_equal_if_its_text_is() {
        let json = |text: &str| Json::parse(text).expect("JSON");
        assert_eq!(json(" 1.0 "), json("1.0"));
        assert_ne!(json("1.0"), json("1.00"));
    }

    #[test]
    fn display_formats_values_for_people() {
        let shown = |text: &str| serde_json::from_str::<FieldValue>(text).expect("a value").to_string();
        assert_eq!([shown("\"km\""), shown("7"), shown("false"), shown("[1]")], ["km", "7", "false", "[1]"]);
    }
}
