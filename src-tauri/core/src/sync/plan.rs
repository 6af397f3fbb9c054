//! What to do with a record from the server, and what to send of a record, as pure functions.
//!
//! Each works on three copies: the local one; the base, which is the last state that the server has acknowledged or sent;
//! and the incoming one. `docs/sync.md` has the rules.

use std::collections::{BTreeMap, BTreeSet};

use garage_domain::{
    Extra, Json, Origin,
    conflict::{CONFLICTS, REMOVAL},
    merge::{Author, merge},
    replica::{Replica, conflicts_json},
    rules::Rule,
};
use garage_protocol::sync::OperationKind;

/// The last state of a record that the server has acknowledged or sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub version: i64,
    pub replica: Replica,
    /// The server has only id, version and removal: the row was deleted by hand.
    pub is_row_gone: bool,
    /// The server was restored to a state before this version.
    pub is_forgotten: bool,
}

/// A state of a record on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub version: i64,
    /// `None` if the server has only the removal.
    pub replica: Option<Replica>,
    /// Who made the change.
    pub author: Author,
}

/// What to do with an incoming record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is not newer than the base.
    Skip,
    /// It becomes the base, and this becomes the record.
    Store(Replica),
    /// It becomes the base, and the record stays as it is: what differs is sent again.
    Keep,
}

/// Decides what to do with an incoming record. `is_rereading`: everything is read again, so that a base with the same
/// version is replaced, too.
pub(crate) fn plan(
    local: Option<&Replica>,
    base: Option<&Base>,
    incoming: &Incoming,
    ours: &Author,
    is_rereading: bool,
) -> Action {
    let base = base.filter(|base| !base.is_forgotten || is_forgotten_by(base, incoming));
    if let Some(base) = base {
        // A restored server has an older state of what was not changed since: ours comes after it.
        if base.is_forgotten && Rule::LaterStateIsSentAgain.holds() {
            return Action::Keep;
        }
        let is_old = incoming.version < base.version || incoming.version == base.version && !is_rereading;
        if is_old && !base.is_forgotten {
            return Action::Skip;
        }
    }
    let current = match (&incoming.replica, base, local) {
        (Some(replica), ..) => replica.clone(),
        // The values of a record whose row is gone are those that it had here.
        (None, Some(Base { replica, .. }), _) | (None, None, Some(replica)) => {
            let mut removed = replica.clone();
            removed.record.deleted_at = removed.record.deleted_at.or(Some(incoming.author.at));
            removed
        }
        (None, None, None) => return Action::Keep,
    };
    let Some(local) = local else { return Action::Store(current) };
    if base.is_some_and(|base| draft(local, Some(base), false, &Refused::default()).is_none()) {
        // Nothing was changed here.
        return Action::Store(current);
    }
    Action::Store(merge(base.map(|base| &base.replica), local, &current, ours, &incoming.author))
}

/// Whether the incoming state is one from before the forgotten base. Versions of a new epoch are greater than all before.
fn is_forgotten_by(base: &Base, incoming: &Incoming) -> bool {
    incoming.version < base.version
}

/// An operation without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub kind: OperationKind,
    /// The fields that it sets; null clears one.
    pub fields: Extra,
    /// The origins of these fields that are not implied.
    pub origins: BTreeMap<String, Origin>,
}

/// What the server has refused of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The refused values as JSON, by field; the removal is `deletedAt`.
    pub values: BTreeMap<String, String>,
    /// The record as a whole.
    pub is_whole: bool,
}

/// Returns what is to be sent of a record: the local state minus the base, without what was refused. `may_exist`: a create
/// was sent before, so that the server may have the record although there is no base.
pub(crate) fn draft(local: &Replica, base: Option<&Base>, may_exist: bool, refused: &Refused) -> Option<Draft> {
    if refused.is_whole || !refused.values.is_empty() && !Rule::RefusedFieldsStayBehind.holds() {
        return None;
    }
    let is_refused = |name: &str, value: &str| refused.values.get(name).is_some_and(|it| it == value);
    let Some(base) = base else {
        // A record that was removed before it was sent is nobody's business.
        if local.record.is_removed() && !may_exist {
            return None;
        }
        let mut fields = local.fields();
        fields.retain(|name, json| !is_refused(name, json.text()));
        let origins = origins_of(local, fields.keys());
        return Some(Draft { kind: OperationKind::Create, fields, origins });
    };
    let removal = local.record.is_removed();
    let differs = removal != base.replica.record.is_removed();
    let is_moved = differs && !is_refused(REMOVAL, if removal { "true" } else { "false" });
    let kind = match (is_moved, removal) {
        (false, _) => OperationKind::Update,
        (true, true) => OperationKind::Delete,
        (true, false) => OperationKind::Restore,
    };
    // There is nothing to change in a record whose row is gone, until it is restored with every field.
    if base.is_row_gone && kind != OperationKind::Restore {
        return None;
    }
    let mut fields = if base.is_row_gone { local.fields() } else { differing_fields(local, &base.replica) };
    let mut conflicts = local.conflicts.clone();
    if differs && !is_moved {
        // A conflict about a removal that the server refuses to change says nothing there.
        conflicts.remove(REMOVAL);
        conflicts.extend(base.replica.conflicts.get_key_value(REMOVAL).map(|(name, it)| (name.clone(), it.clone())));
    }
    if conflicts != base.replica.conflicts && Rule::ConflictsTravel.holds() {
        fields.insert(CONFLICTS.to_owned(), conflicts_json(&conflicts).unwrap_or_else(null));
    }
    fields.retain(|name, json| !is_refused(name, json.text()));
    if fields.is_empty() && !is_moved {
        return None;
    }
    let mut origins = origins_of(local, fields.keys());
    for name in fields.keys().filter(|name| base.replica.record.origins.contains_key(*name)) {
        // The server keeps no origin of a field without one, so a value that is now typed has to say so.
        origins.entry(name.clone()).or_insert(Origin::Typed);
    }
    Some(Draft { kind, fields, origins })
}

/// The fields whose value or origin differs from the base.
fn differing_fields(local: &Replica, base: &Replica) -> Extra {
    let names: BTreeSet<&str> = local.record.names().chain(base.record.names()).collect();
    let differs = |name: &&str| {
        let value = local.record.value(name);
        value != base.record.value(name) || value.is_some() && local.record.origin(name) != base.record.origin(name)
    };
    let json = |name: &str| local.record.value(name).map_or_else(null, |value| value.to_json());
    names.into_iter().filter(differs).map(|name| (name.to_owned(), json(name))).collect()
}

fn origins_of<'a>(local: &Replica, names: impl Iterator<Item = &'a String>) -> BTreeMap<String, Origin> {
    let origins = names.filter_map(|name| Some((name.clone(), local.record.origins.get(name)?.clone())));
    origins.collect()
}

fn null() -> Json {
    Json::from(&serde_json::Value::Null)
}
