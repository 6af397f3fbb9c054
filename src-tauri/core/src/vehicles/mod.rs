//! The operations on vehicles. Each write is one transaction, and its result is what was stored.

pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod offers;
pub(crate) mod transfer;
mod write;

use std::collections::BTreeMap;

use garage_domain::{Field, Vehicle, VehicleDraft, VehicleFields, VehicleId, VehiclePatch};

use self::{
    history::ChangeKind,
    write::{Recorded, Write, live_vehicle, refuse_duplicate_vin},
};
use crate::{
    Garage, GarageError,
    decode::{empty_decoded, fill_empty, known_year},
    store::vehicles as table,
};

impl Garage {
    /// Adds a vehicle; its VIN fills the fields that the draft leaves empty.
    ///
    /// # Errors
    /// The draft breaks rules, or a vehicle of the garage has its VIN.
    pub async fn add_vehicle(&self, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        let fields = VehiclePatch::parse(draft, now)?.apply(VehicleFields::default())?;
        let decoded = self.decode_new_vin(&fields, fields.year).await;
        let mut vehicle = Vehicle {
            id: VehicleId(self.environment.new_uuid()),
            fields,
            origins: BTreeMap::new(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        fill_empty(&mut vehicle, decoded, now);
        self.write_vehicle(move |transaction| {
            refuse_duplicate_vin(transaction, vehicle.fields.vin.as_ref(), vehicle.id)?;
            Ok(changed(None, vehicle, ChangeKind::Added))
        })
        .await
    }

    /// One vehicle.
    ///
    /// # Errors
    /// There is none of this id, or it has been removed.
    pub async fn vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.database.read(move |transaction| live_vehicle(transaction, id)).await
    }

    /// One vehicle, also where it has been removed: its history and what it was are there to see, and to restore.
    ///
    /// # Errors
    /// There was never one of this id.
    pub async fn vehicle_or_removed(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.database.read(move |transaction| table::by_id(transaction, id)?.ok_or(GarageError::NotFound)).await
    }

    /// Changes the fields that the draft names. A new VIN fills the fields that are empty after the change, and those
    /// that the old VIN had filled.
    ///
    /// # Errors
    /// The vehicle is gone, the draft or the vehicle after the change breaks rules, or another has the VIN.
    pub async fn edit_vehicle(&self, id: VehicleId, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        let patch = VehiclePatch::parse(draft, now)?;
        // Before the transaction: decoding may open the snapshot, which takes too long to hold up other writers.
        let decoded = if patch.names(Field::Vin) {
            let vehicle = self.vehicle(id).await?;
            let known = known_year(&vehicle);
            let fields = patch.apply(vehicle.fields)?;
            let known = if patch.names(Field::Year) { fields.year } else { known };
            self.decode_new_vin(&fields, known).await
        } else {
            None
        };
        self.write_vehicle(move |transaction| {
            let before = live_vehicle(transaction, id)?;
            let mut after = before.clone();
            after.fields = patch.apply(before.fields.clone())?;
            // What a person gives is theirs, also where decoding has said the same.
            for field in patch.fields() {
                after.origins.remove(&field);
            }
            // A short one, from before 1981, says nothing that could fill a field, but it is another all the same.
            let is_short = after.fields.vin.as_ref().is_some_and(|vin| !vin.is_full());
            if after.fields.vin != before.fields.vin && (decoded.is_some() || is_short) {
                empty_decoded(&mut after);
                fill_empty(&mut after, decoded, now);
            }
            if after.fields == before.fields && after.origins == before.origins {
                return Ok(Write::Unchanged(Box::new(before)));
            }
            refuse_duplicate_vin(transaction, after.fields.vin.as_ref(), id)?;
            Ok(changed(Some(before), after, ChangeKind::Edited))
        })
        .await
    }

    /// Removes a vehicle from the garage. It keeps everything and can be restored.
    ///
    /// # Errors
    /// There is none of this id, or it has been removed already.
    pub async fn remove_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.write_vehicle(move |transaction| {
            let vehicle = live_vehicle(transaction, id)?;
            Ok(changed(Some(vehicle.clone()), vehicle, ChangeKind::Removed))
        })
        .await
    }

    /// Brings a removed vehicle back as it was. One that is not removed stays as it is.
    ///
    /// # Errors
    /// There is none of this id, or its VIN has been added again meanwhile.
    pub async fn restore_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.write_vehicle(move |transaction| {
            let vehicle = table::by_id(transaction, id)?.ok_or(GarageError::NotFound)?;
            if vehicle.deleted_at.is_none() {
                return Ok(Write::Unchanged(Box::new(vehicle)));
            }
            refuse_duplicate_vin(transaction, vehicle.fields.vin.as_ref(), id)?;
            Ok(changed(Some(vehicle.clone()), vehicle, ChangeKind::Restored))
        })
        .await
    }
}

fn changed(before: Option<Vehicle>, after: Vehicle, kind: ChangeKind) -> Write {
    Write::Changed(Box::new(Recorded { before, after, kind, undoes: None }))
}
