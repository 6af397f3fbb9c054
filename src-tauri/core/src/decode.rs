//! When the snapshot is opened, and which decoded values enter a vehicle.

use std::{path::PathBuf, sync::Arc};

use garage_decode::{Decode, DecodedFields, Detail, Snapshot, SnapshotError, VinQuery};
use garage_domain::VehicleFields;
use tokio::sync::OnceCell;

use crate::{Garage, GarageError};

/// The snapshot, opened at first use and kept. A failed opening is tried again next time: the file may be there then.
#[derive(Clone)]
pub(crate) struct SnapshotHolder {
    path: PathBuf,
    snapshot: Arc<OnceCell<Arc<Snapshot>>>,
}

impl SnapshotHolder {
    pub fn new(path: PathBuf) -> SnapshotHolder {
        SnapshotHolder { path, snapshot: Arc::default() }
    }

    async fn get(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        let open = || async {
            let path = self.path.clone();
            // Checking the digest takes 0.1 s of computing.
            tokio::task::spawn_blocking(move || Snapshot::open(&path).map(Arc::new))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        };
        self.snapshot.get_or_try_init(open).await.cloned()
    }
}

impl Garage {
    /// Decodes a VIN, a part of one, or text in which one stands. `model_year` decides where the VIN fits two.
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
        Ok(snapshot.decode(vin_text, &query, model_year, detail, self.environment.now()))
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
    pub(crate) async fn decode_new_vin(&self, fields: &VehicleFields) -> Option<DecodedFields> {
        let vin = fields.vin.as_ref().filter(|vin| vin.is_full())?;
        match self.snapshot.get().await {
            Ok(snapshot) => {
                let query = VinQuery::from(vin);
                let now = self.environment.now();
                Some(snapshot.decode(vin.as_str(), &query, fields.year, Detail::Fields, now).fields)
            }
            Err(error) => {
                tracing::warn!(%error, "saving without decoding");
                None
            }
        }
    }
}

/// Fills what is empty; never replaces a value.
pub(crate) fn fill_empty(fields: &mut VehicleFields, decoded: Option<DecodedFields>) {
    let Some(decoded) = decoded else { return };
    fields.year = fields.year.or(decoded.year.map(|year| year.value));
    let texts = [
        (&mut fields.make, decoded.make),
        (&mut fields.model, decoded.model),
        (&mut fields.trim_level, decoded.trim_level),
        (&mut fields.engine, decoded.engine),
        (&mut fields.transmission, decoded.transmission),
        (&mut fields.drive_type, decoded.drive_type),
        (&mut fields.fuel_type, decoded.fuel_type),
        (&mut fields.body_class, decoded.body_class),
        (&mut fields.vehicle_type, decoded.vehicle_type),
    ];
    for (field, decoded) in texts {
        if field.is_none() {
            *field = decoded.map(|decoded| decoded.value);
        }
    }
}
