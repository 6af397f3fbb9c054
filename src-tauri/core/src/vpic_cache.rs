//! The cache of vPIC's answers: a separate SQLite file beside the vPIC data.
//!
//! The answers are not user data. In the garage's file they would bloat backups and notify every program that watches
//! it.
//!
//! Invariants: the file is opened on first use and created by the first answer. A damaged file is deleted and created
//! again. If the file cannot be used for another reason (read-only, locked, from a newer version), it is left
//! unchanged, and this program works without a cache until it exits. No failure here makes a decode or a save fail.

use std::{path::Path, sync::Arc};

use garage_decode::vpic::VpicAnswer;
use garage_domain::Vin;
use garage_files::with_suffix;
use garage_sqlite::{Database, Error, Schema};
use jiff::Timestamp;
use rusqlite::{ErrorCode, OptionalExtension, Transaction, params};
use tokio::sync::Mutex;

mod migrations {
    refinery::embed_migrations!("../../migrations/vpic-cache");
}

/// The SQLite application id of a cache file, "MVVa".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MVVa");

/// A VIN, and the model year if the VIN fits more than one.
pub(crate) type Question = (Vin, Option<i32>);

pub(crate) struct Cached {
    pub answer: VpicAnswer,
    pub answered_at: Timestamp,
}

/// The cache. Clones share the file.
#[derive(Clone)]
pub(crate) struct VpicCache {
    path: Arc<Path>,
    state: Arc<Mutex<State>>,
}

enum State {
    NotOpened,
    Open(Arc<Database>),
    /// Opening failed. It is not retried, because it may take seconds to fail.
    Unusable(Arc<Error>),
}

/// What to do if the file does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsMade,
    StaysMissing,
}

impl VpicCache {
    pub fn new(path: &Path) -> VpicCache {
        VpicCache { path: path.into(), state: Arc::new(Mutex::new(State::NotOpened)) }
    }

    /// Returns the cached answer to a question.
    ///
    /// # Errors
    /// The file cannot be used, so a new answer could not be stored either.
    pub async fn get(&self, question: &Question) -> Result<Option<Cached>, Arc<Error>> {
        let Some(database) = self.database(Missing::StaysMissing).await? else { return Ok(None) };
        let (vin, model_year) = question.clone();
        match database.read(move |transaction| Ok(select(transaction, &vin, model_year)?)).await {
            Err(error) if is_damage(&error) => {
                self.discard(&database, &error).await;
                Ok(None)
            }
            read => read.map_err(Arc::new),
        }
    }

    /// Stores answers; they replace older ones.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub async fn keep(&self, answers: Vec<(Question, VpicAnswer)>, answered_at: Timestamp) -> Result<(), Arc<Error>> {
        let answers = Arc::new(answers);
        self.write(Missing::IsMade, move |transaction| {
            answers
                .iter()
                .try_for_each(|((vin, model_year), answer)| insert(transaction, vin, *model_year, answer, answered_at))
        })
        .await
    }

    /// Deletes answers that are older than `oldest`.
    ///
    /// # Errors
    /// The file exists and cannot be written.
    pub async fn remove_older(&self, oldest: Timestamp) -> Result<(), Arc<Error>> {
        let oldest = oldest.as_microsecond();
        self.write(Missing::StaysMissing, move |transaction| {
            transaction.execute("DELETE FROM vin_cache WHERE answered_at_us < ?1", [oldest]).map(drop)
        })
        .await
    }

    /// Closes the file. It is not opened again.
    pub async fn close(&self) {
        let mut state = self.state.lock().await;
        if let State::Open(database) = std::mem::replace(&mut *state, State::Unusable(Arc::new(Error::Closed))) {
            Arc::unwrap_or_clone(database).close().await;
        }
    }

    async fn write(
        &self,
        missing: Missing,
        work: impl Fn(&Transaction<'_>) -> rusqlite::Result<()> + Clone + Send + 'static,
    ) -> Result<(), Arc<Error>> {
        let Some(database) = self.database(missing).await? else { return Ok(()) };
        let first_work = work.clone();
        match database.write(move |transaction| Ok(first_work(transaction)?)).await {
            Err(error) if is_damage(&error) => self.discard(&database, &error).await,
            written => return written.map_err(Arc::new),
        }
        let Some(database) = self.database(missing).await? else { return Ok(()) };
        database.write(move |transaction| Ok::<_, Error>(work(transaction)?)).await.map_err(Arc::new)
    }

    async fn database(&self, missing: Missing) -> Result<Option<Arc<Database>>, Arc<Error>> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Open(database) => return Ok(Some(database.clone())),
            State::Unusable(error) => return Err(error.clone()),
            State::NotOpened if missing == Missing::StaysMissing && !self.path.exists() => return Ok(None),
            State::NotOpened => {}
        }
        let mut opened = Database::open(&self.path, schema()).await;
        if let Err(error) = &opened
            && is_damage(error)
        {
            self.delete_file(error);
            opened = Database::open(&self.path, schema()).await;
        }
        match opened.map(Arc::new) {
            Ok(database) => {
                *state = State::Open(database.clone());
                Ok(Some(database))
            }
            Err(error) => {
                tracing::warn!(%error, file = %self.path.display(), "working without the cache of vPIC's answers");
                let error = Arc::new(error);
                *state = State::Unusable(error.clone());
                Err(error)
            }
        }
    }

    /// Closes and deletes the file of this database, unless another caller has done so.
    async fn discard(&self, damaged: &Arc<Database>, error: &Error) {
        let mut state = self.state.lock().await;
        if !matches!(&*state, State::Open(database) if Arc::ptr_eq(database, damaged)) {
            return;
        }
        *state = State::NotOpened;
        // Close before deleting: SQLite would fold its log into the file, and Windows does not delete open files.
        Database::clone(damaged).close().await;
        self.delete_file(error);
    }

    /// Deletes a damaged file. If that fails, the next opening fails too and returns the reason.
    fn delete_file(&self, error: &Error) {
        tracing::warn!(%error, file = %self.path.display(), "deleting the damaged cache of vPIC's answers");
        for suffix in ["-wal", "-shm", ""] {
            let _ = std::fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

fn schema() -> Schema {
    Schema {
        migrations: migrations::migrations::runner(),
        application_id: APPLICATION_ID,
        mark: ("vin_cache", "answered_at_us"),
        prepare: |_| Ok(()),
        backup_before_upgrade: None,
        missing_parts: None,
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn select(transaction: &Transaction<'_>, vin: &Vin, model_year: Option<i32>) -> rusqlite::Result<Option<Cached>> {
    transaction
        .prepare_cached("SELECT answer, answered_at_us FROM vin_cache WHERE vin = ?1 AND model_year = ?2")?
        .query_row(params![vin.as_str(), model_year.unwrap_or_default()], |row| {
            let (answer, answered_at): (String, i64) = (row.get(0)?, row.get(1)?);
            // Ignore an unreadable row; the next answer replaces it.
            let answer = serde_json::from_str(&answer).ok();
            let answered_at = Timestamp::from_microsecond(answered_at).ok();
            Ok(answer.zip(answered_at).map(|(answer, answered_at)| Cached { answer, answered_at }))
        })
        .optional()
        .map(Option::flatten)
}

fn insert(
    transaction: &Transaction<'_>,
    vin: &Vin,
    model_year: Option<i32>,
    answer: &VpicAnswer,
    answered_at: Timestamp,
) -> rusqlite::Result<()> {
    let answer =
        serde_json::to_string(answer).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO vin_cache (vin, model_year, answer, answered_at_us) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![vin.as_str(), model_year.unwrap_or_default(), answer, answered_at.as_microsecond()])
        .map(drop)
}
