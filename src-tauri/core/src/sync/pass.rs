//! A pass: requests and responses until both sides have everything. No transaction is open while a request is under way.

use std::{collections::HashMap, time::Duration};

use garage_domain::RecordId;
use garage_files::{FileLock, with_suffix};
use garage_protocol::sync::{AuditRequest, MAX_AUDITED, MAX_RECORDS, Rejection, SyncRequest, SyncResponse};
use rusqlite::Connection;
use uuid::Uuid;

use super::{
    Remote, RemoteError, SyncError,
    apply::{self, Applied, Reason},
    digest,
    exchange::Exchange,
    outbox, reread,
};
use crate::{
    Garage, GarageError,
    store::{
        device_id,
        journal::Journal,
        scope::Scope,
        sync::{self, Attention, Key, Progress, StoredBase},
    },
};

/// How much the records of an audit contain at most, about, in bytes: less than the server's limit.
const AUDITED_BYTES: usize = 700 << 10;

/// How often to look whether another program has ended its pass.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// What a pass has exchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// How many requests were answered.
    pub requests: usize,
    /// How many changes of this device the server has applied.
    pub sent: usize,
    /// How many changes of other devices, about, were read.
    pub received: usize,
    /// How many records wait after it: edited meanwhile, or not to be sent now.
    pub waiting: u64,
}

/// The largest batch and page of an exchange, in records.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most operations to send, 1 to 500.
    pub operations: usize,
    /// The most records to read, 1 to 500.
    pub records: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { operations: MAX_RECORDS, records: MAX_RECORDS }
    }
}

/// What is to be done after an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There is more to exchange.
    Continue,
    /// Both sides have everything that can be exchanged now.
    Done {
        /// How many records wait all the same: edited meanwhile, or not to be sent now.
        waiting: u64,
    },
}

impl Garage {
    /// Exchanges requests and responses until there is nothing more to send and to read. Waits so long for another program
    /// that is doing it. `progress` is called after each exchange. To cancel, drop the future: what was exchanged stays.
    ///
    /// # Errors
    /// [`SyncError::Busy`] if the other program is not done in time; other [`SyncError`]s. The next pass continues.
    pub async fn sync(
        &self,
        remote: &impl Remote,
        wait: Duration,
        mut progress: impl FnMut(&Exchanged),
    ) -> Result<Exchanged, SyncError> {
        let _lock = self.sync_lock(wait).await?;
        let mut limits = Limits::default();
        let mut exchanged = Exchanged::default();
        let mut scope = self.last_scope().await?;
        if !scope.is_everything() {
            scope = remote.scope().await?;
        }
        loop {
            let exchange = self.begin_exchange(&scope, limits).await?;
            match remote.exchange(&exchange).await {
                Ok(response) => {
                    exchanged.requests += 1;
                    exchanged.sent += response.applied();
                    // Own changes come back.
                    exchanged.received += response.changes.len().saturating_sub(response.applied());
                    let next = self.finish_exchange(exchange, response).await?;
                    progress(&exchanged);
                    if let Next::Done { waiting } = next {
                        return Ok(Exchanged { waiting, ..exchanged });
                    }
                }
                Err(RemoteError::Refused(message)) if !exchange.request.operations.is_empty() => {
                    limits.operations = (exchange.request.operations.len() / 2).max(1);
                    self.refused(exchange, message).await?;
                }
                Err(RemoteError::NotEverything) if scope.is_everything() => {
                    scope = remote.scope().await?;
                    if scope.is_everything() {
                        return Err(RemoteError::NotEverything.into());
                    }
                }
                Err(RemoteError::MissingRecords(missing)) => return Err(self.ask_about_removals(missing).await?),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Holds the lock of the program that syncs this garage.
    async fn sync_lock(&self, wait: Duration) -> Result<FileLock, SyncError> {
        let path = with_suffix(&self.garage_file, ".sync.lock");
        let until = tokio::time::Instant::now() + wait;
        loop {
            match FileLock::try_exclusive(&path).map_err(GarageError::from)? {
                Some(lock) => return Ok(lock),
                None if tokio::time::Instant::now() < until => tokio::time::sleep(BETWEEN_TRIES).await,
                None => return Err(SyncError::Busy),
            }
        }
    }

    /// Returns what the server took in the last pass.
    async fn last_scope(&self) -> Result<Scope, GarageError> {
        self.database.read(|transaction| Ok(sync::progress(transaction)?.map(|it| it.scope).unwrap_or_default())).await
    }

    /// Freezes the next batch, unless one is in flight, and returns the request to send to a server with this scope.
    ///
    /// # Errors
    /// [`SyncError::SignedOut`] before the first sign-in; [`SyncError::Attention`] if a person has to decide first;
    /// [`SyncError::Garage`].
    pub async fn begin_exchange(&self, scope: &Scope, limits: Limits) -> Result<Exchange, SyncError> {
        let scope = scope.clone();
        let begun = self.write(self.stamp(), move |journal| begin(journal, scope, limits)).await?;
        begun.ok_or(SyncError::SignedOut)?
    }

    /// Applies a response in one transaction.
    ///
    /// # Errors
    /// [`SyncError::Attention`] if sync stops until a person decides; [`SyncError::Overtaken`] if another program has
    /// changed the state of sync meanwhile; [`SyncError::Remote`] if the response is of another account;
    /// [`SyncError::Garage`].
    pub async fn finish_exchange(&self, exchange: Exchange, response: SyncResponse) -> Result<Next, SyncError> {
        let Exchange { request, reread, scope, .. } = exchange;
        if request.account.as_ref().is_some_and(|account| *account != response.account) {
            return Err(RemoteError::OtherAccount.into());
        }
        let applied = self.write(self.stamp(), move |journal| {
            Ok::<_, GarageError>(apply::apply(journal, &request, &response, reread, &scope)?)
        });
        match applied.await? {
            Applied::Whole { is_done: true, waiting } => Ok(Next::Done { waiting }),
            Applied::Whole { is_done: false, .. } | Applied::ReadAgain(Reason::Epoch | Reason::Copied) => {
                Ok(Next::Continue)
            }
            Applied::ReadAgain(Reason::Differs) => {
                self.back_up_before_reread().await?;
                Ok(Next::Continue)
            }
            Applied::Ignored => Err(SyncError::Overtaken),
            Applied::Stopped(attention) => Err(SyncError::Attention(attention)),
        }
    }

    /// Notes that more records are missing on the server than are removed without a question.
    async fn ask_about_removals(&self, missing: u64) -> Result<SyncError, GarageError> {
        let attention = Attention::Removals { missing, is_accepted: false };
        let stored = attention.clone();
        let asked = self.write(self.stamp(), move |journal| {
            let Some(mut progress) = sync::progress(journal.reader())? else { return Ok(()) };
            progress.attention = Some(stored);
            Ok::<_, GarageError>(sync::put_progress(journal.reader(), &progress)?)
        });
        asked.await?;
        Ok(SyncError::Attention(attention))
    }

    /// The server has refused a request as a whole. A batch is dissolved, so that it is sent in halves; an operation that
    /// was alone is refused.
    ///
    /// # Errors
    /// [`SyncError::Garage`].
    pub async fn refused(&self, exchange: Exchange, message: String) -> Result<(), SyncError> {
        let refused = self.write(self.stamp(), move |journal| {
            match &exchange.request.operations[..] {
                [operation] => apply::refuse(journal, operation, &Rejection::new(message))?,
                _ => outbox::dissolve(journal.reader())?,
            }
            Ok(())
        });
        Ok(refused.await?)
    }
}

type Begun = Option<Result<Exchange, SyncError>>;

fn begin(journal: &mut Journal<'_>, scope: Scope, limits: Limits) -> Result<Begun, GarageError> {
    let connection = journal.reader();
    let Some(mut progress) = sync::progress(connection)? else { return Ok(None) };
    if let Some(attention @ (Attention::OtherDatabase { .. } | Attention::Restored)) = &progress.attention {
        return Ok(Some(Err(SyncError::Attention(attention.clone()))));
    }
    if progress.scope != scope {
        reread::enter_scope(connection, &mut progress, scope)?;
    }
    let is_in_flight = !sync::sent(connection)?.is_empty();
    let operations = outbox::freeze(journal, &progress.scope, limits.operations)?;
    if !is_in_flight && !operations.is_empty() {
        progress.batch += 1;
    }
    let is_everything = progress.scope.is_everything();
    let has_audit = is_everything && operations.is_empty() && progress.cursor.is_some();
    let audit = if has_audit { audit(connection, &mut progress)? } else { None };
    let bases = if is_everything { HashMap::new() } else { bases(connection, &progress.scope)? };
    let accepted_removals = match progress.attention {
        Some(Attention::Removals { missing, is_accepted: true }) => missing,
        _ => 0,
    };
    sync::put_progress(connection, &progress)?;
    let device_id = device_id(connection)?;
    let request = SyncRequest {
        account: Some(progress.account),
        device_id: device_id.parse::<Uuid>().unwrap_or_default(),
        batch: (!operations.is_empty()).then_some(progress.batch),
        epoch: progress.epoch,
        cursor: progress.cursor,
        limit: limits.records.clamp(1, MAX_RECORDS),
        audit,
        operations,
    };
    let (reread, scope, begun_at) = (progress.reread, progress.scope, journal.now());
    Ok(Some(Ok(Exchange { request, reread, scope, bases, accepted_removals, begun_at })))
}

/// The bases of the collections that the server takes.
fn bases(connection: &Connection, scope: &Scope) -> rusqlite::Result<HashMap<Key, StoredBase>> {
    let mut bases = HashMap::new();
    for collection in sync::collections(connection)?.into_iter().filter(|name| scope.has_collection(name)) {
        let of_collection = sync::bases_after(connection, &collection, None, usize::MAX)?;
        bases.extend(of_collection.into_iter().map(|(id, base)| (Key::new(&collection, id), base)));
    }
    Ok(bases)
}

/// The records to compare in this request.
fn audit(connection: &Connection, progress: &mut Progress) -> rusqlite::Result<Option<AuditRequest>> {
    let first = || Ok::<_, rusqlite::Error>(outbox::collections(connection)?.into_iter().next());
    let Some(collection) = progress.audit_collection.clone().map_or_else(first, |name| Ok(Some(name)))? else {
        return Ok(None);
    };
    let after: Option<RecordId> = progress.audit_after;
    let mut bytes = 0;
    let bases = sync::bases_after(connection, &collection, after, MAX_AUDITED)?;
    let fitting = bases.iter().take_while(|(_, base)| {
        let values = base.fields.iter().chain(&base.origins);
        bytes += values.map(|(name, json)| name.len() + json.text().len() + 8).sum::<usize>();
        bytes <= AUDITED_BYTES
    });
    let fitting = fitting.count().max(1);
    // With fewer records than the limit here, more there are a difference.
    let limit = if fitting < bases.len() { fitting } else { MAX_AUDITED };
    let hash = digest::audit_hash(connection, &collection, after, limit)?;
    Ok(Some(AuditRequest { collection, after, limit, hash }))
}
