//! Records: what every collection holds, whatever its fields are.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Collection, Field, FieldAccess, FieldValue, Json, Origin, RecordId};

/// Who set each value, by field name. A field that is not in it was typed, or is empty.
pub type Origins = BTreeMap<String, Origin>;

/// What this version does not know of a record, by field name, byte for byte: fields that a newer version added, and
/// values that their own column cannot hold. Such a value wins over the column.
pub type Extra = BTreeMap<String, Json>;

/// A record of a collection. Every value is carried, also one that no rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub collection: &'static Collection,
    /// Which one it is.
    pub id: RecordId,
    /// What the columns hold, by field name; never empty fields at their defaults too.
    values: BTreeMap<&'static str, FieldValue>,
    /// Who set each value.
    pub origins: Origins,
    /// What this version does not know of it.
    pub extra: Extra,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Set once it is removed; it can be restored.
    pub deleted_at: Option<Timestamp>,
}

impl Record {
    /// An empty record, its never empty fields at their defaults.
    #[must_use]
    pub fn new(collection: &'static Collection, id: RecordId, at: Timestamp) -> Record {
        let defaults = collection.fields.iter().filter_map(|field| Some((field.name, field.default_value()?)));
        Record {
            collection,
            id,
            values: defaults.collect(),
            origins: Origins::new(),
            extra: Extra::new(),
            created_at: at,
            updated_at: at,
            deleted_at: None,
        }
    }

    /// Whether it is removed.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// What the field's column holds; a value in `extra` does not count.
    #[must_use]
    pub fn stored(&self, field: &Field) -> Option<&FieldValue> {
        self.values.get(field.name)
    }

    /// The value of any name, also of a field that this version does not know.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<FieldValue> {
        match self.extra.get(name) {
            Some(json) => FieldValue::of_json(json.clone()),
            None => self.values.get(name).cloned(),
        }
    }

    /// Sets the value of any name: in its column where that can hold it, else in `extra`.
    pub fn set_value(&mut self, name: &str, value: Option<FieldValue>) {
        match (self.collection.field(name), value) {
            (Some(field), value) => self.set(field, value),
            (None, Some(value)) => drop(self.extra.insert(name.to_owned(), value.to_json())),
            (None, None) => drop(self.extra.remove(name)),
        }
    }

    /// Who set the value of this name.
    #[must_use]
    pub fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).cloned().unwrap_or_default()
    }

    /// Notes who set the value of this name.
    pub fn set_origin(&mut self, name: &str, origin: Origin) {
        match origin {
            Origin::Typed => self.origins.remove(name),
            origin => self.origins.insert(name.to_owned(), origin),
        };
    }

    /// Every name that has a value: the declared fields in the contract's order, then what this version does not know.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let declared = self.collection.fields.iter().map(|field| field.name);
        let unknown = self.extra.keys().map(String::as_str).filter(|name| self.collection.field(name).is_none());
        declared.chain(unknown).filter(|name| self.value(name).is_some())
    }

    /// Moves what stands in `extra` under a name that this version knows into its column, where that can hold it: the
    /// fields that a newer version added, once this is that version.
    pub fn adopt_known(&mut self) {
        for field in self.collection.fields {
            let known = self.extra.get(field.name).and_then(|json| FieldValue::of_json(json.clone()));
            if let Some(value) = known.filter(|value| field.holds(value)) {
                self.set(field, Some(value));
            }
        }
    }

    /// The record that this field refers to.
    #[must_use]
    pub fn reference(&self, field: &Field) -> Option<RecordId> {
        match self.get(field) {
            Some(FieldValue::Text(id)) => id.parse().ok(),
            _ => None,
        }
    }
}

impl FieldAccess for Record {
    fn get(&self, field: &Field) -> Option<FieldValue> {
        self.value(field.name)
    }

    fn set(&mut self, field: &'static Field, value: Option<FieldValue>) {
        self.extra.remove(field.name);
        match value {
            Some(value) if field.holds(&value) => drop(self.values.insert(field.name, value)),
            other => {
                match field.default_value() {
                    Some(default) => self.values.insert(field.name, default),
                    None => self.values.remove(field.name),
                };
                if let Some(unknown) = other {
                    self.extra.insert(field.name.to_owned(), unknown.to_json());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SERVICE_ENTRIES, VEHICLES, vehicle};

    fn record() -> Record {
        Record::new(&VEHICLES, "018f0000-0000-7000-8000-000000000001".parse().expect("an id"), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_value_that_its_column_cannot_hold_is_carried_and_wins() {
        let mut record = record();
        record.set(&vehicle::YEAR, Some(FieldValue::Integer(2003)));
        record.set_value("year", Some(FieldValue::Text("MMXX".to_owned())));
        assert_eq!(record.stored(&vehicle::YEAR), None);
        assert_eq!(record.get(&vehicle::YEAR), Some(FieldValue::Text("MMXX".to_owned())));
        assert_eq!(record.extra["year"].text(), "\"MMXX\"");
        record.set(&vehicle::YEAR, Some(FieldValue::Integer(2004)));
        assert_eq!((record.value("year"), record.extra.len()), (Some(FieldValue::Integer(2004)), 0));
        record.set_value("isActive", Some(FieldValue::Text("sometimes".to_owned())));
        assert_eq!(record.stored(&vehicle::IS_ACTIVE), Some(&FieldValue::Boolean(true)));
        record.set_value("isActive", None);
        assert_eq!(record.value("isActive"), Some(FieldValue::Boolean(true)));
    }

    #[test]
    fn a_field_of_a_newer_version_becomes_a_field_once_it_is_known() {
        let mut record = record();
        record.extra.insert("year".to_owned(), Json::parse("2003").expect("JSON"));
        record.extra.insert("nickname".to_owned(), Json::parse("[1]").expect("JSON"));
        record.extra.insert("wheels".to_owned(), Json::parse("4").expect("JSON"));
        record.adopt_known();
        assert_eq!(record.stored(&vehicle::YEAR), Some(&FieldValue::Integer(2003)));
        assert_eq!(record.extra.keys().collect::<Vec<_>>(), ["nickname", "wheels"]);
        assert_eq!(record.names().collect::<Vec<_>>(), ["nickname", "year", "odometerUnit", "isActive", "wheels"]);
    }

    fn any_json() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<bool>().prop_map(|it| it.to_string()),
            any::<i64>().prop_map(|it| it.to_string()),
            any::<f64>().prop_filter("JSON has none", |it| it.is_finite()).prop_map(|it| format!("{it:?}")),
            "\\PC{0,40}".prop_map(|it| serde_json::Value::from(it).to_string()),
            Just("[1,  2.50]".to_owned()),
            Just("{\"a\": null}".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn every_value_under_every_name_is_read_back_as_it_was_set(
            index in 0..VEHICLES.fields.len() + SERVICE_ENTRIES.fields.len(), text in any_json()
        ) {
            let fields = VEHICLES.fields.iter().chain(SERVICE_ENTRIES.fields);
            let name = fields.map(|field| field.name).nth(index).expect("a field");
            let value = FieldValue::of_json(Json::parse(&text).expect("JSON")).expect("a value");
            let mut record = record();
            record.set_value(name, Some(value.clone()));
            prop_assert_eq!(record.value(name).map(|it| it.to_json()), Some(value.to_json()));
            let is_in_column = record.collection.field(name).and_then(|field| record.stored(field)) == Some(&value);
            prop_assert!(is_in_column != record.extra.contains_key(name));
        }
    }
}
