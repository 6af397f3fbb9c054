//! Decoding with the snapshot, and which decoded values fill a vehicle.

use garage_decode::{CatalogEntry, Decode, DecodedFields, DecodedValue, Detail, VinQuery};
use garage_domain::{Field, FieldAccess, FieldValue, Origin, Record, Vin, vehicle};
use jiff::Timestamp;

use crate::{Garage, GarageError};

impl Garage {
    /// Decodes a VIN, a part of one, or text that contains one. `model_year` decides between two years that fit the
    /// VIN. Never waits for the network: it uses the snapshot and cached vPIC answers, and asks vPIC in the background.
    ///
    /// # Errors
    /// [`GarageError::NotAVin`] (`Invalid`) if the text is not even a part of a VIN; [`GarageError::Snapshot`]
    /// (`SnapshotMissing`).
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

    /// Lists the model years for which vPIC has makes and models, latest first.
    ///
    /// # Errors
    /// [`GarageError::Snapshot`] (`SnapshotMissing`) without a usable snapshot.
    pub async fn model_years(&self) -> Result<Vec<i32>, GarageError> {
        Ok(self.snapshot.catalog().await?.years(self.environment.now()))
    }

    /// Lists the makes that had a model in this year, or all makes, by name.
    ///
    /// # Errors
    /// [`GarageError::Snapshot`] (`SnapshotMissing`) without a usable snapshot.
    pub async fn makes(&self, year: Option<i32>) -> Result<Vec<CatalogEntry>, GarageError> {
        Ok(self.snapshot.catalog().await?.makes(year))
    }

    /// Lists the models of a make in this year, or of all years, by name. An unknown make has none.
    ///
    /// # Errors
    /// [`GarageError::Snapshot`] (`SnapshotMissing`) without a usable snapshot.
    pub async fn models(&self, make_id: i32, year: Option<i32>) -> Result<Vec<CatalogEntry>, GarageError> {
        Ok(self.snapshot.catalog().await?.models(make_id, year))
    }

    /// The release of the vPIC data, such as `2026-10`.
    ///
    /// # Errors
    /// [`GarageError::Snapshot`] (`SnapshotMissing`) without a usable snapshot.
    pub async fn snapshot_month(&self) -> Result<&'static str, GarageError> {
        Ok(self.snapshot.get().await?.month())
    }

    /// Decodes a VIN to fill a vehicle that gets it. Returns `None` if the VIN is not full or the decoder is
    /// unavailable: the vehicle is then saved as typed.
    ///
    /// `known_year` decides between two years that fit the VIN. Callers leave out a decoded year, which comes from the
    /// vehicle's previous VIN.
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

pub(crate) fn vin_of(vehicle: &Record) -> Option<Vin> {
    match vehicle.stored(&vehicle::VIN) {
        Some(FieldValue::Text(vin)) => Vin::stored(vin.clone()),
        _ => None,
    }
}

pub(crate) fn year_of(vehicle: &Record) -> Option<i32> {
    match vehicle.stored(&vehicle::YEAR) {
        Some(FieldValue::Integer(year)) => i32::try_from(*year).ok(),
        _ => None,
    }
}

/// The vehicle's model year if it was typed or imported.
pub(crate) fn known_year(vehicle: &Record) -> Option<i32> {
    let is_decoded = matches!(vehicle.origin(vehicle::YEAR.name), Origin::Decoded { .. });
    year_of(vehicle).filter(|_| !is_decoded)
}

/// Fills empty fields and records their origin. Never replaces a value.
pub(crate) fn fill_empty(vehicle: &mut Record, decoded: Option<DecodedFields<'static>>, now: Timestamp) {
    let Some(decoded) = decoded else { return };
    for (field, value, origin) in decoded_values(decoded, now) {
        if vehicle.fill(field, value) {
            vehicle.set_origin(field.name, origin);
        }
    }
}

/// Clears the decoded fields of a vehicle that gets another VIN.
pub(crate) fn empty_decoded(vehicle: &mut Record) {
    let is_decoded =
        |(name, origin): (&String, &Origin)| matches!(origin, Origin::Decoded { .. }).then(|| name.clone());
    let decoded: Vec<String> = vehicle.origins.iter().filter_map(is_decoded).collect();
    for name in decoded {
        vehicle.set_value(&name, None);
        vehicle.set_origin(&name, Origin::Typed);
    }
}

/// The decoded values by field, adjusted to the field's rule, each with its origin.
pub(crate) fn decoded_values(
    decoded: DecodedFields<'static>,
    now: Timestamp,
) -> impl Iterator<Item = (&'static Field, FieldValue, Origin)> {
    decoded.into_values(now).map(|(field, DecodedValue { value, source, month })| {
        let origin = Origin::Decoded { from: source.name().to_owned(), month: month.map(str::to_owned) };
        (field, value, origin)
    })
}
