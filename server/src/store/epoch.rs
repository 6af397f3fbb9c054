//! Epochs: the history that versions belong to, and noticing that the database was restored from a backup.
//!
//! A restored database gives versions, and so entity tags, a second time: a client would take other content for what it
//! has, or base a change on a state that it never saw. So a restored database begins a new epoch: all counters continue
//! above every version that was ever given.
//!
//! A restore past this program is noticed by the number of starts, which each start raises in the database and in a file
//! beside the keys: a database that knows fewer starts than the file is an older one.

use std::path::{Path, PathBuf};

use garage_files::{Existing, FileLock, with_suffix};
use rusqlite::{Connection, params};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Store, StoreError, postgres::Failure};

/// The range by which a new epoch raises all counters. Nobody makes so many changes between a backup and its restore, and
/// thousands of epochs keep versions below 2^53, the largest integer of JavaScript's numbers.
const SHIFT: std::ops::RangeInclusive<i64> = 1 << 32..=1 << 40;

const READ: &str =
    "SELECT CAST(database_id AS TEXT), base, starts, COALESCE((SELECT max(version) FROM feeds), 0) FROM epoch";
const START: &str = "UPDATE epoch SET starts = $1";
const BEGIN: &str = "UPDATE epoch SET epoch = $1, base = $2, starts = $3";
const RAISE: &str = "UPDATE feeds SET version = $1";

/// The database's row in `epoch`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    database_id: String,
    base: i64,
    starts: i64,
    /// The highest counter.
    version: i64,
}

/// What is known of a database from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The number of starts.
    pub starts: i64,
    /// A version that no counter may fall behind.
    pub version: i64,
}

/// What a start changes.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Continue {
        starts: i64,
    },
    /// Begin a new epoch with this base.
    Begin {
        starts: i64,
        base: i64,
    },
}

fn decide(state: &State, known: Known, shift: i64) -> Decision {
    let starts = state.starts.max(known.starts) + 1;
    match state.starts < known.starts {
        true => Decision::Begin { starts, base: state.base.max(state.version).max(known.version) + shift },
        false => Decision::Continue { starts },
    }
}

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
            Store::Postgres(database) => Ok(postgres_state(&**database.connection().await?).await?),
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
                    let state = postgres_state(tx.client()).await?;
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

/// What a restore must know of the database that it replaces.
///
/// # Errors
/// [`rusqlite::Error`] if the database cannot be read.
pub(super) fn known(connection: &Connection) -> rusqlite::Result<Known> {
    let state = state_of(connection)?;
    Ok(Known { starts: state.starts, version: state.version.max(state.base) })
}

/// Begins a new epoch in a backup that is about to replace the database of which `known` is told.
///
/// # Errors
/// [`rusqlite::Error`] if the backup cannot be written.
pub(super) fn begin_after(connection: &Connection, known: Known) -> rusqlite::Result<()> {
    let state = state_of(connection)?;
    let shift = rand::Rng::gen_range(&mut rand::thread_rng(), SHIFT);
    let base = state.base.max(state.version).max(known.version) + shift;
    begin(connection, base, state.starts.max(known.starts))
}

fn begin(connection: &Connection, base: i64, starts: i64) -> rusqlite::Result<()> {
    connection.execute(&positional(BEGIN), params![Uuid::new_v4().simple().to_string(), base, starts])?;
    connection.execute(&positional(RAISE), [base])?;
    Ok(())
}

/// SQLite takes `$1` for a name.
fn positional(sql: &str) -> String {
    sql.replace('$', "?")
}

fn state_of(connection: &Connection) -> rusqlite::Result<State> {
    connection.query_row(READ, [], |row| {
        Ok(State { database_id: row.get(0)?, base: row.get(1)?, starts: row.get(2)?, version: row.get(3)? })
    })
}

async fn postgres_state(client: &Client) -> Result<State, Failure> {
    let row = client.query_one(READ, &[]).await?;
    Ok(State { database_id: row.try_get(0)?, base: row.try_get(1)?, starts: row.try_get(2)?, version: row.try_get(3)? })
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

    fn state(base: i64, starts: i64, version: i64) -> State {
        State { database_id: "x".to_owned(), base, starts, version }
    }

    #[test]
    fn a_database_that_knows_fewer_starts_begins_a_new_epoch_above_all_versions() {
        let known = |starts, version| Known { starts, version };
        assert_eq!(decide(&state(0, 3, 7), known(3, 7), 100), Decision::Continue { starts: 4 });
        assert_eq!(
            decide(&state(0, 4, 9), known(3, 7), 100),
            Decision::Continue { starts: 5 },
            "another server started"
        );
        assert_eq!(decide(&state(0, 0, 0), Known::default(), 100), Decision::Continue { starts: 1 });
        assert_eq!(decide(&state(0, 2, 7), known(3, 9), 100), Decision::Begin { starts: 4, base: 109 });
        assert_eq!(decide(&state(50, 2, 60), known(3, 9), 100), Decision::Begin { starts: 4, base: 160 });
        assert_eq!(decide(&state(90, 2, 0), known(3, 9), 100), Decision::Begin { starts: 4, base: 190 });
    }

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
