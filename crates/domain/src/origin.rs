//! The origin of a value.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Json, RecordId};

/// Where a field's value comes from. Decoding never replaces a typed value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// A person typed it.
    #[default]
    Typed,
    /// It was decoded from the VIN.
    Decoded {
        /// The decoder, as in a decode's `source`, such as `snapshot`.
        from: String,
        /// The release of the data, such as `2026-10`, if it has one.
        month: Option<String>,
    },
    /// It was imported from a file.
    Imported,
    /// It is the odometer reading of a service entry.
    Entry {
        /// The id of the service entry.
        entry: RecordId,
        /// The date of the service entry; the vehicle takes the reading with the latest date.
        date: Date,
    },
    /// An origin written by another version, kept byte for byte.
    Other(Json),
}

impl Origin {
    /// Returns the service entry that the value comes from.
    #[must_use]
    pub fn entry(&self) -> Option<RecordId> {
        match self {
            Origin::Entry { entry, .. } => Some(*entry),
            _ => None,
        }
    }
}

/// The known origins, as they are serialized.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(tag = "by", rename_all = "lowercase", rename = "Origin")]
enum Known {
    /// A person typed it.
    Typed,
    /// It was decoded from the VIN.
    Decoded {
        /// The decoder, as in a decode's `source`, such as `snapshot`.
        from: String,
        /// The release of the data, such as `2026-10`, if it has one.
        month: Option<String>,
    },
    /// It was imported from a file.
    Imported,
    /// It is the odometer reading of a service entry.
    Entry {
        /// The id of the service entry.
        entry: RecordId,
        /// The date of the service entry; the vehicle takes the reading with the latest date.
        #[cfg_attr(feature = "specta", specta(type = String))]
        date: Date,
    },
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = match self {
            Origin::Typed => Known::Typed,
            Origin::Decoded { from, month } => Known::Decoded { from: from.clone(), month: month.clone() },
            Origin::Imported => Known::Imported,
            Origin::Entry { entry, date } => Known::Entry { entry: *entry, date: *date },
            Origin::Other(json) => return json.serialize(serializer),
        };
        known.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
        let json = Json::deserialize(deserializer)?;
        Ok(match serde_json::from_str(json.text()) {
            Ok(Known::Typed) => Origin::Typed,
            Ok(Known::Decoded { from, month }) => Origin::Decoded { from, month },
            Ok(Known::Imported) => Origin::Imported,
            Ok(Known::Entry { entry, date }) => Origin::Entry { entry, date },
            Err(_) => Origin::Other(json),
        })
    }
}

#[cfg(feature = "specta")]
impl specta::Type for Origin {
    fn definition(types: &mut specta::Types) -> specta::datatype::DataType {
        Known::definition(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_origin_round_trips_byte_for_byte() {
        for text in [
            r#"{"by":"typed"}"#,
            r#"{"by":"decoded","from":"snapshot","month":"2026-10"}"#,
            r#"{"by":"entry","entry":"018f0000-0000-7000-8000-000000000001","date":"2026-03-14"}"#,
            r#"{"by":"robot",  "arm":2.50}"#,
            r#"{"by":"entry","date":"soon"}"#,
            "7",
        ] {
            let origin: Origin = serde_json::from_str(text).expect("an origin");
            assert_eq!(serde_json::to_string(&origin).expect("JSON"), text);
        }
        assert_eq!(serde_json::from_str::<Origin>(r#"{"by":"typed"}"#).ok(), Some(Origin::Typed));
    }
}
