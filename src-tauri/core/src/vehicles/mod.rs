//! The operations on vehicles. Each write is one transaction, and its result is what was stored.

use garage_domain::{Vehicle, VehicleDraft, VehicleFields, VehicleId, VehiclePatch, Vin};

use rusqlite::Transaction;

use crate::{Garage, GarageError, decode::fill_empty, store::vehicles as table};

impl Garage {
    /// Adds a vehicle; its VIN fills the fields that the draft leaves empty.
    ///
    /// # Errors
    /// The draft breaks rules, or a vehicle of the garage has its VIN.
    pub async fn add_vehicle(&self, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        let mut fields = VehiclePatch::parse(draft, now)?.apply(VehicleFields::default())?;
        let decoded = self.decode_new_vin(&fields).await;
        fill_empty(&mut fields, decoded);
        let vehicle = Vehicle {
            id: self.environment.new_vehicle_id(),
            fields,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        self.write_vehicle(move |transaction| {
            refuse_duplicate_vin(transaction, vehicle.fields.vin.as_ref(), vehicle.id)?;
            table::insert(transaction, &vehicle)?;
            Ok(Write::Changed(vehicle))
        })
        .await
    }

    /// The vehicles of the garage, newest first, without those removed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn vehicles(&self) -> Result<Vec<Vehicle>, GarageError> {
        self.database.read(|transaction| Ok(table::live(transaction)?)).await
    }

    /// One vehicle.
    ///
    /// # Errors
    /// There is none of this id, or it has been removed.
    pub async fn vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        self.database.read(move |transaction| live_vehicle(transaction, id)).await
    }

    /// Changes the fields that the draft names. A new VIN fills the fields that are empty after the change.
    ///
    /// # Errors
    /// The vehicle is gone, the draft or the vehicle after the change breaks rules, or another has the VIN.
    pub async fn edit_vehicle(&self, id: VehicleId, draft: &VehicleDraft) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        let patch = VehiclePatch::parse(draft, now)?;
        // Before the transaction: decoding may open the snapshot, which takes too long to hold up other writers.
        let decoded = self.decode_new_vin(&patch.apply(self.vehicle(id).await?.fields)?).await;
        self.write_vehicle(move |transaction| {
            let mut vehicle = live_vehicle(transaction, id)?;
            let mut fields = patch.apply(vehicle.fields.clone())?;
            if fields.vin != vehicle.fields.vin {
                fill_empty(&mut fields, decoded);
            }
            if fields == vehicle.fields {
                return Ok(Write::Unchanged(vehicle));
            }
            refuse_duplicate_vin(transaction, fields.vin.as_ref(), id)?;
            vehicle.fields = fields;
            vehicle.updated_at = now;
            table::update(transaction, &vehicle)?;
            Ok(Write::Changed(vehicle))
        })
        .await
    }

    /// Removes a vehicle from the garage. It keeps everything and can be restored.
    ///
    /// # Errors
    /// There is none of this id, or it has been removed already.
    pub async fn remove_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        self.write_vehicle(move |transaction| {
            let mut vehicle = live_vehicle(transaction, id)?;
            vehicle.deleted_at = Some(now);
            vehicle.updated_at = now;
            table::update(transaction, &vehicle)?;
            Ok(Write::Changed(vehicle))
        })
        .await
    }

    /// Brings a removed vehicle back as it was. One that is not removed stays as it is.
    ///
    /// # Errors
    /// There is none of this id, or its VIN has been added again meanwhile.
    pub async fn restore_vehicle(&self, id: VehicleId) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        self.write_vehicle(move |transaction| {
            let mut vehicle = table::by_id(transaction, id)?.ok_or(GarageError::NotFound)?;
            if vehicle.deleted_at.is_none() {
                return Ok(Write::Unchanged(vehicle));
            }
            refuse_duplicate_vin(transaction, vehicle.fields.vin.as_ref(), id)?;
            vehicle.deleted_at = None;
            vehicle.updated_at = now;
            table::update(transaction, &vehicle)?;
            Ok(Write::Changed(vehicle))
        })
        .await
    }

    /// Runs `work` in a write transaction and, once that is on disk, tells the listener.
    async fn write_vehicle(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<Write, GarageError> + Send + 'static,
    ) -> Result<Vehicle, GarageError> {
        match self.database.write(work).await? {
            Write::Changed(vehicle) => {
                self.on_change.vehicle_changed(vehicle.id);
                Ok(vehicle)
            }
            Write::Unchanged(vehicle) => Ok(vehicle),
        }
    }
}

/// The vehicle as a write left it.
enum Write {
    Changed(Vehicle),
    Unchanged(Vehicle),
}

fn live_vehicle(transaction: &Transaction<'_>, id: VehicleId) -> Result<Vehicle, GarageError> {
    table::by_id(transaction, id)?.filter(|vehicle| vehicle.deleted_at.is_none()).ok_or(GarageError::NotFound)
}

/// One VIN is one vehicle. The table cannot say so itself, since vehicles that a server sends are never refused.
fn refuse_duplicate_vin(transaction: &Transaction<'_>, vin: Option<&Vin>, id: VehicleId) -> Result<(), GarageError> {
    let Some(vin) = vin else { return Ok(()) };
    match table::live_id_by_vin(transaction, vin)? {
        Some(other) if other != id => Err(GarageError::DuplicateVin),
        _ => Ok(()),
    }
}
