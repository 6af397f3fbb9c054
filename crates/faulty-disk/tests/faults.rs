//! Kills, power losses and failing writes, seen through connections of rusqlite.
#![cfg(unix)]

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Mutex};

use garage_faulty_disk::{Disk, Fault};
use rusqlite::{Connection, ErrorCode};
use tempfile::TempDir;

const ROWS_OF_A_TRANSACTION: i64 = 3;
const TRANSACTIONS: i64 = 8;

/// How SQLite writes.
#[derive(Clone, Copy)]
struct Mode {
    journal: &'static str,
    synchronous: &'static str,
}

const LOG: Mode = Mode { journal: "WAL", synchronous: "FULL" };

struct Machine {
    folder: TempDir,
    disk: Disk,
    /// How much of the file SQLite reads through a memory map, in bytes.
    mapped: i64,
}

impl Machine {
    fn new(seed: u64) -> Machine {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::new(folder.path(), seed).expect("a disk");
        Machine { folder, disk, mapped: if seed.is_multiple_of(2) { 0 } else { 1024 * 1024 } }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self, mode: Mode) -> rusqlite::Result<Connection> {
        let connection = Connection::open(self.path("test.db"))?;
        connection.pragma_update(None, "synchronous", mode.synchronous)?;
        connection.pragma_update(None, "journal_mode", mode.journal)?;
        connection.pragma_update(None, "mmap_size", self.mapped)?;
        // Checkpoints happen, and the log starts again, within a few transactions.
        connection.pragma_update(None, "wal_autocheckpoint", 8)?;
        connection.pragma_update(None, "journal_size_limit", 16 * 1024)?;
        connection.execute_batch("CREATE TABLE IF NOT EXISTS rows (number INTEGER NOT NULL, content BLOB NOT NULL)")?;
        Ok(connection)
    }

    /// Commits transactions until one fails, with a reader, a vacuum and a closed connection between them. Returns how
    /// many commits were acknowledged.
    fn work(&self, mode: Mode) -> i64 {
        let mut acknowledged = 0;
        let _ = self.try_to_work(mode, &mut acknowledged);
        acknowledged
    }

    fn try_to_work(&self, mode: Mode, acknowledged: &mut i64) -> rusqlite::Result<()> {
        let mut connection = self.open(mode)?;
        for number in 0..TRANSACTIONS {
            insert(&mut connection, number)?;
            *acknowledged += 1;
            match number {
                2 => drop(std::mem::replace(&mut connection, self.open(mode)?)),
                3 => {
                    connection = {
                        drop(connection);
                        self.open(mode)?
                    }
                }
                5 => connection.execute_batch("UPDATE rows SET content = x'01' WHERE number < 5; VACUUM")?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the file is intact, transactions are whole, and all acknowledged ones are there.
    fn check(&self, mode: Mode, acknowledged: i64) -> Result<(), String> {
        let rows = self.rows(mode).map_err(|error| error.to_string())?;
        if let Some((number, count)) = rows.iter().find(|(_, count)| **count != ROWS_OF_A_TRANSACTION) {
            return Err(format!("transaction {number} has {count} rows"));
        }
        let numbers: Vec<i64> = rows.into_keys().collect();
        // The one that failed may have been committed too.
        let is_complete = [acknowledged, acknowledged + 1].iter().any(|count| numbers.iter().copied().eq(0..*count));
        if is_complete {
            Ok(())
        } else {
            Err(format!("{acknowledged} were acknowledged, these are there: {numbers:?}"))
        }
    }

    /// The number of rows of each transaction, if the file is intact.
    fn rows(&self, mode: Mode) -> rusqlite::Result<BTreeMap<i64, i64>> {
        let connection = self.open(mode)?;
        let integrity: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if integrity != "ok" {
            return Err(rusqlite::Error::InvalidParameterName(integrity));
        }
        let mut statement = connection.prepare("SELECT number, count(*) FROM rows GROUP BY number")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

fn insert(connection: &mut Connection, number: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for _ in 0..ROWS_OF_A_TRANSACTION {
        transaction.execute("INSERT INTO rows VALUES (?1, zeroblob(3000))", [number])?;
    }
    transaction.commit()
}

/// The number of changes of a history without faults.
fn changes(mode: Mode) -> u64 {
    let machine = Machine::new(0);
    assert_eq!(machine.work(mode), TRANSACTIONS);
    let changes = machine.disk.changes();
    machine.check(mode, TRANSACTIONS).expect("intact");
    changes
}

/// What power losses at each change of the history find, with some seeds for each.
fn power_losses(mode: Mode, seeds: u64) -> Vec<String> {
    let mut problems = Vec::new();
    for count in 0..=changes(mode) {
        for seed in 0..seeds {
            let machine = Machine::new(count * seeds + seed);
            machine.disk.kill_after(count);
            let acknowledged = machine.work(mode);
            machine.disk.power_loss().expect("closed");
            if let Err(problem) = machine.check(mode, acknowledged) {
                problems.push(format!("after {count} changes, seed {seed}: {problem}"));
            }
        }
    }
    problems
}

#[test]
fn a_kill_at_any_change_keeps_each_acknowledged_transaction() {
    let changes = changes(LOG);
    for count in 0..changes {
        let machine = Machine::new(count);
        machine.disk.kill_after(count);
        let acknowledged = machine.work(LOG);
        assert!(machine.disk.is_dead());
        assert_eq!(machine.disk.changes(), count);
        machine.disk.restart().expect("closed");
        assert_eq!(machine.check(LOG, acknowledged), Ok(()), "after {count} changes");
    }
}

#[test]
fn a_power_loss_at_any_change_keeps_each_acknowledged_transaction() {
    assert_eq!(power_losses(LOG, 3), Vec::<String>::new());
}

#[test]
fn a_rollback_journal_survives_power_losses() {
    let mode = Mode { journal: "DELETE", synchronous: "EXTRA" };
    assert_eq!(power_losses(mode, 1), Vec::<String>::new());
}

/// SQLite documents it: <https://sqlite.org/pragma.html#pragma_synchronous>.
#[test]
fn normal_synchronization_loses_acknowledged_transactions_but_damages_nothing() {
    let problems = power_losses(Mode { synchronous: "NORMAL", ..LOG }, 1);
    let (lost, damaged): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| problem.contains("were acknowledged"));
    assert!(!lost.is_empty(), "an acknowledged transaction is lost");
    assert_eq!(damaged, Vec::<String>::new());
}

/// The commit deletes the journal, and only `synchronous=EXTRA` syncs the folder then.
#[test]
fn a_lost_deletion_of_a_journal_rolls_its_transaction_back() {
    let problems = power_losses(Mode { journal: "DELETE", synchronous: "FULL" }, 1);
    assert!(problems.iter().any(|problem| problem.contains("were acknowledged")), "{problems:?}");
}

#[test]
fn without_syncs_a_power_loss_damages_files() {
    let problems = power_losses(Mode { synchronous: "OFF", ..LOG }, 1);
    assert!(problems.iter().any(|problem| problem.contains("malformed")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("were acknowledged")), "{problems:?}");
}

#[test]
fn a_failing_write_fails_its_transaction_only() {
    for written in [0, 1, 24, 1000, usize::MAX] {
        for fault in [Fault::Full { written }, Fault::Device { written }] {
            let mut failures = 0;
            for count in (0..60).step_by(3) {
                let machine = Machine::new(count);
                let mut connection = machine.open(LOG).expect("open");
                machine.disk.fail_write_after(count, fault);
                let (rows, failed) = insert_all(&mut connection);
                for error in &failed {
                    let code = if matches!(fault, Fault::Full { .. }) {
                        ErrorCode::DiskFull
                    } else {
                        ErrorCode::SystemIoFailure
                    };
                    assert_eq!(error.sqlite_error_code(), Some(code), "{error}");
                }
                assert!(failed.len() <= 1, "later writes succeed");
                failures += failed.len();
                assert_eq!(machine.rows(LOG).expect("intact"), rows, "{fault:?} after {count} writes");
                drop(connection);
                machine.disk.power_loss().expect("closed");
                assert_eq!(
                    machine.rows(LOG).expect("intact"),
                    rows,
                    "{fault:?} after {count} writes, and a power loss"
                );
            }
            assert!(failures > 10, "{failures}");
        }
    }
}

#[test]
fn a_failing_sync_fails_its_transaction_only() {
    let mut failures = 0;
    for count in 0..20 {
        let machine = Machine::new(count);
        let mut connection = machine.open(LOG).expect("open");
        machine.disk.fail_sync_after(count);
        let (rows, failed) = insert_all(&mut connection);
        assert!(failed.len() <= 1, "later syncs succeed");
        for error in &failed {
            let sqlite = error.sqlite_error().expect("an error of SQLite");
            assert_eq!(sqlite.extended_code, rusqlite::ffi::SQLITE_IOERR_FSYNC);
        }
        failures += failed.len();
        drop(connection);
        machine.disk.power_loss().expect("closed");
        assert_eq!(machine.rows(LOG).expect("intact"), rows, "after {count} syncs");
    }
    assert!(failures > 5, "{failures}");
}

#[test]
fn a_failing_sync_syncs_nothing() {
    let mut survived = 0;
    for seed in 0..20 {
        let machine = Machine::new(seed);
        let mut connection = machine.open(LOG).expect("open");
        machine.disk.fail_sync_after(0);
        insert(&mut connection, 0).expect_err("not synced");
        machine.disk.kill();
        drop(connection);
        machine.disk.power_loss().expect("closed");
        survived += machine.rows(LOG).expect("intact").len();
    }
    assert!((1..20).contains(&survived), "{survived} of 20");
}

/// Commits transactions, whether they fail or not. Returns the rows of those that were acknowledged, and the errors.
fn insert_all(connection: &mut Connection) -> (BTreeMap<i64, i64>, Vec<rusqlite::Error>) {
    let (mut rows, mut failed) = (BTreeMap::new(), Vec::new());
    for number in 0..TRANSACTIONS {
        match insert(connection, number) {
            Ok(()) => drop(rows.insert(number, ROWS_OF_A_TRANSACTION)),
            Err(error) => failed.push(error),
        }
    }
    (rows, failed)
}

#[test]
fn a_killed_process_can_only_close_its_connections() {
    let machine = Machine::new(0);
    let mut connection = machine.open(LOG).expect("open");
    insert(&mut connection, 0).expect("a write");
    let reader = machine.open(LOG).expect("open");
    machine.disk.kill();
    let refused = [
        insert(&mut connection, 1).expect_err("killed"),
        reader.query_row("SELECT count(*) FROM rows", [], |_| Ok(())).expect_err("killed"),
        machine.open(LOG).expect_err("killed"),
    ];
    for error in refused {
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::SystemIoFailure), "{error}");
    }
    for result in [machine.disk.restart(), machine.disk.power_loss()] {
        assert_eq!(result.expect_err("open").kind(), io::ErrorKind::ResourceBusy);
    }
    drop((connection, reader));
    assert!(machine.path("test.db-wal").exists(), "the log is not moved into the file");
    machine.disk.restart().expect("closed");
    assert_eq!(machine.check(LOG, 1), Ok(()));
}

#[test]
fn a_deletion_that_is_not_synced_may_be_undone() {
    let mut logs = 0;
    for seed in 0..20 {
        let machine = Machine::new(seed);
        machine.work(LOG);
        assert!(!machine.path("test.db-wal").exists());
        machine.disk.power_loss().expect("closed");
        logs += u32::from(machine.path("test.db-wal").exists());
        assert_eq!(machine.check(LOG, TRANSACTIONS), Ok(()));
    }
    assert!((1..20).contains(&logs), "{logs} of 20");
}

#[test]
fn a_power_loss_keeps_what_other_code_has_written() {
    for seed in 0..20 {
        let machine = Machine::new(seed);
        let other = tempfile::tempdir().expect("a folder");
        let copy = other.path().join("copy.db");
        let unsynced = Mode { journal: "DELETE", synchronous: "OFF" };
        machine.work(unsynced);
        fs::copy(machine.path("test.db"), &copy).expect("copied");
        fs::rename(&copy, machine.path("test.db")).expect("moved");
        machine.disk.power_loss().expect("closed");
        assert_eq!(machine.check(unsynced, TRANSACTIONS), Ok(()));
    }
}

#[test]
fn a_file_that_replaces_an_open_one_is_another_file() {
    let unsynced = Mode { synchronous: "OFF", ..LOG };
    for seed in 0..20 {
        let machine = Machine::new(seed);
        let mut old = machine.open(unsynced).expect("open");
        insert(&mut old, 7).expect("a write");
        for name in ["test.db", "test.db-wal", "test.db-shm"] {
            fs::rename(machine.path(name), machine.path(&format!("old-{name}"))).expect("moved");
        }
        assert_eq!(machine.work(LOG), TRANSACTIONS);
        // The old connection writes to the old files only.
        insert(&mut old, 8).expect("a write");
        drop(old);
        machine.disk.power_loss().expect("closed");
        assert_eq!(machine.check(LOG, TRANSACTIONS), Ok(()), "seed {seed}");
    }
}

#[test]
fn files_outside_the_folder_are_not_affected() {
    let (machine, other) = (Machine::new(0), tempfile::tempdir().expect("a folder"));
    machine.disk.kill();
    let mut connection = Connection::open(other.path().join("test.db")).expect("open");
    connection.execute_batch("CREATE TABLE rows (number, content)").expect("a write");
    insert(&mut connection, 0).expect("a write");
    assert_eq!(machine.disk.changes(), 0);
}

#[test]
fn disks_do_not_overlap() {
    let machine = Machine::new(0);
    let below = machine.path("below");
    fs::create_dir(&below).expect("a folder");
    assert_eq!(Disk::new(&below, 0).err().map(|error| error.kind()), Some(io::ErrorKind::AlreadyExists));
    drop(machine.disk);
    Disk::new(&below, 0).expect("the other one is gone");
}

#[test]
fn connections_on_several_threads_share_a_disk() {
    let machine = Machine::new(0);
    drop(machine.open(LOG).expect("open"));
    machine.disk.kill_after(600);
    let acknowledged = Mutex::new(Vec::new());
    let work = |first: i64| -> rusqlite::Result<()> {
        let mut connection = machine.open(LOG)?;
        for number in first.. {
            insert(&mut connection, number)?;
            acknowledged.lock().expect("no panic").push(number);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for first in [0, 1_000_000] {
            let work = &work;
            scope.spawn(move || work(first).expect_err("killed"));
        }
    });
    machine.disk.power_loss().expect("closed");
    let rows = machine.rows(LOG).expect("intact");
    assert!(rows.values().all(|count| *count == ROWS_OF_A_TRANSACTION), "{rows:?}");
    let acknowledged = acknowledged.into_inner().expect("no panic");
    assert!(acknowledged.len() > 10, "{acknowledged:?}");
    assert!(acknowledged.iter().all(|number| rows.contains_key(number)), "{acknowledged:?} {rows:?}");
}
