//! Shared helpers: a garage on a real file with the complete vPIC data, and a deterministic clock and id source.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use garage_core::{
    ChangeListener, Environment, ErrorCode, Garage, GarageConfig, GarageError, Program, RecordCount, ServiceEntryDraft,
    SessionConfig, Vehicle, VehicleDraft,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

pub const ACCORD: &str = "1HGCM82633A004352";

/// A clock that advances one second per read, and consecutive ids.
pub fn environment() -> Environment {
    let (seconds, ids) = (AtomicI64::new(0), Arc::new(AtomicI64::new(1)));
    let start: Timestamp = garage_testkit::now();
    Environment::new(
        move || start + SignedDuration::from_secs(seconds.fetch_add(1, Ordering::SeqCst)),
        move || Uuid::from_u128(u128::try_from(ids.fetch_add(1, Ordering::SeqCst)).expect("positive")),
    )
}

pub fn config(garage_file: &Path) -> GarageConfig {
    GarageConfig {
        garage_file: garage_file.to_owned(),
        snapshot_file: garage_decode::default_snapshot_path().expect("a path"),
        packed_snapshots: Vec::new(),
        vpic_answers_file: garage_file.with_file_name("vpic-answers.db"),
        vpic_url: None,
        environment: environment(),
        program: Program::App,
        session: SessionConfig::default(),
    }
}

pub async fn open(garage_file: &Path) -> Result<Garage, GarageError> {
    Garage::open(config(garage_file), ChangeListener::none()).await
}

pub fn draft(value: Value) -> VehicleDraft {
    serde_json::from_value(value).expect("an object")
}

pub fn entry(value: Value) -> ServiceEntryDraft {
    serde_json::from_value(value).expect("an object")
}

pub async fn add(garage: &Garage, value: Value) -> Vehicle {
    garage.add_vehicle(&draft(value)).await.expect("added")
}

pub fn code<T: std::fmt::Debug>(result: Result<T, GarageError>) -> ErrorCode {
    result.expect_err("an error").code()
}

/// The number of a collection's records, including removed ones.
pub fn total(records: &[RecordCount], collection: &str) -> u64 {
    records.iter().filter(|it| it.collection == collection).map(|it| it.count + it.removed).sum()
}

pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    pub fn garage_file(&self) -> std::path::PathBuf {
        self.0.path().join("garage.db")
    }
}

/// A connection that bypasses the garage, with the SQL functions that its triggers call.
pub fn raw(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("open");
    garage_core::register_sql_functions(&connection).expect("the functions");
    connection
}
