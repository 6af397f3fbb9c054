//! The bare commit of a push: the same rows of the server's tables, in the same batches, by prepared statements.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::BytesMut;
use futures_util::future::try_join_all;
use garage_core::sync::MAX_RECORDS;
use rusqlite::{params_from_iter, types::Value};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::{VEHICLES, insert, server, server::Database};

/// The columns of vehicles that no operation sets.
const NEVER_SET: [&str; 5] = ["user_id", "id", "version", "image_url", "created_with"];
const SAVE_DEVICE: &str = "INSERT INTO devices
        (user_id, device_id, cursors, batch, results, previous_batch, previous_results)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (user_id, device_id) DO UPDATE SET cursors = excluded.cursors,
        batch = excluded.batch, results = excluded.results,
        previous_batch = excluded.previous_batch, previous_results = excluded.previous_results";
const SELECT_DEVICE: &str = "SELECT user_id, device_id, cursors, batch, results, previous_batch, previous_results
    FROM devices WHERE user_id = $1 AND batch IS NOT NULL";

/// In how many ways the commit is measured; the fastest counts. With PostgreSQL a client can wait for each statement or send
/// many at once, which pgbench cannot do with prepared statements.
pub fn ways(database: &Database) -> usize {
    match database {
        Database::Sqlite(_) => 1,
        Database::Postgres { .. } => 2,
    }
}

/// Writes to the copy, which is older, what the account's vehicles are now. Returns how long that took.
pub async fn again(database: &Database, copy: &Database, account: &str, way: usize) -> anyhow::Result<Duration> {
    match (database, copy) {
        (Database::Sqlite(now), Database::Sqlite(copy)) => on_sqlite(now, copy, account),
        _ => {
            copy.settle().await?;
            on_postgres(&database.url(), &copy.url(), account, way == 1).await
        }
    }
}

/// The statements that read and write vehicles, with these columns.
fn statements(columns: impl Iterator<Item = String>) -> (String, String) {
    let columns: Vec<String> = columns.filter(|name| !NEVER_SET.contains(&name.as_str())).collect();
    let set: Vec<String> = columns.iter().zip(1..).map(|(name, number)| format!("{name} = ${number}")).collect();
    let (user, id) = (columns.len() + 1, columns.len() + 2);
    (
        format!("SELECT {}, user_id, id FROM vehicles WHERE user_id = $1 ORDER BY version", columns.join(", ")),
        format!("UPDATE vehicles SET {} WHERE user_id = ${user} AND id = ${id}", set.join(", ")),
    )
}

fn on_sqlite(now: &std::path::Path, copy: &std::path::Path, account: &str) -> anyhow::Result<Duration> {
    let source = insert::open(now)?;
    let rows = |sql: &str, parameters: &[&str]| -> anyhow::Result<Vec<Vec<Value>>> {
        let mut statement = source.prepare(sql)?;
        let count = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..count).map(|index| row.get(index)).collect();
        Ok(statement.query_map(params_from_iter(parameters), row)?.collect::<Result<_, _>>()?)
    };
    let columns = rows("SELECT name FROM pragma_table_info('vehicles')", &[])?;
    let names = columns.into_iter().flatten().filter_map(|name| match name {
        Value::Text(name) => Some(name),
        _ => None,
    });
    let (select, update) = statements(names);
    let (vehicles, devices) = (rows(&select, &[account])?, rows(SELECT_DEVICE, &[account])?);
    ensure!(vehicles.len() == VEHICLES && devices.len() == 1, "other rows");
    let mut copy = insert::open(copy)?;
    let started = Instant::now();
    for batch in vehicles.chunks(MAX_RECORDS) {
        let transaction = copy.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut update = transaction.prepare_cached(&update)?;
        for vehicle in batch {
            ensure!(update.execute(params_from_iter(vehicle))? == 1, "a vehicle is missing");
        }
        drop(update);
        transaction.prepare_cached(SAVE_DEVICE)?.execute(params_from_iter(&devices[0]))?;
        transaction.commit()?;
    }
    Ok(started.elapsed())
}

async fn on_postgres(now: &str, copy: &str, account: &str, is_pipelined: bool) -> anyhow::Result<Duration> {
    let source = server::connect(now).await?;
    let sql = "SELECT column_name FROM information_schema.columns
               WHERE table_schema = 'public' AND table_name = 'vehicles' ORDER BY ordinal_position";
    let columns = source.query(sql, &[]).await?;
    let (select, update) = statements(columns.iter().map(|row| row.get::<_, String>(0)));
    let rows = async |sql: &str| -> anyhow::Result<Vec<Vec<Raw>>> {
        let rows = source.query(sql, &[&account]).await?;
        Ok(rows.iter().map(|row| (0..row.len()).map(|index| row.get(index)).collect()).collect())
    };
    let (vehicles, devices) = (rows(&select).await?, rows(SELECT_DEVICE).await?);
    ensure!(vehicles.len() == VEHICLES && devices.len() == 1, "other rows");
    let copy = server::connect(copy).await?;
    let update = copy.prepare(&update).await?;
    let save_device = copy.prepare(SAVE_DEVICE).await?;
    let write = async |row: &[Raw]| copy.execute(&update, &parameters(row)).await;
    let started = Instant::now();
    for batch in vehicles.chunks(MAX_RECORDS) {
        copy.batch_execute("BEGIN").await?;
        if is_pipelined {
            let written = try_join_all(batch.iter().map(|vehicle| write(vehicle))).await?;
            ensure!(written.iter().sum::<u64>() == batch.len() as u64, "a vehicle is missing");
        } else {
            for vehicle in batch {
                ensure!(write(vehicle).await? == 1, "a vehicle is missing");
            }
        }
        copy.execute(&save_device, &parameters(&devices[0])).await?;
        copy.batch_execute("COMMIT").await?;
    }
    Ok(started.elapsed())
}

fn parameters(row: &[Raw]) -> Vec<&(dyn ToSql + Sync)> {
    row.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A value of any type, in the binary form in which PostgreSQL sends and takes it.
#[derive(Debug)]
struct Raw(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(Some(raw.to_vec())))
    }

    fn from_sql_null(_: &Type) -> Result<Raw, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
