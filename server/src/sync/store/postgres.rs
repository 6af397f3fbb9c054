//! The steps of a request on PostgreSQL.

use std::collections::BTreeMap;

use garage_domain::{ColumnKind, Extra, FieldValue, RecordId, VEHICLES as FIELDS};
use garage_protocol::sync::{Change, CollectionDigest, Rejection, SyncRequest};
use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{columns::VehicleExtra, statements::Statement};
use crate::{
    store::{
        StoreError, epoch,
        postgres::{self, Failure, Postgres, Value, WriteStatement},
    },
    sync::{
        decide::{VEHICLES, Write},
        device::{Batch, Cursor, Device},
        steps::{Account, Feed, Outcome, REFUSED, Steps, is_idle, perform},
    },
};

type Result<T> = std::result::Result<T, Failure>;

/// The first column of the fields of a vehicle.
const FIRST_FIELD: usize = 7;

const PUT_RECORD: &str =
    "INSERT INTO records (user_id, collection, id, fields, origins, device_id, created_at, updated_at, deleted_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (user_id, collection, id) DO UPDATE SET fields = excluded.fields, origins = excluded.origins,
         device_id = excluded.device_id, created_at = excluded.created_at, updated_at = excluded.updated_at,
         deleted_at = excluded.deleted_at
     RETURNING version";
const PUT_ALIAS: &str =
    "WITH alias AS (INSERT INTO aliases (user_id, collection, alias_id, record_id) VALUES ($1, $2, $3, $4)),
         feed AS (UPDATE feeds SET version = version + 1 WHERE user_id = $1 RETURNING version)
     INSERT INTO tombstones (user_id, collection, id, alias_of, version)
     SELECT $1, $2, $3, $4, version FROM feed RETURNING version";

pub async fn sync(
    database: &Postgres,
    account: &Account,
    request: &SyncRequest,
    now: Timestamp,
) -> std::result::Result<Outcome, StoreError> {
    let once = async || {
        if let Some(outcome) = answer_idle(database, account, request, now).await? {
            return Ok(outcome);
        }
        match perform_batch(database, account, request, now, false).await {
            Err(error) if is_refusal(&error) => perform_batch(database, account, request, now, true).await,
            performed => performed,
        }
    };
    database.with_retries(once).await
}

/// Performs a request in a transaction of its own. Without savepoints, which cost more than the writes themselves, a write
/// that the database refuses ends the transaction.
async fn perform_batch(
    database: &Postgres,
    account: &Account,
    request: &SyncRequest,
    now: Timestamp,
    in_savepoints: bool,
) -> Result<Outcome> {
    let (transaction, _) = database.begin(&account.user, "SELECT 1", &[]).await?;
    let statements = Statements { transaction, user: &account.user, in_savepoints };
    match perform(&statements, account, request, now).await {
        Ok(outcome) => {
            statements.transaction.commit().await?;
            Ok(outcome)
        }
        Err(error) => {
            if is_refusal(&error) {
                statements.transaction.roll_back().await?;
            }
            Err(error)
        }
    }
}

/// Answers a request that changes nothing, without a lock.
async fn answer_idle(
    database: &Postgres,
    account: &Account,
    request: &SyncRequest,
    now: Timestamp,
) -> Result<Option<Outcome>> {
    let transaction = database.begin_snapshot().await?;
    let statements = Statements { transaction, user: &account.user, in_savepoints: false };
    // What must write fails, and is done again with a lock.
    let outcome = match is_idle(&statements, request).await? {
        true => perform(&statements, account, request, now).await.ok(),
        false => None,
    };
    statements.transaction.roll_back().await?;
    Ok(outcome)
}

struct Statements<'u> {
    transaction: postgres::Write,
    user: &'u str,
    /// Whether each write can fail without the others.
    in_savepoints: bool,
}

impl Steps for Statements<'_> {
    type Error = Failure;

    async fn feed(&self) -> Result<Feed> {
        let sql = "SELECT COALESCE(feeds.epoch, epoch.epoch::text), COALESCE(feeds.version, epoch.base),
                       COALESCE(record_count, 0)
                           + COALESCE((SELECT sum(record_count) FROM digests WHERE user_id = $1), 0)::bigint,
                       COALESCE(bytes, 0), (SELECT count(*) FROM devices WHERE user_id = $1)
                   FROM epoch LEFT JOIN feeds ON user_id = $1";
        let row = self.transaction.query_one(sql, &[&self.user]).await?;
        Ok(Feed {
            epoch: row.try_get(0)?,
            version: row.try_get(1)?,
            count: row.try_get(2)?,
            bytes: row.try_get(3)?,
            devices: row.try_get(4)?,
        })
    }

    async fn device(&self, id: Uuid) -> Result<Device> {
        let sql = "SELECT cursors, batch, results, previous_batch, previous_results FROM devices
                   WHERE user_id = $1 AND device_id = $2";
        let rows = self.transaction.query(sql, &[&self.user, &id]).await?;
        let Some(row) = rows.first() else { return Ok(Device::default()) };
        let cursors: &str = row.try_get(0)?;
        let batch = |index: usize| {
            Ok::<_, Failure>(match (row.try_get(index)?, row.try_get::<_, Option<&str>>(index + 1)?) {
                (Some(number), Some(json)) => Some(Batch { number, answers: from_json(json)? }),
                _ => None,
            })
        };
        let cursors = cursors.split(' ').filter_map(Cursor::parse).collect();
        Ok(Device { cursors, batches: [batch(1)?, batch(3)?] })
    }

    async fn save_device(&self, id: Uuid, device: &Device) -> Result<()> {
        let sql = "INSERT INTO devices
                       (user_id, device_id, cursors, batch, results, previous_batch, previous_results)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)
                   ON CONFLICT (user_id, device_id) DO UPDATE SET cursors = excluded.cursors,
                       batch = excluded.batch, results = excluded.results,
                       previous_batch = excluded.previous_batch, previous_results = excluded.previous_results";
        let cursors = device.cursors.iter().map(Cursor::to_string).collect::<Vec<_>>().join(" ");
        let [latest, previous] = &device.batches;
        let number = |batch: &Option<Batch>| batch.as_ref().map(|batch| batch.number);
        let results = |batch: &Option<Batch>| batch.as_ref().map(|batch| to_json(&batch.answers)).transpose();
        let (latest_results, previous_results) = (results(latest)?, results(previous)?);
        self.transaction
            .query(
                sql,
                &[&self.user, &id, &cursors, &number(latest), &latest_results, &number(previous), &previous_results],
            )
            .await
            .map(drop)
    }

    async fn lineage(&self) -> Result<Vec<(String, i64)>> {
        self.all(epoch::LINEAGE, &[&self.user], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await
    }

    async fn begin_epoch(&self) -> Result<()> {
        for sql in [epoch::FIRST_FEED, epoch::END_EPOCH_OF_USER] {
            self.transaction.query(sql, &[&self.user]).await?;
        }
        let name = Uuid::new_v4().to_string();
        self.transaction.query(epoch::BEGIN_EPOCH_OF_USER, &[&self.user, &name, &epoch::shift()]).await.map(drop)
    }

    async fn by_ids(&self, collection: &str, ids: &[RecordId]) -> Result<Vec<Change>> {
        let ids = uuids(ids);
        let mut found = if collection == VEHICLES {
            self.all(Statement::VehiclesById.postgres(), &[&self.user, &ids], vehicle_of).await?
        } else {
            self.all(Statement::RecordsById.postgres(), &[&self.user, &ids, &collection], record_of).await?
        };
        let tombstones = Statement::TombstonesById.postgres();
        found.extend(self.all(tombstones, &[&self.user, &ids, &collection], tombstone_of).await?);
        Ok(found)
    }

    async fn of_others(&self, ids: &[RecordId]) -> Result<Vec<RecordId>> {
        self.all(Statement::VehiclesOfOthers.postgres(), &[&self.user, &uuids(ids)], |row| {
            Ok(RecordId(row.try_get(0)?))
        })
        .await
    }

    async fn aliases(&self, collection: &str, ids: &[RecordId]) -> Result<Vec<(RecordId, RecordId)>> {
        let read = |row: &Row| Ok((RecordId(row.try_get(0)?), RecordId(row.try_get(1)?)));
        self.all(Statement::Aliases.postgres(), &[&self.user, &uuids(ids), &collection], read).await
    }

    async fn by_vins(&self, vins: &[String]) -> Result<Vec<(String, RecordId)>> {
        self.all(Statement::VehiclesByVin.postgres(), &[&self.user, &vins], |row| {
            Ok((row.try_get(0)?, RecordId(row.try_get(1)?)))
        })
        .await
    }

    async fn write_all(&self, writes: &[&Write]) -> Result<Vec<std::result::Result<i64, Rejection>>> {
        let statements: Vec<_> = writes.iter().map(|write| self.statement_of(write)).collect::<Result<_>>()?;
        if !self.in_savepoints {
            let rows = self.transaction.write_all(&statements).await?;
            return rows.iter().map(|row| Ok(Ok(row.try_get(0)?))).collect();
        }
        let mut written = Vec::new();
        for statement in &statements {
            written.push(match self.transaction.write_in_savepoint(statement.sql, &statement.parameters()).await {
                Ok(row) => Ok(row.try_get(0)?),
                Err(error) if is_refusal(&error) => Err(Rejection::new(REFUSED.to_owned())),
                Err(error) => return Err(error),
            });
        }
        Ok(written)
    }

    async fn sizes_by_version(&self, after: i64, limit: usize) -> Result<Vec<(i64, i64)>> {
        let rows = limit as i64;
        self.all(Statement::SizesByVersion.postgres(), &[&self.user, &after, &rows], |row| {
            Ok((row.try_get(0)?, row.try_get::<_, i32>(1)?.into()))
        })
        .await
    }

    async fn by_versions(&self, after: i64, to: i64) -> Result<Vec<Change>> {
        let values: [&(dyn ToSql + Sync); 3] = [&self.user, &after, &to];
        let mut changes = self.all(Statement::VehiclesByVersion.postgres(), &values, vehicle_of).await?;
        changes.extend(self.all(Statement::RecordsByVersion.postgres(), &values, record_of).await?);
        changes.extend(self.all(Statement::TombstonesByVersion.postgres(), &values, tombstone_of).await?);
        changes.sort_unstable_by_key(|change| change.version);
        Ok(changes)
    }

    async fn sizes_by_id(&self, collection: &str, after: RecordId, limit: usize) -> Result<Vec<(RecordId, i64)>> {
        let rows = limit as i64;
        let after = after.0;
        let values: [&(dyn ToSql + Sync); 4] = [&self.user, &after, &rows, &collection];
        let read = |row: &Row| Ok((RecordId(row.try_get(0)?), row.try_get::<_, i32>(1)?.into()));
        if collection == VEHICLES {
            self.all(Statement::VehicleSizesById.postgres(), &values[..3], read).await
        } else {
            self.all(Statement::RecordSizesById.postgres(), &values, read).await
        }
    }

    async fn digests(&self) -> Result<BTreeMap<String, CollectionDigest>> {
        let sql = "SELECT 'vehicles', record_count, record_hash FROM feeds WHERE user_id = $1
                   UNION ALL SELECT collection, record_count, record_hash FROM digests WHERE user_id = $1";
        let read =
            |row: &Row| Ok((row.try_get(0)?, CollectionDigest { count: row.try_get(1)?, hash: row.try_get(2)? }));
        Ok(self.all(sql, &[&self.user], read).await?.into_iter().collect())
    }
}

impl Statements<'_> {
    fn statement_of(&self, write: &Write) -> Result<WriteStatement> {
        Ok(match write {
            Write::Put { change, is_new } if change.collection == VEHICLES => {
                let statement = if *is_new { Statement::InsertVehicle } else { Statement::UpdateVehicle };
                WriteStatement { sql: statement.postgres(), values: vehicle_values(self.user, change) }
            }
            Write::Put { change, .. } => WriteStatement {
                sql: PUT_RECORD,
                values: vec![
                    Box::new(self.user.to_owned()),
                    Box::new(change.collection.clone()),
                    Box::new(change.record_id.0),
                    Box::new(to_json(&change.fields)?),
                    Box::new(to_json(&change.origins)?),
                    Box::new(change.device_id),
                    Box::new(change.created_at),
                    Box::new(change.updated_at),
                    Box::new(change.deleted_at),
                ],
            },
            Write::Alias { key: (collection, id), alias_of } => WriteStatement {
                sql: PUT_ALIAS,
                values: vec![
                    Box::new(self.user.to_owned()),
                    Box::new(collection.clone()),
                    Box::new(id.0),
                    Box::new(alias_of.0),
                ],
            },
        })
    }

    async fn all<T>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.transaction.query(sql, parameters).await?.iter().map(read).collect()
    }
}

/// Whether a constraint, a trigger or the type of a column refuses the row.
fn is_refusal(error: &Failure) -> bool {
    let Failure::Database(error) = error else { return false };
    // Classes 22, data exceptions; 23, constraints; P0, raised by triggers.
    let class = error.code().map(|state| &state.code()[..2]);
    matches!(class, Some("22" | "23" | "P0"))
}

fn vehicle_values(user: &str, change: &Change) -> Vec<Value> {
    let mut values: Vec<Value> = vec![
        Box::new(user.to_owned()),
        Box::new(change.record_id.0),
        Box::new(change.deleted_at),
        Box::new(change.created_at),
        Box::new(change.updated_at),
        Box::new(VehicleExtra::of(change).to_json()),
    ];
    values.extend(FIELDS.fields.iter().map(|field| -> Value {
        let value = change.fields.as_ref().and_then(|fields| fields.get(field.name)).cloned();
        match (field.rule.column_kind(), value.and_then(FieldValue::of_json)) {
            (ColumnKind::Text, Some(FieldValue::Text(text))) => Box::new(text),
            (ColumnKind::Text, _) => Box::new(None::<String>),
            (ColumnKind::Integer, Some(FieldValue::Integer(integer))) => Box::new(i32::try_from(integer).ok()),
            (ColumnKind::Integer, _) => Box::new(None::<i32>),
            (ColumnKind::Boolean, Some(FieldValue::Boolean(flag))) => Box::new(flag),
            (ColumnKind::Boolean, _) => Box::new(None::<bool>),
        }
    }));
    values
}

fn vehicle_of(row: &Row) -> Result<Change> {
    let extra = VehicleExtra::parse(row.try_get(6)?);
    let updated_at: Option<Timestamp> = row.try_get(5)?;
    let (device_id, origins) = (updated_at.and_then(|at| extra.device_of(at)), extra.origins);
    let mut fields = extra.fields;
    for (index, field) in (FIRST_FIELD..).zip(FIELDS.fields) {
        let value = match field.rule.column_kind() {
            ColumnKind::Text => row.try_get::<_, Option<_>>(index)?.map(FieldValue::Text),
            ColumnKind::Integer => row.try_get::<_, Option<i32>>(index)?.map(|it| FieldValue::Integer(it.into())),
            ColumnKind::Boolean => row.try_get::<_, Option<_>>(index)?.map(FieldValue::Boolean),
        };
        fields.extend(value.map(|value| (field.name.to_owned(), value.to_json())));
    }
    let state = Change { collection: VEHICLES.to_owned(), fields: Some(fields), ..tombstone_at(row)? };
    Ok(Change { origins, device_id, created_at: row.try_get(4)?, updated_at, ..state })
}

fn record_of(row: &Row) -> Result<Change> {
    Ok(Change {
        collection: row.try_get(9)?,
        fields: Some(from_json(row.try_get(6)?)?),
        origins: from_json(row.try_get(7)?)?,
        created_at: row.try_get(4)?,
        updated_at: row.try_get(5)?,
        device_id: row.try_get(8)?,
        ..tombstone_at(row)?
    })
}

fn tombstone_of(row: &Row) -> Result<Change> {
    Ok(Change { collection: row.try_get(4)?, ..tombstone_at(row)? })
}

/// What the first four columns of every row are.
fn tombstone_at(row: &Row) -> Result<Change> {
    Ok(Change {
        collection: String::new(),
        record_id: RecordId(row.try_get(0)?),
        version: row.try_get(1)?,
        deleted_at: row.try_get(2)?,
        alias_of: row.try_get::<_, Option<Uuid>>(3)?.map(RecordId),
        fields: None,
        origins: Extra::new(),
        created_at: None,
        updated_at: None,
        device_id: None,
    })
}

fn uuids(ids: &[RecordId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| Failure::Store(StoreError::Failed))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Failure::Store(StoreError::Failed))
}
