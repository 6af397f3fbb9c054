//! Records of collections that this version does not know.

use garage_domain::{Collection, Extra, Origins, Record, RecordId};
use jiff::Timestamp;
use rusqlite::{Connection, Result, Row};
use serde::{Deserialize, Serialize};

use super::records::{Unreadable, json, text, time, time_or_null};

/// A record of a collection that this version does not know, unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ForeignRecord {
    pub collection: String,
    pub id: RecordId,
    /// The values by field name.
    pub fields: Extra,
    /// The origins by field name.
    #[serde(default)]
    pub origins: Origins,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl ForeignRecord {
    /// Converts it to a record of a collection that this version knows.
    pub fn into_record(self, collection: &'static Collection) -> Record {
        let mut record = Record::new(collection, self.id, self.created_at);
        record.extra = self.fields;
        record.adopt_known();
        record.origins = self.origins;
        (record.updated_at, record.deleted_at) = (self.updated_at, self.deleted_at);
        record
    }
}

const SELECT: &str = "SELECT collection, record_id, fields, origins, created_at_us, updated_at_us, deleted_at_us
                      FROM foreign_records";

/// Returns how many foreign records there are, readable or not.
pub(crate) fn count(connection: &Connection) -> Result<u64> {
    let count = connection.query_row("SELECT count(*) FROM foreign_records", [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// Returns all readable foreign records, and the unreadable rows.
pub(crate) fn all(connection: &Connection) -> Result<(Vec<ForeignRecord>, Vec<Unreadable>)> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY collection, record_id"))?;
    let mut rows = statement.query([])?;
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match record_of(row)? {
            Some(record) => records.push(record),
            None => unreadable.push(Unreadable::of("foreign_records", row)?),
        }
    }
    Ok((records, unreadable))
}

/// The row of a foreign record.
pub(crate) enum Stored {
    Missing,
    Unreadable,
    Readable(ForeignRecord),
}

/// Returns the foreign record with this id.
pub(crate) fn by_id(connection: &Connection, collection: &str, id: RecordId) -> Result<Stored> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE collection = ?1 AND record_id = ?2"))?;
    let mut rows = statement.query([collection, &id.to_string()])?;
    let Some(row) = rows.next()? else { return Ok(Stored::Missing) };
    Ok(record_of(row)?.map_or(Stored::Unreadable, Stored::Readable))
}

/// Reads a record from a row of `SELECT`. Returns `None` if the row cannot be read.
fn record_of(row: &Row<'_>) -> Result<Option<ForeignRecord>> {
    let id = text(row, 1)?.and_then(|id| id.parse().ok());
    let (Some(collection), Some(id), Some(fields), Some(origins), Some(created_at), Some(updated_at), Some(deleted_at)) =
        (text(row, 0)?, id, json(row, 2)?, json(row, 3)?, time(row, 4)?, time(row, 5)?, time_or_null(row, 6)?)
    else {
        return Ok(None);
    };
    let collection = collection.to_owned();
    Ok(Some(ForeignRecord { collection, id, fields, origins, created_at, updated_at, deleted_at }))
}
