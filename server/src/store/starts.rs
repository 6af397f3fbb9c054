//! Counting the starts of servers on a database, which shows that it was restored from a backup past this program.
//!
//! Each start raises the number in the database and in a file beside the folder of keys. A database that knows fewer starts
//! than the file is an older one, and begins a new epoch before the first request.

use std::path::{Path, PathBuf};

use garage_files::{Existing, FileLock, with_suffix};
use uuid::Uuid;

use super::{
    Store, StoreError,
    epoch::{
        BEGIN, Decision, Known, RAISE, SHIFT, START, State, begin, decide, positional, state_of, state_of_postgres,
    },
    postgres::Failure,
};

impl Store {
    /// Counts a start of the server, in the database and in the folder beside the folder of keys. Begins a new epoch if
    /// the database is older than the one that was served from here before. If the file cannot be written, this is logged
    /// and a later restore may go unnoticed.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be read or written.
    pub async fn count_start(&self, keys: &Path) -> Result<(), StoreError> {
        let file = with_suffix(keys, ".starts").join(self.state().await?.database_id);
        let known = read(&file);
        let (known, has_begun) = self.start(known).await?;
        if has_begun {
            tracing::warn!("the database was restored from a backup: a new epoch begins");
        }
        if let Err(error) = remember(&file, known) {
            tracing::warn!(%error, "a restore of the database will not be noticed");
        }
        Ok(())
    }

    async fn state(&self) -> Result<State, StoreError> {
        match self {
            Store::Sqlite(database) => database.read(|tx| Ok(state_of(tx)?)).await,
            Store::Postgres(database) => Ok(state_of_postgres(&**database.connection().await?).await?),
        }
    }

    /// Returns what to remember, and whether a new epoch has begun.
    async fn start(&self, known: Known) -> Result<(Known, bool), StoreError> {
        let shift = rand::Rng::gen_range(&mut rand::thread_rng(), SHIFT);
        match self {
            Store::Sqlite(database) => {
                let start = move |tx: &rusqlite::Transaction<'_>| {
                    let state = state_of(tx)?;
                    let decision = decide(&state, known, shift);
                    match &decision {
                        Decision::Continue { starts } => drop(tx.execute(&positional(START), [starts])?),
                        Decision::Begin { starts, base } => begin(tx, *base, *starts)?,
                    }
                    Ok(remembered(&state, &decision))
                };
                database.write(start).await
            }
            Store::Postgres(database) => {
                let start = async || {
                    let mut connection = database.connection().await?;
                    let tx = connection.transaction().await?;
                    // Writers of vehicles lock the rows of `feeds`.
                    tx.batch_execute("LOCK TABLE epoch, feeds IN EXCLUSIVE MODE").await?;
                    let state = state_of_postgres(tx.client()).await?;
                    let decision = decide(&state, known, shift);
                    match &decision {
                        Decision::Continue { starts } => drop(tx.execute(START, &[starts]).await?),
                        Decision::Begin { starts, base } => {
                            tx.execute(BEGIN, &[&Uuid::new_v4(), base, starts]).await?;
                            tx.execute(RAISE, &[base]).await?;
                        }
                    }
                    tx.commit().await?;
                    Ok::<_, Failure>(remembered(&state, &decision))
                };
                database.retried(start).await
            }
        }
    }
}

fn remembered(state: &State, decision: &Decision) -> (Known, bool) {
    match *decision {
        Decision::Continue { starts } => (Known { starts, version: state.version.max(state.base) }, false),
        Decision::Begin { starts, base } => (Known { starts, version: base }, true),
    }
}

/// Reads the file of a database: the number of starts and a version. A file that cannot be read tells nothing.
fn read(file: &PathBuf) -> Known {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or_default());
    Known { starts: numbers.next().unwrap_or_default(), version: numbers.next().unwrap_or_default() }
}

/// Writes the file, unless another server has counted a later start.
fn remember(file: &PathBuf, known: Known) -> Result<(), garage_files::Error> {
    let _lock = FileLock::exclusive(&with_suffix(file, ".lock"))?;
    if read(file).starts >= known.starts {
        return Ok(());
    }
    garage_files::write(file, format!("{} {}\n", known.starts, known.version).as_bytes(), Existing::Replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_keeps_the_latest_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.starts/id");
        assert_eq!(read(&file), Known::default());
        for (starts, kept) in [(2, 2), (1, 2), (3, 3)] {
            remember(&file, Known { starts, version: 10 * starts }).expect("written");
            assert_eq!(read(&file), Known { starts: kept, version: 10 * kept });
        }
        std::fs::write(&file, "nonsense").expect("written");
        assert_eq!(read(&file), Known::default());
    }
}
