//! Vehicles in PostgreSQL.

use std::pin::pin;

use futures_util::TryStreamExt;
use garage_domain::{ColumnKind, FieldAccess, FieldValue, RecordId, VEHICLES, VehicleFields, VehicleId};
use garage_protocol::WireVehicle;
use tokio_postgres::{Error, Row, error::SqlState, types::ToSql};

use super::statements::{FACTS, INSERT, LIST, LIVE, REMOVE, UPDATE};
use crate::{
    store::{
        StoreError,
        postgres::{Failure, Postgres},
    },
    vehicles::decide::{self, Decision, Facts, Operation, Outcome, Refusal},
};

/// The index of the first column after those of the fields, as in `{columns}`.
const ID: usize = VEHICLES.fields.len();
/// The first column after `{columns}`.
const AFTER_COLUMNS: usize = ID + 7;

pub async fn list<V>(database: &Postgres, user: &str, mut vehicles: V) -> Result<(i64, V), StoreError>
where
    V: Extend<WireVehicle>,
{
    let connection = database.connection().await?;
    let statement = connection.prepare_cached(&LIST.postgres).await?;
    let mut rows = pin!(connection.query_raw(&statement, [user]).await?);
    let mut version = 0;
    while let Some(row) = rows.try_next().await? {
        version = row.try_get(AFTER_COLUMNS)?;
        vehicles.extend(vehicle_of(&row)?);
    }
    Ok((version, vehicles))
}

pub async fn get(database: &Postgres, user: &str, id: VehicleId) -> Result<Option<WireVehicle>, StoreError> {
    let connection = database.connection().await?;
    let statement = connection.prepare_cached(&LIVE.postgres).await?;
    let row = connection.query_opt(&statement, &[&user, &id.0]).await?;
    Ok(row.as_ref().map(vehicle_of).transpose()?.flatten())
}

pub async fn perform(
    database: &Postgres,
    user: &str,
    operation: &Operation,
    quota: i64,
) -> Result<Outcome, StoreError> {
    database.with_retries(async || perform_once(database, user, operation, quota).await).await
}

/// Takes two round trips: one to begin, lock and read the facts, one to write and commit.
async fn perform_once(database: &Postgres, user: &str, operation: &Operation, quota: i64) -> Result<Outcome, Failure> {
    let id = &operation.id.0;
    let (transaction, row) = database.begin(user, &FACTS.postgres, &[&user, id, &operation.vin()]).await?;
    let facts = match facts_of(&row) {
        Ok(facts) => facts,
        Err(error) => {
            let _ = transaction.roll_back().await;
            return Err(error.into());
        }
    };
    let others: [&(dyn ToSql + Sync); 3] = [id, &user, &operation.at];
    let written = match operation.decide(user, facts, quota) {
        Decision::Keep(vehicle) => return transaction.roll_back().await.map(|()| Outcome::Kept(vehicle)),
        Decision::Refuse(refusal) => return transaction.roll_back().await.map(|()| Outcome::Refused(refusal)),
        Decision::Insert { fields, sent } => {
            let values = values(fields);
            let others: Vec<_> = others.into_iter().chain([&sent as &(dyn ToSql + Sync)]).collect();
            transaction.commit_with(&INSERT.postgres_returning, &with_values(&others, &values)).await
        }
        Decision::Update(fields) => {
            let values = values(&fields);
            transaction.commit_with(&UPDATE.postgres_returning, &with_values(&others, &values)).await
        }
        Decision::Remove => transaction.commit_with(&REMOVE.postgres_returning, &others).await,
    };
    match written {
        Ok(row) => vehicle_of(&row)?.map(Outcome::Written).ok_or(Failure::Store(StoreError::Failed)),
        Err(failure) => refusal_of(failure).map(Outcome::Refused),
    }
}

/// The refusal for a violated constraint. A writer that does not lock the feed, such as an operator's program, may write
/// between the facts and the decision; an adopted table may have its own constraint on VINs.
fn refusal_of(failure: Failure) -> Result<Refusal, Failure> {
    let Failure::Database(error) = &failure else { return Err(failure) };
    match error.as_db_error().filter(|error| *error.code() == SqlState::UNIQUE_VIOLATION) {
        Some(violation) if violation.constraint().is_some_and(|name| name.ends_with("_pkey")) => Ok(Refusal::UsedId),
        Some(_) => Ok(Refusal::DuplicateVin),
        None => Err(failure),
    }
}

fn facts_of(row: &Row) -> Result<Facts, Error> {
    let created_with = row.try_get(AFTER_COLUMNS)?;
    let found = vehicle_of(row)?.map(|vehicle| decide::Row { vehicle, created_with });
    Ok(Facts { row: found, has_twin: row.try_get(AFTER_COLUMNS + 1)?, records: row.try_get(AFTER_COLUMNS + 2)? })
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

/// The vehicle of a row that begins with `{columns}`; `None` if an outer join found none.
fn vehicle_of(row: &Row) -> Result<Option<WireVehicle>, Error> {
    let Some(id) = row.try_get(ID)? else { return Ok(None) };
    let mut fields = VehicleFields::default();
    for (index, field) in VEHICLES.fields.iter().enumerate() {
        let value = match field.rule.column_kind() {
            ColumnKind::Text => row.try_get::<_, Option<_>>(index)?.map(FieldValue::Text),
            ColumnKind::Integer => row.try_get::<_, Option<i32>>(index)?.map(|it| FieldValue::Integer(it.into())),
            ColumnKind::Boolean => row.try_get::<_, Option<_>>(index)?.map(FieldValue::Boolean),
        };
        fields.set(field, value);
    }
    Ok(Some(WireVehicle {
        id: RecordId(id),
        user_id: row.try_get(ID + 1)?,
        fields,
        image_url: row.try_get(ID + 2)?,
        created_at: row.try_get(ID + 3)?,
        updated_at: row.try_get(ID + 4)?,
        deleted_at: row.try_get(ID + 5)?,
        version: row.try_get(ID + 6)?,
    }))
}
