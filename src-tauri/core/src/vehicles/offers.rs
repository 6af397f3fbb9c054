//! What decoding knows better by now: offered, never imposed.

use garage_domain::{ChangeKind, Field, FieldAccess, FieldValue, Origin, Record, VEHICLES, Vehicle, VehicleId};
use serde::Serialize;

use crate::{
    Garage, GarageError,
    decode::{decoded_values, known_year, vin_of},
    records,
};

/// A decoded value that differs from the vehicle's, which is empty or was decoded itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Offer {
    /// The field.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub field: &'static Field,
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
    /// [`GarageError::NotFound`] if there is no such vehicle.
    pub async fn decode_offers(&self, id: VehicleId) -> Result<Vec<Offer>, GarageError> {
        let (vehicle, now) = (self.live_record(&VEHICLES, id).await?, self.environment.now());
        let decoded = self.decode_new_vin(vin_of(&vehicle), known_year(&vehicle)).await;
        Ok(decoded.into_iter().flat_map(|it| decoded_values(it, now)).filter_map(|it| offer(&vehicle, it)).collect())
    }

    /// Takes what is on offer for the fields of these names; those that have been typed meanwhile stay.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if there is no such vehicle.
    pub async fn accept_offers(&self, id: VehicleId, fields: Vec<String>) -> Result<Vehicle, GarageError> {
        let stamp = self.stamp();
        let (vehicle, now) = (self.live_record(&VEHICLES, id).await?, stamp.now);
        let decoded = self.decode_new_vin(vin_of(&vehicle), known_year(&vehicle)).await;
        self.write(stamp, move |journal| {
            let before = records::live(journal, &VEHICLES, id)?;
            let mut after = before.clone();
            let on_offer =
                decoded.into_iter().flat_map(|it| decoded_values(it, now)).filter_map(|it| offer(&before, it));
            for Offer { field, offered, origin, .. } in
                on_offer.filter(|it| fields.iter().any(|name| name == it.field.name))
            {
                after.set(field, Some(offered));
                after.set_origin(field.name, origin);
            }
            Ok(records::store(journal, Some(&before), after, ChangeKind::Edited, None)?.into())
        })
        .await
    }
}

fn offer(vehicle: &Record, (field, offered, origin): (&'static Field, FieldValue, Origin)) -> Option<Offer> {
    let current = vehicle.get(field);
    let is_open = current.is_none() || matches!(vehicle.origin(field.name), Origin::Decoded { .. });
    (is_open && current.as_ref() != Some(&offered)).then_some(Offer { field, current, offered, origin })
}
