//! The one way by which vehicles are written: the row and its history in one transaction, then the listener.

use garage_domain::{Field, Origin, Vehicle, VehicleId, Vin};
use rusqlite::Transaction;

use super::history::{ChangeId, ChangeKind, FieldChange, HistoryEntry};
use crate::{
    Garage, GarageError,
    store::{history as history_table, vehicles as vehicles_table},
};

/// What a write wants to be stored.
pub(super) enum Write {
    /// The vehicle is another; its time of change is set when it is stored.
    Changed(Box<Recorded>),
    /// There is nothing to store.
    Unchanged(Box<Vehicle>),
}

/// A vehicle before and after, and what history says about it.
pub(super) struct Recorded {
    /// None where the vehicle is new.
    pub before: Option<Vehicle>,
    pub after: Vehicle,
    pub kind: ChangeKind,
    pub undoes: Option<ChangeId>,
}

impl Garage {
    /// Runs `work` in a write transaction, stores what it wants with its history, and, once that is on disk, tells the
    /// listener.
    pub(super) async fn write_vehicle(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<Write, GarageError> + Send + 'static,
    ) -> Result<Vehicle, GarageError> {
        let (now, id) = (self.environment.now(), ChangeId(self.environment.new_uuid()));
        let program = self.program;
        let written = self.database.write(move |transaction| match work(transaction)? {
            Write::Unchanged(vehicle) => Ok((*vehicle, false)),
            Write::Changed(recorded) => {
                let Recorded { before, mut after, kind, undoes } = *recorded;
                after.updated_at = now;
                after.deleted_at = (kind == ChangeKind::Removed).then_some(now);
                after.origins.retain(|field, origin| after.fields.get(*field).is_some() && *origin != Origin::Typed);
                match before {
                    Some(_) => vehicles_table::update(transaction, &after)?,
                    None => vehicles_table::insert(transaction, &after)?,
                }
                let entry = HistoryEntry {
                    id,
                    vehicle_id: after.id,
                    kind,
                    fields: field_changes(before.as_ref(), &after),
                    undoes,
                    at: now,
                    device_id: history_table::device_id(transaction)?,
                    program: program.name().to_owned(),
                };
                history_table::insert(transaction, &entry)?;
                Ok::<_, GarageError>((after, true))
            }
        });
        let (vehicle, is_changed) = written.await?;
        if is_changed {
            self.back_up_on_first_write();
            self.on_change.vehicle_changed(vehicle.id);
        }
        Ok(vehicle)
    }
}

pub(super) fn field_changes(before: Option<&Vehicle>, after: &Vehicle) -> Vec<FieldChange> {
    let nothing = garage_domain::VehicleFields::default();
    let fields_before = before.map_or(&nothing, |vehicle| &vehicle.fields);
    let origin = |vehicle: Option<&Vehicle>, field: Field| {
        vehicle.and_then(|vehicle| vehicle.origins.get(&field)).cloned().unwrap_or_default()
    };
    // Also where a value stays and only becomes another's, as when a person types what was decoded.
    let is_changed = |field: &Field| {
        fields_before.get(*field) != after.fields.get(*field) || origin(before, *field) != origin(Some(after), *field)
    };
    Field::ALL
        .into_iter()
        .filter(is_changed)
        .map(|field| FieldChange {
            field,
            old: fields_before.get(field),
            new: after.fields.get(field),
            origin: origin(Some(after), field),
            old_origin: origin(before, field),
        })
        .collect()
}

/// The vehicle of this id, unless it is removed.
pub(super) fn live_vehicle(transaction: &Transaction<'_>, id: VehicleId) -> Result<Vehicle, GarageError> {
    vehicles_table::by_id(transaction, id)?.filter(|vehicle| vehicle.deleted_at.is_none()).ok_or(GarageError::NotFound)
}

/// One VIN is one vehicle. The table cannot say so itself, since vehicles that a server sends are never refused.
pub(super) fn refuse_duplicate_vin(
    transaction: &Transaction<'_>,
    vin: Option<&Vin>,
    id: VehicleId,
) -> Result<(), GarageError> {
    let Some(vin) = vin else { return Ok(()) };
    match vehicles_table::live_id_by_vin(transaction, vin)? {
        Some(other) if other != id => Err(GarageError::DuplicateVin),
        _ => Ok(()),
    }
}
