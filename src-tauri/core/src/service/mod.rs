//! Operations on service entries.

use garage_domain::{
    ChangeId, ChangeKind, FieldAccess, HistoryEntry, Patch, Record, SERVICE_ENTRIES, ServiceEntry, ServiceEntryDraft,
    ServiceEntryId, VEHICLES, VehicleId, service_entry, vehicle,
};
use serde::Serialize;

use crate::{
    Garage, GarageError, records,
    store::{history, journal::Journal, records as table},
};

/// The service entries of a vehicle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct ServiceLog {
    /// The entries that are not removed, latest date first.
    pub entries: Vec<ServiceEntry>,
    /// How many entries were created after the vehicle was removed, by another device; 0 unless the vehicle is removed.
    pub added_after_removal: u32,
}

impl Garage {
    /// Adds a service entry to a vehicle. A reading without a unit gets the vehicle's unit. If no entry with a later
    /// date has a reading, it becomes the vehicle's reading.
    ///
    /// # Errors
    /// [`GarageError::Invalid`] if the draft breaks rules; [`GarageError::NotFound`] if the vehicle does not exist, and
    /// [`GarageError::Removed`] if it is removed.
    pub async fn add_service_entry(&self, draft: &ServiceEntryDraft) -> Result<ServiceEntry, GarageError> {
        let stamp = self.stamp();
        let patch = Patch::parse(&SERVICE_ENTRIES, &draft.0, stamp.now)?;
        self.write(stamp, move |journal| {
            let new = Record::new(&SERVICE_ENTRIES, journal.new_id(), journal.now());
            let entry = patched(journal, None, new, &patch)?;
            Ok(records::store(journal, None, entry, ChangeKind::Added, None)?.into())
        })
        .await
    }

    /// Sets the fields that the draft names.
    ///
    /// # Errors
    /// [`GarageError::Invalid`] if the draft or the resulting entry breaks rules; [`GarageError::NotFound`] if the
    /// entry does not exist or is removed, or its vehicle does not exist; [`GarageError::Removed`] if its vehicle is
    /// removed.
    pub async fn edit_service_entry(
        &self,
        id: ServiceEntryId,
        draft: &ServiceEntryDraft,
    ) -> Result<ServiceEntry, GarageError> {
        let stamp = self.stamp();
        let patch = Patch::parse(&SERVICE_ENTRIES, &draft.0, stamp.now)?;
        self.write(stamp, move |journal| {
            let before = records::live(journal, &SERVICE_ENTRIES, id)?;
            refuse_of_removed_vehicle(journal, &before)?;
            let after = patched(journal, Some(&before), before.clone(), &patch)?;
            Ok(records::store(journal, Some(&before), after, ChangeKind::Edited, None)?.into())
        })
        .await
    }

    /// Removes a service entry, which can be restored. If the vehicle's reading comes from it, the reading is reverted.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the entry does not exist or is already removed; [`GarageError::Removed`] if its
    /// vehicle is removed.
    pub async fn remove_service_entry(&self, id: ServiceEntryId) -> Result<ServiceEntry, GarageError> {
        self.write(self.stamp(), move |journal| {
            refuse_of_removed_vehicle(journal, &records::live(journal, &SERVICE_ENTRIES, id)?)?;
            Ok(records::remove(journal, &SERVICE_ENTRIES, id)?.into())
        })
        .await
    }

    /// Restores a removed service entry.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the entry or its vehicle does not exist; [`GarageError::Removed`] if its vehicle is
    /// removed.
    pub async fn restore_service_entry(&self, id: ServiceEntryId) -> Result<ServiceEntry, GarageError> {
        self.write(self.stamp(), move |journal| {
            let entry = journal.record(&SERVICE_ENTRIES, id)?.ok_or(GarageError::NotFound(SERVICE_ENTRIES.noun))?;
            vehicle_of(journal, &entry)?;
            Ok(records::restore(journal, &SERVICE_ENTRIES, id)?.into())
        })
        .await
    }

    /// Returns a service entry, removed or not. A removed entry has `deleted_at`.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never an entry with this id.
    pub async fn service_entry(&self, id: ServiceEntryId) -> Result<ServiceEntry, GarageError> {
        Ok(self.record_or_removed(&SERVICE_ENTRIES, id).await?.into())
    }

    /// Lists the service entries of a vehicle, removed or not, latest date first.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a vehicle with this id.
    pub async fn service_log(&self, vehicle: VehicleId) -> Result<ServiceLog, GarageError> {
        self.database
            .read(move |transaction| {
                let vehicle = table::by_id(transaction, &VEHICLES, vehicle)?;
                let vehicle = vehicle.ok_or(GarageError::NotFound(VEHICLES.noun))?;
                let field = &service_entry::VEHICLE_ID;
                let entries = table::referring(transaction, &SERVICE_ENTRIES, field, vehicle.id)?.into_iter();
                let mut entries: Vec<ServiceEntry> =
                    entries.filter(|entry| !entry.is_removed()).map(ServiceEntry::from).collect();
                entries.sort_by(|a, b| (&b.fields.date, b.created_at, b.id).cmp(&(&a.fields.date, a.created_at, a.id)));
                let is_later = |entry: &&ServiceEntry| vehicle.deleted_at.is_some_and(|at| entry.created_at > at);
                let added_after_removal = entries.iter().filter(is_later).count();
                Ok(ServiceLog { added_after_removal: u32::try_from(added_after_removal).unwrap_or(u32::MAX), entries })
            })
            .await
    }

    /// Lists all changes of a service entry, removed or not, newest first.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never an entry with this id.
    pub async fn service_history(&self, id: ServiceEntryId) -> Result<Vec<HistoryEntry>, GarageError> {
        self.history_of(&SERVICE_ENTRIES, id).await
    }

    /// Undoes a change of a service entry by a new change; see [`Garage::undo`].
    ///
    /// # Errors
    /// Same as [`Garage::undo`]; [`GarageError::Removed`] if the entry's vehicle is removed.
    pub async fn undo_service_change(&self, id: ChangeId) -> Result<ServiceEntry, GarageError> {
        self.write(self.stamp(), move |journal| {
            if let Some(change) = history::by_id(journal.reader(), id)? {
                let entry = journal.record(&SERVICE_ENTRIES, change.record_id)?;
                entry.map_or(Ok(()), |entry| refuse_of_removed_vehicle(journal, &entry))?;
            }
            let undone = records::undo(journal, &SERVICE_ENTRIES, id)?;
            // The undo may have put the entry back to the vehicle that it belonged to before.
            refuse_of_removed_vehicle(journal, &undone)?;
            Ok(undone.into())
        })
        .await
    }
}

/// Returns the entry's vehicle.
///
/// # Errors
/// [`GarageError::NotFound`] if it does not exist; [`GarageError::Removed`] if it is removed.
fn vehicle_of(journal: &Journal<'_>, entry: &Record) -> Result<Record, GarageError> {
    refuse_of_removed_vehicle(journal, entry)?;
    let id = entry.reference(&service_entry::VEHICLE_ID).ok_or(GarageError::NotFound(VEHICLES.noun))?;
    records::live(journal, &VEHICLES, id)
}

/// The entries of a removed vehicle stay as they are, so that restoring the vehicle brings them back.
///
/// # Errors
/// [`GarageError::Removed`] if the entry's vehicle is removed. An entry of a vehicle that is not there is accepted.
fn refuse_of_removed_vehicle(journal: &Journal<'_>, entry: &Record) -> Result<(), GarageError> {
    let vehicle = entry.reference(&service_entry::VEHICLE_ID).map(|id| journal.record(&VEHICLES, id)).transpose()?;
    match vehicle.flatten() {
        Some(vehicle) if vehicle.is_removed() => Err(GarageError::Removed(VEHICLES.noun)),
        _ => Ok(()),
    }
}

/// Applies a patch and checks the result. A reading without a unit gets the vehicle's unit.
fn patched(
    journal: &Journal<'_>,
    before: Option<&Record>,
    mut entry: Record,
    patch: &Patch,
) -> Result<Record, GarageError> {
    patch.set_on(&mut entry);
    let mut entry = records::checked(before, entry)?;
    let vehicle = vehicle_of(journal, &entry)?;
    let has_reading = entry.get(&service_entry::ODOMETER_READING).is_some();
    if let Some(unit) = vehicle.get(&vehicle::ODOMETER_UNIT).filter(|_| has_reading) {
        entry.fill(&service_entry::ODOMETER_UNIT, unit);
    }
    Ok(entry)
}
