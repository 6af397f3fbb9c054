//! What is always true of the tables of sync.

use std::collections::BTreeMap;

use garage_domain::{COLLECTIONS, Collection, Extra, RecordId};
use garage_protocol::sync::CollectionDigest;
use rusqlite::{Connection, Result};

use super::{digest, outbox::Copies};
use crate::{
    Garage, GarageError,
    store::sync::{self, Key},
};

/// Rows that belong to a record, and have none; aliases that are records, or lead to none. Each query has a collection's
/// table in place of `{table}`, and its name as parameter.
const DANGLING: [(&str, &str); 5] = [
    (
        "operation in flight",
        "SELECT record_id FROM sent WHERE collection = ?1 AND record_id NOT IN (SELECT id FROM {table})",
    ),
    ("conflict", "SELECT record_id FROM conflict WHERE collection = ?1 AND record_id NOT IN (SELECT id FROM {table})"),
    ("refusal", "SELECT record_id FROM refused WHERE collection = ?1 AND record_id NOT IN (SELECT id FROM {table})"),
    ("mark", "SELECT record_id FROM waiting WHERE collection = ?1 AND record_id NOT IN (SELECT id FROM {table})"),
    (
        "alias that is a record",
        "SELECT alias_id FROM alias WHERE collection = ?1 AND alias_id IN (SELECT id FROM {table})",
    ),
];

impl Garage {
    /// Returns what is wrong with the tables of sync, in words for a person; empty if nothing is. Reads all records.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn examine_sync(&self) -> Result<Vec<String>, GarageError> {
        self.database.read(|transaction| Ok(problems(transaction)?)).await
    }

    /// Runs the checks of the end of each pass. Returns what is wrong with the tables of sync, in words for a person, and
    /// the digest of each collection, which a pass compares with the server's.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn check_sync(&self) -> Result<(Vec<String>, BTreeMap<String, CollectionDigest>), GarageError> {
        self.database.read(|transaction| Ok((dangling(transaction)?, digest::digests(transaction)?))).await
    }
}

/// What is wrong with the tables of sync, in words for a person. Reads all records.
pub(crate) fn problems(connection: &Connection) -> Result<Vec<String>> {
    Ok([dangling(connection)?, unmarked(connection)?].concat())
}

/// Version, fields (`None` if the row is gone) and removal of a base.
pub type BaseContent = (i64, Option<Extra>, bool);

impl Garage {
    /// Returns what the server has, as far as this device knows, by collection and id.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn bases(&self) -> Result<BTreeMap<(String, RecordId), BaseContent>, GarageError> {
        self.database
            .read(|transaction| {
                let mut bases = BTreeMap::new();
                for collection in sync::collections(transaction)? {
                    for (id, base) in sync::bases_after(transaction, &collection, None, usize::MAX)? {
                        let fields = (!base.is_row_gone).then_some(base.fields);
                        bases.insert((collection.clone(), id), (base.version, fields, base.deleted_at.is_some()));
                    }
                }
                Ok(bases)
            })
            .await
    }
}

impl Garage {
    /// Returns the records that ids are aliases of.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn aliases(&self) -> Result<BTreeMap<RecordId, RecordId>, GarageError> {
        let aliases = self.database.read(|transaction| Ok::<_, GarageError>(sync::aliases(transaction)?));
        Ok(aliases.await?.into_iter().map(|(alias, record)| (alias.id, record)).collect())
    }
}

/// The rows of sync without their record.
pub(super) fn dangling(connection: &Connection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for collection in COLLECTIONS {
        for (what, sql) in DANGLING {
            let sql = sql.replace("{table}", collection.table);
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([collection.name])?;
            while let Some(row) = rows.next()? {
                found.push(format!("{} {}: {what} without its record", collection.noun, row.get::<_, String>(0)?));
            }
        }
    }
    Ok(found)
}

/// The records that differ from what the server has, although they do not wait to be sent.
fn unmarked(connection: &Connection) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for collection in COLLECTIONS {
        let mut check = |key: Key| -> Result<()> {
            if sync::waits(connection, &key)?.is_some() || sync::is_sent(connection, &key)? {
                return Ok(());
            }
            let copies = Copies::read(connection, &key)?;
            let Key { id, .. } = &key;
            let is_expected = copies.local.is_some()
                || copies.base.as_ref().is_none_or(|base| base.is_row_gone)
                || sync::alias_of(connection, &key)?.is_some();
            if !is_expected {
                found.push(format!("{} {id} is missing here", collection.noun));
            }
            if let Some(draft) = copies.draft(false) {
                let fields = draft.fields.keys().cloned().collect::<Vec<_>>().join(", ");
                found.push(format!("{} {id} differs from the server's and does not wait: {fields}", collection.noun));
            }
            Ok(())
        };
        each_key(connection, collection, &mut check)?;
    }
    Ok(found)
}

/// Calls `check` for each record and each base of a collection.
fn each_key(connection: &Connection, collection: &Collection, check: &mut dyn FnMut(Key) -> Result<()>) -> Result<()> {
    let sql = format!("SELECT id FROM {} UNION SELECT record_id FROM base WHERE collection = ?1", collection.table);
    let mut statement = connection.prepare_cached(&sql)?;
    let ids = statement.query_map([collection.name], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>>>()?;
    ids.into_iter().filter_map(|id| id.parse().ok()).try_for_each(|id| check(Key::new(collection.name, id)))
}
