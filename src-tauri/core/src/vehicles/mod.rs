//! Operations on vehicles. Each write is one transaction and returns the stored vehicle.

mod list;
pub(crate) mod offers;

use garage_domain::{
    ChangeId, ChangeKind, FieldAccess, HistoryEntry, Patch, Record, RecordId, VEHICLES, Vehicle, VehicleDraft,
    VehicleId, vehicle,
};

use crate::{
    Garage, GarageError,
    decode::{empty_decoded, fill_empty, known_year, vin_of, year_of},
    records,
};

impl Garage {
    /// Adds a vehicle. Decoding its VIN fills the fields that the draft leaves empty.
    ///
    /// # Errors
    /// [`GarageError::Invalid`] if the draft breaks rules; [`GarageError::DuplicateVin`] if another vehicle has its
    /// VIN.
    pub async fn add_vehicle(&self, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let stamp = self.stamp();
        let now = stamp.now;
        let patch = Patch::parse(&VEHICLES, &draft.0, now)?;
        let new = Record::new(&VEHICLES, RecordId((stamp.new_uuid)()), now);
        let mut vehicle = patch.apply(new)?;
        let decoded = self.decode_new_vin(vin_of(&vehicle), known_year(&vehicle)).await;
        fill_empty(&mut vehicle, decoded, now);
        self.write(stamp, move |journal| Ok(records::store(journal, None, vehicle, ChangeKind::Added, None)?.into()))
            .await
    }

    /// Returns a vehicle that is not removed.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the vehicle does not exist or is removed.
    pub async fn vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        Ok(self.live_record(&VEHICLES, id).await?.into())
    }

    /// Returns a vehicle, removed or not. A removed vehicle has `deleted_at`.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a vehicle with this id.
    pub async fn vehicle_or_removed(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        Ok(self.record_or_removed(&VEHICLES, id).await?.into())
    }

    /// Sets the fields that the draft names. Decoding a new VIN fills the fields that are empty after the edit, and
    /// replaces the values decoded from the old VIN.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the vehicle does not exist or is removed; [`GarageError::Invalid`] if the draft or
    /// the resulting vehicle breaks rules; [`GarageError::DuplicateVin`] if another vehicle has the new VIN.
    pub async fn edit_vehicle(&self, id: VehicleId, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let stamp = self.stamp();
        let now = stamp.now;
        let patch = Patch::parse(&VEHICLES, &draft.0, now)?;
        // Decode before the transaction: opening the snapshot takes too long to block other writers.
        let decoded = if patch.names(&vehicle::VIN) {
            let before = self.live_record(&VEHICLES, id).await?;
            let after = records::patched(&before, &patch)?;
            let known = if patch.names(&vehicle::YEAR) { year_of(&after) } else { known_year(&before) };
            self.decode_new_vin(vin_of(&after), known).await
        } else {
            None
        };
        self.write(stamp, move |journal| {
            let before = records::live(journal, &VEHICLES, id)?;
            let mut after = records::patched(&before, &patch)?;
            // A value from the draft counts as typed, even if it equals the decoded one.
            for field in patch.fields() {
                after.origins.remove(field.name);
            }
            // A short VIN, from before 1981, cannot be decoded, but the old VIN's values are out of date too.
            let is_short = vin_of(&after).is_some_and(|vin| !vin.is_full());
            let is_other = after.get(&vehicle::VIN) != before.get(&vehicle::VIN);
            if is_other && (decoded.is_some() || is_short) {
                empty_decoded(&mut after);
                fill_empty(&mut after, decoded, now);
            }
            Ok(records::store(journal, Some(&before), after, ChangeKind::Edited, None)?.into())
        })
        .await
    }

    /// Removes a vehicle. Its data and its service entries are kept, so that it can be restored.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the vehicle does not exist or is already removed.
    pub async fn remove_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::remove(journal, &VEHICLES, id)?.into())).await
    }

    /// Restores a removed vehicle. Does nothing to a vehicle that is not removed.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a vehicle with this id; [`GarageError::DuplicateVin`] if another
    /// vehicle has its VIN now.
    pub async fn restore_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::restore(journal, &VEHICLES, id)?.into())).await
    }

    /// Lists all changes of a vehicle, removed or not, newest first.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a vehicle with this id.
    pub async fn history(&self, id: VehicleId) -> Result<Vec<HistoryEntry>, GarageError> {
        self.history_of(&VEHICLES, id).await
    }

    /// Undoes a change of a vehicle by a new change. Fields get their old values and origins; an added vehicle is
    /// removed, a removed one restored.
    ///
    /// # Errors
    /// [`GarageError::NoSuchChange`]; [`GarageError::ChangedSince`] if a field has another value now, or the vehicle
    /// was removed or restored since; [`GarageError::ChangedSinceAdded`] if an addition has any later change;
    /// [`GarageError::Removed`] if the vehicle is removed; [`GarageError::CannotUndo`] for a merge, or a kind of change that this version does not
    /// know; [`GarageError::Invalid`] and [`GarageError::DuplicateVin`] as for an edit.
    pub async fn undo(&self, id: ChangeId) -> Result<Vehicle, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::undo(journal, &VEHICLES, id)?.into())).await
    }
}
