//! The table `vehicles`.

use garage_domain::{OdometerUnit, Vehicle, VehicleFields, VehicleId, Vin};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Result, Row, Transaction, named_params};

use super::{from_json, parsed, to_json};
use crate::GarageError;

/// What a vehicle is read from, in the order of [`vehicle_of`].
pub(crate) const COLUMNS: &str = "id, vin, license_plate, nickname, year, make, model, trim_level, engine, \
    transmission, drive_type, fuel_type, body_class, vehicle_type, color, odometer_reading, odometer_unit, notes, \
    is_active, origins, created_at_us, updated_at_us, deleted_at_us";

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
        .prepare_cached(&format!("SELECT {COLUMNS} FROM vehicles WHERE id = ?1"))?
        .query_row([id.to_string()], vehicle_of)
        .optional()
}

/// How many vehicles there are, the removed ones too.
pub(crate) fn count_all(transaction: &Transaction<'_>) -> Result<u64> {
    let count = transaction.query_row("SELECT count(*) FROM vehicles", [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// All vehicles, the removed ones too, oldest first; `at_each` can stop it.
pub(crate) fn all(
    transaction: &Transaction<'_>,
    at_each: &mut dyn FnMut() -> std::result::Result<(), GarageError>,
) -> std::result::Result<Vec<Vehicle>, GarageError> {
    let mut statement = transaction.prepare_cached(&format!("SELECT {COLUMNS} FROM vehicles ORDER BY position"))?;
    let rows = statement.query_and_then([], |row| {
        at_each()?;
        Ok(vehicle_of(row)?)
    })?;
    rows.collect()
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

/// A vehicle from a row of [`COLUMNS`]; by number, since looking names up would take a third of a page's time.
pub(crate) fn vehicle_of(row: &Row<'_>) -> Result<Vehicle> {
    let time = |column: usize| parsed(row, column, |us: i64| Timestamp::from_microsecond(us).ok());
    Ok(Vehicle {
        id: parsed(row, 0, |text: String| text.parse().ok())?,
        fields: VehicleFields {
            vin: parsed(row, 1, |text: Option<String>| match text {
                Some(text) => Vin::parse(&text).ok().map(Some),
                None => Some(None),
            })?,
            license_plate: row.get(2)?,
            nickname: row.get(3)?,
            year: row.get(4)?,
            make: row.get(5)?,
            model: row.get(6)?,
            trim_level: row.get(7)?,
            engine: row.get(8)?,
            transmission: row.get(9)?,
            drive_type: row.get(10)?,
            fuel_type: row.get(11)?,
            body_class: row.get(12)?,
            vehicle_type: row.get(13)?,
            color: row.get(14)?,
            odometer_reading: row.get(15)?,
            odometer_unit: parsed(row, 16, |text: String| OdometerUnit::by_name(&text))?,
            notes: row.get(17)?,
            is_active: row.get(18)?,
        },
        origins: from_json(row, 19)?,
        created_at: time(20)?,
        updated_at: time(21)?,
        deleted_at: match row.get(22)? {
            Some::<i64>(_) => Some(time(22)?),
            None => None,
        },
    })
}
