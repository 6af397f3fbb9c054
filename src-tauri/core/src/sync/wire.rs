//! Converts between what travels and what is stored.

use std::collections::BTreeMap;

use garage_domain::{Extra, Json, Origin, Origins, merge::Author, replica::Replica};
use garage_protocol::sync::{Change, Operation, OperationKind, value_hash};
use uuid::Uuid;

use super::plan::{Base, Draft, Incoming};
use crate::store::sync::{Key, StoredBase};

/// The member of an origin that has the hash of the value that it speaks of.
const OF: &str = "of";

/// The origins of an operation: each with the hash of its value, because plain REST changes values without their origins.
/// Origins of other versions are passed on as they are.
fn sealed(origins: &BTreeMap<String, Origin>, fields: &Extra) -> Extra {
    let seal = |(name, origin): (&String, &Origin)| {
        let value = fields.get(name).filter(|value| value.text() != "null")?;
        let mut json = serde_json::to_value(origin).ok()?;
        match (origin, json.as_object_mut()) {
            (Origin::Other(json), _) => return Some((name.clone(), json.clone())),
            (_, Some(members)) => drop(members.insert(OF.to_owned(), value_hash(value).into())),
            (_, None) => {}
        }
        Some((name.clone(), Json::from(&json)))
    };
    origins.iter().filter_map(seal).collect()
}

/// The origins that are of the values in `fields`. A value with another origin counts as typed: it was changed without its
/// origin.
fn opened(origins: &Extra, fields: &Extra) -> Origins {
    let open = |(name, json): (&String, &Json)| {
        let mut value = json.value();
        let of = value.as_object_mut().and_then(|members| members.shift_remove(OF));
        let origin: Origin = match of {
            Some(hash) if fields.get(name).is_some_and(|value| hash == value_hash(value)) => {
                serde_json::from_value(value).ok()?
            }
            Some(_) => return None,
            None => serde_json::from_str(json.text()).ok()?,
        };
        (origin != Origin::Typed).then(|| (name.clone(), origin))
    };
    origins.iter().filter_map(open).collect()
}

/// Gives a draft its id and times.
pub(super) fn operation(draft: Draft, key: &Key, op_id: Uuid, base: Option<i64>, local: &Replica) -> Operation {
    Operation {
        op_id,
        collection: key.collection.clone(),
        record_id: key.id,
        kind: draft.kind,
        base_version: base,
        origins: sealed(&draft.origins, &draft.fields),
        fields: draft.fields,
        created_at: local.record.created_at,
        updated_at: local.record.updated_at,
    }
}

impl StoredBase {
    /// The base that an incoming change becomes. A change of a removal alone keeps the values of the base before.
    pub(super) fn of_change(change: &Change, before: Option<&StoredBase>, reread: i64) -> StoredBase {
        let of_before = |values: fn(&StoredBase) -> &Extra| before.map(values).cloned().unwrap_or_default();
        let updated_at = change.updated_at.or(change.deleted_at);
        StoredBase {
            version: change.version,
            fields: change.fields.clone().unwrap_or_else(|| of_before(|base| &base.fields)),
            origins: match change.fields {
                Some(_) => change.origins.clone(),
                None => of_before(|base| &base.origins),
            },
            created_at: change.created_at.or(before.map(|base| base.created_at)).or(updated_at).unwrap_or_default(),
            updated_at: updated_at.unwrap_or_default(),
            deleted_at: change.deleted_at,
            is_row_gone: change.fields.is_none(),
            is_forgotten: false,
            reread,
        }
    }

    /// The base after an operation was applied, in the way in which the server applies it.
    pub(super) fn after(before: Option<StoredBase>, operation: &Operation, version: i64, reread: i64) -> StoredBase {
        let mut base = before.unwrap_or_else(|| StoredBase {
            version,
            fields: Extra::new(),
            origins: Extra::new(),
            created_at: operation.created_at,
            updated_at: operation.updated_at,
            deleted_at: None,
            is_row_gone: false,
            is_forgotten: false,
            reread,
        });
        for (name, value) in &operation.fields {
            base.origins.remove(name);
            match value.text() {
                "null" => base.fields.remove(name),
                _ => base.fields.insert(name.clone(), value.clone()),
            };
        }
        base.origins.extend(operation.origins.clone());
        base.deleted_at = match operation.kind {
            OperationKind::Create | OperationKind::Restore => None,
            OperationKind::Delete => base.deleted_at.or(Some(operation.updated_at)),
            OperationKind::Update => base.deleted_at,
        };
        base.created_at = base.created_at.min(operation.created_at);
        base.updated_at = base.updated_at.max(operation.updated_at);
        // A record without a row that was not restored is kept as it is.
        base.is_row_gone &= operation.kind != OperationKind::Restore;
        (base.version, base.is_forgotten, base.reread) = (version, false, reread);
        base
    }

    /// The base for planning. `replica` is made of its fields.
    pub(super) fn for_plan(&self, mut replica: Replica) -> Base {
        replica.record.origins = opened(&self.origins, &self.fields);
        Base { version: self.version, replica, is_row_gone: self.is_row_gone, is_forgotten: self.is_forgotten }
    }

    /// The change that it came from, for planning.
    pub(super) fn incoming(&self, mut replica: Replica, author: Author) -> Incoming {
        replica.record.origins = opened(&self.origins, &self.fields);
        Incoming { version: self.version, replica: (!self.is_row_gone).then_some(replica), author }
    }
}

#[cfg(test)]
mod tests {
    use garage_domain::{Record, RecordId, VEHICLES};
    use jiff::Timestamp;

    use super::*;

    use super::sealed as sealed_of;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    #[test]
    fn an_origin_is_only_of_the_value_that_it_was_sent_with() {
        let decoded = Origin::Decoded { from: "snapshot".to_owned(), month: None };
        let origins = BTreeMap::from([("make".to_owned(), decoded.clone()), ("color".to_owned(), Origin::Typed)]);
        let mut fields = Extra::from([("make".to_owned(), json("\"HONDA\"")), ("color".to_owned(), json("\"Red\""))]);
        let sealed = sealed_of(&origins, &fields);
        let hash = value_hash(&json("\"HONDA\""));
        assert_eq!(
            sealed["make"].text(),
            format!(r#"{{"by":"decoded","from":"snapshot","month":null,"of":"{hash}"}}"#)
        );
        assert_eq!(opened(&sealed, &fields), Origins::from([("make".to_owned(), decoded.clone())]));
        fields.insert("make".to_owned(), json("\"Acura\""));
        assert_eq!(opened(&sealed, &fields), Origins::new(), "plain REST has changed the value");
        let unsealed = Extra::from([("make".to_owned(), json(r#"{"by":"decoded","from":"snapshot","month":null}"#))]);
        assert_eq!(opened(&unsealed, &fields), Origins::from([("make".to_owned(), decoded)]));
        for text in ["7", r#"{"by":"robot",  "arm":2.50}"#] {
            let other = Origins::from([("make".to_owned(), Origin::Other(json(text)))]);
            assert_eq!(opened(&sealed_of(&other, &fields), &fields), other, "another version's is kept as it is");
        }
    }

    #[test]
    fn a_base_follows_the_operations_as_the_server_applies_them() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let key = Key::new("vehicles", RecordId(Uuid::nil()));
        let replica = Replica::with_fields(Record::new(&VEHICLES, key.id, at(5)), Extra::new());
        let draft = |kind, fields: &[(&str, &str)]| Draft {
            kind,
            fields: fields.iter().map(|(name, text)| ((*name).to_owned(), json(text))).collect(),
            origins: BTreeMap::new(),
        };
        let create = draft(OperationKind::Create, &[("color", "\"Red\""), ("year", "2003")]);
        let create = operation(create, &key, Uuid::nil(), None, &replica);
        let base = StoredBase::after(None, &create, 7, 1);
        assert_eq!((base.version, base.fields.len(), base.created_at, base.deleted_at), (7, 2, at(5), None));
        let delete = draft(OperationKind::Delete, &[("color", "null")]);
        let mut later = replica;
        (later.record.updated_at, later.record.created_at) = (at(9), at(4));
        let base = StoredBase::after(Some(base), &operation(delete, &key, Uuid::nil(), Some(7), &later), 8, 1);
        assert_eq!(base.fields.keys().collect::<Vec<_>>(), ["year"]);
        assert_eq!((base.created_at, base.updated_at, base.deleted_at), (at(4), at(9), Some(at(9))));
        let gone = StoredBase { is_row_gone: true, ..base.clone() };
        let restore = operation(draft(OperationKind::Restore, &[]), &key, Uuid::nil(), Some(8), &later);
        let restored = StoredBase::after(Some(gone.clone()), &restore, 9, 1);
        assert_eq!((restored.deleted_at, restored.is_row_gone), (None, false));
        let update = operation(draft(OperationKind::Update, &[]), &key, Uuid::nil(), Some(8), &later);
        assert!(StoredBase::after(Some(gone), &update, 9, 1).is_row_gone);
    }
}
