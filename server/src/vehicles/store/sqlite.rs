//! The operations on SQLite.

use garage_domain::{OdometerUnit, VehicleFields, VehicleId, Vin};
use garage_protocol::WireVehicle;
use garage_sqlite::Database;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, types::Type};

use crate::{
    error::ApiError,
    http::IfMatch,
    vehicles::{Created, Creation, Update},
};

macro_rules! columns {
    () => {
        "id, user_id, vin, make, model, year, nickname, color, license_plate, odometer_reading, is_active, deleted_at,
         created_at, updated_at, trim_level, engine, transmission, drive_type, fuel_type, body_class, vehicle_type,
         odometer_unit, notes, image_url, version"
    };
}

/// The number that stands for all of the user's vehicles as they are: the last version given.
pub async fn feed_version(database: &Database, user: &str) -> Result<i64, ApiError> {
    let user = user.to_owned();
    let sql = "SELECT version FROM feeds WHERE user_id = ?1";
    database
        .read(move |tx| Ok(tx.prepare_cached(sql)?.query_row([user], |row| row.get(0)).optional()?.unwrap_or(0)))
        .await
}

/// The user's live vehicles, newest first, and the version of all of them, of one moment.
pub async fn list(database: &Database, user: &str) -> Result<(i64, Vec<WireVehicle>), ApiError> {
    let user = user.to_owned();
    database
        .read(move |tx| {
            let version = "SELECT version FROM feeds WHERE user_id = ?1";
            let version = tx.prepare_cached(version)?.query_row([&user], |row| row.get(0)).optional()?.unwrap_or(0);
            let mut statement = tx.prepare_cached(concat!(
                "SELECT ",
                columns!(),
                " FROM vehicles WHERE user_id = ?1 AND deleted_at IS NULL ORDER BY created_at DESC, id DESC"
            ))?;
            let vehicles = statement.query_map([&user], vehicle_of)?.collect::<rusqlite::Result<_>>()?;
            Ok((version, vehicles))
        })
        .await
}

/// A live vehicle of the user.
pub async fn get(database: &Database, user: &str, id: VehicleId) -> Result<WireVehicle, ApiError> {
    let user = user.to_owned();
    database.read(move |tx| live(tx, &user, id)).await
}

/// Adds a vehicle, unless the same request has done so before.
pub async fn create(database: &Database, user: &str, creation: Creation) -> Result<Created, ApiError> {
    let user = user.to_owned();
    database
        .write(move |tx| {
            let Creation { id, fields, sent, at } = creation;
            let taken = "SELECT user_id, created_with, deleted_at IS NOT NULL FROM vehicles WHERE id = ?1";
            let taken = tx.prepare_cached(taken)?.query_row([id.to_string()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
            });
            if let Some((owner, sent_before, is_deleted)) = taken.optional()? {
                let is_the_same = owner == user && sent_before.as_deref() == Some(&sent) && !is_deleted;
                return if is_the_same { Ok(Created::Before(live(tx, &user, id)?)) } else { Err(ApiError::USED_ID) };
            }
            refuse_duplicate_vin(tx, &user, fields.vin.as_ref(), id)?;
            tx.prepare_cached(
                "INSERT INTO vehicles (id, user_id, vin, make, model, year, nickname, color, license_plate,
                     odometer_reading, is_active, created_at, updated_at, trim_level, engine, transmission, drive_type,
                     fuel_type, body_class, vehicle_type, odometer_unit, notes, created_with)
                 VALUES (:id, :user_id, :vin, :make, :model, :year, :nickname, :color, :license_plate,
                     :odometer_reading, :is_active, :at, :at, :trim_level, :engine, :transmission, :drive_type,
                     :fuel_type, :body_class, :vehicle_type, :odometer_unit, :notes, :sent)",
            )?
            .execute(
                &with_fields(
                    &fields,
                    &[
                        (":id", &id.to_string()),
                        (":user_id", &user),
                        (":vin", &fields.vin.as_ref().map(Vin::as_str)),
                        (":odometer_unit", &fields.odometer_unit.as_str()),
                        (":at", &at.as_microsecond()),
                        (":sent", &sent),
                    ],
                )[..],
            )?;
            Ok(Created::New(live(tx, &user, id)?))
        })
        .await
}

/// Changes a vehicle, if it is at one of the versions that are meant.
pub async fn update(database: &Database, user: &str, update: Update) -> Result<WireVehicle, ApiError> {
    let user = user.to_owned();
    database
        .write(move |tx| {
            let Update { id, at, .. } = update;
            let before = live_at(tx, &user, id, &update.if_match)?;
            let Some(fields) = update.changed(&before.fields)? else { return Ok(before) };
            refuse_duplicate_vin(tx, &user, fields.vin.as_ref(), id)?;
            tx.prepare_cached(
                "UPDATE vehicles SET vin = :vin, make = :make, model = :model, year = :year, nickname = :nickname,
                     color = :color, license_plate = :license_plate, odometer_reading = :odometer_reading,
                     is_active = :is_active, updated_at = :at, trim_level = :trim_level, engine = :engine,
                     transmission = :transmission, drive_type = :drive_type, fuel_type = :fuel_type,
                     body_class = :body_class, vehicle_type = :vehicle_type, odometer_unit = :odometer_unit,
                     notes = :notes
                 WHERE user_id = :user_id AND id = :id",
            )?
            .execute(
                &with_fields(
                    &fields,
                    &[
                        (":id", &id.to_string()),
                        (":user_id", &user),
                        (":vin", &fields.vin.as_ref().map(Vin::as_str)),
                        (":odometer_unit", &fields.odometer_unit.as_str()),
                        (":at", &at.as_microsecond()),
                    ],
                )[..],
            )?;
            live(tx, &user, id)
        })
        .await
}

/// Marks a vehicle as removed, if it is at one of the versions that are meant.
pub async fn remove(
    database: &Database,
    user: &str,
    id: VehicleId,
    if_match: IfMatch,
    at: Timestamp,
) -> Result<(), ApiError> {
    let user = user.to_owned();
    database
        .write(move |tx| {
            live_at(tx, &user, id, &if_match)?;
            tx.prepare_cached("UPDATE vehicles SET deleted_at = ?1, updated_at = ?1 WHERE user_id = ?2 AND id = ?3")?
                .execute(rusqlite::params![at.as_microsecond(), user, id.to_string()])?;
            Ok(())
        })
        .await
}

/// The parameters that name a vehicle's fields, and others.
fn with_fields<'a>(
    fields: &'a VehicleFields,
    others: &[(&'static str, &'a dyn ToSql)],
) -> Vec<(&'static str, &'a dyn ToSql)> {
    let mut parameters: Vec<(&'static str, &dyn ToSql)> = vec![
        (":make", &fields.make),
        (":model", &fields.model),
        (":year", &fields.year),
        (":nickname", &fields.nickname),
        (":color", &fields.color),
        (":license_plate", &fields.license_plate),
        (":odometer_reading", &fields.odometer_reading),
        (":is_active", &fields.is_active),
        (":trim_level", &fields.trim_level),
        (":engine", &fields.engine),
        (":transmission", &fields.transmission),
        (":drive_type", &fields.drive_type),
        (":fuel_type", &fields.fuel_type),
        (":body_class", &fields.body_class),
        (":vehicle_type", &fields.vehicle_type),
        (":notes", &fields.notes),
    ];
    parameters.extend_from_slice(others);
    parameters
}

fn live(tx: &Transaction<'_>, user: &str, id: VehicleId) -> Result<WireVehicle, ApiError> {
    let sql = concat!("SELECT ", columns!(), " FROM vehicles WHERE user_id = ?1 AND id = ?2 AND deleted_at IS NULL");
    let vehicle = tx.prepare_cached(sql)?.query_row([user, &id.to_string()], vehicle_of).optional()?;
    vehicle.ok_or(ApiError::NO_VEHICLE)
}

fn live_at(tx: &Transaction<'_>, user: &str, id: VehicleId, if_match: &IfMatch) -> Result<WireVehicle, ApiError> {
    let vehicle = live(tx, user, id)?;
    if if_match.allows(vehicle.version) { Ok(vehicle) } else { Err(ApiError::Changed(Box::new(vehicle))) }
}

fn refuse_duplicate_vin(tx: &Transaction<'_>, user: &str, vin: Option<&Vin>, id: VehicleId) -> Result<(), ApiError> {
    let Some(vin) = vin else { return Ok(()) };
    let sql = "SELECT id <> ?3 FROM vehicles WHERE user_id = ?1 AND vin = ?2 AND deleted_at IS NULL";
    let other =
        tx.prepare_cached(sql)?.query_row([user, vin.as_str(), &id.to_string()], |row| row.get(0)).optional()?;
    if other.unwrap_or(false) { Err(ApiError::DUPLICATE_VIN) } else { Ok(()) }
}

/// A vehicle from a row of `columns!`.
fn vehicle_of(row: &Row<'_>) -> rusqlite::Result<WireVehicle> {
    let unreadable = |column: &str| {
        let reason = format!("column {column} holds a value that this version cannot read");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, reason.into())
    };
    let time = |column: &str| Timestamp::from_microsecond(row.get(column)?).map_err(|_| unreadable(column));
    let vin: Option<String> = row.get("vin")?;
    Ok(WireVehicle {
        id: row.get::<_, String>("id")?.parse().map_err(|_| unreadable("id"))?,
        user_id: row.get("user_id")?,
        fields: VehicleFields {
            vin: vin.and_then(Vin::stored),
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
            odometer_unit: OdometerUnit::by_name(&row.get::<_, String>("odometer_unit")?)
                .ok_or_else(|| unreadable("odometer_unit"))?,
            notes: row.get("notes")?,
            is_active: row.get("is_active")?,
        },
        image_url: row.get("image_url")?,
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
        deleted_at: match row.get::<_, Option<i64>>("deleted_at")? {
            Some(_) => Some(time("deleted_at")?),
            None => None,
        },
        version: row.get("version")?,
    })
}
