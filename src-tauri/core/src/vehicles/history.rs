//! What happened to a vehicle, and taking any of it back.

use garage_domain::{Field, FieldValue, Origin, Vehicle, VehicleId, VehiclePatch};
use jiff::Timestamp;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::write::{Recorded, Write, refuse_duplicate_vin};
use crate::{
    Garage, GarageError,
    store::{history as history_table, vehicles as vehicles_table},
};

/// The identity of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ChangeId(#[cfg_attr(feature = "specta", specta(type = String))] pub Uuid);

/// What a change did to the vehicle as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The vehicle came into the garage.
    Added,
    /// Fields changed.
    Edited,
    /// It was taken out.
    Removed,
    /// It was brought back.
    Restored,
}

impl ChangeKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Edited => "edited",
            ChangeKind::Removed => "removed",
            ChangeKind::Restored => "restored",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<ChangeKind> {
        let kinds = [ChangeKind::Added, ChangeKind::Edited, ChangeKind::Removed, ChangeKind::Restored];
        kinds.into_iter().find(|kind| kind.name() == name)
    }
}

/// One field of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The field.
    pub field: Field,
    /// Its value before, null where it was empty.
    pub old: Option<FieldValue>,
    /// Its value after.
    pub new: Option<FieldValue>,
    /// Who set the new value.
    pub origin: Origin,
    /// Who had set the old one, for undo to give it back to them.
    pub old_origin: Origin,
}

/// One change of a vehicle, as its history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The change.
    pub id: ChangeId,
    /// The vehicle.
    pub vehicle_id: VehicleId,
    /// What it did.
    pub kind: ChangeKind,
    /// The fields it changed, in the contract's order.
    pub fields: Vec<FieldChange>,
    /// The change that it took back.
    pub undoes: Option<ChangeId>,
    /// When.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub at: Timestamp,
    /// On which device.
    pub device_id: String,
    /// By which program there: `app` or `cli`.
    pub program: String,
}

impl Garage {
    /// Everything that happened to a vehicle, newest first; of a removed one as well.
    ///
    /// # Errors
    /// There is no vehicle of this id.
    pub async fn history(&self, id: VehicleId) -> Result<Vec<HistoryEntry>, GarageError> {
        self.database
            .read(move |transaction| {
                vehicles_table::by_id(transaction, id)?.ok_or(GarageError::NotFound)?;
                Ok(history_table::of_vehicle(transaction, id)?)
            })
            .await
    }

    /// Takes a change back, as a change of its own. What it added is removed, what it removed is restored, and fields
    /// get their old values with their old origins.
    ///
    /// # Errors
    /// There is no such change; a field it changed has another value by now, or the vehicle is gone or back already
    /// (the message names it); or the vehicle would have nothing left to be told by, or a VIN that another has.
    pub async fn undo(&self, id: ChangeId) -> Result<Vehicle, GarageError> {
        let now = self.environment.now();
        self.write_vehicle(move |transaction| {
            let change = history_table::by_id(transaction, id)?.ok_or(GarageError::NoSuchChange)?;
            let before = vehicles_table::by_id(transaction, change.vehicle_id)?.ok_or(GarageError::NotFound)?;
            let mut after = before.clone();
            let is_removed = before.deleted_at.is_some();
            let kind = match change.kind {
                ChangeKind::Restored | ChangeKind::Added if is_removed => return Err(GarageError::ChangedSince(None)),
                ChangeKind::Removed if !is_removed => return Err(GarageError::ChangedSince(None)),
                ChangeKind::Edited if is_removed => return Err(GarageError::Removed),
                ChangeKind::Added | ChangeKind::Restored => ChangeKind::Removed,
                ChangeKind::Removed => ChangeKind::Restored,
                ChangeKind::Edited => ChangeKind::Edited,
            };
            if kind == ChangeKind::Edited {
                refuse_if_confirmed_since(transaction, &change)?;
                take_back(&mut after, &change.fields, now)?;
            }
            if kind == ChangeKind::Restored || after.fields.vin != before.fields.vin {
                refuse_duplicate_vin(transaction, after.fields.vin.as_ref(), after.id)?;
            }
            Ok(Write::Changed(Box::new(Recorded { before: Some(before), after, kind, undoes: Some(id) })))
        })
        .await
    }
}

/// A value that was only confirmed looks the same after another change and back, so what came since decides.
fn refuse_if_confirmed_since(transaction: &Transaction<'_>, change: &HistoryEntry) -> Result<(), GarageError> {
    let confirmed: Vec<Field> = change.fields.iter().filter(|it| it.old == it.new).map(|it| it.field).collect();
    if confirmed.is_empty() {
        return Ok(());
    }
    let since =
        history_table::of_vehicle(transaction, change.vehicle_id)?.into_iter().take_while(|it| it.id != change.id);
    match since.flat_map(|it| it.fields).find(|it| confirmed.contains(&it.field)) {
        Some(changed) => Err(GarageError::ChangedSince(Some(changed.field))),
        None => Ok(()),
    }
}

fn take_back(vehicle: &mut Vehicle, fields: &[FieldChange], now: Timestamp) -> Result<(), GarageError> {
    let is_as_left = |it: &&FieldChange| {
        let origin = vehicle.origins.get(&it.field).cloned().unwrap_or_default();
        vehicle.fields.get(it.field) == it.new && (origin == it.origin || it.new.is_none())
    };
    if let Some(changed) = fields.iter().find(|it| !is_as_left(it)) {
        return Err(GarageError::ChangedSince(Some(changed.field)));
    }
    let patch = VehiclePatch::of_values(fields.iter().map(|it| (it.field, it.old.clone())), now)?;
    vehicle.fields = patch.apply(vehicle.fields.clone())?;
    for FieldChange { field, old, old_origin, .. } in fields {
        vehicle.origins.remove(field);
        if old.is_some() && *old_origin != Origin::Typed {
            vehicle.origins.insert(*field, old_origin.clone());
        }
    }
    Ok(())
}
