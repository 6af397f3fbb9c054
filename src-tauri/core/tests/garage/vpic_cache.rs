//! The cache file of vPIC's answers. Everything works without it.

use std::{path::PathBuf, sync::mpsc, time::Duration};

use garage_core::{ChangeListener, Detail, ErrorCode, Garage, Progress, VinQuery, decoding::Source};
use serde_json::json;

use crate::{
    refine::{Online, corrected, trim},
    support::{ACCORD, Folder, add, config},
};

fn cache_file(folder: &Folder) -> PathBuf {
    folder.0.path().join("vpic-answers.db")
}

/// The trim of the Accord, decoded by a garage that sends no requests.
async fn offline_trim(folder: &Folder) -> (String, Source) {
    let garage = Garage::open(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    let decode = garage.decode_vin(ACCORD, None, Detail::Fields).await.expect("a decode");
    garage.close().await;
    trim(&decode)
}

fn from_snapshot() -> (String, Source) {
    ("EX-V6".to_owned(), Source::Snapshot)
}

fn from_cache() -> (String, Source) {
    ("EX-V6 6MT".to_owned(), Source::Cache)
}

/// A folder with a cached answer for the Accord.
async fn folder_with_answer() -> Folder {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    online.decode().await;
    online.refined().await;
    online.garage.close().await;
    online.folder
}

#[tokio::test]
async fn cached_answers_are_used_after_reopening_and_for_new_vehicles() {
    let folder = folder_with_answer().await;
    assert_eq!(offline_trim(&folder).await, from_cache());
    let garage = Garage::open(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    let added = add(&garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.trim_level.as_deref(), Some("EX-V6 6MT"));
}

#[tokio::test]
async fn the_first_answer_creates_the_cache_file() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    online.garage.set_vpic(false);
    online.decode().await;
    online.garage.forget_old_answers().await.expect("nothing to delete");
    assert!(!cache_file(&online.folder).exists());
    online.garage.set_vpic(true);
    online.decode().await;
    online.refined().await;
    assert!(cache_file(&online.folder).exists());
}

#[tokio::test]
async fn storing_an_answer_does_not_change_the_garages_file_or_notify_other_programs() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    add(&online.garage, json!({"nickname": "here"})).await;
    let (sender, heard) = mpsc::channel();
    let listener = ChangeListener::new(move |change| drop(sender.send(change.clone())));
    let garage_file = online.folder.garage_file();
    let other = Garage::open(config(&garage_file), listener).await.expect("open");
    let _watch = other.watch_others().expect("a watch");
    // Let the watch read SQLite's data version before the answer arrives.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let content = || ["garage.db", "garage.db-wal"].map(|name| std::fs::read(garage_file.with_file_name(name)).ok());
    let before = content();
    assert!(before.iter().all(Option::is_some));

    online.decode().await;
    online.refined().await;
    assert_eq!(trim(&online.decode().await), from_cache());
    assert!(content() == before, "the garage's file is unchanged");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), []);
}

#[tokio::test]
async fn a_damaged_cache_is_deleted_and_created_again() {
    let folder = folder_with_answer().await;
    let sound = std::fs::read(cache_file(&folder)).expect("read");
    let noise = b"no database, but somebody's ".repeat(1000);
    // Damaged: the page of the table, which only a read or write detects; the schema's page; a truncated file; no
    // database.
    let mut damaged_page = sound.clone();
    let page = sound.windows(ACCORD.len()).position(|it| it == ACCORD.as_bytes()).expect("a row") / 4096 * 4096;
    damaged_page[page..page + 4096].fill(0xA5);
    let mut damaged_schema = sound.clone();
    damaged_schema[100..4096].fill(0xA5);
    for damaged in [damaged_page, damaged_schema, sound[..5000].to_vec(), sound[..50].to_vec(), noise] {
        let folder = Folder::new();
        std::fs::write(cache_file(&folder), &damaged).expect("write");
        let online = Online::start_in(folder, corrected("EX-V6 6MT")).await;
        assert_eq!(trim(&online.decode().await), from_snapshot(), "{} bytes", damaged.len());
        online.refined().await;
        assert_eq!(trim(&online.decode().await), from_cache(), "{} bytes", damaged.len());
        online.garage.close().await;
        assert_eq!(offline_trim(&online.folder).await, from_cache(), "{} bytes", damaged.len());
    }
}

#[tokio::test]
async fn an_answer_is_stored_if_the_write_detects_that_the_cache_is_damaged() {
    let folder = folder_with_answer().await;
    let mut bytes = std::fs::read(cache_file(&folder)).expect("read");
    let page = bytes.windows(ACCORD.len()).position(|it| it == ACCORD.as_bytes()).expect("a row") / 4096 * 4096;
    bytes[page..page + 4096].fill(0xA5);
    let online = Online::start(corrected("EX-V6 6MT")).await;
    online.decode().await;
    // The request is in progress; the file did not exist when it started.
    std::fs::write(cache_file(&online.folder), bytes).expect("write");
    online.refined().await;
    assert_eq!(trim(&online.decode().await), from_cache());
}

/// Asserts that decoding, saving and refreshing work with an unusable cache.
async fn assert_works_without(folder: Folder, cause: &str) -> Folder {
    let online = Online::start_in(folder, corrected("EX-V6 6MT")).await;
    assert_eq!(trim(&online.decode().await), from_snapshot(), "{cause}");
    let added = add(&online.garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.trim_level.as_deref(), Some("EX-V6"), "{cause}");
    online.garage.decode_offers(added.id).await.expect("offers");
    let query = VinQuery::parse(ACCORD).expect("a query");
    let refreshed = online.garage.ask_vpic(&[(query, None)], Progress::none()).await;
    let refused = refreshed.expect_err("the answer cannot be stored");
    assert!(refused.to_string().starts_with("vPIC's answers cannot be kept: "), "{cause}: {refused}");
    assert_eq!(refused.code(), ErrorCode::FileFailed, "{cause}");
    assert_eq!(trim(&online.decode().await), from_snapshot(), "{cause}");
    online.garage.close().await;
    online.folder
}

#[tokio::test]
async fn a_cache_from_a_newer_version_is_ignored_and_not_changed() {
    let folder = folder_with_answer().await;
    let newer = rusqlite::Connection::open(cache_file(&folder)).expect("open");
    newer.execute("INSERT INTO refinery_schema_history VALUES (9999, 'x', '', '1')", []).expect("a mark");
    drop(newer);
    let before = std::fs::read(cache_file(&folder)).expect("read");
    let folder = assert_works_without(folder, "newer").await;
    assert!(std::fs::read(cache_file(&folder)).expect("read") == before, "the cache is unchanged");
}

#[tokio::test]
async fn another_programs_database_in_place_of_the_cache_is_ignored_and_not_changed() {
    let folder = Folder::new();
    let other = rusqlite::Connection::open(cache_file(&folder)).expect("open");
    other.execute_batch("CREATE TABLE notes (text TEXT)").expect("written");
    drop(other);
    let before = std::fs::read(cache_file(&folder)).expect("read");
    let folder = assert_works_without(folder, "another program's").await;
    assert!(std::fs::read(cache_file(&folder)).expect("read") == before, "the database is unchanged");
}

#[tokio::test]
async fn a_locked_cache_is_ignored() {
    let folder = folder_with_answer().await;
    let other = rusqlite::Connection::open(cache_file(&folder)).expect("open");
    let lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM vin_cache;";
    other.execute_batch(lock).expect("a lock");
    assert_works_without(folder, "locked").await;
}

#[tokio::test]
async fn a_cache_that_cannot_be_created_is_ignored() {
    let folder = Folder::new();
    std::fs::create_dir(cache_file(&folder)).expect("a folder in its place");
    let folder = assert_works_without(folder, "a folder").await;
    assert!(cache_file(&folder).is_dir());
}
