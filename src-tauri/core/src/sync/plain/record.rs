//! A record in a response of plain REST.

use std::collections::BTreeSet;

use garage_domain::{Collection, Extra, Json, RecordId};
use garage_protocol::sync::{Change, Operation};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    store::sync::StoredBase,
    sync::{Exchange, RemoteError},
};

/// A record in a response.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedRecord {
    pub id: RecordId,
    user_id: String,
    pub version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
    /// The fields that this version knows, null if they are empty. A server of another version may have fewer.
    fields: Extra,
}

impl ListedRecord {
    /// Reads a record with the fields of a collection.
    ///
    /// # Errors
    /// What is missing, or is not what the contract says.
    pub fn read(collection: &Collection, mut members: Extra) -> Result<ListedRecord, String> {
        let record = ListedRecord {
            id: member(&members, "id")?,
            user_id: member(&members, "userId")?,
            version: member(&members, "version")?,
            created_at: member(&members, "createdAt")?,
            updated_at: member(&members, "updatedAt")?,
            deleted_at: member(&members, "deletedAt")?,
            fields: Extra::new(),
        };
        members.retain(|name, _| collection.field(name).is_some());
        Ok(ListedRecord { fields: members, ..record })
    }

    /// Refuses a record of another account than the garage's.
    pub fn refuse_other_account(&self, exchange: &Exchange) -> Result<(), RemoteError> {
        match &exchange.request.account {
            Some(account) if *account != self.user_id => Err(RemoteError::OtherAccount),
            _ => Ok(()),
        }
    }

    /// The value of a field as JSON; `None` if it is empty.
    pub fn value(&self, name: &str) -> Option<&Json> {
        self.fields.get(name).filter(|json| json.text() != "null")
    }

    /// Whether the server has this field.
    pub fn has_field(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Whether the record has all values that were sent. The server trims texts. With a new VIN it fills empty fields, among
    /// them those that were sent as empty.
    pub fn contains(&self, collection: &Collection, sent: &Extra) -> bool {
        let is_filled = collection.unique.is_some_and(|unique| sent.contains_key(unique.name));
        sent.iter().all(|(name, json)| match (self.value(name), json.text()) {
            (None, "null") => true,
            (Some(_), "null") => is_filled,
            (None, _) => json.value().as_str().is_some_and(|text| text.trim().is_empty()),
            (Some(value), _) => trimmed(value.value()) == trimmed(json.value()),
        })
    }

    /// The record as a change of `sync.v1`. Fields and origins that do not travel are those of the base, and those of the
    /// operation that the record is the result of.
    pub fn change(&self, collection: &str, base: Option<&StoredBase>, operation: Option<&Operation>) -> Change {
        let mut fields = base.map(|base| base.fields.clone()).unwrap_or_default();
        for (name, json) in &self.fields {
            match json.text() {
                "null" => fields.remove(name),
                _ => fields.insert(name.clone(), json.clone()),
            };
        }
        let mut origins = base.map(|base| base.origins.clone()).unwrap_or_default();
        origins.extend(operation.map(|operation| operation.origins.clone()).unwrap_or_default());
        let before = [base.map(|base| base.created_at), operation.map(|operation| operation.created_at)];
        Change {
            collection: collection.to_owned(),
            record_id: self.id,
            version: self.version,
            deleted_at: self.deleted_at,
            alias_of: None,
            fields: Some(fields),
            origins,
            created_at: before.into_iter().flatten().chain([self.created_at]).min(),
            updated_at: Some(self.updated_at),
            device_id: None,
        }
    }
}

/// The removal of a record, of which the server tells only that it is not there. The version stays that of the base, because
/// the removal's is not known; `sync.v1` brings it.
pub(super) fn removal(
    collection: &str,
    id: RecordId,
    fields: Extra,
    base: Option<&StoredBase>,
    removed_at: Timestamp,
) -> Change {
    Change {
        collection: collection.to_owned(),
        record_id: id,
        version: base.map(|base| base.version).unwrap_or_default(),
        deleted_at: Some(removed_at),
        alias_of: None,
        fields: Some(fields),
        origins: base.map(|base| base.origins.clone()).unwrap_or_default(),
        created_at: base.map(|base| base.created_at),
        updated_at: Some(removed_at),
        device_id: None,
    }
}

fn member<T: DeserializeOwned>(members: &Extra, name: &str) -> Result<T, String> {
    let text = members.get(name).map_or("null", |json| json.text());
    serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))
}

fn trimmed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.trim().to_owned()),
        value => value,
    }
}

/// The names of the fields that were sent and that the server does not have.
pub(super) fn missing_fields<'a>(record: &ListedRecord, sent: &'a Extra) -> BTreeSet<&'a str> {
    sent.keys().map(String::as_str).filter(|name| !record.has_field(name)).collect()
}

#[cfg(test)]
mod tests {
    use garage_domain::VEHICLES;

    use super::*;

    fn members(values: &[(&str, &str)]) -> Extra {
        values.iter().map(|(name, text)| ((*name).to_owned(), Json::parse(text).expect("JSON"))).collect()
    }

    fn record(values: &[(&str, &str)]) -> ListedRecord {
        let mut all = members(&[
            ("id", "\"018f0000-0000-7000-8000-000000000001\""),
            ("userId", "\"ada\""),
            ("version", "7"),
            ("createdAt", "\"2026-03-14T00:00:00Z\""),
            ("updatedAt", "\"2026-03-15T00:00:00Z\""),
            ("deletedAt", "null"),
        ]);
        all.extend(members(values));
        ListedRecord::read(&VEHICLES, all).expect("a record")
    }

    #[test]
    fn a_record_contains_what_was_sent_apart_from_trimmed_and_decoded_values() {
        let current = record(&[("nickname", "\"Blue\""), ("year", "2003"), ("vin", "null"), ("color", "null")]);
        let contains = |sent: &[(&str, &str)]| current.contains(&VEHICLES, &members(sent));
        for (sent, expected) in [
            (&[("nickname", "\"Blue\"")][..], true),
            (&[("nickname", "\" Blue \""), ("color", "\" \"")], true),
            (&[("year", "2003"), ("color", "null")], true),
            (&[("nickname", "\"Red\"")], false),
            (&[("color", "\"Red\"")], false),
            (&[("year", "null")], false),
            (&[("year", "null"), ("vin", "null")], true),
        ] {
            assert_eq!(contains(sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_change_keeps_what_the_route_does_not_carry() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let base = StoredBase {
            version: 5,
            fields: members(&[("color", "\"Red\""), ("seats", "5"), ("conflicts", "{}"), ("notes", "\"x\"")]),
            origins: members(&[("color", r#"{"by":"decoded","of":"1"}"#)]),
            created_at: at(1),
            updated_at: at(2),
            deleted_at: None,
            is_row_gone: false,
            is_forgotten: false,
            reread: 1,
        };
        let listed = record(&[("color", "\"Blue\""), ("notes", "null")]);
        let change = listed.change("vehicles", Some(&base), None);
        let expected = members(&[("color", "\"Blue\""), ("seats", "5"), ("conflicts", "{}")]);
        assert_eq!((change.version, change.fields, change.created_at), (7, Some(expected), Some(at(1))));
        assert_eq!(change.origins, base.origins);
        let removed = removal("vehicles", listed.id, base.fields.clone(), Some(&base), at(9));
        assert_eq!((removed.version, removed.deleted_at, removed.fields), (5, Some(at(9)), Some(base.fields)));
    }
}
