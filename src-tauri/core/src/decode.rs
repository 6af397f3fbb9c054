//! Asking the snapshot, and which decoded values enter a vehicle.

use garage_decode::{CatalogEntry, Decode, DecodedFields, DecodedValue, Detail, VinQuery};
use garage_domain::{Field, FieldAccess, FieldValue, Origin, Record, Vin, vehicle};
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
    ) -> Result<Decode<'static>, GarageError> {
        let query = VinQuery::parse(vin_text)?;
        let snapshot = self.snapshot.get().await?;
        let decode = snapshot.decode(vin_text, &query, model_year, detail, self.environment.now()).into_owned();
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

    /// What the VIN says, for filling a vehicle that gets it. `None` if there is no full VIN, or nothing to decode it
    /// with: a vehicle is then saved as it was typed.
    ///
    /// A `known_year` decides if the VIN fits two. Callers leave out one that was itself decoded, or an older VIN would
    /// decide what a newer one means.
    pub(crate) async fn decode_new_vin(
        &self,
        vin: Option<Vin>,
        known_year: Option<i32>,
    ) -> Option<DecodedFields<'static>> {
        let vin = vin.filter(Vin::is_full)?;
        match self.decode_vin(vin.as_str(), known_year, Detail::Fields).await {
            Ok(decode) => Some(decode.fields),
            Err(error) => {
                tracing::warn!(%error, "saving without decoding");
                None
            }
        }
    }
}

/// The VIN of a vehicle.
pub(crate) fn vin_of(vehicle: &Record) -> Option<Vin> {
    match vehicle.stored(&vehicle::VIN) {
        Some(FieldValue::Text(vin)) => Vin::stored(vin.clone()),
        _ => None,
    }
}

/// The model year of a vehicle.
pub(crate) fn year_of(vehicle: &Record) -> Option<i32> {
    match vehicle.stored(&vehicle::YEAR) {
        Some(FieldValue::Integer(year)) => i32::try_from(*year).ok(),
        _ => None,
    }
}

/// The year that a person or a file has given.
pub(crate) fn known_year(vehicle: &Record) -> Option<i32> {
    let is_decoded = matches!(vehicle.origin(vehicle::YEAR.name), Origin::Decoded { .. });
    year_of(vehicle).filter(|_| !is_decoded)
}

/// Fills empty fields and notes where their values come from; never replaces a value.
pub(crate) fn fill_empty(vehicle: &mut Record, decoded: Option<DecodedFields<'static>>, now: Timestamp) {
    let Some(decoded) = decoded else { return };
    for (field, value, origin) in decoded_values(decoded, now) {
        if vehicle.fill(field, value) {
            vehicle.set_origin(field.name, origin);
        }
    }
}

/// Empties the fields that were decoded, for a vehicle that gets another VIN.
pub(crate) fn empty_decoded(vehicle: &mut Record) {
    let is_decoded =
        |(name, origin): (&String, &Origin)| matches!(origin, Origin::Decoded { .. }).then(|| name.clone());
    let decoded: Vec<String> = vehicle.origins.iter().filter_map(is_decoded).collect();
    for name in decoded {
        vehicle.set_value(&name, None);
        vehicle.set_origin(&name, Origin::Typed);
    }
}

/// The decoded values by the field they fill, each with its origin and within the field's rule.
pub(crate) fn decoded_values(
    decoded: DecodedFields<'static>,
    now: Timestamp,
) -> impl Iterator<Item = (&'static Field, FieldValue, Origin)> {
    decoded.into_values(now).map(|(field, DecodedValue { value, source, month })| {
        let origin = Origin::Decoded { from: source.name().to_owned(), month: month.map(str::to_owned) };
        (field, value, origin)
    })
}
