//! Export of the vehicles as CSV.

use std::io::Write;

use garage_domain::{FieldAccess, FieldValue, VEHICLES, VehicleQuery};

use crate::{Garage, GarageError, Progress};

impl Garage {
    /// Writes the vehicles that are not removed as CSV (RFC 4180), newest first, one column per field.
    ///
    /// Text that a spreadsheet would evaluate as a formula gets an apostrophe before it.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read; [`GarageError::Export`] if `out` cannot be written;
    /// [`GarageError::Canceled`].
    pub async fn export_csv(&self, out: impl Write, progress: Progress) -> Result<(), GarageError> {
        let vehicles = self.all_vehicles(VehicleQuery::default()).await?;
        let mut csv = csv::Writer::from_writer(out);
        let names = VEHICLES.fields.iter().map(|field| field.name);
        csv.write_record(["id"].into_iter().chain(names).chain(["createdAt", "updatedAt"]))?;
        let total = vehicles.len() as u64;
        for (vehicle, done) in vehicles.into_iter().zip(0..) {
            progress.at(done, total)?;
            let fields = VEHICLES.fields.iter().map(|field| {
                let unknown = vehicle.extra.get(field.name).and_then(|json| FieldValue::of_json(json.clone()));
                match unknown.or_else(|| vehicle.fields.get(field)) {
                    None => String::new(),
                    Some(FieldValue::Text(text)) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
                    Some(value) => value.to_string(),
                }
            });
            let times = [vehicle.created_at.to_string(), vehicle.updated_at.to_string()];
            csv.write_record([vehicle.id.to_string()].into_iter().chain(fields).chain(times))?;
        }
        Ok(csv.flush()?)
    }
}
