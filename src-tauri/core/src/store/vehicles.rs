//! The table `vehicles`.

use garage_domain::{OdometerUnit, Vehicle, VehicleFields, VehicleId, Vin};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Result, Row, Transaction, named_params};

use super::{from_json, parsed, to_json};

/// Adds a row.
pub(crate) fn insert(transaction: &Transaction<'_>, vehicle: &Vehicle) -> Result<()> {
    execute(transaction, include_str!("sql/insert_vehicle.sql"), vehicle)
}

/// Writes a row that exists; its id and time of creation stay.
pub(crate) fn update(transaction: &Transaction<'_>, vehicle: &Vehicle) -> Result<()> {
    execute(transaction, include_str!("sql/update_vehicle.sql"), vehicle)
}

/// The vehicle of this id, removed or not.
pub(crate) fn by_id(transaction: &Transaction<'_>, id: VehicleId) -> Result<Option<Vehicle>> {
    transaction
        .prepare_cached("SELECT * FROM vehicles WHERE id = ?1")?
        .query_row([id.to_string()], vehicle_of)
        .optional()
}

/// All vehicles, the removed ones too, oldest first.
pub(crate) fn all(transaction: &Transaction<'_>) -> Result<Vec<Vehicle>> {
    transaction.prepare_cached("SELECT * FROM vehicles ORDER BY position")?.query_map([], vehicle_of)?.collect()
}

/// Which live vehicle has this VIN.
pub(crate) fn live_id_by_vin(transaction: &Transaction<'_>, vin: &Vin) -> Result<Option<VehicleId>> {
    transaction
        .prepare_cached("SELECT id FROM vehicles WHERE vin = ?1 AND deleted_at_us IS NULL")?
        .query_row([vin.as_str()], |row| parsed(row, "id", |text: String| text.parse().ok()))
        .optional()
}

fn execute(transaction: &Transaction<'_>, sql: &str, vehicle: &Vehicle) -> Result<()> {
    let fields = &vehicle.fields;
    transaction.prepare_cached(sql)?.execute(named_params! {
        ":id": vehicle.id.to_string(),
        ":vin": fields.vin.as_ref().map(Vin::as_str),
        ":license_plate": fields.license_plate,
        ":nickname": fields.nickname,
        ":year": fields.year,
        ":make": fields.make,
        ":model": fields.model,
        ":trim_level": fields.trim_level,
        ":engine": fields.engine,
        ":transmission": fields.transmission,
        ":drive_type": fields.drive_type,
        ":fuel_type": fields.fuel_type,
        ":body_class": fields.body_class,
        ":vehicle_type": fields.vehicle_type,
        ":color": fields.color,
        ":odometer_reading": fields.odometer_reading,
        ":odometer_unit": fields.odometer_unit.as_str(),
        ":notes": fields.notes,
        ":is_active": fields.is_active,
        ":origins": to_json(&vehicle.origins)?,
        ":created_at_us": vehicle.created_at.as_microsecond(),
        ":updated_at_us": vehicle.updated_at.as_microsecond(),
        ":deleted_at_us": vehicle.deleted_at.map(|time| time.as_microsecond()),
    })?;
    Ok(())
}

/// A vehicle from a row with all columns of the table.
pub(crate) fn vehicle_of(row: &Row<'_>) -> Result<Vehicle> {
    let time = |column: &str| parsed(row, column, |us: i64| Timestamp::from_microsecond(us).ok());
    Ok(Vehicle {
        id: parsed(row, "id", |text: String| text.parse().ok())?,
        fields: VehicleFields {
            vin: parsed(row, "vin", |text: Option<String>| match text {
                Some(text) => Vin::parse(&text).ok().map(Some),
                None => Some(None),
            })?,
            license_plate: row.get("license_plate")?,
            nickname: row.get("nickname")?,
            year: row.get("year")?,
            make: row.get("make")?,
            model: row.get("model")?,
            trim_level: row.get("trim_level")?,
            engine: row.get("engine")?,
            transmission: row.get("transmission")?,
            drive_type: row.get("drive_type")?,
            fuel_type: row.get("fuel_type")?,
            body_class: row.get("body_class")?,
            vehicle_type: row.get("vehicle_type")?,
            color: row.get("color")?,
            odometer_reading: row.get("odometer_reading")?,
            odometer_unit: parsed(row, "odometer_unit", |text: String| OdometerUnit::by_name(&text))?,
            notes: row.get("notes")?,
            is_active: row.get("is_active")?,
        },
        origins: from_json(row, "origins")?,
        created_at: time("created_at_us")?,
        updated_at: time("updated_at_us")?,
        deleted_at: match row.get("deleted_at_us")? {
            Some::<i64>(_) => Some(time("deleted_at_us")?),
            None => None,
        },
    })
}
