//! Records of any collection.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{Collection, Field, FieldAccess, FieldValue, Json, Origin, RecordId};

/// Origins by field name. A field without an entry was typed or is empty.
pub type Origins = BTreeMap<String, Origin>;

/// Values that this version cannot store in columns, by field name, byte for byte: fields of newer versions, and
/// values that their column cannot hold. They take precedence over the column.
pub type Extra = BTreeMap<String, Json>;

/// A record of a collection. It can hold any value, also one that breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The collection.
    pub collection: &'static Collection,
    /// The id.
    pub id: RecordId,
    /// The values in columns, by field name, including defaults.
    values: BTreeMap<&'static str, FieldValue>,
    /// The origins of the values.
    pub origins: Origins,
    /// The values that columns cannot hold.
    pub extra: Extra,
    /// When the record was added.
    pub created_at: Timestamp,
    /// When the record was last changed.
    pub updated_at: Timestamp,
    /// When the record was removed; `None` if it is not. It can be restored.
    pub deleted_at: Option<Timestamp>,
}

impl Record {
    /// Creates a record with empty fields, except for defaults.
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

    /// Whether the record is removed.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Returns the value in the field's column and ignores `extra`.
    #[must_use]
    pub fn stored(&self, field: &Field) -> Option<&FieldValue> {
        self.values.get(field.name)
    }

    /// Returns the value of any field, also of an unknown one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<FieldValue> {
        match self.extra.get(name) {
            Some(json) => FieldValue::of_json(json.clone()),
            None => self.values.get(name).cloned(),
        }
    }

    /// Sets the value of any field: in its column if that can hold it, else in `extra`.
    pub fn set_value(&mut self, name: &str, value: Option<FieldValue>) {
        match (self.collection.field(name), value) {
            (Some(field), value) => self.set(field, value),
            (None, Some(value)) => drop(self.extra.insert(name.to_owned(), value.to_json())),
            (None, None) => drop(self.extra.remove(name)),
        }
    }

    /// Returns the origin of a field's value.
    #[must_use]
    pub fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).cloned().unwrap_or_default()
    }

    /// Sets the origin of a field's value.
    pub fn set_origin(&mut self, name: &str, origin: Origin) {
        match origin {
            Origin::Typed => self.origins.remove(name),
            origin => self.origins.insert(name.to_owned(), origin),
        };
    }

    /// Returns the names of all fields with a value: declared fields in the contract's order, then unknown ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let declared = self.collection.fields.iter().map(|field| field.name);
        let unknown = self.extra.keys().map(String::as_str).filter(|name| self.collection.field(name).is_none());
        declared.chain(unknown).filter(|name| self.value(name).is_some())
    }

    /// Moves values from `extra` into their columns if those can hold them. Needed after an upgrade that adds fields
    /// which a newer version had already sent.
    pub fn adopt_known(&mut self) {
        for field in self.collection.fields {
            let known = self.extra.get(field.name).and_then(|json| FieldValue::of_json(json.clone()));
            if let Some(value) = known.filter(|value| field.holds(value)) {
                self.set(field, Some(value));
            }
        }
    }

    /// Returns the id of the record that this field refers to.
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
    fn values_in_extra_take_precedence_over_the_column() {
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
    fn unknown_field_moves_to_its_column_once_declared() {
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
