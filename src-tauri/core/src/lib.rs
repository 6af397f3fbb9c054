//! The garage on this device: the local store, the operations on it, and decoding. No user interface, no Tauri.
//!
//! [`Garage`] is the one entry point for every caller, the app's commands and the CLI alike. The map:
//! - `vehicles`, `service`: the operations on vehicles and on their service entries
//! - `records`: what can be done with a record of any collection; `odometer`: what follows from a service entry
//! - `write`: the one way to the store's journal, by which everything is written
//! - `transfer`: the garage as JSON and CSV, and back
//! - `decode`: when the snapshot is opened, and which of its values enter a vehicle
//! - `refine`, `vpic_cache`: asking vPIC in the background, and keeping its answers in a file of their own
//! - `backup`, `repair`, `lock`: the file as a whole, and who has it open
//! - `watch`: hearing of what other programs write
//! - `progress`: how far a long operation is, and stopping it
//! - `store`: SQL, one file of functions per table; nothing outside it knows a column
//! - `locations`: where the app keeps its files
//!
//! Invariants: a write is on disk before its operation returns; no operation waits for the network; a decoder
//! that is missing or broken never stops a save; time and ids come from [`Environment`], nowhere else.

mod backup;
mod change;
mod decode;
mod environment;
mod error;
pub mod locations;
mod lock;
mod odometer;
mod progress;
mod records;
mod refine;
mod repair;
mod service;
mod store;
mod transfer;
mod vehicles;
mod vpic_cache;
mod watch;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

pub use backup::BackupFile;
pub use change::{Change, ChangeListener, RecordRef};
pub use environment::{Environment, Program};
pub use error::{ErrorCode, GarageError};
pub use garage_decode::{self as decoding, CatalogEntry, Decode, Detail, VinQuery};
pub use garage_domain::{
    self as domain, ChangeId, ChangeKind, Field, FieldAccess, FieldChange, FieldError, FieldValue, FilterChoices,
    HistoryEntry, OdometerUnit, Origin, PageEnd, RecordId, SERVICE_ENTRIES, ServiceEntry, ServiceEntryDraft,
    ServiceEntryId, Sort, VEHICLES, Vehicle, VehicleDraft, VehicleFields, VehicleId, VehiclePage, VehicleQuery,
    VehicleSummary,
};
pub use garage_sqlite::Existing;
pub use progress::Progress;
pub use repair::{
    Repair,
    examine::{Examination, FileState},
};
pub use service::ServiceLog;
pub use store::text::register as register_sql_functions;
pub use transfer::{Export, ExportFormat, ImportMode, ImportProblem, ImportReport};
pub use vehicles::offers::Offer;
pub use watch::Watch;

use garage_decode::SnapshotHolder;
use garage_sqlite::Database;

use crate::{backup::DailyBackup, lock::GarageLock, refine::Refiner, vpic_cache::VpicCache};

/// The files and the sources of time and ids that a garage works with.
#[derive(Clone)]
pub struct GarageConfig {
    /// The garage's SQLite file; made where it is missing.
    pub garage_file: PathBuf,
    /// The vPIC snapshot; may be missing, then nothing decodes.
    pub snapshot_file: PathBuf,
    /// Where an installer may have put the snapshot packed; the first that is there is unpacked when needed.
    pub packed_snapshots: Vec<PathBuf>,
    /// Where vPIC's answers are kept; made by the first answer. A cache: it may be deleted at any time.
    pub vpic_answers_file: PathBuf,
    /// The address of vPIC's API; none where it is never to be asked.
    pub vpic_url: Option<String>,
    /// Time and ids.
    pub environment: Environment,
    /// Who writes, for history.
    pub program: Program,
}

impl GarageConfig {
    /// The app's own garage: its usual files, the system's clock, random ids.
    ///
    /// # Errors
    /// The system names no folder for the user's data.
    pub fn of_this_user(program: Program) -> Result<GarageConfig, GarageError> {
        let snapshot_file = garage_decode::default_snapshot_path()?;
        Ok(GarageConfig {
            garage_file: locations::garage_file()?,
            vpic_answers_file: locations::vpic_answers_file(&snapshot_file),
            snapshot_file,
            packed_snapshots: garage_decode::default_packed_paths(),
            vpic_url: Some(decoding::vpic::VpicClient::base_url()),
            environment: Environment::system(),
            program,
        })
    }
}

impl GarageConfig {
    /// Where the file is a symbolic link, what it leads to: whoever comes by another name must find the same lock, and a
    /// repair must move the file and not the link.
    fn without_link(self) -> GarageConfig {
        let is_link = std::fs::symlink_metadata(&self.garage_file).is_ok_and(|it| it.is_symlink());
        match std::fs::canonicalize(&self.garage_file) {
            Ok(garage_file) if is_link => GarageConfig { garage_file, ..self },
            _ => self,
        }
    }
}

/// All vehicles of one account on this device. Cloning shares the connections and the snapshot.
#[derive(Clone)]
pub struct Garage {
    database: Database,
    snapshot: SnapshotHolder,
    refiner: Refiner,
    vpic_cache: VpicCache,
    environment: Environment,
    program: Program,
    garage_file: PathBuf,
    on_change: ChangeListener,
    daily_backup: DailyBackup,
    /// Until the garage is closed.
    lock: Arc<Mutex<Option<GarageLock>>>,
}

impl Garage {
    /// Opens the garage, creating its file and bringing its schema up to date. The snapshot is opened at first use;
    /// `on_change` hears of every write made through this garage.
    ///
    /// # Errors
    /// The file is damaged, locked, read-only, another program's or from a newer version; nothing has been changed then.
    pub async fn open(config: GarageConfig, on_change: ChangeListener) -> Result<Garage, GarageError> {
        let config = config.without_link();
        let lock = GarageLock::shared(&config.garage_file).await?;
        Garage::open_locked(config, on_change, lock).await
    }

    async fn open_store(config: &GarageConfig) -> Result<Database, GarageError> {
        backup::refuse_emptied(&config.garage_file)?;
        if repair::is_interrupted(&config.garage_file) {
            return Err(GarageError::RepairInterrupted);
        }
        Ok(store::open_backed_up(&config.garage_file).await?)
    }

    async fn open_locked(
        config: GarageConfig,
        on_change: ChangeListener,
        lock: GarageLock,
    ) -> Result<Garage, GarageError> {
        let database = Garage::open_store(&config).await?;
        Ok(Garage {
            database,
            snapshot: SnapshotHolder::new(config.snapshot_file, config.packed_snapshots),
            refiner: Refiner::new(config.vpic_url.as_deref()),
            vpic_cache: VpicCache::new(&config.vpic_answers_file),
            environment: config.environment,
            program: config.program,
            garage_file: config.garage_file,
            on_change,
            daily_backup: DailyBackup::default(),
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }

    /// Closes the garage's file, for programs that end: it is then one file, without a log beside it.
    pub async fn close(self) {
        self.daily_backup.finish().await;
        self.vpic_cache.close().await;
        self.database.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The garage's SQLite file.
    #[must_use]
    pub fn garage_file(&self) -> &Path {
        &self.garage_file
    }
}
