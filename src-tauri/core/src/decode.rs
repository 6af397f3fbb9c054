//! When the snapshot is opened, and which decoded values enter a vehicle.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use garage_decode::{
    Catalog, CatalogEntry, Decode, DecodedFields, DecodedValue, Detail, Snapshot, SnapshotError, VinQuery,
};
use garage_domain::{Field, FieldValue, Origin, Vehicle, VehicleFields};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::{Garage, GarageError};

/// The snapshot, opened at first use and kept. A failed opening is tried again next time: the file may be there then.
#[derive(Clone)]
pub(crate) struct SnapshotHolder {
    path: PathBuf,
    packed: Arc<[PathBuf]>,
    snapshot: Arc<OnceCell<Arc<Snapshot>>>,
    catalog: Arc<OnceCell<Arc<Catalog>>>,
}

impl SnapshotHolder {
    pub fn new(path: PathBuf, packed: Vec<PathBuf>) -> SnapshotHolder {
        SnapshotHolder { path, packed: packed.into(), snapshot: Arc::default(), catalog: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub async fn get(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        let open = || async {
            let (path, packed) = (self.path.clone(), Arc::clone(&self.packed));
            // Checking the digest takes 0.1 s of computing; unpacking, at the first start, a second.
            tokio::task::spawn_blocking(move || Snapshot::open_or_unpack(&path, &packed).map(Arc::new))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        };
        self.snapshot.get_or_try_init(open).await.cloned()
    }

    async fn catalog(&self) -> Result<Arc<Catalog>, SnapshotError> {
        let open = || async {
            let (snapshot, path) = (self.get().await?, self.path.clone());
            Ok(tokio::task::spawn_blocking(move || Arc::new(Catalog::open_or_build(&snapshot, &path)))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
        };
        self.catalog.get_or_try_init(open).await.cloned()
    }
}

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
        match query.full_vin() {
            Some(vin) => self.refined(decode, &vin, model_year).await,
            None => Ok(decode),
        }
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
        if vehicle.fields.get(field).is_none() {
            vehicle.fields.set(field, Some(value));
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
    fn with_origin<T>(
        decoded: Option<DecodedValue<T>>,
        value: impl FnOnce(T) -> FieldValue,
    ) -> Option<(FieldValue, Origin)> {
        decoded.map(|decoded| {
            let (from, month) = (decoded.source.name().to_owned(), decoded.month.map(str::to_owned));
            (value(decoded.value), Origin::Decoded { from, month })
        })
    }
    let text = |decoded| with_origin(decoded, FieldValue::Text);
    let year = with_origin(decoded.year, |year: i32| FieldValue::Integer(year.into()));
    let values = [
        (Field::Year, year),
        (Field::Make, text(decoded.make)),
        (Field::Model, text(decoded.model)),
        (Field::TrimLevel, text(decoded.trim_level)),
        (Field::Engine, text(decoded.engine)),
        (Field::Transmission, text(decoded.transmission)),
        (Field::DriveType, text(decoded.drive_type)),
        (Field::FuelType, text(decoded.fuel_type)),
        (Field::BodyClass, text(decoded.body_class)),
        (Field::VehicleType, text(decoded.vehicle_type)),
    ];
    values.into_iter().filter_map(move |(field, value)| {
        let (value, origin) = value?;
        Some((field, field.fitted(value, now)?, origin))
    })
}
