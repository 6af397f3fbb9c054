//! Prints what the VFS costs: the time of a small transaction through the VFS that was the default one, through this
//! crate's VFS outside any disk, and on a disk.
//!
//! `cargo run --profile bench -p garage-faulty-disk --example cost`

use std::{
    path::Path,
    time::{Duration, Instant},
};

use garage_faulty_disk::Disk;
use rusqlite::Connection;

const TRANSACTIONS: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [plain, outside, inside] = [tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?];
    // Without syncs, which would take most of the time. A disk does not perform them either.
    println!("default VFS, synchronous=OFF    {:?}", transaction(plain.path(), "OFF")?);
    let disk = Disk::new(inside.path(), 0)?;
    println!("outside the disk, OFF           {:?}", transaction(outside.path(), "OFF")?);
    println!("on the disk, synchronous=FULL   {:?}", transaction(inside.path(), "FULL")?);
    println!("changes of a transaction        {:.1}", disk.changes() as f64 / f64::from(TRANSACTIONS));
    println!("default VFS, synchronous=FULL   {:?}", transaction(plain.path(), "FULL")?);
    Ok(())
}

/// The mean time of a transaction.
fn transaction(folder: &Path, synchronous: &str) -> rusqlite::Result<Duration> {
    let connection = Connection::open(folder.join(format!("{synchronous}.db")))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch("CREATE TABLE rows (number INTEGER)")?;
    let mut insert = connection.prepare("INSERT INTO rows VALUES (?1)")?;
    let started = Instant::now();
    for number in 0..TRANSACTIONS {
        insert.execute([number])?;
    }
    Ok(started.elapsed() / TRANSACTIONS)
}
