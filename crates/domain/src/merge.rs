//! The merge of a record that was changed in two places.
//!
//! Three copies decide, field by field: the base, which both places have seen; the local one; and the server's current one.
//! The rules are those of `docs/sync.md`. Nothing is dropped: where both places have set a field to different values, the
//! record gets the server's, and the local one becomes an alternative of a conflict, which a person settles.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    Collection, FieldValue, Json, Origin, Record,
    conflict::{self, Alternative, Conflict, Conflicts, REMOVAL},
    replica::Replica,
    rules::Rule,
};

/// Who wrote the values that become alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The operation.
    pub op_id: Uuid,
    /// When it was made.
    pub at: Timestamp,
    /// The device.
    pub device_id: String,
}

/// Which of two different values is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// The first.
    First,
    /// The second.
    Second,
    /// Both are a person's own: that person has to choose.
    Neither,
}

/// Merges the changes from `base` to `local` with those from `base` to `current`. Without a base everything counts as changed
/// on both sides. `ours` and `theirs` wrote the values of `local` and `current`.
///
/// What the result has and `current` has not remains to be sent.
#[must_use]
pub fn merge(base: Option<&Replica>, local: &Replica, current: &Replica, ours: &Author, theirs: &Author) -> Replica {
    let mut merged = Replica { record: current.record.clone(), conflicts: alternatives_of_both(base, local, current) };
    let mut is_edited = Edited { here: false, there: false };
    for cell in cells(local.record.collection, &[Some(local), Some(current), base]) {
        merge_cell(&cell, base, local, current, ours, &mut merged, &mut is_edited);
    }
    merge_removal(base, local, current, (ours, theirs), &mut merged, is_edited);
    merged.record.created_at = local.record.created_at.min(current.record.created_at);
    merged.record.updated_at = local.record.updated_at.max(current.record.updated_at);
    for (name, conflict) in &mut merged.conflicts {
        match name.as_str() {
            REMOVAL => conflict.drop_value(Some(&FieldValue::Boolean(merged.record.is_removed()))),
            name => conflict.drop_value(merged.record.value(name).as_ref()),
        }
    }
    // What closes a conflict of the server is a choice for those who have seen it open.
    for (name, open) in conflict::open(&current.conflicts) {
        let closed = merged.conflicts.entry(name.to_owned()).or_default();
        if closed.alternatives.is_empty() && closed.decision == open.decision {
            closed.decision = Some(ours.op_id);
        }
    }
    merged.conflicts.retain(|_, conflict| *conflict != Conflict::default());
    merged
}

/// Whether a side has values that the other side had not seen.
#[derive(Clone, Copy)]
struct Edited {
    here: bool,
    there: bool,
}

/// The fields that are merged as one: a number and its unit. Every other field is alone.
fn cells(collection: &'static Collection, copies: &[Option<&Replica>]) -> Vec<Vec<String>> {
    let mut names: BTreeSet<String> = collection.fields.iter().map(|field| field.name.to_owned()).collect();
    for copy in copies.iter().flatten() {
        names.extend(copy.record.names().map(str::to_owned));
        names.extend(copy.conflicts.keys().filter(|name| *name != REMOVAL).cloned());
    }
    let mut cells = Vec::new();
    for (number, unit) in collection.units {
        names.remove(number.name);
        names.remove(unit.name);
        cells.push(vec![number.name.to_owned(), unit.name.to_owned()]);
    }
    cells.extend(names.into_iter().map(|name| vec![name]));
    cells
}

fn merge_cell(
    cell: &[String],
    base: Option<&Replica>,
    local: &Replica,
    current: &Replica,
    ours: &Author,
    merged: &mut Replica,
    is_edited: &mut Edited,
) {
    let values = |copy: &Replica| cell.iter().map(|name| copy.record.value(name)).collect::<Vec<_>>();
    let is_changed = |copy: &Replica| {
        base.is_none_or(|base| values(copy) != values(base) || cell.iter().any(|name| is_decided(name, copy, base)))
    };
    let (is_local, is_current) = (is_changed(local), is_changed(current));
    let differs = values(local) != values(current);
    is_edited.here |= is_local && differs;
    is_edited.there |= is_current && differs;
    let take = |from: &Replica, merged: &mut Replica| {
        for name in cell {
            merged.record.set_value(name, from.record.value(name));
            merged.record.set_origin(name, from.record.origin(name));
        }
    };
    if !differs {
        let [name, ..] = cell else { return };
        // A stronger origin of an equal value stays: what was typed is not decoded.
        if local.record.origin(name) == Origin::Typed && current.record.value(name).is_some() && is_local {
            take(local, merged);
        }
        return keep_decisions(cell, if is_current { current } else { local }, merged);
    }
    if !is_current {
        take(local, merged);
        return keep_decisions(cell, local, merged);
    }
    keep_decisions(cell, current, merged);
    if !is_local {
        return;
    }
    match preferred_cell(cell, &local.record, &current.record) {
        Preference::First => take(local, merged),
        Preference::Second => {}
        Preference::Neither if !Rule::ServersValueIsLive.holds() => take(local, merged),
        Preference::Neither => {
            for name in cell.iter().filter(|name| local.record.value(name) != current.record.value(name)) {
                let value = local.record.value(name).map(|value| value.to_json());
                merged.conflicts.entry(name.clone()).or_default().add(alternative(ours, value));
            }
        }
    }
}

fn alternative(author: &Author, value: Option<Json>) -> Alternative {
    Alternative { op_id: author.op_id, value, at: author.at, device_id: author.device_id.clone() }
}

fn decision(copy: &Replica, name: &str) -> Option<Uuid> {
    copy.conflicts.get(name).and_then(|conflict| conflict.decision)
}

/// Whether there was a choice since the base. It counts as a write, also if it chose what there was.
fn is_decided(name: &str, copy: &Replica, base: &Replica) -> bool {
    Rule::DecisionsCountAsWrites.holds() && decision(copy, name) != decision(base, name)
}

fn keep_decisions(cell: &[String], from: &Replica, merged: &mut Replica) {
    for name in cell {
        let decision = decision(from, name);
        if decision.is_some() || merged.conflicts.contains_key(name) {
            merged.conflicts.entry(name.clone()).or_default().decision = decision;
        }
    }
}

/// An alternative that either side has added since the base stays; one that either side has removed goes.
fn alternatives_of_both(base: Option<&Replica>, local: &Replica, current: &Replica) -> Conflicts {
    let of = |copy: &Replica| {
        let all = copy.conflicts.iter().flat_map(|(field, conflict)| {
            conflict.alternatives.iter().map(move |it| ((field.clone(), it.op_id), it.clone()))
        });
        all.collect::<BTreeMap<_, _>>()
    };
    let (known, here, there) = (base.map(of).unwrap_or_default(), of(local), of(current));
    let mut conflicts = Conflicts::new();
    // Of two that have the same value the server's stays, so that there is nothing to send.
    for (key, alternative) in there.iter().chain(&here) {
        let is_kept = here.contains_key(key) && there.contains_key(key)
            || !known.contains_key(key)
            || !Rule::RemovedAlternativesGo.holds();
        if is_kept {
            conflicts.entry(key.0.clone()).or_default().add(alternative.clone());
        }
    }
    conflicts
}

/// A removal that has not seen an edit is a conflict, and the record stays. A removal that has seen everything stands.
fn merge_removal(
    base: Option<&Replica>,
    local: &Replica,
    current: &Replica,
    (ours, theirs): (&Author, &Author),
    merged: &mut Replica,
    is_edited: Edited,
) {
    let cell = [REMOVAL.to_owned()];
    let (here, there) = (local.record.is_removed(), current.record.is_removed());
    let is_written = |copy: &Replica| {
        base.is_none_or(|base| copy.record.is_removed() != base.record.is_removed() || is_decided(REMOVAL, copy, base))
    };
    let (is_local, is_current) = (is_written(local), is_written(current));
    if here == there {
        keep_decisions(&cell, if is_current { current } else { local }, merged);
        return;
    }
    // Values of conflicts that the other side has not seen, and does not have.
    let has_new_alternatives = |copy: &Replica, other: &Replica| {
        let known = base.map(|base| &base.conflicts);
        // A removal that was opposed is not a value that this one had to see.
        conflict::open(&copy.conflicts).filter(|(field, _)| *field != REMOVAL).any(|(field, conflict)| {
            let known = known.and_then(|known| known.get(field));
            let value = other.record.value(field).map(|value| value.to_json());
            let is_new = |it: &&Alternative| known.is_none_or(|known| !known.alternatives.contains(it));
            conflict.alternatives.iter().filter(is_new).any(|it| it.value != value)
        })
    };
    let is_edit_unseen = |is_edited: bool, edited: &Replica, removed: &Replica| {
        Rule::UnseenEditsOutliveRemovals.holds() && (is_edited || has_new_alternatives(edited, removed))
    };
    let is_unseen = match (is_local, is_current) {
        // Only there: removed unseen by an edit here, or restored.
        (false, _) => there && is_edit_unseen(is_edited.here, local, current),
        (true, false) => here && (is_edit_unseen(is_edited.there, current, local) || !Rule::SeenRemovalsStand.holds()),
        // One side has removed it, and the other has chosen to keep it. Without a base nobody knows whether one has seen
        // the other.
        (true, true) => true,
    };
    if is_unseen {
        merged.record.deleted_at = None;
        let removal = alternative(if here { ours } else { theirs }, Some(FieldValue::Boolean(true).to_json()));
        merged.conflicts.entry(REMOVAL.to_owned()).or_default().add(removal);
    } else if is_local {
        merged.record.deleted_at = local.record.deleted_at;
    }
    // The choice goes with the state that stays: who has removed the record unseen by a choice to keep it learns of that.
    let stays_local = if is_unseen { !here } else { is_local };
    keep_decisions(&cell, if stays_local { local } else { current }, merged);
}

fn preferred_cell(cell: &[String], first: &Record, second: &Record) -> Preference {
    let decides = cell.iter().find(|name| first.value(name) != second.value(name));
    // A number decides about its unit, too.
    match cell {
        [number, _] if first.value(number).is_some() || second.value(number).is_some() => {
            preferred(number, first, second)
        }
        _ => decides.map_or(Preference::Second, |name| preferred(name, first, second)),
    }
}

/// Which of two different values of a field is kept. Decoded values and defaults yield to a person's own. Of two readings
/// of service entries the later date stands, then the greater one. An empty field was emptied by a person.
#[must_use]
pub fn preferred(name: &str, first: &Record, second: &Record) -> Preference {
    let (value, other) = (first.value(name), second.value(name));
    if let (Origin::Entry { date, .. }, Origin::Entry { date: other_date, .. }) =
        (first.origin(name), second.origin(name))
    {
        let is_later = match (&value, &other) {
            (Some(FieldValue::Integer(value)), Some(FieldValue::Integer(other))) => (date, value) > (other_date, other),
            _ => date > other_date,
        };
        return if is_later { Preference::First } else { Preference::Second };
    }
    let default = first.collection.field(name).and_then(|field| field.default_value());
    let is_decoded = |record: &Record| matches!(record.origin(name), Origin::Decoded { .. });
    let is_own =
        |record: &Record, value: &Option<FieldValue>| !is_decoded(record) && (value.is_none() || default != *value);
    match (is_own(first, &value), is_own(second, &other)) {
        (true, true) => Preference::Neither,
        (true, false) => Preference::First,
        (false, true) => Preference::Second,
        // A decoded value replaces a default.
        (false, false) if default == other => Preference::First,
        (false, false) => Preference::Second,
    }
}

#[cfg(test)]
mod tests;
