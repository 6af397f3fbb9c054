//! The operations on PostgreSQL.

use deadpool_postgres::Transaction;
use garage_domain::{OdometerUnit, VehicleFields, VehicleId, Vin};
use garage_protocol::WireVehicle;
use jiff::Timestamp;
use tokio_postgres::{Error, Row, error::SqlState, types::ToSql};
use uuid::Uuid;

use crate::{
    error::ApiError,
    http::IfMatch,
    store::postgres::{Failure, Postgres, begin},
    vehicles::{Created, Creation, Update},
};

/// Named one by one, so that a newer schema does not change what a statement that is prepared already answers.
macro_rules! columns {
    () => {
        "id, user_id, vin, make, model, year, nickname, color, license_plate, odometer_reading, is_active, deleted_at,
         created_at, updated_at, trim_level, engine, transmission, drive_type, fuel_type, body_class, vehicle_type,
         odometer_unit, notes, image_url, version"
    };
}

const LIVE: &str =
    concat!("SELECT ", columns!(), " FROM vehicles WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL");

pub async fn feed_version(database: &Postgres, user: &str) -> Result<i64, ApiError> {
    let version = async {
        let connection = database.connection().await?;
        let statement = connection.prepare_cached("SELECT version FROM feeds WHERE user_id = $1").await?;
        let row = connection.query_opt(&statement, &[&user]).await?;
        row.map_or(Ok(0), |row| row.try_get(0)).map_err(Failure::from)
    };
    Ok(version.await?)
}

/// By one statement, so that version and vehicles are of one moment.
pub async fn list(database: &Postgres, user: &str) -> Result<(i64, Vec<WireVehicle>), ApiError> {
    let listed = async {
        let connection = database.connection().await?;
        let statement = connection
            .prepare_cached(concat!(
                "SELECT feeds.version AS feed_version, live.* FROM feeds LEFT JOIN (SELECT ",
                columns!(),
                " FROM vehicles WHERE user_id = $1 AND deleted_at IS NULL) AS live ON true
                 WHERE feeds.user_id = $1 ORDER BY created_at DESC, id DESC"
            ))
            .await?;
        let rows = connection.query(&statement, &[&user]).await?;
        let version = rows.first().map_or(Ok(0), |row| row.try_get("feed_version"))?;
        let is_vehicle = |row: &&Row| !matches!(row.try_get::<_, Option<&str>>("user_id"), Ok(None));
        let vehicles = rows.iter().filter(is_vehicle).map(vehicle_of).collect::<Result<_, Error>>()?;
        Ok::<_, Failure>((version, vehicles))
    };
    Ok(listed.await?)
}

pub async fn get(database: &Postgres, user: &str, id: VehicleId) -> Result<WireVehicle, ApiError> {
    let found = async {
        let connection = database.connection().await?;
        let statement = connection.prepare_cached(LIVE).await?;
        Ok::<_, Failure>(connection.query_opt(&statement, &[&user, &id.0]).await?.as_ref().map(vehicle_of).transpose()?)
    };
    found.await?.ok_or(ApiError::NO_VEHICLE)
}

pub async fn create(database: &Postgres, user: &str, creation: &Creation) -> Result<Created, ApiError> {
    let operation = || async {
        let Creation { id, fields, sent, at } = creation;
        let mut connection = database.connection().await?;
        let tx = begin(&mut connection, user).await?;
        let taken =
            tx.prepare_cached("SELECT user_id, created_with, deleted_at IS NOT NULL FROM vehicles WHERE id = $1");
        if let Some(taken) = tx.query_opt(&taken.await?, &[&id.0]).await? {
            let (owner, sent_before): (&str, Option<&str>) = (taken.try_get(0)?, taken.try_get(1)?);
            let is_the_same = owner == user && sent_before == Some(sent) && !taken.try_get::<_, bool>(2)?;
            return if is_the_same {
                Ok(Created::Before(live(&tx, user, *id).await?))
            } else {
                Err(ApiError::USED_ID.into())
            };
        }
        refuse_duplicate_vin(&tx, user, fields.vin.as_ref(), *id).await?;
        let insert = tx.prepare_cached(concat!(
            "INSERT INTO vehicles (id, user_id, vin, make, model, year, nickname, color, license_plate, odometer_reading,
                 is_active, trim_level, engine, transmission, drive_type, fuel_type, body_class, vehicle_type,
                 odometer_unit, notes, created_at, updated_at, created_with)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $21,
                 $22)
             RETURNING ",
            columns!()
        ));
        let (vin, unit) = (fields.vin.as_ref().map(Vin::as_str), fields.odometer_unit.as_str());
        let mut values = values(&id.0, &user, &vin, &unit, fields);
        values.extend([at as &(dyn ToSql + Sync), sent]);
        let vehicle = tx.query_one(&insert.await?, &values).await;
        let vehicle = vehicle_of(&vehicle.map_err(by_constraint)?)?;
        tx.commit().await?;
        Ok(Created::New(vehicle))
    };
    database.retried(operation).await
}

pub async fn update(database: &Postgres, user: &str, update: &Update) -> Result<WireVehicle, ApiError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = begin(&mut connection, user).await?;
        let before = live_at(&tx, user, update.id, &update.if_match).await?;
        let Some(fields) = update.changed(&before.fields)? else { return Ok(before) };
        if fields.vin != before.fields.vin {
            refuse_duplicate_vin(&tx, user, fields.vin.as_ref(), update.id).await?;
        }
        let statement = tx.prepare_cached(concat!(
            "UPDATE vehicles SET vin = $3, make = $4, model = $5, year = $6, nickname = $7, color = $8,
                 license_plate = $9, odometer_reading = $10, is_active = $11, trim_level = $12, engine = $13,
                 transmission = $14, drive_type = $15, fuel_type = $16, body_class = $17, vehicle_type = $18,
                 odometer_unit = $19, notes = $20, updated_at = $21
             WHERE id = $1 AND user_id = $2
             RETURNING ",
            columns!()
        ));
        let (vin, unit) = (fields.vin.as_ref().map(Vin::as_str), fields.odometer_unit.as_str());
        let mut values = values(&update.id.0, &user, &vin, &unit, &fields);
        values.push(&update.at);
        let vehicle = tx.query_one(&statement.await?, &values).await;
        let vehicle = vehicle_of(&vehicle.map_err(by_constraint)?)?;
        tx.commit().await?;
        Ok(vehicle)
    };
    database.retried(operation).await
}

pub async fn remove(
    database: &Postgres,
    user: &str,
    id: VehicleId,
    if_match: &IfMatch,
    at: Timestamp,
) -> Result<(), ApiError> {
    let operation = || async {
        let mut connection = database.connection().await?;
        let tx = begin(&mut connection, user).await?;
        live_at(&tx, user, id, if_match).await?;
        let statement =
            tx.prepare_cached("UPDATE vehicles SET deleted_at = $3, updated_at = $3 WHERE user_id = $1 AND id = $2");
        tx.execute(&statement.await?, &[&user, &id.0, &at]).await?;
        Ok(tx.commit().await?)
    };
    database.retried(operation).await
}

async fn live(tx: &Transaction<'_>, user: &str, id: VehicleId) -> Result<WireVehicle, Failure> {
    let row = tx.query_opt(&tx.prepare_cached(LIVE).await?, &[&user, &id.0]).await?;
    Ok(vehicle_of(&row.ok_or(ApiError::NO_VEHICLE)?)?)
}

async fn live_at(tx: &Transaction<'_>, user: &str, id: VehicleId, if_match: &IfMatch) -> Result<WireVehicle, Failure> {
    let vehicle = live(tx, user, id).await?;
    if if_match.allows(vehicle.version) { Ok(vehicle) } else { Err(ApiError::Changed(Box::new(vehicle)).into()) }
}

async fn refuse_duplicate_vin(
    tx: &Transaction<'_>,
    user: &str,
    vin: Option<&Vin>,
    id: VehicleId,
) -> Result<(), Failure> {
    let Some(vin) = vin else { return Ok(()) };
    // As the index has it: without the last condition PostgreSQL would not use it.
    let statement = tx.prepare_cached(
        "SELECT FROM vehicles WHERE user_id = $1 AND vin = $2 AND id <> $3 AND deleted_at IS NULL AND vin <> ''",
    );
    let other = tx.query_opt(&statement.await?, &[&user, &vin.as_str(), &id.0]).await?;
    if other.is_some() { Err(ApiError::DUPLICATE_VIN.into()) } else { Ok(()) }
}

/// What a constraint says that another writer was quicker about. An adopted table may have one on VINs of its own.
fn by_constraint(error: Error) -> Failure {
    match error.as_db_error().filter(|error| *error.code() == SqlState::UNIQUE_VIOLATION) {
        Some(violation) if violation.constraint().is_some_and(|name| name.ends_with("_pkey")) => {
            ApiError::USED_ID.into()
        }
        Some(_) => ApiError::DUPLICATE_VIN.into(),
        None => error.into(),
    }
}

/// The parameters $1 to $20: whose vehicle, and its fields.
fn values<'a>(
    id: &'a Uuid,
    user: &'a &str,
    vin: &'a Option<&str>,
    unit: &'a &str,
    fields: &'a VehicleFields,
) -> Vec<&'a (dyn ToSql + Sync)> {
    vec![
        id,
        user,
        vin,
        &fields.make,
        &fields.model,
        &fields.year,
        &fields.nickname,
        &fields.color,
        &fields.license_plate,
        &fields.odometer_reading,
        &fields.is_active,
        &fields.trim_level,
        &fields.engine,
        &fields.transmission,
        &fields.drive_type,
        &fields.fuel_type,
        &fields.body_class,
        &fields.vehicle_type,
        unit,
        &fields.notes,
    ]
}

fn vehicle_of(row: &Row) -> Result<WireVehicle, Error> {
    Ok(WireVehicle {
        id: VehicleId(row.try_get("id")?),
        user_id: row.try_get("user_id")?,
        fields: VehicleFields {
            vin: row.try_get::<_, Option<String>>("vin")?.and_then(Vin::stored),
            license_plate: row.try_get("license_plate")?,
            nickname: row.try_get("nickname")?,
            year: row.try_get("year")?,
            make: row.try_get("make")?,
            model: row.try_get("model")?,
            trim_level: row.try_get("trim_level")?,
            engine: row.try_get("engine")?,
            transmission: row.try_get("transmission")?,
            drive_type: row.try_get("drive_type")?,
            fuel_type: row.try_get("fuel_type")?,
            body_class: row.try_get("body_class")?,
            vehicle_type: row.try_get("vehicle_type")?,
            color: row.try_get("color")?,
            odometer_reading: row.try_get("odometer_reading")?,
            // The column allows no other.
            odometer_unit: OdometerUnit::by_name(row.try_get("odometer_unit")?).unwrap_or_default(),
            notes: row.try_get("notes")?,
            is_active: row.try_get("is_active")?,
        },
        image_url: row.try_get("image_url")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        deleted_at: row.try_get("deleted_at")?,
        version: row.try_get("version")?,
    })
}
