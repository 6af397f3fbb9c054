//! Counts in a database, to detect that it was restored from a backup with other tools.
//!
//! Each start of a server raises the number in the database, and in a file next to the folder of keys. So does a running
//! server after writes, at most every [`PAUSE`], and when it stops. A database with a lower number than the file is an older
//! one, and begins a new epoch: at a start, before the first request. Only if a server was killed within [`PAUSE`] after a
//! backup and the writes that the backup lacks, its restore is not detected.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use garage_files::{Existing, FileLock, with_suffix};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Store, StoreError,
    epoch::{
        BEGIN_EPOCH, Decision, END_EPOCH_OF_DATABASE, END_EPOCHS, LastState, RAISE_COUNTERS, SET_STARTS, State, begin,
        decide, positional, shift, state_of, state_of_postgres,
    },
    postgres::Failure,
};

/// The least time between two counts of a running server.
const PAUSE: Duration = Duration::from_secs(5);

impl Store {
    /// Raises the number in the database and in the file next to this folder of keys. Begins a new epoch if the database is
    /// older than the one that was served before. If the file cannot be written, this is only logged.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Failed`] if the database cannot be read or written.
    pub async fn count(&self, keys: &Path) -> Result<(), StoreError> {
        self.raise_and_remember(keys, false).await
    }

    /// Counts, and begins a new epoch although no server has noticed that the database was restored.
    ///
    /// # Errors
    /// As [`Store::count`].
    pub async fn begin_epoch(&self, keys: &Path) -> Result<(), StoreError> {
        self.raise_and_remember(keys, true).await
    }

    async fn raise_and_remember(&self, keys: &Path, is_restored: bool) -> Result<(), StoreError> {
        let file = with_suffix(keys, ".starts").join(self.state().await?.database_id);
        let (last, has_begun) = self.raise(read(&file), is_restored).await?;
        if has_begun {
            tracing::warn!("the database was restored from a backup: a new epoch begins");
        }
        let remembered = tokio::task::spawn_blocking(move || remember(&file, last)).await;
        if let Ok(Err(error)) = remembered {
            tracing::warn!(%error, "the file is not written; a restore of the database may not be detected");
        }
        Ok(())
    }

    /// Counts after writes, of which it is notified. Never returns.
    pub async fn count_writes(self, keys: PathBuf, written: Arc<Notify>) {
        loop {
            written.notified().await;
            // The store has logged an error. The next write is counted again.
            let _ = self.count(&keys).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn state(&self) -> Result<State, StoreError> {
        match self {
            Store::Sqlite(database) => database.read(|tx| Ok(state_of(tx)?)).await,
            Store::Postgres(database) => Ok(state_of_postgres(&**database.connection().await?).await?),
        }
    }

    /// Returns the state to remember, and whether a new epoch has begun.
    async fn raise(&self, last: LastState, is_restored: bool) -> Result<(LastState, bool), StoreError> {
        let shift = shift();
        match self {
            Store::Sqlite(database) => {
                let raise = move |tx: &rusqlite::Transaction<'_>| {
                    let state = state_of(tx)?;
                    let decision = decide(&state, last, is_restored, shift);
                    match &decision {
                        Decision::Continue { starts } => drop(tx.execute(&positional(SET_STARTS), [starts])?),
                        Decision::Begin { starts, base } => begin(tx, *base, *starts)?,
                    }
                    Ok(state_to_remember(&state, &decision))
                };
                database.write(raise).await
            }
            Store::Postgres(database) => {
                let raise = async || {
                    let mut connection = database.connection().await?;
                    let tx = connection.transaction().await?;
                    let mut state = state_of_postgres(tx.client()).await?;
                    let mut decision = decide(&state, last, is_restored, shift);
                    if matches!(decision, Decision::Begin { .. }) {
                        // Waits for writers of vehicles, which lock rows of `feeds`, and for another server's new epoch.
                        tx.batch_execute("LOCK TABLE epoch, feeds IN EXCLUSIVE MODE").await?;
                        state = state_of_postgres(tx.client()).await?;
                        decision = decide(&state, last, is_restored, shift);
                    }
                    match &decision {
                        Decision::Continue { starts } => drop(tx.execute(SET_STARTS, &[starts]).await?),
                        Decision::Begin { starts, base } => {
                            tx.execute(END_EPOCH_OF_DATABASE, &[]).await?;
                            tx.execute(END_EPOCHS, &[]).await?;
                            tx.execute(BEGIN_EPOCH, &[&Uuid::new_v4(), base, starts]).await?;
                            tx.execute(RAISE_COUNTERS, &[base]).await?;
                        }
                    }
                    tx.commit().await?;
                    Ok::<_, Failure>(state_to_remember(&state, &decision))
                };
                database.with_retries(raise).await
            }
        }
    }
}

fn state_to_remember(state: &State, decision: &Decision) -> (LastState, bool) {
    match *decision {
        Decision::Continue { starts } => (LastState { starts, version: state.version.max(state.base) }, false),
        Decision::Begin { starts, base } => (LastState { starts, version: base }, true),
    }
}

/// Reads the file of a database: the number and a version. They are 0 if the file cannot be read.
fn read(file: &PathBuf) -> LastState {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or_default());
    LastState { starts: numbers.next().unwrap_or_default(), version: numbers.next().unwrap_or_default() }
}

/// Writes the file, unless another server has written a higher number.
fn remember(file: &PathBuf, last: LastState) -> Result<(), garage_files::Error> {
    let _lock = FileLock::exclusive(&with_suffix(file, ".lock"))?;
    if read(file).starts >= last.starts {
        return Ok(());
    }
    garage_files::write(file, format!("{} {}\n", last.starts, last.version).as_bytes(), Existing::Replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_keeps_the_highest_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.starts/id");
        assert_eq!(read(&file), LastState::default());
        for (starts, kept) in [(2, 2), (1, 2), (3, 3)] {
            remember(&file, LastState { starts, version: 10 * starts }).expect("written");
            assert_eq!(read(&file), LastState { starts: kept, version: 10 * kept });
        }
        std::fs::write(&file, "nonsense").expect("written");
        assert_eq!(read(&file), LastState::default());
    }
}
