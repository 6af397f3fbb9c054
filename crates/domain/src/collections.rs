//! The known collections.
//!
//! Each collection is declared once, with its fields and rules. Validation, the typed view, SQL statements, history,
//! export and the OpenAPI schema are derived from the declaration.

use crate::{Collection, SERVICE_ENTRIES, VEHICLES};

/// Stands for every collection that this version does not know. Its records have only values in `extra`.
pub static UNKNOWN: Collection = Collection {
    name: "",
    table: "foreign_records",
    noun: "Record",
    fields: &[],
    unique: None,
    units: &[],
    check: |_| Ok(()),
};

/// All known collections.
pub const COLLECTIONS: [&Collection; 2] = [&VEHICLES, &SERVICE_ENTRIES];

impl Collection {
    /// Returns the collection with this name, or [`UNKNOWN`].
    #[must_use]
    pub fn named(name: &str) -> &'static Collection {
        Collection::by_name(name).unwrap_or(&UNKNOWN)
    }

    /// Returns the collection with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Collection> {
        COLLECTIONS.into_iter().find(|collection| collection.name == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn collection_and_field_names_are_unique_and_match_columns() {
        for collection in COLLECTIONS {
            assert_eq!(Collection::by_name(collection.name), Some(collection));
            let names: HashSet<_> = collection.fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), collection.fields.len(), "{collection:?}");
            for field in collection.fields {
                assert_eq!(collection.field(field.name), Some(*field));
                let snake: String = field
                    .name
                    .chars()
                    .flat_map(|letter| letter.is_uppercase().then_some('_').into_iter().chain(letter.to_lowercase()))
                    .collect();
                assert_eq!(snake, field.column);
                let default = field.default_value();
                assert!(default.is_none_or(|value| field.holds(&value)), "{field:?}");
            }
            for (field, other) in collection.references() {
                assert!(Collection::by_name(other).is_some(), "{field:?} refers to {other}");
            }
        }
        assert_eq!(Collection::by_name("devices"), None);
        assert_eq!((Collection::named("devices"), Collection::named("vehicles")), (&UNKNOWN, &VEHICLES));
        assert_eq!(VEHICLES.field("userId"), None);
    }
}
