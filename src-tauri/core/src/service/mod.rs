//! The operations on service entries.

use garage_domain::{
    ChangeId, ChangeKind, FieldAccess, HistoryEntry, Patch, Record, SERVICE_ENTRIES, ServiceEntry, ServiceEntryDraft,
    ServiceEntryId, VEHICLES, VehicleId, service_entry, vehicle,
};
use serde::Serialize;

use crate::{
    Garage, GarageError, records,
    store::{journal::Journal, records as table},
};

/// The service entries of a vehicle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct ServiceLog {
    /// Those that are not removed, the latest date first.
    pub entries: Vec<ServiceEntry>,
    /// How many of them came after the vehicle was removed, from another device; 0 for a vehicle that is not removed.
    pub added_after_removal: u32,
}

impl Garage {
    /// Adds a service entry to a vehicle. A reading without a unit is in the vehicle's, and becomes the vehicle's
    /// reading if no entry of a later date has one.
    ///
    /// # Errors
    /// [`GarageError::Invalid`] if the draft breaks rules; [`GarageError::NotFound`] if there is no such vehicle, or it
    /// is removed.
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

    /// Changes the fields that the draft names.
    ///
    /// # Errors
    /// [`GarageError::Invalid`] if the draft, or the entry after it, breaks rules; [`GarageError::NotFound`] if there is
    /// no such entry or its vehicle is not there, or one of them is removed.
    pub async fn edit_service_entry(
        &self,
        id: ServiceEntryId,
        draft: &ServiceEntryDraft,
    ) -> Result<ServiceEntry, GarageError> {
        let stamp = self.stamp();
        let patch = Patch::parse(&SERVICE_ENTRIES, &draft.0, stamp.now)?;
        self.write(stamp, move |journal| {
            let before = records::live(journal, &SERVICE_ENTRIES, id)?;
            let after = patched(journal, Some(&before), before.clone(), &patch)?;
            Ok(records::store(journal, Some(&before), after, ChangeKind::Edited, None)?.into())
        })
        .await
    }

    /// Removes a service entry; it can be restored. If the vehicle's reading comes from it, that is taken back.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is no such entry, or it is removed already.
    pub async fn remove_service_entry(&self, id: ServiceEntryId) -> Result<ServiceEntry, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::remove(journal, &SERVICE_ENTRIES, id)?.into())).await
    }

    /// Brings a removed service entry back.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is no such entry, or its vehicle is removed.
    pub async fn restore_service_entry(&self, id: ServiceEntryId) -> Result<ServiceEntry, GarageError> {
        self.write(self.stamp(), move |journal| {
            let entry = journal.record(&SERVICE_ENTRIES, id)?.ok_or(GarageError::NotFound(SERVICE_ENTRIES.noun))?;
            vehicle_of(journal, &entry)?;
            Ok(records::restore(journal, &SERVICE_ENTRIES, id)?.into())
        })
        .await
    }

    /// One service entry; a removed one has the time of it in `deleted_at`.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never one of this id.
    pub async fn service_entry(&self, id: ServiceEntryId) -> Result<ServiceEntry, GarageError> {
        Ok(self.record_or_removed(&SERVICE_ENTRIES, id).await?.into())
    }

    /// The service entries of a vehicle, the latest date first; of a removed vehicle, too.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a vehicle of this id.
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

    /// Everything that happened to a service entry, newest first; of a removed one as well.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never one of this id.
    pub async fn service_history(&self, id: ServiceEntryId) -> Result<Vec<HistoryEntry>, GarageError> {
        self.history_of(&SERVICE_ENTRIES, id).await
    }

    /// Takes a change of a service entry back, as a change of its own; see [`Garage::undo`].
    ///
    /// # Errors
    /// As [`Garage::undo`].
    pub async fn undo_service_change(&self, id: ChangeId) -> Result<ServiceEntry, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::undo(journal, &SERVICE_ENTRIES, id)?.into())).await
    }
}

/// The entry's vehicle.
///
/// # Errors
/// [`GarageError::NotFound`] if it is not there, or removed: no entry is added to a removed vehicle.
fn vehicle_of(journal: &Journal<'_>, entry: &Record) -> Result<Record, GarageError> {
    let vehicle = entry.reference(&service_entry::VEHICLE_ID).ok_or(GarageError::NotFound(VEHICLES.noun))?;
    records::live(journal, &VEHICLES, vehicle)
}

/// The entry after a patch, checked as a whole; a reading without a unit gets the vehicle's.
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
