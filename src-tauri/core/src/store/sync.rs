//! The bookkeeping of sync: bases, marks, frozen operations, aliases, conflicts, refusals, and how far this garage is.

use std::collections::BTreeMap;

use garage_domain::{
    Collection, Extra, Record, RecordId,
    conflict::{Conflict, Conflicts},
    replica::Replica,
    rules::Rule,
};
use garage_protocol::sync::Operation;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, named_params, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{foreign, journal::to_json, records, scope::Scope};

/// A record of any collection, also of an unknown one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub collection: String,
    pub id: RecordId,
}

impl Key {
    pub fn new(collection: &str, id: RecordId) -> Key {
        Key { collection: collection.to_owned(), id }
    }

    pub fn of(operation: &Operation) -> Key {
        Key::new(&operation.collection, operation.record_id)
    }
}

/// The last state of a record that the server has acknowledged or sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredBase {
    pub version: i64,
    pub fields: Extra,
    pub origins: Extra,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// The server has only id, version and removal: the row was deleted by hand.
    pub is_row_gone: bool,
    /// The server was restored to a state before this version.
    pub is_forgotten: bool,
    /// The generation of the full re-read that listed it last.
    pub reread: i64,
}

/// Which server and account a garage syncs with, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub server: String,
    pub account: String,
    pub email: Option<String>,
    pub epoch: Option<String>,
    pub cursor: Option<String>,
    /// The number of the last batch.
    pub batch: i64,
    /// The generation of the last full re-read.
    pub reread: i64,
    pub is_rereading: bool,
    /// The collection and record that the last audit ended with.
    pub audit_collection: Option<String>,
    pub audit_after: Option<RecordId>,
    /// How often digest or audit have differed since they were last equal.
    pub mismatches: i64,
    pub synced_at: Option<Timestamp>,
    pub attention: Option<Attention>,
    /// What the server took in the last pass.
    pub scope: Scope,
}

impl Progress {
    /// This device continues as another one: it counts its batches anew, and reads everything again.
    pub fn begin_anew(&mut self) {
        self.batch = 0;
        self.read_again();
    }

    /// Everything is read again.
    pub fn read_again(&mut self) {
        self.cursor = None;
        self.reread += 1;
        self.is_rereading = true;
        (self.audit_collection, self.audit_after) = (None, None);
    }
}

/// Why sync has stopped until a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "reason")]
pub enum Attention {
    /// The server's database is not the one that this garage was synced with.
    OtherDatabase {
        /// Its epoch.
        epoch: String,
        /// The epochs before, each with its last version.
        lineage: Vec<(String, i64)>,
    },
    /// The garage was restored from a backup, which may differ from the server.
    Restored,
    /// Devices and server differ although everything was read again.
    Differs,
    /// More than half of the records are missing in the server's list. They stay on this device until a person confirms
    /// their removal.
    Removals {
        /// The number of missing records.
        missing: u64,
        /// Whether a person has confirmed the removal of so many.
        is_accepted: bool,
    },
}

/// A value that the server has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRefusal {
    pub key: Key,
    /// The field; [`WHOLE_RECORD`] if it is about no field.
    pub field: String,
    /// The refused value as JSON.
    pub value: String,
    pub reason: String,
}

/// The field of a refusal that is about the whole record.
pub(crate) const WHOLE_RECORD: &str = "";

// Replicas.

/// Returns the record and its conflicts, by the id itself: aliases are not resolved.
pub(crate) fn replica(connection: &Connection, key: &Key) -> Result<Option<Replica>> {
    let record = match Collection::by_name(&key.collection) {
        Some(collection) => records::by_own_id(connection, collection, key.id)?,
        None => match foreign::by_id(connection, &key.collection, key.id)? {
            foreign::Stored::Readable(record) => Some(record.into_record(Collection::named(&key.collection))),
            foreign::Stored::Missing | foreign::Stored::Unreadable => None,
        },
    };
    let Some(record) = record else { return Ok(None) };
    Ok(Some(Replica { record, conflicts: conflicts(connection, key)? }))
}

/// Returns the replica that a base stands for, with its references by the ids that records have here.
pub(crate) fn base_replica(connection: &Connection, key: &Key, base: &StoredBase) -> Result<Replica> {
    let mut record = Record::new(Collection::named(&key.collection), key.id, base.created_at);
    (record.updated_at, record.deleted_at) = (base.updated_at, base.deleted_at);
    let mut replica = Replica::with_fields(record, base.fields.clone());
    if Rule::ReferencesAreReadThroughAliases.holds() {
        replica.record = records::with_resolved_references(connection, replica.record)?;
    }
    Ok(replica)
}

/// The keys of all records on this device, removed ones included.
pub(crate) fn keys_of_all(connection: &Connection) -> Result<Vec<Key>> {
    let mut found = keys(connection, "SELECT collection, record_id FROM foreign_records", [])?;
    for collection in garage_domain::COLLECTIONS {
        let sql = format!("SELECT ?1, id FROM {}", collection.table);
        found.extend(keys(connection, &sql, [collection.name])?);
    }
    Ok(found)
}

// Conflicts.

pub(crate) fn conflicts(connection: &Connection, key: &Key) -> Result<Conflicts> {
    let sql = "SELECT field, decision, alternatives FROM conflict WHERE collection = ?1 AND record_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([&key.collection, &key.id.to_string()])?;
    let mut conflicts = Conflicts::new();
    while let Some(row) = rows.next()? {
        conflicts.insert(row.get(0)?, conflict_of(row, 1)?);
    }
    Ok(conflicts)
}

fn conflict_of(row: &Row<'_>, first: usize) -> Result<Conflict> {
    let decision = row.get::<_, Option<String>>(first)?.and_then(|id| id.parse().ok());
    Ok(Conflict { decision, alternatives: parsed(row, first + 1).unwrap_or_default() })
}

/// Replaces the conflicts of a record.
pub(super) fn put_conflicts(connection: &Connection, key: &Key, conflicts: &Conflicts) -> Result<()> {
    let id = key.id.to_string();
    let delete = "DELETE FROM conflict WHERE collection = ?1 AND record_id = ?2";
    connection.prepare_cached(delete)?.execute([&key.collection, &id])?;
    for (field, conflict) in conflicts {
        connection
            .prepare_cached(
                "INSERT INTO conflict (collection, record_id, field, decision, alternatives) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                key.collection,
                id,
                field,
                conflict.decision.map(|id| id.to_string()),
                to_json(&conflict.alternatives)?,
            ])?;
    }
    Ok(())
}

/// Returns all open conflicts, by collection, record and field.
pub(crate) fn open_conflicts(connection: &Connection) -> Result<Vec<(Key, String, Conflict)>> {
    let mut statement = connection.prepare_cached(
        "SELECT collection, record_id, field, decision, alternatives FROM conflict WHERE alternatives <> '[]'
         ORDER BY collection, record_id, field",
    )?;
    let mut rows = statement.query([])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = key_of(row)? {
            open.push((key, row.get(2)?, conflict_of(row, 3)?));
        }
    }
    Ok(open)
}

// Bases.

const SELECT_BASE: &str = "SELECT collection, record_id, version, fields, origins, created_at_us, updated_at_us,
    deleted_at_us, is_row_gone, is_forgotten, reread FROM base";

fn base_of(row: &Row<'_>) -> Result<StoredBase> {
    let time = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(timestamp));
    Ok(StoredBase {
        version: row.get(2)?,
        fields: parsed(row, 3)?,
        origins: parsed(row, 4)?,
        created_at: time(5)?.unwrap_or_default(),
        updated_at: time(6)?.unwrap_or_default(),
        deleted_at: time(7)?,
        is_row_gone: row.get(8)?,
        is_forgotten: row.get(9)?,
        reread: row.get(10)?,
    })
}

pub(crate) fn base(connection: &Connection, key: &Key) -> Result<Option<StoredBase>> {
    let sql = format!("{SELECT_BASE} WHERE collection = ?1 AND record_id = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([&key.collection, &key.id.to_string()], base_of).optional()
}

/// The version of a record's base, and whether the server has forgotten it.
pub(crate) fn base_version(connection: &Connection, key: &Key) -> Result<Option<(i64, bool)>> {
    let sql = "SELECT version, is_forgotten FROM base WHERE collection = ?1 AND record_id = ?2";
    let version = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection.prepare_cached(sql)?.query_row([&key.collection, &key.id.to_string()], version).optional()
}

/// Returns the next bases of a collection by id.
pub(crate) fn bases_after(
    connection: &Connection,
    collection: &str,
    after: Option<RecordId>,
    limit: usize,
) -> Result<Vec<(RecordId, StoredBase)>> {
    let sql = format!("{SELECT_BASE} WHERE collection = ?1 AND record_id > ?2 ORDER BY record_id LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut rows = statement.query(params![collection, after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut bases = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = key_of(row)? {
            bases.push((key.id, base_of(row)?));
        }
    }
    Ok(bases)
}

/// The names of the collections that have bases.
pub(crate) fn collections(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT DISTINCT collection FROM base ORDER BY collection")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Calls `each` with the id and version of every base of a collection.
pub(crate) fn each_version(
    connection: &Connection,
    collection: &str,
    mut each: impl FnMut(RecordId, i64),
) -> Result<()> {
    let mut statement = connection.prepare_cached("SELECT record_id, version FROM base WHERE collection = ?1")?;
    let mut rows = statement.query([collection])?;
    while let Some(row) = rows.next()? {
        if let Some(id) = id_of(row, 0)? {
            each(id, row.get(1)?);
        }
    }
    Ok(())
}

pub(crate) fn put_base(connection: &Connection, key: &Key, base: &StoredBase) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO base
                 (collection, record_id, version, fields, origins, created_at_us, updated_at_us, deleted_at_us,
                  is_row_gone, is_forgotten, reread)
             VALUES (:collection, :record_id, :version, :fields, :origins, :created_at_us, :updated_at_us,
                  :deleted_at_us, :is_row_gone, :is_forgotten, :reread)",
        )?
        .execute(named_params! {
            ":collection": key.collection,
            ":record_id": key.id.to_string(),
            ":version": base.version,
            ":fields": to_json(&base.fields)?,
            ":origins": to_json(&base.origins)?,
            ":created_at_us": base.created_at.as_microsecond(),
            ":updated_at_us": base.updated_at.as_microsecond(),
            ":deleted_at_us": base.deleted_at.map(Timestamp::as_microsecond),
            ":is_row_gone": base.is_row_gone,
            ":is_forgotten": base.is_forgotten,
            ":reread": base.reread,
        })
        .map(drop)
}

/// Notes that the full re-read has listed a record.
pub(crate) fn note_listed(connection: &Connection, key: &Key, reread: i64) -> Result<()> {
    let sql = "UPDATE base SET reread = ?3 WHERE collection = ?1 AND record_id = ?2";
    connection.prepare_cached(sql)?.execute(params![key.collection, key.id.to_string(), reread]).map(drop)
}

pub(crate) fn delete_base(connection: &Connection, key: &Key) -> Result<()> {
    let sql = "DELETE FROM base WHERE collection = ?1 AND record_id = ?2";
    connection.prepare_cached(sql)?.execute([&key.collection, &key.id.to_string()]).map(drop)
}

/// The records with a base that the full re-read has not listed.
pub(crate) fn unlisted(connection: &Connection, reread: i64) -> Result<Vec<Key>> {
    keys(connection, "SELECT collection, record_id FROM base WHERE reread < ?1", [reread])
}

/// Marks the bases with these versions as forgotten by the server. Versions are in ascending, disjoint ranges, ends
/// included.
pub(crate) fn forget_versions(connection: &Connection, ranges: &[(i64, i64)]) -> Result<()> {
    for (first, last) in ranges {
        let sql = "UPDATE base SET is_forgotten = 1 WHERE version BETWEEN ?1 AND ?2";
        connection.prepare_cached(sql)?.execute([first, last])?;
    }
    Ok(())
}

/// Notes that the server may know none of the states that the bases stand for. Every state of it counts as a later one.
pub(crate) fn forget_all(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE base SET is_forgotten = 1, version = 0", []).map(drop)
}

// Marks.

/// A record that waits to be sent.
pub(crate) struct Waiting {
    pub key: Key,
    /// A create of it was sent, and may have been applied.
    pub may_exist: bool,
}

/// The next records that wait to be sent, by collection and id.
pub(crate) fn waiting_after(connection: &Connection, after: Option<&Key>, limit: usize) -> Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(
        "SELECT collection, record_id, may_exist FROM waiting
         WHERE (collection, record_id) > (?1, ?2) ORDER BY collection, record_id LIMIT ?3",
    )?;
    let (collection, id) =
        after.map_or((String::new(), String::new()), |key| (key.collection.clone(), key.id.to_string()));
    let mut rows = statement.query(params![collection, id, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = key_of(row)? {
            waiting.push(Waiting { key, may_exist: row.get(2)? });
        }
    }
    Ok(waiting)
}

/// Whether a record waits to be sent; and if so, whether a create of it may have been applied.
pub(crate) fn waits(connection: &Connection, key: &Key) -> Result<Option<bool>> {
    let sql = "SELECT may_exist FROM waiting WHERE collection = ?1 AND record_id = ?2";
    let may_exist = |row: &Row<'_>| row.get(0);
    connection.prepare_cached(sql)?.query_row([&key.collection, &key.id.to_string()], may_exist).optional()
}

/// How many records of each collection have a change that the server has not acknowledged.
pub(crate) fn count_unacknowledged(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let sql = "SELECT collection, count(*) FROM
                   (SELECT collection, record_id FROM waiting UNION SELECT collection, record_id FROM sent)
               GROUP BY collection";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.collect()
}

/// The records of a collection with a change that was not sent.
pub(crate) fn waiting_of(connection: &Connection, collection: &str) -> Result<Vec<Waiting>> {
    let mut statement =
        connection.prepare_cached("SELECT collection, record_id, may_exist FROM waiting WHERE collection = ?1")?;
    let mut rows = statement.query([collection])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = key_of(row)? {
            waiting.push(Waiting { key, may_exist: row.get(2)? });
        }
    }
    Ok(waiting)
}

/// Marks a record as having a local change that was not sent.
pub(crate) fn mark_waiting(connection: &Connection, collection: &str, id: RecordId) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO waiting (collection, record_id) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute([collection, &id.to_string()]).map(drop)
}

/// Marks a record as waiting, and its create as perhaps applied.
pub(crate) fn mark_may_exist(connection: &Connection, key: &Key) -> Result<()> {
    let sql = "INSERT INTO waiting (collection, record_id, may_exist) VALUES (?1, ?2, 1)
               ON CONFLICT DO UPDATE SET may_exist = 1";
    connection.prepare_cached(sql)?.execute([&key.collection, &key.id.to_string()]).map(drop)
}

pub(crate) fn unmark_waiting(connection: &Connection, key: &Key) -> Result<()> {
    let sql = "DELETE FROM waiting WHERE collection = ?1 AND record_id = ?2";
    connection.prepare_cached(sql)?.execute([&key.collection, &key.id.to_string()]).map(drop)
}

/// A value of a unique field that the server has in a live record, and this device has given up: its record is removed, or
/// has another value.
pub(crate) struct FreedValue {
    pub value: String,
    /// The record that has it on the server.
    pub holder: RecordId,
    /// Whether the record waits. Otherwise the server has refused what would give the value up there.
    pub is_waiting: bool,
}

/// The values of a collection's unique field that this device has given up, and the server has not.
pub(crate) fn freed_values(connection: &Connection, collection: &Collection) -> Result<Vec<FreedValue>> {
    let Some(unique) = collection.unique else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT json_extract(base.fields, '$.{name}'), base.record_id, max(unsent.is_waiting)
         FROM (SELECT record_id, 1 AS is_waiting FROM waiting WHERE collection = ?1
               UNION ALL SELECT record_id, 0 FROM refused WHERE collection = ?1) AS unsent
             JOIN base ON base.collection = ?1 AND base.record_id = unsent.record_id
             LEFT JOIN {table} ON {table}.id = base.record_id
         WHERE base.deleted_at_us IS NULL AND json_extract(base.fields, '$.{name}') IS NOT NULL
             AND ({table}.id IS NULL OR {table}.deleted_at_us IS NOT NULL
                 OR {table}.{column} IS NOT json_extract(base.fields, '$.{name}'))
         GROUP BY base.record_id",
        name = unique.name,
        table = collection.table,
        column = unique.column,
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([collection.name])?;
    let mut freed = Vec::new();
    while let Some(row) = rows.next()? {
        let (value, id) = (row.get::<_, rusqlite::types::Value>(0)?, id_of(row, 1)?);
        if let (rusqlite::types::Value::Text(value), Some(holder)) = (value, id) {
            freed.push(FreedValue { value, holder, is_waiting: row.get(2)? });
        }
    }
    Ok(freed)
}

// Frozen operations.

/// The operations of the batch in flight, in their order.
pub(crate) fn sent(connection: &Connection) -> Result<Vec<Operation>> {
    let mut statement = connection.prepare_cached("SELECT operation FROM sent ORDER BY position")?;
    let mut rows = statement.query([])?;
    let mut operations = Vec::new();
    while let Some(row) = rows.next()? {
        let operation: String = row.get(0)?;
        operations.push(serde_json::from_str(&operation).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
        })?);
    }
    Ok(operations)
}

pub(crate) fn freeze(connection: &Connection, operation: &Operation) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO sent (collection, record_id, operation) VALUES (?1, ?2, ?3)")?
        .execute([&operation.collection, &operation.record_id.to_string(), &to_json(operation)?])
        .map(drop)
}

/// Deletes the frozen operation of a record.
pub(crate) fn thaw(connection: &Connection, key: &Key) -> Result<()> {
    let sql = "DELETE FROM sent WHERE collection = ?1 AND record_id = ?2";
    connection.prepare_cached(sql)?.execute([&key.collection, &key.id.to_string()]).map(drop)
}

/// Whether a record has an operation that was not answered.
pub(crate) fn is_sent(connection: &Connection, key: &Key) -> Result<bool> {
    let sql = "SELECT 1 FROM sent WHERE collection = ?1 AND record_id = ?2";
    connection.prepare_cached(sql)?.exists([&key.collection, &key.id.to_string()])
}

// Refusals.

pub(crate) fn refusals(connection: &Connection, key: &Key) -> Result<Vec<StoredRefusal>> {
    let sql = "SELECT collection, record_id, field, value, reason FROM refused
               WHERE collection = ?1 AND record_id = ?2 ORDER BY field";
    collected(connection.prepare_cached(sql)?.query([&key.collection, &key.id.to_string()])?)
}

pub(crate) fn all_refusals(connection: &Connection) -> Result<Vec<StoredRefusal>> {
    let sql = "SELECT collection, record_id, field, value, reason FROM refused ORDER BY collection, record_id, field";
    collected(connection.prepare_cached(sql)?.query([])?)
}

fn collected(mut rows: rusqlite::Rows<'_>) -> Result<Vec<StoredRefusal>> {
    let mut refusals = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = key_of(row)? {
            refusals.push(StoredRefusal { key, field: row.get(2)?, value: row.get(3)?, reason: row.get(4)? });
        }
    }
    Ok(refusals)
}

pub(crate) fn put_refusal(connection: &Connection, refusal: &StoredRefusal) -> Result<()> {
    let StoredRefusal { key, field, value, reason } = refusal;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO refused (collection, record_id, field, value, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![key.collection, key.id.to_string(), field, value, reason])
        .map(drop)
}

/// Deletes the refusal of a field; returns whether there was one.
pub(crate) fn delete_refusal(connection: &Connection, key: &Key, field: &str) -> Result<bool> {
    let sql = "DELETE FROM refused WHERE collection = ?1 AND record_id = ?2 AND field = ?3";
    Ok(connection.prepare_cached(sql)?.execute([&key.collection, &key.id.to_string(), field])? > 0)
}

// Aliases.

/// Returns the record that this id is an alias of.
pub(crate) fn alias_of(connection: &Connection, key: &Key) -> Result<Option<RecordId>> {
    let sql = "SELECT record_id FROM alias WHERE collection = ?1 AND alias_id = ?2";
    let record: Option<String> = connection
        .prepare_cached(sql)?
        .query_row([&key.collection, &key.id.to_string()], |row| row.get(0))
        .optional()?;
    Ok(record.and_then(|id| id.parse().ok()))
}

/// Returns all aliases, with the records that they are aliases of.
pub(crate) fn aliases(connection: &Connection) -> Result<Vec<(Key, RecordId)>> {
    let mut statement = connection.prepare_cached("SELECT collection, alias_id, record_id FROM alias")?;
    let mut rows = statement.query([])?;
    let mut aliases = Vec::new();
    while let Some(row) = rows.next()? {
        aliases.extend(key_of(row)?.zip(id_of(row, 2)?));
    }
    Ok(aliases)
}

pub(crate) fn put_alias(connection: &Connection, alias: &Key, record: RecordId) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO alias (collection, alias_id, record_id) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute([&alias.collection, &alias.id.to_string(), &record.to_string()]).map(drop)
}

pub(crate) fn delete_alias(connection: &Connection, alias: &Key) -> Result<()> {
    let sql = "DELETE FROM alias WHERE collection = ?1 AND alias_id = ?2";
    connection.prepare_cached(sql)?.execute([&alias.collection, &alias.id.to_string()]).map(drop)
}

// Progress.

/// Returns how far sync is; `None` before the first sign-in.
pub(crate) fn progress(connection: &Connection) -> Result<Option<Progress>> {
    let sql =
        "SELECT server, account, email, epoch, cursor, batch, reread, is_rereading, audit_collection, audit_after,
                   synced_at_us, attention, mismatches, scope FROM sync";
    let progress = |row: &Row<'_>| {
        Ok(Progress {
            server: row.get(0)?,
            account: row.get(1)?,
            email: row.get(2)?,
            epoch: row.get(3)?,
            cursor: row.get(4)?,
            batch: row.get(5)?,
            reread: row.get(6)?,
            is_rereading: row.get(7)?,
            audit_collection: row.get(8)?,
            audit_after: row.get::<_, Option<String>>(9)?.and_then(|id| id.parse().ok()),
            synced_at: row.get::<_, Option<i64>>(10)?.map(timestamp),
            attention: row.get::<_, Option<String>>(11)?.and_then(|json| serde_json::from_str(&json).ok()),
            mismatches: row.get(12)?,
            scope: row
                .get::<_, Option<String>>(13)?
                .and_then(|json| serde_json::from_str(&json).ok())
                .unwrap_or_default(),
        })
    };
    connection.prepare_cached(sql)?.query_row([], progress).optional()
}

pub(crate) fn put_progress(connection: &Connection, progress: &Progress) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO sync
                 (only_row, server, account, email, epoch, cursor, batch, reread, is_rereading, audit_collection,
                  audit_after, synced_at_us, attention, mismatches, scope)
             VALUES (1, :server, :account, :email, :epoch, :cursor, :batch, :reread, :is_rereading, :audit_collection,
                  :audit_after, :synced_at_us, :attention, :mismatches, :scope)",
        )?
        .execute(named_params! {
            ":server": progress.server,
            ":account": progress.account,
            ":email": progress.email,
            ":epoch": progress.epoch,
            ":cursor": progress.cursor,
            ":batch": progress.batch,
            ":reread": progress.reread,
            ":is_rereading": progress.is_rereading,
            ":audit_collection": progress.audit_collection,
            ":audit_after": progress.audit_after.map(|id| id.to_string()),
            ":mismatches": progress.mismatches,
            ":synced_at_us": progress.synced_at.map(Timestamp::as_microsecond),
            ":attention": progress.attention.as_ref().map(to_json).transpose()?,
            ":scope": (!progress.scope.is_everything()).then(|| to_json(&progress.scope)).transpose()?,
        })
        .map(drop)
}

/// Reads everything again with the next pass: the garage's file has lost records that the server may have.
pub(crate) fn read_everything_again(connection: &Connection) -> Result<()> {
    let Some(mut progress) = progress(connection)? else { return Ok(()) };
    progress.read_again();
    put_progress(connection, &progress)
}

/// Gives this device another id.
pub(crate) fn put_device_id(connection: &Connection, id: &str) -> Result<()> {
    connection.prepare_cached("UPDATE device SET device_id = ?1")?.execute([id]).map(drop)
}

fn keys(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Key>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.extend(key_of(row)?);
    }
    Ok(keys)
}

/// The key in the first two columns.
fn key_of(row: &Row<'_>) -> Result<Option<Key>> {
    let collection: String = row.get(0)?;
    Ok(id_of(row, 1)?.map(|id| Key { collection, id }))
}

fn id_of(row: &Row<'_>, index: usize) -> Result<Option<RecordId>> {
    Ok(row.get_ref(index)?.as_str().ok().and_then(|id| id.parse().ok()))
}

fn parsed<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, error.into()))
}

fn timestamp(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or_default()
}
