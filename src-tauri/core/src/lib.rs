//! The garage on this device: the local store, its operations, and decoding. No user interface, no Tauri.
//!
//! [`Garage`] is the entry point for every caller, the app's commands and the CLI alike. Modules:
//! - `vehicles`, `service`: operations on vehicles and on service entries
//! - `records`: operations on a record of any collection; `odometer`: updates a vehicle's reading from service entries
//! - `write`: the only way to write to the store, through its journal
//! - `transfer`: export and import as JSON, export as CSV
//! - `decode`: decoding, and which decoded values fill a vehicle
//! - `refine`, `vpic_cache`: requests to vPIC in the background, and the cache file of its answers
//! - `backup`, `repair`, `lock`: the garage's file as a whole, and locking it against other programs
//! - `session`: signing in to a server, and its access tokens; `http`: requests with limits
//! - `sync`: exchanging changes with the server
//! - `watch`: notices writes of other programs
//! - `progress`: progress and cancellation of long operations
//! - `store`: the SQL, one module per table; no other module knows a column
//! - `locations`: the paths of the app's files
//!
//! Invariants: a write is on disk before its operation returns; only [`Garage::ask_vpic`] and the
//! operations of `session` wait for the network; a missing or broken decoder never prevents a save; time and ids come only from
//! [`Environment`].

mod backup;
mod change;
mod decode;
mod environment;
mod error;
mod find;
mod http;
pub mod locations;
mod lock;
mod odometer;
mod progress;
mod records;
mod refine;
mod repair;
mod service;
mod session;
mod store;
pub mod sync;
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
pub use garage_files::Existing;
pub use http::{HttpClient, HttpError, Proxy, Response};
pub use progress::Progress;
pub use repair::{
    Repair,
    examine::{Examination, FileState, RecordCount},
};
pub use secrecy::{ExposeSecret, SecretSlice, SecretString};
pub use service::ServiceLog;
pub use session::{
    AccessToken, GivenSession, KeyStore, KeyStoreError, Remote, Session, SessionConfig, SessionError, SignOut,
    SignedIn, Unencrypted, system_key_store,
};
pub use store::text::register as register_sql_functions;
pub use transfer::{Export, ExportFormat, ImportMode, ImportProblem, ImportReport};
pub use vehicles::offers::Offer;
pub use watch::Watch;

use garage_decode::SnapshotHolder;
use garage_sqlite::Database;

use crate::{backup::DailyBackup, lock::GarageLock, refine::Refiner, vpic_cache::VpicCache};

/// The files of a garage, and its sources of time and ids.
#[derive(Clone)]
pub struct GarageConfig {
    /// The garage's SQLite file; created if it does not exist.
    pub garage_file: PathBuf,
    /// The vPIC snapshot. If it does not exist, nothing can be decoded.
    pub snapshot_file: PathBuf,
    /// Paths where an installer may have put the packed snapshot. The first one that exists is unpacked on first use.
    pub packed_snapshots: Vec<PathBuf>,
    /// The cache file of vPIC's answers; created by the first answer. It may be deleted at any time.
    pub vpic_answers_file: PathBuf,
    /// The base URL of vPIC's API; `None` disables requests.
    pub vpic_url: Option<String>,
    /// The sources of time and ids.
    pub environment: Environment,
    /// The program that history records.
    pub program: Program,
    /// Where the session with a server comes from.
    pub session: SessionConfig,
}

impl GarageConfig {
    /// The app's own garage: the usual files, the system's clock, random ids.
    ///
    /// # Errors
    /// [`GarageError::NoDataFolder`] (`GarageReadOnly`) if the system has no folder for the user's data;
    /// [`GarageError::Snapshot`] (`SnapshotMissing`) if it has none for the snapshot.
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
            session: SessionConfig::default(),
        })
    }
}

impl GarageConfig {
    /// Resolves a symbolic link, so that every name of the garage leads to the same lock file, and a repair moves the
    /// file and not the link.
    fn without_link(self) -> GarageConfig {
        let is_link = std::fs::symlink_metadata(&self.garage_file).is_ok_and(|it| it.is_symlink());
        match std::fs::canonicalize(&self.garage_file) {
            Ok(garage_file) if is_link => GarageConfig { garage_file, ..self },
            _ => self,
        }
    }
}

/// The records of one account on this device. Clones share the connections and the snapshot.
#[derive(Clone)]
pub struct Garage {
    database: Database,
    snapshot: SnapshotHolder,
    refiner: Refiner,
    vpic_cache: VpicCache,
    environment: Environment,
    program: Program,
    session: SessionConfig,
    garage_file: PathBuf,
    on_change: ChangeListener,
    daily_backup: DailyBackup,
    /// Held until the garage is closed.
    lock: Arc<Mutex<Option<GarageLock>>>,
}

impl Garage {
    /// Opens the garage, creates its file and runs missing migrations. The snapshot is opened on first use. `on_change`
    /// is called after every write through this garage.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the file is damaged (`GarageDamaged`), locked (`GarageLocked`), read-only
    /// (`GarageReadOnly`), another program's (`GarageForeign`) or from a newer version (`GarageNewer`);
    /// [`GarageError::Emptied`] and [`GarageError::RepairInterrupted`] (`GarageDamaged`); [`GarageError::InUse`]
    /// (`GarageLocked`) while a repair runs. Nothing is changed.
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
            session: config.session,
            garage_file: config.garage_file,
            on_change,
            daily_backup: DailyBackup::default(),
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }

    /// Closes the garage. SQLite then folds the write-ahead log into the file and deletes it.
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
