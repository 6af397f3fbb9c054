//! Vehicles in PostgreSQL.

use std::{ops::ControlFlow, pin::pin};

use futures_util::TryStreamExt;
use garage_domain::{ColumnKind, FieldAccess, FieldValue, RecordId, VEHICLES, VehicleFields, VehicleId};
use garage_protocol::WireVehicle;
use tokio_postgres::{Error, Row, error::SqlState, types::ToSql};

use super::statements::{FACTS, INSERT, LIST, LIVE, REMOVE, Statement, UPDATE};
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

pub async fn perform_all(
    database: &Postgres,
    user: &str,
    operations: &[Operation],
    quota: i64,
) -> Result<Vec<Outcome>, StoreError> {
    database.with_retries(async || perform_all_once(database, user, operations, quota).await).await
}

/// Takes two round trips for a single operation: one to begin, lock and read the facts, one to write and commit. In a batch
/// each operation takes two, and its write has a savepoint.
async fn perform_all_once(
    database: &Postgres,
    user: &str,
    operations: &[Operation],
    quota: i64,
) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::with_capacity(operations.len());
    let Some((first, rest)) = operations.split_first() else { return Ok(outcomes) };
    let (transaction, mut row) = database.begin(user, &FACTS.postgres, &[&user, &first.id.0, &first.vin()]).await?;
    for (index, operation) in operations.iter().enumerate() {
        if index > 0 {
            row = transaction.query_one(&FACTS.postgres, &[&user, &operation.id.0, &operation.vin()]).await?;
        }
        let written = match statement_of(user, operation, operation.decide(user, facts_of(&row)?, quota)) {
            ControlFlow::Break(outcome) => {
                outcomes.push(outcome);
                continue;
            }
            ControlFlow::Continue((statement, values)) if rest.is_empty() => {
                let written = transaction.commit_with(&statement.postgres_returning, &parameters(&values)).await;
                return Ok(vec![outcome_of(written)?]);
            }
            ControlFlow::Continue((statement, values)) => {
                transaction.write_in_savepoint(&statement.postgres_returning, &parameters(&values)).await
            }
        };
        outcomes.push(outcome_of(written)?);
    }
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Written(_))) {
        transaction.commit().await?;
    } else {
        transaction.roll_back().await?;
    }
    Ok(outcomes)
}

type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// The statement that applies a decision, and its parameters; the outcome if nothing is written.
fn statement_of(
    user: &str,
    operation: &Operation,
    decision: Decision<'_>,
) -> ControlFlow<Outcome, (&'static Statement, Values)> {
    let mut parameters: Values = vec![Box::new(operation.id.0), Box::new(user.to_owned()), Box::new(operation.at)];
    match decision {
        Decision::Keep(vehicle) => ControlFlow::Break(Outcome::Kept(vehicle)),
        Decision::Refuse(refusal) => ControlFlow::Break(Outcome::Refused(refusal)),
        Decision::Insert { fields, sent } => {
            parameters.push(Box::new(sent.to_owned()));
            parameters.extend(values(fields));
            ControlFlow::Continue((&INSERT, parameters))
        }
        Decision::Update(fields) => {
            parameters.extend(values(&fields));
            ControlFlow::Continue((&UPDATE, parameters))
        }
        Decision::Remove => ControlFlow::Continue((&REMOVE, parameters)),
    }
}

fn parameters(values: &Values) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
}

fn outcome_of(written: Result<Row, Failure>) -> Result<Outcome, Failure> {
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
fn values(fields: &VehicleFields) -> Values {
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
