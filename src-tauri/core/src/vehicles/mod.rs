//! The operations on vehicles. Each write is one transaction and returns what was stored.

mod find;
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
    /// Adds a vehicle; its VIN fills the fields that the draft leaves empty.
    ///
    /// # Errors
    /// [`GarageError::Invalid`] if the draft breaks rules; [`GarageError::DuplicateVin`] if a vehicle of the garage has
    /// its VIN.
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

    /// One vehicle.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is none of this id, or it is removed.
    pub async fn vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        Ok(self.live_record(&VEHICLES, id).await?.into())
    }

    /// One vehicle; a removed one has the time of it in `deleted_at`.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never one of this id.
    pub async fn vehicle_or_removed(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        Ok(self.record_or_removed(&VEHICLES, id).await?.into())
    }

    /// Changes the fields that the draft names. A new VIN fills the fields that are empty after the change, and those
    /// that the old VIN had filled.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is no such vehicle, or it is removed; [`GarageError::Invalid`] if the draft, or
    /// the vehicle after it, breaks rules; [`GarageError::DuplicateVin`] if another vehicle has the new VIN.
    pub async fn edit_vehicle(&self, id: VehicleId, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let stamp = self.stamp();
        let now = stamp.now;
        let patch = Patch::parse(&VEHICLES, &draft.0, now)?;
        // Before the transaction: decoding may open the snapshot, which takes too long to hold up other writers.
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
            // What a person gives is theirs, also where decoding has said the same.
            for field in patch.fields() {
                after.origins.remove(field.name);
            }
            // A short one, from before 1981, says nothing that could fill a field, but it is another all the same.
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

    /// Removes a vehicle from the garage. It keeps everything, its service entries too, and can be restored.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is none of this id, or it is removed already.
    pub async fn remove_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::remove(journal, &VEHICLES, id)?.into())).await
    }

    /// Brings a removed vehicle back as it was. One that is not removed stays as it is.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is none of this id; [`GarageError::DuplicateVin`] if its VIN has been added
    /// again.
    pub async fn restore_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::restore(journal, &VEHICLES, id)?.into())).await
    }

    /// Everything that happened to a vehicle, newest first; of a removed one as well.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there was never a vehicle of this id.
    pub async fn history(&self, id: VehicleId) -> Result<Vec<HistoryEntry>, GarageError> {
        self.history_of(&VEHICLES, id).await
    }

    /// Takes a change of a vehicle back, as a change of its own. Fields get their old values with their old origins;
    /// what was added is removed, what was removed is restored.
    ///
    /// # Errors
    /// [`GarageError::NoSuchChange`]; [`GarageError::ChangedSince`] if a field has another value by now, or the vehicle
    /// has been removed or restored since, or, for an addition, anything else has happened to it;
    /// [`GarageError::Removed`] if the vehicle is removed; [`GarageError::CannotUndo`] for a kind of change that this
    /// version does not know; [`GarageError::Invalid`] and [`GarageError::DuplicateVin`] as for an edit.
    pub async fn undo(&self, id: ChangeId) -> Result<Vehicle, GarageError> {
        self.write(self.stamp(), move |journal| Ok(records::undo(journal, &VEHICLES, id)?.into())).await
    }
}
