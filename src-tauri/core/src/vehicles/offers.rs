//! What decoding knows better by now: offered, never imposed.

use garage_domain::{Field, FieldValue, Origin, Vehicle, VehicleId};
use serde::Serialize;

use super::{
    changed,
    history::ChangeKind,
    write::{Write, live_vehicle},
};
use crate::{
    Garage, GarageError,
    decode::{decoded_values, known_year},
};

/// A decoded value that differs from the vehicle's, which is empty or was decoded itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Offer {
    /// The field.
    pub field: Field,
    /// Its value now, null where it is empty.
    pub current: Option<FieldValue>,
    /// The value on offer.
    pub offered: FieldValue,
    /// Where that comes from.
    pub origin: Origin,
}

impl Garage {
    /// What decoding the vehicle's VIN would change today. Nothing that a person typed is ever in it.
    ///
    /// # Errors
    /// There is no such vehicle.
    pub async fn decode_offers(&self, id: VehicleId) -> Result<Vec<Offer>, GarageError> {
        let (vehicle, now) = (self.vehicle(id).await?, self.environment.now());
        let decoded = self.decode_new_vin(&vehicle.fields, known_year(&vehicle)).await;
        Ok(decoded.into_iter().flat_map(|it| decoded_values(it, now)).filter_map(|it| offer(&vehicle, it)).collect())
    }

    /// Takes what is on offer for these fields; those that have been typed meanwhile stay.
    ///
    /// # Errors
    /// There is no such vehicle.
    pub async fn accept_offers(&self, id: VehicleId, fields: Vec<Field>) -> Result<Vehicle, GarageError> {
        let (vehicle, now) = (self.vehicle(id).await?, self.environment.now());
        let decoded = self.decode_new_vin(&vehicle.fields, known_year(&vehicle)).await;
        self.write_vehicle(move |transaction| {
            let before = live_vehicle(transaction, id)?;
            let mut after = before.clone();
            let on_offer =
                decoded.into_iter().flat_map(|it| decoded_values(it, now)).filter_map(|it| offer(&before, it));
            for Offer { field, offered, origin, .. } in on_offer.filter(|offer| fields.contains(&offer.field)) {
                after.fields.set(field, Some(offered));
                after.origins.insert(field, origin);
            }
            if after.fields == before.fields {
                return Ok(Write::Unchanged(Box::new(before)));
            }
            Ok(changed(Some(before), after, ChangeKind::Edited))
        })
        .await
    }
}

fn offer(vehicle: &Vehicle, (field, offered, origin): (Field, FieldValue, Origin)) -> Option<Offer> {
    let current = vehicle.fields.get(field);
    let is_open = current.is_none() || matches!(vehicle.origins.get(&field), Some(Origin::Decoded { .. }));
    (is_open && current.as_ref() != Some(&offered)).then_some(Offer { field, current, offered, origin })
}
