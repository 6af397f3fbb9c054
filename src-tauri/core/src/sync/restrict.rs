//! The part of a draft that a server takes.

use garage_protocol::sync::OperationKind;

use super::plan::{Base, Draft};
use crate::store::scope::Scope;

/// Returns the part of a draft that the server takes, or `None` if it is nothing.
///
/// A server without `sync.v1` has no route for a removed record but to add it again.
pub(super) fn restrict(scope: &Scope, collection: &str, mut draft: Draft, base: Option<&Base>) -> Option<Draft> {
    if scope.is_everything() {
        return Some(draft);
    }
    if !scope.has_collection(collection) {
        return None;
    }
    let differs = |name: &str, text: &str| {
        // A difference of origins alone is not one here: origins do not travel.
        let value = base.and_then(|base| base.replica.record.value(name)).map(|value| value.to_json());
        base.is_none() || value.as_ref().map_or("null", |json| json.text()) != text
    };
    draft.fields.retain(|name, json| scope.has_field(collection, name) && differs(name, json.text()));
    draft.origins.retain(|name, _| draft.fields.contains_key(name));
    let is_removed = base.is_some_and(|base| base.replica.record.is_removed());
    let is_nothing = draft.kind == OperationKind::Update && (draft.fields.is_empty() || is_removed);
    (!is_nothing).then_some(draft)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use garage_domain::{
        Extra, FieldValue, Origin, Record, RecordId, VEHICLES,
        conflict::{CONFLICTS, Conflict},
        replica::Replica,
    };
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::super::plan::{Refused, draft};
    use super::*;

    fn replica(color: &str) -> Replica {
        let mut record = Record::new(&VEHICLES, RecordId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        record.set_value("color", Some(FieldValue::Text(color.to_owned())));
        Replica { record, conflicts: Default::default() }
    }

    fn base(color: &str) -> Base {
        Base { version: 7, replica: replica(color), is_row_gone: false, is_forgotten: false }
    }

    fn plain() -> Scope {
        Scope::of_capabilities(&["vehicles".to_owned(), "decode".to_owned()])
    }

    /// The kind and the fields of what is sent to a server without `sync.v1`.
    fn sent(local: &Replica, base: Option<&Base>) -> Option<(OperationKind, Vec<String>)> {
        let draft = draft(local, base, false, &Refused::default())?;
        let draft = restrict(&plain(), VEHICLES.name, draft, base)?;
        Some((draft.kind, draft.fields.into_keys().collect()))
    }

    #[test]
    fn only_what_the_server_takes_is_sent() {
        let mut local = replica("Blue");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            sent(&local, None),
            Some((OperationKind::Create, names(&["color", "isActive", "odometerUnit"]))),
            "a new record"
        );
        assert_eq!(sent(&local, Some(&base("Red"))), Some((OperationKind::Update, names(&["color"]))));
        let conflict = Conflict { decision: Some(Uuid::nil()), alternatives: Vec::new() };
        local.conflicts.insert("color".to_owned(), conflict);
        local.record.extra.insert("seats".to_owned(), garage_domain::Json::parse("5").expect("JSON"));
        assert_eq!(sent(&local, Some(&base("Red"))), Some((OperationKind::Update, names(&["color"]))));
        assert_eq!(sent(&local, Some(&base("Blue"))), None, "conflicts and unknown fields");
        let everything = draft(&local, Some(&base("Blue")), false, &Refused::default()).expect("a draft");
        assert_eq!(everything.fields.keys().collect::<Vec<_>>(), [CONFLICTS, "seats"]);
        let mut decoded = replica("Blue");
        decoded.record.set_origin("color", Origin::Decoded { from: "snapshot".to_owned(), month: None });
        assert_eq!(sent(&decoded, Some(&base("Blue"))), None, "an origin");
    }

    #[test]
    fn a_removed_record_is_only_added_again() {
        let mut removed = base("Red");
        removed.replica.record.deleted_at = Some(Timestamp::UNIX_EPOCH);
        let mut local = replica("Blue");
        assert_eq!(sent(&local, Some(&removed)), Some((OperationKind::Restore, vec!["color".to_owned()])));
        local.record.deleted_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(sent(&local, Some(&removed)), None, "an edit of a removed record");
        assert_eq!(sent(&local, Some(&base("Blue"))), Some((OperationKind::Delete, Vec::new())));
    }

    #[test]
    fn another_collection_stays_here() {
        let none = Draft { kind: OperationKind::Create, fields: Extra::new(), origins: BTreeMap::new() };
        assert_eq!(restrict(&plain(), "serviceEntries", none.clone(), None), None);
        assert_eq!(restrict(&Scope::Everything, "serviceEntries", none.clone(), None), Some(none));
    }
}
