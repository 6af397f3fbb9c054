//! Keeps a garage synced: at the start, soon after an edit, when the server says that something has changed, when somebody
//! asks for it, and now and then.

use std::time::Duration;

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{Exchanged, RemoteError, Schedule, SyncError, session_http::of_session};
use crate::{Garage, GarageError, Session, SessionError, store::sync::progress};

/// How long to wait after an edit, or between two passes because of changes on the server, for more of them.
const GATHERING: Duration = Duration::from_millis(300);
/// How long to wait for a pass of another program.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(60);

/// What a garage that is kept synced is doing.
#[derive(Debug)]
pub enum Activity {
    /// A pass has begun.
    Syncing,
    /// A pass has come to its end.
    Synced(Exchanged),
    /// A pass has failed; the next one begins after this time.
    Waiting(SyncError, Duration),
    /// A pass has failed, and only a person can help. The next one begins when somebody asks for it.
    Stopped(SyncError),
}

impl Garage {
    /// Syncs until the future is dropped, which may be at any moment. `changed` is notified after each write to the garage;
    /// `wanted`, when the device is online again, the window gets the focus, or a person wants it: then nothing is waited
    /// for. While nothing changes, the server is asked to say when something does, which it does at once or after 55 s; a
    /// server without that route gets a small request every 15 to 30 s.
    pub async fn keep_synced(&self, changed: &Notify, wanted: &Notify, mut report: impl FnMut(Activity)) {
        let mut schedule = Schedule::default();
        loop {
            report(Activity::Syncing);
            let (session, outcome) = match self.session_to_sync_with().await {
                Ok(session) => {
                    let outcome = self.sync(&session, WAIT_FOR_OTHERS, |_| ()).await;
                    (Some(session), outcome)
                }
                Err(error) => (None, Err(error)),
            };
            let waiting = outcome.as_ref().map_or(u64::MAX, |exchanged| exchanged.waiting);
            let was_idle = outcome.as_ref().is_ok_and(|it| it.sent == 0 && it.received == 0);
            let wait = schedule.wait_after(&outcome, fastrand::f64());
            let session = session.filter(|_| outcome.is_ok());
            report(match (outcome, wait) {
                (Ok(exchanged), _) => Activity::Synced(exchanged),
                (Err(error), Some(wait)) => Activity::Waiting(error, wait),
                (Err(error), None) => Activity::Stopped(error),
            });
            let scheduled = async {
                match (wait, session) {
                    (Some(interval), Some(session)) => {
                        self.until_changes(&session, &mut schedule, was_idle, interval).await;
                    }
                    (Some(wait), None) => sleep(wait).await,
                    (None, _) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = scheduled => {}
                () = wanted.notified() => {}
                () = self.edited(changed, waiting) => {}
            }
        }
    }

    async fn session_to_sync_with(&self) -> Result<Session, SyncError> {
        self.session().await.map_err(|error| match error {
            GarageError::Session(SessionError::SignedOut) => SyncError::SignedOut,
            GarageError::Session(error) => of_session(error).into(),
            error => SyncError::Garage(error),
        })
    }

    /// Waits until the server says that something has changed since the last pass; for this interval, if it never says.
    async fn until_changes(&self, session: &Session, schedule: &mut Schedule, was_idle: bool, interval: Duration) {
        let begun = Instant::now();
        let outcome = self.changes(session).await;
        let lasted = begun.elapsed();
        match schedule.wait_after_changes(&outcome, lasted, was_idle, fastrand::f64()) {
            // Changes in a row are gathered.
            Some(wait) => sleep_until(begun + GATHERING.max(lasted + wait)).await,
            None => sleep(interval).await,
        }
    }

    /// Asks the server to say when something has changed.
    async fn changes(&self, session: &Session) -> Result<bool, RemoteError> {
        let progress = self.database.read(|transaction| Ok::<_, GarageError>(progress(transaction)?)).await;
        // If the garage cannot be read, the next pass reports the error.
        let progress = progress.ok().flatten().filter(|progress| progress.scope.is_everything());
        match progress.and_then(|progress| progress.cursor) {
            Some(cursor) => session.wait_for_changes(&cursor).await,
            None => Err(RemoteError::NotEverything),
        }
    }

    /// Waits until more records wait than after the last pass. What the pass itself has written is no edit. After a failed
    /// pass everything waits already.
    async fn edited(&self, changed: &Notify, before: u64) {
        loop {
            let waiting = self.sync_status().await.map_or(0, |status| status.waiting);
            if waiting > before {
                return sleep(GATHERING).await;
            }
            changed.notified().await;
        }
    }
}
