//! Copies a service entry's odometer reading to its vehicle, and reverts it with the entry.

use garage_domain::{
    ChangeKind, FieldAccess, FieldValue, Origin, Record, RecordId, SERVICE_ENTRIES, VEHICLES, service_entry, vehicle,
};
use jiff::civil::Date;

use crate::{
    GarageError,
    store::{history, journal::Journal, records},
};

/// The odometer reading of a live service entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    entry: RecordId,
    vehicle: RecordId,
    date: Date,
    unit: FieldValue,
    reading: i64,
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
        Some(Reading { entry: entry.id, vehicle, date: date.parse().ok()?, unit, reading })
    }

    /// The sort key: the latest date wins, then the greatest reading.
    fn rank(&self) -> (Date, i64) {
        (self.date, self.reading)
    }

    fn origin(&self) -> Origin {
        Origin::Entry { entry: self.entry, date: self.date }
    }
}

/// Updates the vehicle's reading after a change of an entry, in the same transaction.
pub(crate) fn follow(journal: &mut Journal<'_>, before: Option<&Record>, after: &Record) -> Result<(), GarageError> {
    let (old, new) = (before.and_then(Reading::of), Reading::of(after));
    if old == new {
        return Ok(());
    }
    if let Some(old) = &old {
        take_back(journal, old, new.as_ref())?;
    }
    if let Some(new) = &new {
        set(journal, new)?;
    }
    Ok(())
}

fn live_vehicle(journal: &Journal<'_>, id: RecordId) -> Result<Option<Record>, GarageError> {
    Ok(journal.record(&VEHICLES, id)?.filter(|vehicle| !vehicle.is_removed()))
}

/// Returns the readings of a vehicle's live entries that are in the vehicle's unit.
fn readings(journal: &Journal<'_>, of: &Record) -> Result<Vec<Reading>, GarageError> {
    let entries = records::referring(journal.reader(), &SERVICE_ENTRIES, &service_entry::VEHICLE_ID, of.id)?;
    let unit = of.get(&vehicle::ODOMETER_UNIT);
    Ok(entries.iter().filter_map(Reading::of).filter(|reading| Some(&reading.unit) == unit.as_ref()).collect())
}

/// Copies the entry's reading to the vehicle if the units are equal and no other entry ranks higher.
fn set(journal: &mut Journal<'_>, new: &Reading) -> Result<(), GarageError> {
    let Some(before) = live_vehicle(journal, new.vehicle)? else { return Ok(()) };
    if before.get(&vehicle::ODOMETER_UNIT).as_ref() != Some(&new.unit) {
        return Ok(());
    }
    let others = readings(journal, &before)?;
    if others.iter().any(|other| other.entry != new.entry && other.rank() > new.rank()) {
        return Ok(());
    }
    write(journal, &before, Some(FieldValue::Integer(new.reading)), new.origin())
}

/// If the entry is the origin of the vehicle's reading, reverts the reading to its value before.
fn take_back(journal: &mut Journal<'_>, old: &Reading, new: Option<&Reading>) -> Result<(), GarageError> {
    let Some(before) = live_vehicle(journal, old.vehicle)? else { return Ok(()) };
    let name = vehicle::ODOMETER_READING.name;
    let is_origin = matches!(before.origin(name), Origin::Entry { entry, .. } if entry == old.entry);
    // If the entry stays with the vehicle, `set` overwrites the reading.
    let stays = new.is_some_and(|new| new.vehicle == old.vehicle && new.unit == old.unit && new.date >= old.date);
    if !is_origin || stays {
        return Ok(());
    }
    let known: Vec<Reading> = readings(journal, &before)?.into_iter().filter(|it| it.entry != old.entry).collect();
    let (mut value, mut origin) = (None, Origin::Typed);
    for change in history::of_record(journal.reader(), before.id)?.into_iter().flat_map(|entry| entry.fields) {
        if change.field != name {
            continue;
        }
        (value, origin) = (change.old, change.old_origin);
        match &origin {
            // Another entry's value is valid only while that entry still has it.
            Origin::Entry { entry, .. } => {
                let stands = |it: &Reading| it.entry == *entry && value == Some(FieldValue::Integer(it.reading));
                if known.iter().any(stands) {
                    break;
                }
                (value, origin) = (None, Origin::Typed);
            }
            _ => break,
        }
    }
    // Use the highest-ranked entry, which a later one may have outranked until now.
    let is_open = value.is_none() || matches!(origin, Origin::Entry { .. });
    if let Some(best) = known.iter().max_by_key(|reading| reading.rank()).filter(|_| is_open) {
        (value, origin) = (Some(FieldValue::Integer(best.reading)), best.origin());
    }
    write(journal, &before, value, origin)
}

fn write(
    journal: &mut Journal<'_>,
    before: &Record,
    value: Option<FieldValue>,
    origin: Origin,
) -> Result<(), GarageError> {
    let mut after = before.clone();
    after.set(&vehicle::ODOMETER_READING, value);
    after.set_origin(vehicle::ODOMETER_READING.name, origin);
    journal.local(Some(before), after, ChangeKind::Edited, None)?;
    Ok(())
}
