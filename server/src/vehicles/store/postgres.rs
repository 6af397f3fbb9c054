//! The operations on PostgreSQL.

use std::sync::LazyLock;

use deadpool_postgres::Transaction;
use garage_domain::{ColumnKind, FieldAccess, FieldValue, RecordId, VEHICLES, VehicleFields, VehicleId, Vin};
use garage_protocol::WireVehicle;
use jiff::Timestamp;
use tokio_postgres::{Error, Row, error::SqlState, types::ToSql};

use super::statements::complete;
use crate::{
    error::ApiError,
    http::IfMatch,
    store::postgres::{Failure, Postgres, begin},
    vehicles::{Created, Creation, Update},
};

static LIVE: LazyLock<String> = LazyLock::new(|| {
    complete("SELECT {columns} FROM vehicles WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL", '$', 2)
});

/// One statement, so that version and vehicles are of one moment.
static LIST: LazyLock<String> = LazyLock::new(|| {
    complete(
        "SELECT live.*, feeds.version AS feed_version FROM feeds LEFT JOIN (
             SELECT {columns} FROM vehicles WHERE user_id = $1 AND deleted_at IS NULL
         ) AS live ON true
         WHERE feeds.user_id = $1 ORDER BY created_at DESC, id DESC",
        '$',
        1,
    )
});

static INSERT: LazyLock<String> = LazyLock::new(|| {
    complete(
        "INSERT INTO vehicles (id, user_id, created_at, updated_at, created_with, {fields})
         VALUES ($1, $2, $3, $3, $4, {parameters})
         RETURNING {columns}",
        '$',
        4,
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    complete(
        "UPDATE vehicles SET updated_at = $3, {assignments} WHERE id = $1 AND user_id = $2 RETURNING {columns}",
        '$',
        3,
    )
});

pub async fn feed_version(database: &Postgres, user: &str) -> Result<i64, ApiError> {
    let version = async {
        let connection = database.connection().await?;
        let statement = connection.prepare_cached("SELECT version FROM feeds WHERE user_id = $1").await?;
        let row = connection.query_opt(&statement, &[&user]).await?;
        row.map_or(Ok(0), |row| row.try_get(0)).map_err(Failure::from)
    };
    Ok(version.await?)
}

pub async fn list(database: &Postgres, user: &str) -> Result<(i64, Vec<WireVehicle>), ApiError> {
    let listed = async {
        let connection = database.connection().await?;
        let statement = connection.prepare_cached(&LIST).await?;
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
        let statement = connection.prepare_cached(&LIVE).await?;
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
        let insert = tx.prepare_cached(&INSERT).await?;
        let values = values(fields);
        let others: [&(dyn ToSql + Sync); 4] = [&id.0, &user, at, sent];
        let vehicle = tx.query_one(&insert, &with_values(&others, &values)).await;
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
        let statement = tx.prepare_cached(&UPDATE).await?;
        let values = values(&fields);
        let others: [&(dyn ToSql + Sync); 3] = [&update.id.0, &user, &update.at];
        let vehicle = tx.query_one(&statement, &with_values(&others, &values)).await;
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
    let row = tx.query_opt(&tx.prepare_cached(&LIVE).await?, &[&user, &id.0]).await?;
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

/// The fields' values as their columns' types, in the order of the declaration.
fn values(fields: &VehicleFields) -> Vec<Box<dyn ToSql + Sync + Send>> {
    let value = |kind: ColumnKind, value: Option<FieldValue>| -> Box<dyn ToSql + Sync + Send> {
        match (kind, value) {
            (ColumnKind::Text, Some(FieldValue::Text(text))) => Box::new(text),
            (ColumnKind::Text, _) => Box::new(None::<String>),
            (ColumnKind::Integer, Some(FieldValue::Integer(integer))) => Box::new(i32::try_from(integer).ok()),
            (ColumnKind::Integer, _) => Box::new(None::<i32>),
            (ColumnKind::Boolean, Some(FieldValue::Boolean(flag))) => Box::new(flag),
            (ColumnKind::Boolean, _) => Box::new(None::<bool>),
        }
    };
    VEHICLES.fields.iter().map(|field| value(field.rule.column_kind(), fields.get(field))).collect()
}

fn with_values<'a>(
    others: &[&'a (dyn ToSql + Sync)],
    values: &'a [Box<dyn ToSql + Sync + Send>],
) -> Vec<&'a (dyn ToSql + Sync)> {
    others.iter().copied().chain(values.iter().map(|value| &**value as &(dyn ToSql + Sync))).collect()
}

/// A vehicle from a row that begins with `{columns}`.
fn vehicle_of(row: &Row) -> Result<WireVehicle, Error> {
    let mut fields = VehicleFields::default();
    for (index, field) in VEHICLES.fields.iter().enumerate() {
        let value = match field.rule.column_kind() {
            ColumnKind::Text => row.try_get::<_, Option<_>>(index)?.map(FieldValue::Text),
            ColumnKind::Integer => row.try_get::<_, Option<i32>>(index)?.map(|it| FieldValue::Integer(it.into())),
            ColumnKind::Boolean => row.try_get::<_, Option<_>>(index)?.map(FieldValue::Boolean),
        };
        fields.set(field, value);
    }
    Ok(WireVehicle {
        id: RecordId(row.try_get("id")?),
        user_id: row.try_get("user_id")?,
        fields,
        image_url: row.try_get("image_url")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        deleted_at: row.try_get("deleted_at")?,
        version: row.try_get("version")?,
    })
}
