//! Records of collections that this version does not know.

use garage_domain::{Collection, Extra, Origins, Record, RecordId};
use jiff::Timestamp;
use rusqlite::{Connection, Result};
use serde::{Deserialize, Serialize};

use super::records::{text, time};

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

/// Returns how many foreign records there are.
pub(crate) fn count(connection: &Connection) -> Result<u64> {
    let count = connection.query_row("SELECT count(*) FROM foreign_records", [], |row| row.get::<_, i64>(0))?;
    Ok(count.unsigned_abs())
}

/// Returns all readable foreign records.
pub(crate) fn all(connection: &Connection) -> Result<Vec<ForeignRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT collection, record_id, fields, origins, created_at_us, updated_at_us, deleted_at_us
         FROM foreign_records ORDER BY collection, record_id",
    )?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let (Some(collection), Some(id), Some(fields), Some(created_at), Some(updated_at)) = (
            text(row, 0)?,
            text(row, 1)?.and_then(|id| id.parse().ok()),
            text(row, 2)?.and_then(|fields| serde_json::from_str(fields).ok()),
            time(row, 4)?,
            time(row, 5)?,
        ) else {
            continue;
        };
        records.push(ForeignRecord {
            collection: collection.to_owned(),
            id,
            fields,
            origins: text(row, 3)?.and_then(|origins| serde_json::from_str(origins).ok()).unwrap_or_default(),
            created_at,
            updated_at,
            deleted_at: time(row, 6)?,
        });
    }
    Ok(records)
}
