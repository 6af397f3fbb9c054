//! Lookups of single records, each through an index.

use garage_domain::{Collection, Record, VEHICLES, Vin};
use rusqlite::{Connection, Result, ToSql, params};

use super::records::{record_of, select};

/// Sorts after every hexadecimal digit, so `prefix || 'g'` is the upper bound of the ids with that prefix.
const AFTER_LAST_DIGIT: char = 'g';

fn by_id_beginning_sql(collection: &Collection) -> String {
    format!("{} WHERE id >= ?1 AND id < ?2 AND (deleted_at_us IS NOT NULL) = ?3", select(collection))
}

fn by_vin_sql() -> String {
    format!("{} WHERE vin = ?1 AND deleted_at_us IS NULL", select(&VEHICLES))
}

/// Returns the records whose ids start with `beginning`.
pub(crate) fn by_id_beginning(
    connection: &Connection,
    collection: &'static Collection,
    beginning: &str,
    is_removed: bool,
) -> Result<Vec<Record>> {
    let end = format!("{beginning}{AFTER_LAST_DIGIT}");
    found(connection, collection, &by_id_beginning_sql(collection), params![beginning, end, is_removed])
}

/// Returns the vehicles with this VIN that are not removed.
pub(crate) fn by_vin(connection: &Connection, vin: &Vin) -> Result<Vec<Record>> {
    found(connection, &VEHICLES, &by_vin_sql(), params![vin.as_str()])
}

fn found(
    connection: &Connection,
    collection: &'static Collection,
    sql: &str,
    parameters: &[&dyn ToSql],
) -> Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(record_of(row, collection)?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use garage_domain::COLLECTIONS;
    use rusqlite::params_from_iter;

    use super::*;

    #[tokio::test]
    async fn lookups_by_id_prefix_and_by_vin_use_an_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = crate::store::open(&folder.path().join("garage.db")).await.expect("open");
        let by_id_beginning = COLLECTIONS.map(|collection| {
            let table = collection.table;
            let plan = format!("SEARCH {table} USING INDEX sqlite_autoindex_{table}_1 (id>? AND id<?)");
            (by_id_beginning_sql(collection), 3, plan)
        });
        let by_vin = (by_vin_sql(), 1, "SEARCH vehicles USING INDEX vehicles_live_vin (vin=?)".to_owned());
        for (sql, parameters, plan) in by_id_beginning.into_iter().chain([by_vin]) {
            let found = database.read::<Vec<String>, crate::GarageError>(move |transaction| {
                let mut statement = transaction.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement.query_map(params_from_iter(vec!["x"; parameters]), |row| row.get("detail"))?;
                Ok(steps.collect::<Result<_>>()?)
            });
            assert_eq!(found.await.expect("a plan"), [plan]);
        }
    }
}
