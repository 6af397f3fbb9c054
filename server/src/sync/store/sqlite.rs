//! The steps of a request on SQLite.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use garage_domain::{ColumnKind, Extra, FieldValue, RecordId, VEHICLES as FIELDS};
use garage_protocol::sync::{Change, CollectionDigest, Rejection, SyncRequest};
use garage_sqlite::Database;
use jiff::Timestamp;
use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, named_params, params, params_from_iter,
    types::{Type, Value},
};
use uuid::Uuid;

use super::{columns::VehicleExtra, statements::Statement};
use crate::{
    store::{StoreError, epoch},
    sync::{
        decide::{VEHICLES, Write},
        device::{Batch, Cursor, Device},
        steps::{Account, Feed, Outcome, REFUSED, Steps, is_idle, perform},
    },
};

type Result<T> = rusqlite::Result<T>;

/// The first column of the fields of a vehicle.
const FIRST_FIELD: usize = 7;

pub async fn sync(
    database: &Database,
    account: Account,
    request: SyncRequest,
    now: Timestamp,
) -> std::result::Result<Outcome, StoreError> {
    let (idle_account, idle_request) = (account.clone(), request.clone());
    let answer_idle = move |tx: &Transaction<'_>| {
        let statements = Statements { connection: tx, user: &idle_account.user };
        let is_idle = now_or_never(is_idle(&statements, &idle_request))?;
        Ok::<_, StoreError>(if is_idle { Some(perform_on(tx, &idle_account, &idle_request, now)?) } else { None })
    };
    // A reader cannot write: what must is done again on the writer.
    if let Ok(Some(outcome)) = database.read(answer_idle).await {
        return Ok(outcome);
    }
    database.write(move |tx| Ok::<_, StoreError>(perform_on(tx, &account, &request, now)?)).await
}

fn perform_on(connection: &Connection, account: &Account, request: &SyncRequest, now: Timestamp) -> Result<Outcome> {
    now_or_never(perform(&Statements { connection, user: &account.user }, account, request, now))
}

/// The result of steps on SQLite, which never wait.
fn now_or_never<T>(steps: impl Future<Output = Result<T>>) -> Result<T> {
    steps.now_or_never().unwrap_or(Err(rusqlite::Error::InvalidQuery))
}

struct Statements<'c> {
    connection: &'c Connection,
    user: &'c str,
}

impl Steps for Statements<'_> {
    type Error = rusqlite::Error;

    async fn feed(&self) -> Result<Feed> {
        let sql = "SELECT COALESCE(feeds.epoch, epoch.epoch), COALESCE(feeds.version, epoch.base),
                       COALESCE(record_count, 0)
                           + COALESCE((SELECT sum(record_count) FROM digests WHERE user_id = ?1), 0),
                       COALESCE(bytes, 0), (SELECT count(*) FROM devices WHERE user_id = ?1)
                   FROM epoch LEFT JOIN feeds ON user_id = ?1";
        self.connection.prepare_cached(sql)?.query_row([self.user], |row| {
            Ok(Feed {
                epoch: row.get(0)?,
                version: row.get(1)?,
                count: row.get(2)?,
                bytes: row.get(3)?,
                devices: row.get(4)?,
            })
        })
    }

    async fn device(&self, id: Uuid) -> Result<Device> {
        let sql = "SELECT cursors, batch, results, previous_batch, previous_results FROM devices
                   WHERE user_id = ?1 AND device_id = ?2";
        let read = |row: &Row<'_>| {
            let cursors: String = row.get(0)?;
            let batch = |index: usize| {
                Ok::<_, rusqlite::Error>(match (row.get(index)?, row.get::<_, Option<String>>(index + 1)?) {
                    (Some(number), Some(json)) => Some(Batch { number, answers: from_json(index + 1, &json)? }),
                    _ => None,
                })
            };
            let cursors = cursors.split(' ').filter_map(Cursor::parse).collect();
            Ok(Device { cursors, batches: [batch(1)?, batch(3)?] })
        };
        let found = self.connection.prepare_cached(sql)?.query_row([self.user, &id.to_string()], read).optional()?;
        Ok(found.unwrap_or_default())
    }

    async fn save_device(&self, id: Uuid, device: &Device) -> Result<()> {
        let sql = "INSERT INTO devices
                       (user_id, device_id, cursors, batch, results, previous_batch, previous_results)
                   VALUES (:user, :id, :cursors, :batch, :results, :previous_batch, :previous_results)
                   ON CONFLICT (user_id, device_id) DO UPDATE SET cursors = excluded.cursors,
                       batch = excluded.batch, results = excluded.results,
                       previous_batch = excluded.previous_batch, previous_results = excluded.previous_results";
        let cursors = device.cursors.iter().map(Cursor::to_string).collect::<Vec<_>>().join(" ");
        let [latest, previous] = &device.batches;
        let number = |batch: &Option<Batch>| batch.as_ref().map(|batch| batch.number);
        let results = |batch: &Option<Batch>| batch.as_ref().map(|batch| to_json(&batch.answers)).transpose();
        self.connection
            .prepare_cached(sql)?
            .execute(named_params! {
                ":user": self.user, ":id": id.to_string(), ":cursors": cursors, ":batch": number(latest),
                ":results": results(latest)?, ":previous_batch": number(previous), ":previous_results": results(previous)?,
            })
            .map(drop)
    }

    async fn lineage(&self) -> Result<Vec<(String, i64)>> {
        self.all(&epoch::positional(epoch::LINEAGE), &[&self.user], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    async fn begin_epoch(&self) -> Result<()> {
        for sql in [epoch::FIRST_FEED, epoch::END_EPOCH_OF_USER] {
            self.connection.prepare_cached(&epoch::positional(sql))?.execute([self.user])?;
        }
        let values = params![self.user, Uuid::new_v4().simple().to_string(), epoch::shift()];
        self.connection.prepare_cached(&epoch::positional(epoch::BEGIN_EPOCH_OF_USER))?.execute(values).map(drop)
    }

    async fn by_ids(&self, collection: &str, ids: &[RecordId]) -> Result<Vec<Change>> {
        let ids = to_json(ids)?;
        let mut found = if collection == VEHICLES {
            self.all(Statement::VehiclesById.sqlite(), &[&self.user, &ids], vehicle_of)?
        } else {
            self.all(Statement::RecordsById.sqlite(), &[&self.user, &ids, &collection], record_of)?
        };
        let tombstones = Statement::TombstonesById.sqlite();
        found.extend(self.all(tombstones, &[&self.user, &ids, &collection], tombstone_of)?);
        Ok(found)
    }

    async fn of_others(&self, ids: &[RecordId]) -> Result<Vec<RecordId>> {
        self.all(Statement::VehiclesOfOthers.sqlite(), &[&self.user, &to_json(ids)?], |row| id_of(row, 0))
    }

    async fn aliases(&self, collection: &str, ids: &[RecordId]) -> Result<Vec<(RecordId, RecordId)>> {
        let read = |row: &Row<'_>| Ok((id_of(row, 0)?, id_of(row, 1)?));
        self.all(Statement::Aliases.sqlite(), &[&self.user, &to_json(ids)?, &collection], read)
    }

    async fn by_vins(&self, vins: &[String]) -> Result<Vec<(String, RecordId)>> {
        self.all(Statement::VehiclesByVin.sqlite(), &[&self.user, &to_json(vins)?], |row| {
            Ok((row.get(0)?, id_of(row, 1)?))
        })
    }

    async fn write_all(&self, writes: &[&Write]) -> Result<Vec<std::result::Result<i64, Rejection>>> {
        writes.iter().map(|write| self.write(write)).collect()
    }

    async fn sizes_by_version(&self, after: i64, limit: usize) -> Result<Vec<(i64, i64)>> {
        let rows = limit as i64;
        self.all(Statement::SizesByVersion.sqlite(), &[&self.user, &after, &rows], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    async fn by_versions(&self, after: i64, to: i64) -> Result<Vec<Change>> {
        let values: [&dyn rusqlite::ToSql; 3] = [&self.user, &after, &to];
        let mut changes = self.all(Statement::VehiclesByVersion.sqlite(), &values, vehicle_of)?;
        changes.extend(self.all(Statement::RecordsByVersion.sqlite(), &values, record_of)?);
        changes.extend(self.all(Statement::TombstonesByVersion.sqlite(), &values, tombstone_of)?);
        changes.sort_unstable_by_key(|change| change.version);
        Ok(changes)
    }

    async fn sizes_by_id(&self, collection: &str, after: RecordId, limit: usize) -> Result<Vec<(RecordId, i64)>> {
        let rows = limit as i64;
        let after = after.to_string();
        let values: [&dyn rusqlite::ToSql; 4] = [&self.user, &after, &rows, &collection];
        let read = |row: &Row<'_>| Ok((id_of(row, 0)?, row.get(1)?));
        if collection == VEHICLES {
            self.all(Statement::VehicleSizesById.sqlite(), &values[..3], read)
        } else {
            self.all(Statement::RecordSizesById.sqlite(), &values, read)
        }
    }

    async fn digests(&self) -> Result<BTreeMap<String, CollectionDigest>> {
        let sql = "SELECT 'vehicles', record_count, record_hash FROM feeds WHERE user_id = ?1
                   UNION ALL SELECT collection, record_count, record_hash FROM digests WHERE user_id = ?1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, CollectionDigest { count: row.get(1)?, hash: row.get(2)? }));
        Ok(self.all(sql, &[&self.user], read)?.into_iter().collect())
    }
}

impl Statements<'_> {
    fn write(&self, write: &Write) -> Result<std::result::Result<i64, Rejection>> {
        // Nothing is left of a statement that fails, so it needs no savepoint.
        let written = match write {
            Write::Put { change, is_new } if change.collection == VEHICLES => self.put_vehicle(change, *is_new),
            Write::Put { change, .. } => self.put_record(change),
            Write::Alias { key: (collection, id), alias_of } => self.put_alias(collection, *id, *alias_of),
        };
        match written {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                return Ok(Err(Rejection::new(REFUSED.to_owned())));
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        let sql = "SELECT version FROM feeds WHERE user_id = ?1";
        Ok(Ok(self.connection.prepare_cached(sql)?.query_row([self.user], |row| row.get(0))?))
    }

    fn all<T>(
        &self,
        sql: &str,
        values: &[&dyn rusqlite::ToSql],
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.connection.prepare_cached(sql)?.query_map(values, read)?.collect()
    }

    fn put_vehicle(&self, change: &Change, is_new: bool) -> Result<()> {
        let extra = VehicleExtra::of(change);
        let others: [Value; 6] = [
            self.user.to_owned().into(),
            change.record_id.to_string().into(),
            change.deleted_at.map(|at| at.as_microsecond()).into(),
            change.created_at.map(|at| at.as_microsecond()).into(),
            change.updated_at.map(|at| at.as_microsecond()).into(),
            extra.to_json().into(),
        ];
        let value = |field: &&garage_domain::Field| {
            let value = change.fields.as_ref().and_then(|fields| fields.get(field.name)).cloned();
            match value.and_then(FieldValue::of_json) {
                Some(FieldValue::Text(text)) => text.into(),
                Some(FieldValue::Integer(integer)) => integer.into(),
                Some(FieldValue::Boolean(flag)) => flag.into(),
                // Declared fields have been validated.
                Some(FieldValue::Other(_)) | None => Value::Null,
            }
        };
        let values = params_from_iter(others.into_iter().chain(FIELDS.fields.iter().map(value)));
        let statement = if is_new { Statement::InsertVehicle } else { Statement::UpdateVehicle };
        self.connection.prepare_cached(statement.sqlite())?.execute(values).map(drop)
    }

    fn put_record(&self, change: &Change) -> Result<()> {
        let sql = "INSERT INTO records
                       (user_id, collection, id, fields, origins, device_id, created_at, updated_at, deleted_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (user_id, collection, id) DO UPDATE SET fields = excluded.fields,
                       origins = excluded.origins, device_id = excluded.device_id, created_at = excluded.created_at,
                       updated_at = excluded.updated_at, deleted_at = excluded.deleted_at";
        let time = |time: Option<Timestamp>| time.map(|at| at.as_microsecond());
        let values = params![
            self.user,
            change.collection,
            change.record_id.to_string(),
            to_json(&change.fields)?,
            to_json(&change.origins)?,
            change.device_id.map(|id| id.to_string()),
            time(change.created_at),
            time(change.updated_at),
            time(change.deleted_at),
        ];
        self.connection.prepare_cached(sql)?.execute(values).map(drop)
    }

    fn put_alias(&self, collection: &str, id: RecordId, alias_of: RecordId) -> Result<()> {
        let (id, alias_of) = (id.to_string(), alias_of.to_string());
        let alias = "INSERT INTO aliases (user_id, collection, alias_id, record_id) VALUES (?1, ?2, ?3, ?4)";
        self.connection.prepare_cached(alias)?.execute([self.user, collection, &id, &alias_of])?;
        let version = "INSERT INTO feeds (user_id, version) SELECT ?1, base + 1 FROM epoch WHERE true
                       ON CONFLICT (user_id) DO UPDATE SET version = version + 1";
        self.connection.prepare_cached(version)?.execute([self.user])?;
        let tombstone = "INSERT INTO tombstones (user_id, collection, id, alias_of, version, deleted_at)
             SELECT ?1, ?2, ?3, ?4, version, CAST(unixepoch('subsec') * 1000000 AS INTEGER) FROM feeds WHERE user_id = ?1";
        self.connection.prepare_cached(tombstone)?.execute([self.user, collection, &id, &alias_of])?;
        Ok(())
    }
}

fn vehicle_of(row: &Row<'_>) -> Result<Change> {
    let extra = VehicleExtra::parse(row.get::<_, Option<String>>(6)?.as_deref());
    let updated_at = time_of(row, 5)?;
    let (device_id, origins) = (updated_at.and_then(|at| extra.device_of(at)), extra.origins);
    let mut fields = extra.fields;
    for (index, field) in (FIRST_FIELD..).zip(FIELDS.fields) {
        let value = match field.rule.column_kind() {
            ColumnKind::Text => row.get::<_, Option<_>>(index)?.map(FieldValue::Text),
            ColumnKind::Integer => row.get::<_, Option<_>>(index)?.map(FieldValue::Integer),
            ColumnKind::Boolean => row.get::<_, Option<_>>(index)?.map(FieldValue::Boolean),
        };
        fields.extend(value.map(|value| (field.name.to_owned(), value.to_json())));
    }
    let state = Change { collection: VEHICLES.to_owned(), fields: Some(fields), ..tombstone_at(row)? };
    Ok(Change { origins, device_id, created_at: time_of(row, 4)?, updated_at, ..state })
}

fn record_of(row: &Row<'_>) -> Result<Change> {
    let device: Option<String> = row.get(8)?;
    Ok(Change {
        collection: row.get(9)?,
        fields: Some(from_json(6, &row.get::<_, String>(6)?)?),
        origins: from_json(7, &row.get::<_, String>(7)?)?,
        created_at: time_of(row, 4)?,
        updated_at: time_of(row, 5)?,
        device_id: device.and_then(|id| id.parse().ok()),
        ..tombstone_at(row)?
    })
}

fn tombstone_of(row: &Row<'_>) -> Result<Change> {
    Ok(Change { collection: row.get(4)?, ..tombstone_at(row)? })
}

/// What the first four columns of every row are.
fn tombstone_at(row: &Row<'_>) -> Result<Change> {
    let alias_of: Option<String> = row.get(3)?;
    Ok(Change {
        collection: String::new(),
        record_id: id_of(row, 0)?,
        version: row.get(1)?,
        deleted_at: time_of(row, 2)?,
        alias_of: alias_of.and_then(|id| id.parse().ok()),
        fields: None,
        origins: Extra::new(),
        created_at: None,
        updated_at: None,
        device_id: None,
    })
}

fn id_of(row: &Row<'_>, index: usize) -> Result<RecordId> {
    let id: String = row.get(index)?;
    id.parse().map_err(|_| unreadable(index))
}

fn time_of(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>> {
    let time: Option<i64> = row.get(index)?;
    time.map(|time| Timestamp::from_microsecond(time).map_err(|_| unreadable(index))).transpose()
}

fn unreadable(index: usize) -> rusqlite::Error {
    let reason = "the column holds a value that this version cannot read";
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, reason.into())
}

fn from_json<T: serde::de::DeserializeOwned>(index: usize, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| unreadable(index))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
