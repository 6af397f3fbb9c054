//! Copies a service entry's odometer reading to its vehicle, and reverts it with the entry.
//!
//! A reading is copied if it is in the vehicle's unit and no live entry outranks it: none has a later date, or the same
//! date and a greater reading. A typed reading outranks those that are both older and lower, so that entering old
//! invoices does not turn the odometer back.

use garage_domain::{
    ChangeKind, FieldAccess, FieldChange, FieldValue, HistoryEntry, Origin, Record, RecordId, SERVICE_ENTRIES,
    VEHICLES, service_entry, vehicle,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    GarageError,
    store::{history, journal::Journal, records},
};

/// The odometer reading of a live service entry.
#[derive(Debug, Clone)]
struct Reading {
    entry: RecordId,
    vehicle: RecordId,
    date: Date,
    unit: FieldValue,
    reading: i64,
    /// The time of the entry's last change.
    updated_at: Timestamp,
}

impl Reading {
    fn of(entry: &Record) -> Option<Reading> {
        let (Some(FieldValue::Integer(reading)), Some(FieldValue::Text(date))) =
            (entry.get(&service_entry::ODOMETER_READING), entry.get(&service_entry::DATE))
        else {
            return None;
        };
        let vehicle = entry.reference(&service_entry::VEHICLE_ID).filter(|_| !entry.is_removed())?;
        let unit = entry.get(&service_entry::ODOMETER_UNIT)?;
        Some(Reading {
            entry: entry.id,
            vehicle,
            date: date.parse().ok()?,
            unit,
            reading,
            updated_at: entry.updated_at,
        })
    }

    /// Whether two states of an entry set the same reading.
    fn sets_the_same(&self, other: &Reading) -> bool {
        (self.entry, self.vehicle, self.date, &self.unit, self.reading)
            == (other.entry, other.vehicle, other.date, &other.unit, other.reading)
    }

    /// Readings in different units are compared by date only.
    fn is_outranked_by(&self, other: &Reading) -> bool {
        let is_greater = self.unit == other.unit && other.reading > self.reading;
        other.entry != self.entry && (other.date > self.date || other.date == self.date && is_greater)
    }

    fn origin(&self) -> Origin {
        Origin::Entry { entry: self.entry, date: self.date }
    }
}

/// Updates the vehicle's reading after a change of an entry, in the same transaction.
pub(crate) fn follow(journal: &mut Journal<'_>, before: Option<&Record>, after: &Record) -> Result<(), GarageError> {
    let (old, new) = (before.and_then(Reading::of), Reading::of(after));
    let is_unchanged = match (&old, &new) {
        (Some(old), Some(new)) => old.sets_the_same(new),
        (old, new) => old.is_none() && new.is_none(),
    };
    if is_unchanged {
        return Ok(());
    }
    let vehicles = [old.as_ref(), new.as_ref()].map(|reading| reading.map(|reading| reading.vehicle));
    match vehicles {
        [Some(left), Some(joined)] if left != joined => {
            update(journal, left, after.id, None)?;
            update(journal, joined, after.id, new.as_ref())
        }
        [Some(vehicle), _] | [None, Some(vehicle)] => update(journal, vehicle, after.id, new.as_ref()),
        [None, None] => Ok(()),
    }
}

/// The unit of a vehicle's reading was changed and the reading was not: from now on it is a typed value, because the
/// entry that it came from has another unit.
pub(crate) fn keep_as_typed(before: &Record, after: &mut Record) {
    let name = vehicle::ODOMETER_READING.name;
    let is_of_entry = matches!(after.origin(name), Origin::Entry { .. });
    let is_kept = before.value(name) == after.value(name) && before.origin(name) == after.origin(name);
    if is_of_entry && is_kept && before.get(&vehicle::ODOMETER_UNIT) != after.get(&vehicle::ODOMETER_UNIT) {
        after.set_origin(name, Origin::Typed);
    }
}

/// Copies the entry's reading `new` to the vehicle if nothing outranks it. Else, if the vehicle's reading comes from the
/// entry, reverts it.
fn update(
    journal: &mut Journal<'_>,
    vehicle: RecordId,
    entry: RecordId,
    new: Option<&Reading>,
) -> Result<(), GarageError> {
    let Some(before) = journal.record(&VEHICLES, vehicle)?.filter(|vehicle| !vehicle.is_removed()) else {
        return Ok(());
    };
    let name = vehicle::ODOMETER_READING.name;
    let entries = records::referring(journal.reader(), &SERVICE_ENTRIES, &service_entry::VEHICLE_ID, before.id)?;
    let readings: Vec<Reading> = entries.iter().filter_map(Reading::of).collect();
    let unit = before.get(&vehicle::ODOMETER_UNIT);
    let can_be_copied =
        |it: &Reading| Some(&it.unit) == unit.as_ref() && !readings.iter().any(|other| it.is_outranked_by(other));
    let changes = changes_of_reading(journal, &before)?;
    let current = Value { value: before.value(name), origin: before.origin(name), since: Timestamp::MIN };
    let is_origin = current.origin.entry() == Some(entry);
    if let Some(new) = new.filter(|new| can_be_copied(new)) {
        let is_copied = is_origin || !current.outranks(new, &changes);
        return if is_copied { write(journal, &before, Value::of(new)) } else { Ok(()) };
    }
    if !is_origin {
        return Ok(());
    }
    let previous = previous(&current.origin, &changes, &readings);
    // Another entry may have been outranked until now.
    let is_open = previous.value.is_none() || previous.origin.entry().is_some();
    let is_newer = |it: &&Reading| it.updated_at > previous.since && !previous.outranks(it, &changes);
    let outranked = readings.iter().filter(|it| can_be_copied(it) && (is_open || is_newer(it)));
    let best = outranked.max_by_key(|it| (it.date, it.reading)).map(Value::of);
    write(journal, &before, best.unwrap_or(previous))
}

/// A value of the vehicle's reading.
struct Value {
    value: Option<FieldValue>,
    origin: Origin,
    /// When another value replaced it.
    since: Timestamp,
}

impl Value {
    fn of(reading: &Reading) -> Value {
        Value { value: Some(FieldValue::Integer(reading.reading)), origin: reading.origin(), since: Timestamp::MAX }
    }

    /// Whether this is a typed value and the reading is both older and lower.
    fn outranks(&self, reading: &Reading, changes: &[(HistoryEntry, FieldChange)]) -> bool {
        let Some(FieldValue::Integer(typed)) = self.value else { return false };
        let sets_it = |change: &FieldChange| change.new == self.value && change.origin == self.origin;
        let typed_at = changes.iter().find(|(_, change)| sets_it(change)).map(|(entry, _)| entry.at);
        let is_older = typed_at.is_some_and(|at| reading.date < at.to_zoned(TimeZone::UTC).date());
        self.origin.entry().is_none() && is_older && reading.reading < typed
    }
}

/// Finds the value before the entry of `origin`, and before all further entries that have another reading since.
fn previous(origin: &Origin, changes: &[(HistoryEntry, FieldChange)], readings: &[Reading]) -> Value {
    let stands = |value: &Value| {
        let is_of = |it: &Reading| value.origin.entry() == Some(it.entry);
        readings.iter().any(|it| is_of(it) && value.value == Some(FieldValue::Integer(it.reading)))
    };
    let mut found = Value { value: None, origin: origin.clone(), since: Timestamp::MIN };
    for (entry, FieldChange { old, origin, old_origin, .. }) in changes {
        // A change that undid another one only restored a value.
        let is_first_of_entry =
            entry.undoes.is_none() && origin.entry() == found.origin.entry() && old_origin.entry() != origin.entry();
        if is_first_of_entry {
            found = Value { value: old.clone(), origin: old_origin.clone(), since: entry.at };
            if found.origin.entry().is_none() || stands(&found) {
                return found;
            }
        }
    }
    // The history does not go back that far.
    Value { value: None, origin: Origin::Typed, since: Timestamp::MIN }
}

/// The changes of a vehicle's reading, newest first, without those of records merged into it.
fn changes_of_reading(
    journal: &Journal<'_>,
    vehicle: &Record,
) -> Result<Vec<(HistoryEntry, FieldChange)>, GarageError> {
    let history = history::of_record(journal.reader(), vehicle.id)?.into_iter();
    let changes = history.filter(|entry| entry.moved_from.is_none()).filter_map(|entry| {
        let change = entry.fields.iter().find(|change| change.field == vehicle::ODOMETER_READING.name)?.clone();
        Some((entry, change))
    });
    Ok(changes.collect())
}

fn write(journal: &mut Journal<'_>, before: &Record, reading: Value) -> Result<(), GarageError> {
    let mut after = before.clone();
    after.set(&vehicle::ODOMETER_READING, reading.value);
    after.set_origin(vehicle::ODOMETER_READING.name, reading.origin);
    journal.local(Some(before), after, ChangeKind::Edited, None)?;
    Ok(())
}
