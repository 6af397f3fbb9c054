//! Offers: newer decoded values that the user can accept.

use garage_domain::{ChangeKind, Field, FieldAccess, FieldValue, Origin, Record, VEHICLES, Vehicle, VehicleId};
use serde::Serialize;

use crate::{
    Garage, GarageError,
    decode::{decoded_values, known_year, vin_of},
    records,
};

/// A decoded value that differs from the current one, which is empty or was decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Offer {
    /// The field.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub field: &'static Field,
    /// The current value; null if it is empty.
    pub current: Option<FieldValue>,
    /// The offered value.
    pub offered: FieldValue,
    /// The origin of the offered value.
    pub origin: Origin,
}

impl Garage {
    /// Lists the fields that decoding the vehicle's VIN would change today. Never offers to replace a typed value.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the vehicle does not exist or is removed.
    pub async fn decode_offers(&self, id: VehicleId) -> Result<Vec<Offer>, GarageError> {
        let (vehicle, now) = (self.live_record(&VEHICLES, id).await?, self.environment.now());
        let decoded = self.decode_new_vin(vin_of(&vehicle), known_year(&vehicle)).await;
        Ok(decoded.into_iter().flat_map(|it| decoded_values(it, now)).filter_map(|it| offer(&vehicle, it)).collect())
    }

    /// Sets the named fields to their offered values, except those that were typed meanwhile.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if the vehicle does not exist or is removed.
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
