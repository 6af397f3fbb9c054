//! Merges two records that represent the same thing.

use garage_domain::{
    COLLECTIONS, ChangeKind, Collection, FieldAccess, FieldValue, Origin, Record, RecordId,
    conflict::{Alternative, Conflict, Conflicts},
    differences,
    merge::{Author, Preference, preferred},
    rules::Rule,
};
use rusqlite::{Result, params};

use super::{
    Journal, records, rows,
    sync::{self, Key},
};

impl Journal<'_> {
    /// Merges the record `from` into the record `to`: values that `to` lacks, references, history, conflicts and
    /// aliases. Own values replace decoded values and defaults. If both values are a person's own and differ, `from`'s
    /// becomes an alternative of a conflict. `from`'s id becomes an alias of `to`.
    ///
    /// A removal of `from` meant a duplicate: then its values are dropped with it. A removal of `to` is canceled if `from`
    /// is not removed.
    ///
    /// Returns the merged record, or `None` without a change if one of the two does not exist.
    pub fn moved(&mut self, collection: &'static Collection, from: RecordId, to: RecordId) -> Result<Option<Record>> {
        let (Some(old), Some(before)) = (self.record(collection, from)?, self.record(collection, to)?) else {
            return Ok(None);
        };
        if old.id == before.id {
            return Ok(Some(before));
        }
        let (mut after, differing) =
            if old.is_removed() { (before.clone(), Vec::new()) } else { joined(&before, &old) };
        after.created_at = before.created_at.min(old.created_at);
        after.updated_at = self.now();
        if !old.is_removed() {
            after.deleted_at = None;
        } else if !Rule::RemovedDuplicatesAreDropped.holds() {
            after.deleted_at = old.deleted_at;
        }
        // Delete the row first: its unique values and its position must be free.
        rows::delete(self.transaction, collection, old.id)?;
        self.move_conflicts(&old, &before, differing)?;
        let (from, to, name) = (old.id.to_string(), before.id.to_string(), collection.name);
        for sql in [
            "UPDATE history SET moved_from = coalesce(moved_from, record_id), record_id = ?2
             WHERE record_id = ?1 AND collection = ?3",
            "DELETE FROM refused WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1",
            "DELETE FROM base WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1",
            "DELETE FROM waiting WHERE record_id = ?1 AND collection = ?3 AND ?2 <> ?1",
            "UPDATE alias SET record_id = ?2 WHERE record_id = ?1 AND collection = ?3",
            "INSERT OR REPLACE INTO alias (alias_id, record_id, collection) VALUES (?1, ?2, ?3)",
        ] {
            rows::execute(self.transaction, sql, params![from, to, name])?;
        }
        self.put(Some(&before), &after)?;
        self.touched.insert((name, old.id));
        let key = Key::new(name, after.id);
        let entry = self.entry(&key, ChangeKind::Merged, differences(Some(&before), &after), None);
        rows::insert_history(self.transaction, &entry)?;
        sync::mark_waiting(self.transaction, name, after.id)?;
        self.move_references(collection, old.id, before.id)?;
        Ok(Some(after))
    }

    /// Notes that an id is an alias of another record, and points references at that one. This is no change: other devices
    /// read references through aliases as well.
    pub fn learned_alias(&mut self, alias: &Key, record: RecordId) -> Result<()> {
        if !Rule::AliasesAreLearned.holds() {
            return Ok(());
        }
        sync::put_alias(self.transaction, alias, record)?;
        for referring in COLLECTIONS {
            for (field, _) in referring.references().filter(|(_, other)| *other == alias.collection) {
                for before in records::referring(self.transaction, referring, field, alias.id)? {
                    let after = records::with_resolved_references(self.transaction, before.clone())?;
                    self.put(Some(&before), &after)?;
                }
            }
        }
        Ok(())
    }

    /// Points references to `from` at `to`. Each is a local edit that waits to be sent.
    fn move_references(&mut self, collection: &Collection, from: RecordId, to: RecordId) -> Result<()> {
        for referring in COLLECTIONS {
            for (field, _) in referring.references().filter(|(_, other)| *other == collection.name) {
                for before in records::referring(self.transaction, referring, field, from)? {
                    let mut after = before.clone();
                    after.set(field, Some(FieldValue::Text(to.to_string())));
                    self.local(Some(&before), after, ChangeKind::Edited, None)?;
                }
            }
        }
        Ok(())
    }

    /// Adds the alternatives of `from`'s conflicts, and its values that differ, to the conflicts of `to`. Those of a removed
    /// record are dropped with it.
    fn move_conflicts(&self, from: &Record, to: &Record, differing: Vec<(String, FieldValue)>) -> Result<()> {
        let [from_key, to_key] = [from, to].map(|record| Key::new(record.collection.name, record.id));
        let of_from = sync::conflicts(self.transaction, &from_key)?;
        let mut conflicts = sync::conflicts(self.transaction, &to_key)?;
        let before = conflicts.clone();
        for (field, conflict) in of_from.into_iter().filter(|_| !from.is_removed()) {
            let known = conflicts.entry(field).or_default();
            conflict.alternatives.into_iter().for_each(|alternative| known.add(alternative));
        }
        for (field, value) in differing {
            let Author { op_id, device_id, .. } = self.author(None);
            let (value, at) = (Some(value.to_json()), from.updated_at);
            conflicts.entry(field).or_default().add(Alternative { op_id, value, at, device_id });
        }
        conflicts.retain(|_, conflict| *conflict != Conflict::default());
        if conflicts != before {
            sync::put_conflicts(self.transaction, &to_key, &conflicts)?;
        }
        sync::put_conflicts(self.transaction, &from_key, &Conflicts::new())
    }
}

/// Which of two values a merge keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    To,
    From,
    /// `to`'s value is kept, and `from`'s becomes an alternative.
    Conflict,
}

/// Returns `to` with the values that `from` adds, and `from`'s values that conflict with `to`'s.
fn joined(to: &Record, from: &Record) -> (Record, Vec<(String, FieldValue)>) {
    let mut after = to.clone();
    let mut differing = Vec::new();
    let mut names: Vec<&str> = from.names().collect();
    for (field, unit) in to.collection.units {
        if from.value(field.name).is_none() && to.value(field.name).is_none() {
            // Without a number on either side, the unit is a value of its own.
            continue;
        }
        names.retain(|name| *name != field.name && *name != unit.name);
        let differs = |name: &str| from.value(name) != to.value(name);
        match choice(to, from, field.name, differs(field.name) || differs(unit.name)) {
            Choice::To => {}
            Choice::From => [field.name, unit.name].into_iter().for_each(|name| take(&mut after, from, name)),
            Choice::Conflict => {
                let names = [field.name, unit.name].into_iter().filter(|name| differs(name));
                differing.extend(names.filter_map(|name| Some((name.to_owned(), from.value(name)?))));
            }
        }
    }
    for name in names {
        match choice(to, from, name, from.value(name) != to.value(name)) {
            Choice::To => {}
            Choice::From => take(&mut after, from, name),
            Choice::Conflict => differing.extend(from.value(name).map(|value| (name.to_owned(), value))),
        }
    }
    (after, differing)
}

fn take(after: &mut Record, from: &Record, name: &str) {
    after.set_value(name, from.value(name));
    after.set_origin(name, from.origin(name));
}

/// An empty field takes the other value: the records were never the same one, so nobody has emptied it. Of different values
/// the preferred one is kept, as in a merge of one record.
fn choice(to: &Record, from: &Record, name: &str, differs: bool) -> Choice {
    if from.value(name).is_none() {
        return Choice::To;
    }
    if to.value(name).is_none() {
        return Choice::From;
    }
    if !differs {
        let is_stronger = from.origin(name) == Origin::Typed && to.origin(name) != Origin::Typed;
        return if is_stronger { Choice::From } else { Choice::To };
    }
    match preferred(name, from, to) {
        Preference::First => Choice::From,
        Preference::Second => Choice::To,
        Preference::Neither => Choice::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use garage_domain::{VEHICLES, vehicle};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn record(values: &[(&str, FieldValue, Origin)]) -> Record {
        let mut record = Record::new(&VEHICLES, RecordId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        for (name, value, origin) in values {
            record.set_value(name, Some(value.clone()));
            record.set_origin(name, origin.clone());
        }
        record
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    fn decoded() -> Origin {
        Origin::Decoded { from: "snapshot".to_owned(), month: None }
    }

    fn of_entry(date: &str) -> Origin {
        Origin::Entry { entry: RecordId(Uuid::max()), date: date.parse().expect("a date") }
    }

    #[test]
    fn own_values_replace_decoded_ones_and_conflict_with_own_ones() {
        use Origin::{Imported, Typed};
        for (ours, theirs, kept, alternative) in [
            (None, Some(("a", Typed)), "a", None),
            (None, Some(("a", decoded())), "a", None),
            (Some(("a", decoded())), Some(("b", Typed)), "b", None),
            (Some(("a", decoded())), Some(("b", Imported)), "b", None),
            (Some(("a", decoded())), Some(("b", decoded())), "a", None),
            (Some(("a", Typed)), Some(("b", decoded())), "a", None),
            (Some(("a", Typed)), Some(("b", Typed)), "a", Some("b")),
            (Some(("a", Imported)), Some(("b", Typed)), "a", Some("b")),
            (Some(("a", Typed)), None, "a", None),
        ] {
            let make = |value: &Option<(&str, Origin)>| {
                record(&value.iter().map(|(value, origin)| ("make", text(value), origin.clone())).collect::<Vec<_>>())
            };
            let (after, differing) = joined(&make(&ours), &make(&theirs));
            assert_eq!(after.value("make"), Some(text(kept)), "{ours:?} {theirs:?}");
            let alternatives: Vec<_> = alternative.map(|value| ("make".to_owned(), text(value))).into_iter().collect();
            assert_eq!(differing, alternatives, "{ours:?} {theirs:?}");
        }
        let equal = |ours: Origin, theirs: Origin| {
            joined(&record(&[("make", text("a"), ours)]), &record(&[("make", text("a"), theirs)])).0.origin("make")
        };
        assert_eq!([equal(decoded(), Typed), equal(Typed, decoded())], [Typed, Typed]);
        assert_eq!(equal(Imported, decoded()), Imported);
    }

    #[test]
    fn each_pair_of_values_has_one_choice() {
        use Choice::{Conflict, From, To};
        use Origin::Typed;
        let (march, may) = (of_entry("2026-03-14"), of_entry("2026-05-01"));
        let km = |reading: i64| FieldValue::Integer(reading);
        for (name, to, from, differs, expected) in [
            // Equal readings of one date differ in their unit: the one that is there stays.
            ("odometerReading", (km(100), march.clone()), (km(100), march.clone()), true, To),
            ("odometerReading", (km(100), march.clone()), (km(100), may.clone()), true, From),
            // Readings that this version cannot compare: only the date decides.
            ("odometerReading", (text("x"), march.clone()), (km(100), may.clone()), true, From),
            ("odometerReading", (text("x"), march.clone()), (km(100), march.clone()), true, To),
            ("odometerReading", (text("x"), may.clone()), (km(100), march), true, To),
            // `mi` is the default of the unit.
            ("odometerUnit", (text("mi"), Typed), (text("km"), decoded()), true, From),
            ("odometerUnit", (text("h"), decoded()), (text("km"), decoded()), true, To),
            ("odometerUnit", (text("mi"), Typed), (text("km"), Typed), true, From),
            ("odometerUnit", (text("km"), Typed), (text("mi"), Typed), true, To),
            ("odometerUnit", (text("km"), Typed), (text("h"), Typed), true, Conflict),
            ("make", (text("a"), decoded()), (text("a"), Typed), false, From),
            ("make", (text("a"), Typed), (text("a"), may), false, To),
        ] {
            let case = format!("{name}: {to:?}, {from:?}");
            let [to, from] = [to, from].map(|(value, origin)| record(&[(name, value, origin)]));
            assert_eq!(choice(&to, &from, name, differs), expected, "{case}");
        }
    }

    #[test]
    fn a_reading_is_taken_with_its_unit() {
        use Origin::Typed;
        let reading = |number: Option<i64>, unit: &str, origin: Origin| {
            let mut record = record(&[("odometerUnit", text(unit), Typed)]);
            record.set(&vehicle::ODOMETER_READING, number.map(FieldValue::Integer));
            record.set_origin("odometerReading", origin);
            record
        };
        let merged = |to: &Record, from: &Record| {
            let (after, differing) = joined(to, from);
            let value = |name: &str| after.value(name).map(|value| value.to_string()).unwrap_or_default();
            let differing = differing.into_iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>();
            (format!("{} {}", value("odometerReading"), value("odometerUnit")), differing.join(", "))
        };
        let (march, may) = (of_entry("2026-03-14"), of_entry("2026-05-01"));
        for (to, from, kept, differing) in [
            ((Some(100), "mi", Typed), (Some(160), "km", Typed), "100 mi", "odometerReading 160, odometerUnit km"),
            ((Some(100), "mi", Typed), (Some(100), "km", Typed), "100 mi", "odometerUnit km"),
            ((None, "mi", Typed), (Some(160), "km", Typed), "160 km", ""),
            ((Some(100), "mi", Typed), (None, "km", Typed), "100 mi", ""),
            ((None, "mi", Typed), (None, "km", Typed), " km", ""),
            ((Some(100), "km", march.clone()), (Some(90), "km", may.clone()), "90 km", ""),
            ((Some(100), "km", may.clone()), (Some(200), "km", march.clone()), "100 km", ""),
            ((Some(100), "km", march.clone()), (Some(101), "km", march.clone()), "101 km", ""),
            ((Some(100), "mi", march), (Some(90), "km", may.clone()), "90 km", ""),
            ((Some(100), "km", Typed), (Some(90), "km", may), "100 km", "odometerReading 90"),
        ] {
            let case = format!("{to:?} {from:?}");
            let [to, from] = [to, from].map(|(number, unit, origin)| reading(number, unit, origin));
            assert_eq!(merged(&to, &from), (kept.to_owned(), differing.to_owned()), "{case}");
        }
    }
}
