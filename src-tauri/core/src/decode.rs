//! Asking the snapshot, and which decoded values enter a vehicle.

use garage_decode::{CatalogEntry, Decode, DecodedFields, DecodedValue, Detail, VinQuery};
use garage_domain::{Field, FieldValue, Origin, Vehicle, VehicleFields};
use jiff::Timestamp;

use crate::{Garage, GarageError};

impl Garage {
    /// Decodes a VIN, a part of one, or text in which one stands. `model_year` decides where the VIN fits two.
    /// Answers from this device; what vPIC has said before refines it, and vPIC is asked in the background.
    ///
    /// # Errors
    /// The text is no VIN, not even in part; or there is no usable snapshot.
    pub async fn decode_vin(
        &self,
        vin_text: &str,
        model_year: Option<i32>,
        detail: Detail,
    ) -> Result<Decode, GarageError> {
        let query = VinQuery::parse(vin_text)?;
        let snapshot = self.snapshot.get().await?;
        let decode = snapshot.decode(vin_text, &query, model_year, detail, self.environment.now());
        Ok(match query.full_vin() {
            Some(vin) => self.refined(decode, &vin, model_year).await,
            None => decode,
        })
    }

    /// The model years for which vPIC knows makes and models, the latest first.
    ///
    /// # Errors
    /// There is no usable snapshot.
    pub async fn model_years(&self) -> Result<Vec<i32>, GarageError> {
        Ok(self.snapshot.catalog().await?.years(self.environment.now()))
    }

    /// The makes that had a model in this year, or all, by name.
    ///
    /// # Errors
    /// There is no usable snapshot.
    pub async fn makes(&self, year: Option<i32>) -> Result<Vec<CatalogEntry>, GarageError> {
        Ok(self.snapshot.catalog().await?.makes(year))
    }

    /// The models that a make had in this year, or ever, by name; none where vPIC has no such make.
    ///
    /// # Errors
    /// There is no usable snapshot.
    pub async fn models(&self, make_id: i32, year: Option<i32>) -> Result<Vec<CatalogEntry>, GarageError> {
        Ok(self.snapshot.catalog().await?.models(make_id, year))
    }

    /// The release of the vPIC data, such as `2026-10`.
    ///
    /// # Errors
    /// There is no usable snapshot.
    pub async fn snapshot_month(&self) -> Result<&'static str, GarageError> {
        Ok(self.snapshot.get().await?.month())
    }

    /// What the VIN says, for filling a vehicle that gets it. `None` where there is nothing to decode, or nothing to
    /// decode with: a vehicle is then saved as it was typed.
    ///
    /// A `known_year` decides where the VIN fits two; one that was itself decoded is none, or an older VIN would say what
    /// a newer one means.
    pub(crate) async fn decode_new_vin(
        &self,
        fields: &VehicleFields,
        known_year: Option<i32>,
    ) -> Option<DecodedFields> {
        let vin = fields.vin.as_ref().filter(|vin| vin.is_full())?;
        match self.decode_vin(vin.as_str(), known_year, Detail::Fields).await {
            Ok(decode) => Some(decode.fields),
            Err(error) => {
                tracing::warn!(%error, "saving without decoding");
                None
            }
        }
    }
}

/// The year that a person or a file has given.
pub(crate) fn known_year(vehicle: &Vehicle) -> Option<i32> {
    let is_decoded = matches!(vehicle.origins.get(&Field::Year), Some(Origin::Decoded { .. }));
    vehicle.fields.year.filter(|_| !is_decoded)
}

/// Fills what is empty and notes where from; never replaces a value.
pub(crate) fn fill_empty(vehicle: &mut Vehicle, decoded: Option<DecodedFields>, now: Timestamp) {
    let Some(decoded) = decoded else { return };
    for (field, value, origin) in decoded_values(decoded, now) {
        if vehicle.fields.fill(field, value) {
            vehicle.origins.insert(field, origin);
        }
    }
}

/// Empties what was decoded, for a vehicle whose VIN turns out to be another: what the old one said is not about it.
pub(crate) fn empty_decoded(vehicle: &mut Vehicle) {
    let Vehicle { fields, origins, .. } = vehicle;
    origins.retain(|field, origin| {
        let is_decoded = matches!(origin, Origin::Decoded { .. });
        if is_decoded {
            fields.set(*field, None);
        }
        !is_decoded
    });
}

/// The decoded values by the field they fill, each with its origin and within the field's rule.
pub(crate) fn decoded_values(
    decoded: DecodedFields,
    now: Timestamp,
) -> impl Iterator<Item = (Field, FieldValue, Origin)> {
    decoded.into_values(now).map(|(field, DecodedValue { value, source, month })| {
        let origin = Origin::Decoded { from: source.name().to_owned(), month: month.map(str::to_owned) };
        (field, value, origin)
    })
}
