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
        // A restored server has an older state of what was not changed since: ours comes after it. There is none of what was
        // an alias.
        let has_ours = local.is_some() || incoming.replica.is_none();
        if base.is_forgotten && has_ours && Rule::LaterStateIsSentAgain.holds() {
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

#[cfg(test)]
mod tests {
    use garage_domain::{FieldValue, Record, RecordId, VEHICLES, conflict::Conflict};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// A vehicle: its color, `-` if it is empty, and `x` behind it if it is removed.
    fn replica(text: &str) -> Replica {
        let mut record = Record::new(&VEHICLES, RecordId(Uuid::nil()), time(1));
        let color = text.trim_end_matches('x');
        record.set_value("color", Some(color).filter(|it| *it != "-").map(|it| FieldValue::Text(it.to_owned())));
        record.deleted_at = text.ends_with('x').then(|| time(2));
        Replica { record, conflicts: Default::default() }
    }

    fn base(version: i64, text: &str) -> Base {
        Base { version, replica: replica(text), is_row_gone: false, is_forgotten: false }
    }

    fn author(number: u128) -> Author {
        Author { op_id: Uuid::from_u128(number), at: time(3), device_id: number.to_string() }
    }

    fn shown(replica: &Replica) -> String {
        let color = replica.record.value("color").map_or_else(|| "-".to_owned(), |color| color.to_string());
        let removed = if replica.record.is_removed() { "x" } else { "" };
        let others = replica.conflicts.iter().map(|(name, conflict)| {
            let values = conflict.alternatives.iter().map(|it| it.value.as_ref().map_or("null", |json| json.text()));
            format!(" {name}:{}", values.collect::<Vec<_>>().join(","))
        });
        format!("{color}{removed}{}", others.collect::<String>())
    }

    /// What is planned: `skip`, `keep`, or the record that is stored.
    fn planned(local: Option<&str>, base: Option<Base>, incoming: (i64, Option<&str>), is_rereading: bool) -> String {
        let (version, text) = incoming;
        let incoming = Incoming { version, replica: text.map(replica), author: author(2) };
        match plan(local.map(replica).as_ref(), base.as_ref(), &incoming, &author(1), is_rereading) {
            Action::Skip => "skip".to_owned(),
            Action::Keep => "keep".to_owned(),
            Action::Store(replica) => shown(&replica),
        }
    }

    #[test]
    fn every_kind_of_incoming_record_has_its_action() {
        let gone = || Base { is_row_gone: true, ..base(5, "redx") };
        let forgotten = || Base { is_forgotten: true, ..base(5, "red") };
        for (what, local, base, incoming, expected) in [
            ("a new record", None, None, (1, Some("red")), "red"),
            ("a new removal", None, None, (1, Some("redx")), "redx"),
            ("the removal of an unknown record", None, None, (1, None), "keep"),
            ("an older state", Some("red"), Some(base(5, "red")), (4, Some("blue")), "skip"),
            ("the same state", Some("green"), Some(base(5, "red")), (5, Some("red")), "skip"),
            ("a change of an unchanged record", Some("red"), Some(base(5, "red")), (6, Some("blue")), "blue"),
            (
                "a change of an edited record",
                Some("green"),
                Some(base(5, "red")),
                (6, Some("blue")),
                "blue color:\"green\"",
            ),
            ("the same change", Some("blue"), Some(base(5, "red")), (6, Some("blue")), "blue"),
            ("a change of another field", Some("green"), Some(base(5, "red")), (6, Some("red")), "green"),
            ("an emptied field", Some("green"), Some(base(5, "red")), (6, Some("-")), "- color:\"green\""),
            ("a seen removal", Some("red"), Some(base(5, "red")), (6, Some("redx")), "redx"),
            ("an unseen removal", Some("green"), Some(base(5, "red")), (6, Some("redx")), "green deletedAt:true"),
            ("a removal by hand", Some("red"), Some(base(5, "red")), (6, None), "redx"),
            ("an unseen removal by hand", Some("green"), Some(base(5, "red")), (6, None), "green deletedAt:true"),
            ("a row made again", Some("redx"), Some(gone()), (6, Some("red")), "red"),
            (
                "an edit of a removed record",
                Some("redx"),
                Some(base(5, "red")),
                (6, Some("blue")),
                "blue deletedAt:true",
            ),
            ("without a base, the same", Some("red"), None, (6, Some("red")), "red"),
            ("without a base, another value", Some("red"), None, (6, Some("blue")), "blue color:\"red\""),
            ("without a base, a removal", Some("red"), None, (6, None), "red deletedAt:true"),
            ("a state before a lost one", Some("red"), Some(forgotten()), (4, Some("blue")), "keep"),
            ("a state after a lost one", Some("red"), Some(forgotten()), (6, Some("blue")), "blue color:\"red\""),
            ("a state of what was an alias", None, Some(forgotten()), (4, Some("blue")), "blue"),
        ] {
            assert_eq!(planned(local, base, incoming, false), expected, "{what}");
        }
        let same = |text| planned(Some("red"), Some(base(5, "red")), (5, Some(text)), true);
        assert_eq!((same("red").as_str(), same("blue").as_str()), ("red", "blue"), "a re-read replaces the base");
    }

    fn drafted(local: &str, base: Option<Base>, may_exist: bool, refused: &[(&str, &str)]) -> Option<String> {
        let mut all = Refused::default();
        for (name, value) in refused {
            all.is_whole |= name.is_empty();
            all.values.insert((*name).to_owned(), (*value).to_owned());
        }
        let draft = draft(&replica(local), base.as_ref(), may_exist, &all)?;
        let fields = draft.fields.iter().map(|(name, json)| format!(" {name}={}", json.text()));
        Some(format!("{:?}{}", draft.kind, fields.collect::<String>()))
    }

    #[test]
    fn what_is_sent_is_the_record_minus_its_base_and_minus_what_was_refused() {
        let gone = || Base { is_row_gone: true, ..base(5, "redx") };
        for (what, drafted, expected) in [
            ("new", drafted("red", None, false, &[]), "Create color=\"red\" isActive=true odometerUnit=\"mi\""),
            ("new and removed", drafted("redx", None, false, &[]), ""),
            ("perhaps sent and removed", drafted("-x", None, true, &[]), "Create isActive=true odometerUnit=\"mi\""),
            ("unchanged", drafted("red", Some(base(5, "red")), false, &[]), ""),
            ("edited", drafted("blue", Some(base(5, "red")), false, &[]), "Update color=\"blue\""),
            ("emptied", drafted("-", Some(base(5, "red")), false, &[]), "Update color=null"),
            ("removed", drafted("redx", Some(base(5, "red")), false, &[]), "Delete"),
            ("edited and removed", drafted("bluex", Some(base(5, "red")), false, &[]), "Delete color=\"blue\""),
            ("restored", drafted("red", Some(base(5, "redx")), false, &[]), "Restore"),
            ("gone", drafted("redx", Some(gone()), false, &[]), ""),
            ("gone and edited", drafted("bluex", Some(gone()), false, &[]), ""),
            (
                "gone and restored",
                drafted("red", Some(gone()), false, &[]),
                "Restore color=\"red\" isActive=true odometerUnit=\"mi\"",
            ),
            ("refused", drafted("blue", Some(base(5, "red")), false, &[("color", "\"blue\"")]), ""),
            (
                "edited after a refusal",
                drafted("blue", Some(base(5, "red")), false, &[("color", "\"green\"")]),
                "Update color=\"blue\"",
            ),
            (
                "removal refused",
                drafted("bluex", Some(base(5, "red")), false, &[("deletedAt", "true")]),
                "Update color=\"blue\"",
            ),
            ("refused as a whole", drafted("blue", Some(base(5, "red")), false, &[("", "")]), ""),
        ] {
            assert_eq!(drafted.unwrap_or_default(), expected, "{what}");
        }
    }

    #[test]
    fn conflicts_and_origins_are_sent_where_they_differ() {
        let mut local = replica("red");
        let decided = Conflict { decision: Some(Uuid::nil()), alternatives: Vec::new() };
        local.conflicts.insert("color".to_owned(), decided);
        let sent = draft(&local, Some(&base(5, "red")), false, &Refused::default()).expect("a draft");
        assert_eq!(sent.fields.keys().collect::<Vec<_>>(), [CONFLICTS]);
        let with_conflict = Base { replica: local, ..base(5, "red") };
        let closed = draft(&replica("red"), Some(&with_conflict), false, &Refused::default()).expect("a draft");
        assert_eq!(closed.fields[CONFLICTS].text(), "null");

        let decoded = Origin::Decoded { from: "snapshot".to_owned(), month: None };
        let mut local = replica("red");
        local.record.set_origin("color", decoded.clone());
        let sent = draft(&local, Some(&base(5, "red")), false, &Refused::default()).expect("a draft");
        assert_eq!((sent.fields.len(), &sent.origins["color"]), (1, &decoded));
        let of_decoded = Base { replica: local, ..base(5, "red") };
        let typed = draft(&replica("red"), Some(&of_decoded), false, &Refused::default()).expect("a draft");
        assert_eq!(typed.origins["color"], Origin::Typed, "a value that is now typed says so");
    }
}
