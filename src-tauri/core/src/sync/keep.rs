//! Keeps a garage synced: at the start, soon after an edit, when somebody asks for it, and now and then.

use std::time::Duration;

use tokio::sync::Notify;

use super::{Exchanged, Schedule, SyncError, session_remote::of_session};
use crate::{Garage, GarageError, SessionError};

/// How long to wait after an edit, for more of them.
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
    /// for. While nothing changes, one small request is sent every 15 to 30 s.
    pub async fn keep_synced(&self, changed: &Notify, wanted: &Notify, mut report: impl FnMut(Activity)) {
        let mut schedule = Schedule::default();
        loop {
            report(Activity::Syncing);
            let outcome = self.sync_with_session().await;
            let waiting = outcome.as_ref().map_or(u64::MAX, |exchanged| exchanged.waiting);
            let wait = schedule.wait_after(&outcome, fastrand::f64());
            report(match (outcome, wait) {
                (Ok(exchanged), _) => Activity::Synced(exchanged),
                (Err(error), Some(wait)) => Activity::Waiting(error, wait),
                (Err(error), None) => Activity::Stopped(error),
            });
            let scheduled = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = scheduled => {}
                () = wanted.notified() => {}
                () = self.edited(changed, waiting) => {}
            }
        }
    }

    async fn sync_with_session(&self) -> Result<Exchanged, SyncError> {
        let session = self.session().await.map_err(|error| match error {
            GarageError::Session(SessionError::SignedOut) => SyncError::SignedOut,
            GarageError::Session(error) => of_session(error).into(),
            error => SyncError::Garage(error),
        })?;
        self.sync(&session, WAIT_FOR_OTHERS, |_| ()).await
    }

    /// Waits until more records wait than after the last pass. What the pass itself has written is no edit. After a failed
    /// pass everything waits already.
    async fn edited(&self, changed: &Notify, before: u64) {
        loop {
            let waiting = self.sync_status().await.map_or(0, |status| status.waiting);
            if waiting > before {
                return tokio::time::sleep(GATHERING).await;
            }
            changed.notified().await;
        }
    }
}
