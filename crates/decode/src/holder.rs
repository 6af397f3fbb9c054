//! One snapshot for a whole program.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::OnceCell;

use crate::{Catalog, Snapshot, SnapshotError};

/// The snapshot, opened at first use and kept. A failed opening is tried again next time: the file may be there then.
#[derive(Clone)]
pub struct SnapshotHolder {
    path: PathBuf,
    packed: Arc<[PathBuf]>,
    snapshot: Arc<OnceCell<Arc<Snapshot>>>,
    catalog: Arc<OnceCell<Arc<Catalog>>>,
}

impl SnapshotHolder {
    /// The snapshot in this file; where it is missing, the first of the packed ones that is there is unpacked.
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
    /// There is none that can be used.
    pub async fn get(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        let open = || async {
            let (path, packed) = (self.path.clone(), Arc::clone(&self.packed));
            // Checking the digest takes 0.1 s of computing; unpacking, at the first start, a second.
            tokio::task::spawn_blocking(move || Snapshot::open_or_unpack(&path, &packed).map(Arc::new))
                .await
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        };
        self.snapshot.get_or_try_init(open).await.cloned()
    }

    /// The makes, models and years that follow from it, made once and kept beside it.
    ///
    /// # Errors
    /// There is no snapshot that can be used.
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
