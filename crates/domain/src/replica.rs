//! A record with its conflicts, as one place has it.

use crate::{
    Extra, Json, Record,
    conflict::{CONFLICTS, Conflicts},
};

/// A record with its conflicts, as one place has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The record.
    pub record: Record,
    /// Its conflicts.
    pub conflicts: Conflicts,
}

impl Replica {
    /// Returns a replica with these fields, conflicts among them, in place of those of `record`. Conflicts of a form that
    /// this version does not know are kept as a value.
    #[must_use]
    pub fn with_fields(mut record: Record, mut fields: Extra) -> Replica {
        let conflicts = fields.get(CONFLICTS).and_then(|json| serde_json::from_str::<Conflicts>(json.text()).ok());
        if conflicts.is_some() {
            fields.remove(CONFLICTS);
        }
        record.extra = fields;
        record.adopt_known();
        Replica { record, conflicts: conflicts.unwrap_or_default() }
    }

    /// Returns all fields with a value, conflicts among them.
    #[must_use]
    pub fn fields(&self) -> Extra {
        let values = self.record.names().filter_map(|name| Some((name.to_owned(), self.record.value(name)?.to_json())));
        let mut fields: Extra = values.collect();
        if let Some(conflicts) = conflicts_json(&self.conflicts) {
            fields.insert(CONFLICTS.to_owned(), conflicts);
        }
        fields
    }
}

/// Conflicts as a field's value, or `None` if there are none.
#[must_use]
pub fn conflicts_json(conflicts: &Conflicts) -> Option<Json> {
    let json = serde_json::to_value(conflicts).unwrap_or_default();
    (!conflicts.is_empty()).then(|| Json::from(&json))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{RecordId, VEHICLES};

    #[test]
    fn fields_and_conflicts_are_read_back_as_they_were() {
        let id: RecordId = "018f0000-0000-7000-8000-000000000001".parse().expect("an id");
        for conflicts in [
            r#"{"color":{"alternatives":[{"opId":"018f0000-0000-7000-8000-000000000002","value":"Red","at":"2026-03-14T00:00:00Z","deviceId":"d"}]}}"#,
            r#"{"color":["Red"]}"#,
        ] {
            let values = [("isActive", "false"), ("odometerUnit", "\"km\""), ("wheels", "4.0"), (CONFLICTS, conflicts)];
            let json = |text: &str| Json::parse(text).expect("JSON");
            let fields: Extra = values.into_iter().map(|(name, text)| (name.to_owned(), json(text))).collect();
            let record = Record::new(&VEHICLES, id, Timestamp::UNIX_EPOCH);
            let replica = Replica::with_fields(record, fields.clone());
            assert_eq!(replica.conflicts.len() + replica.record.extra.len(), 2, "{replica:?}");
            assert_eq!(replica.fields(), fields);
        }
    }
}
