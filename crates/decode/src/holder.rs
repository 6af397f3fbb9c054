//! Shares one snapshot and one catalog in a program.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::OnceCell;

use crate::{Catalog, Snapshot, SnapshotError};

/// Opens the snapshot on first use and keeps it. A failed open is retried on the next call.
#[derive(Clone)]
pub struct SnapshotHolder {
    path: PathBuf,
    packed: Arc<[PathBuf]>,
    snapshot: Arc<OnceCell<Arc<Snapshot>>>,
    catalog: Arc<OnceCell<Arc<Catalog>>>,
}

impl SnapshotHolder {
    /// Uses the snapshot at `path`. If it is missing or damaged, the first existing file of `packed` is unpacked to it.
    #[must_use]
    pub fn new(path: PathBuf, packed: Vec<PathBuf>) -> SnapshotHolder {
        SnapshotHolder { path, packed: packed.into(), snapshot: Arc::default(), catalog: Arc::default() }
    }

    /// The snapshot's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The snapshot.
    ///
    /// # Errors
    /// Same as [`Snapshot::open_or_unpack`].
    pub async fn get(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        let open = || async {
            let (path, packed) = (self.path.clone(), Arc::clone(&self.packed));
            // Checking the digest takes 0.1 s, unpacking a second.
            tokio::task::spawn_blocking(move || Snapshot::open_or_unpack(&path, &packed).map(Arc::new))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        };
        self.snapshot.get_or_try_init(open).await.cloned()
    }

    /// The catalog of makes, models and years, built once from the snapshot.
    ///
    /// # Errors
    /// Same as [`Snapshot::open_or_unpack`].
    pub async fn catalog(&self) -> Result<Arc<Catalog>, SnapshotError> {
        let open = || async {
            let (snapshot, path) = (self.get().await?, self.path.clone());
            Ok(tokio::task::spawn_blocking(move || Arc::new(Catalog::open_or_build(&snapshot, &path)))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
        };
        self.catalog.get_or_try_init(open).await.cloned()
    }
}
