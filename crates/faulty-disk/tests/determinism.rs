//! One test, because the seed of SQLite's random numbers is common to all threads of the process.
#![cfg(unix)]

use std::{collections::BTreeMap, fs};

use garage_faulty_disk::{Disk, seed_randomness};
use rusqlite::Connection;

/// The content of all files after a history that ends with a power loss.
fn files(seed: u64) -> BTreeMap<String, Vec<u8>> {
    seed_randomness(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::new(folder.path(), seed).expect("a disk");
    disk.kill_after(60);
    let work = || -> rusqlite::Result<()> {
        let connection = Connection::open(folder.path().join("test.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 8)?;
        connection.execute_batch("CREATE TABLE rows (content BLOB)")?;
        loop {
            connection.execute("INSERT INTO rows VALUES (randomblob(2000))", [])?;
        }
    };
    work().expect_err("killed");
    disk.power_loss().expect("closed");
    let entries = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry"));
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().expect("a name"), fs::read(entry.path()).expect("read"));
    entries.map(file).collect()
}

#[test]
fn equal_seeds_give_equal_files_and_others_give_others() {
    let mut all = Vec::new();
    for seed in 0..20 {
        let files_of_seed = files(seed);
        assert!(files_of_seed.contains_key("test.db"));
        assert!(files_of_seed == files(seed), "seed {seed}");
        all.push(files_of_seed);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 20);
}
