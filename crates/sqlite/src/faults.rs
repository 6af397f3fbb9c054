//! Tests that kill the process and cut the power at any change of the file.

use std::{collections::BTreeMap, path::PathBuf};

use garage_faulty_disk::{Disk, Fault};
use rusqlite::{ErrorCode, Transaction};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Database, Error, Schema, check,
    testing::{migration, schema},
};

/// The rows that a write adds.
const ROWS: i64 = 2;

struct Machine {
    folder: TempDir,
    disk: Disk,
    /// The size of a row, in bytes.
    row_size: u32,
}

impl Machine {
    fn new(seed: u64, row_size: u32) -> Machine {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::new(folder.path(), seed).expect("a disk");
        Machine { folder, disk, row_size }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("garage.db")
    }

    async fn open(&self) -> Result<Database, Error> {
        Database::open(&self.path(), rows_schema()).await
    }

    /// Opens the database twice, and writes three times at once, four times. Returns the writes that were acknowledged.
    async fn work(&self) -> Vec<i64> {
        let mut acknowledged = Vec::new();
        for session in 0..2 {
            let Ok(database) = self.open().await else { continue };
            for round in 0..2 {
                let mut writes = JoinSet::new();
                for write in 0..3 {
                    let (database, number) = (database.clone(), session * 6 + round * 3 + write);
                    let insert = insert(number, self.row_size);
                    writes.spawn(async move { database.write(insert).await.map(|()| number) });
                }
                let results = writes.join_all().await;
                acknowledged.extend(results.into_iter().filter_map(Result::ok));
            }
            database.close().await;
        }
        acknowledged
    }

    /// The number of rows of each write.
    async fn rows(&self) -> BTreeMap<i64, i64> {
        let database = self.open().await.expect("open");
        let rows = database
            .read(|transaction| {
                let mut statement = transaction.prepare("SELECT number, count(*) FROM rows GROUP BY number")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok::<_, Error>(rows.collect::<Result<_, _>>()?)
            })
            .await
            .expect("rows");
        database.close().await;
        rows
    }

    /// Checks that the file is intact, writes are whole, and acknowledged ones are there.
    async fn check(&self, acknowledged: &[i64], history: &str) {
        let rows = self.rows().await;
        check(&self.path(), &rows_schema()).unwrap_or_else(|error| panic!("{history}: {error}"));
        assert!(rows.values().all(|count| *count == ROWS), "{history}: {rows:?}");
        assert!(acknowledged.iter().all(|number| rows.contains_key(number)), "{history}: {acknowledged:?}, {rows:?}");
    }
}

fn rows_schema() -> Schema {
    let create = "CREATE TABLE rows (number INTEGER NOT NULL, content BLOB NOT NULL) STRICT;";
    let migrations = refinery::Runner::new(&[migration(1, create)]);
    Schema { migrations, mark: ("rows", "number"), ..schema(&[]) }
}

fn insert(number: i64, row_size: u32) -> impl FnOnce(&Transaction<'_>) -> Result<(), Error> + Send + 'static {
    move |transaction| {
        for _ in 0..ROWS {
            transaction.execute("INSERT INTO rows VALUES (?1, zeroblob(?2))", (number, row_size))?;
        }
        Ok(())
    }
}

/// Kills the process after each `step`-th change of a history, and cuts the power if `cuts_power`. Ends with a history
/// that is complete before the kill: which writes share a commit, and so the number of changes, depends on the threads.
async fn faults(row_size: u32, step: usize, cuts_power: bool) {
    for count in (0..).step_by(step) {
        let machine = Machine::new(count, row_size);
        machine.disk.kill_after(count);
        let acknowledged = machine.work().await;
        let is_dead = machine.disk.is_dead();
        let restarted = if cuts_power { machine.disk.power_loss() } else { machine.disk.restart() };
        restarted.expect("closed");
        machine.check(&acknowledged, &format!("after {count} changes")).await;
        if !is_dead {
            assert_eq!(acknowledged.len(), 12, "without a fault, all writes are acknowledged");
            return;
        }
    }
}

#[tokio::test]
async fn a_kill_at_any_change_keeps_acknowledged_writes() {
    faults(100, 1, false).await;
}

#[tokio::test]
async fn a_power_loss_at_any_change_keeps_acknowledged_writes() {
    faults(100, 1, true).await;
}

/// A session writes 1200 pages to the log, and SQLite begins a checkpoint when it has 1000.
#[tokio::test]
async fn a_power_loss_during_a_checkpoint_keeps_acknowledged_writes() {
    faults(400_000, 101, true).await;
}

#[tokio::test]
async fn a_full_disk_fails_one_write_and_the_next_one_succeeds() {
    for written in [0, 10, 1000] {
        let machine = Machine::new(0, 100);
        let database = machine.open().await.expect("open");
        database.write(insert(1, 100)).await.expect("a write");
        machine.disk.fail_write_after(1, Fault::Full { written });
        let failed = database.write(insert(2, 100)).await.expect_err("full");
        assert_eq!(failed.sqlite_code(), Some(ErrorCode::DiskFull));
        database.write(insert(3, 100)).await.expect("a write");
        database.close().await;
        machine.disk.power_loss().expect("closed");
        machine.check(&[1, 3], "a full disk").await;
        assert_eq!(machine.rows().await, BTreeMap::from([(1, ROWS), (3, ROWS)]));
    }
}
