//! What sync has done and what it has still to do.

use jiff::Timestamp;
use serde::Serialize;

use super::{Attention, apply};
use crate::{Garage, GarageError, store::sync};

/// The state of sync, as the garage's file says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// The server's URL; null if this garage is on this device only.
    pub server: Option<String>,
    /// The email address of the last sign-in, if it is known.
    pub email: Option<String>,
    /// How many records have a change that the server has not acknowledged.
    pub waiting: u64,
    /// How many conflicts a person has to settle.
    pub conflicts: u64,
    /// How many values and records the server has refused.
    pub refused: u64,
    /// Whether everything is being read again.
    pub is_rereading: bool,
    /// The end of the last pass after which nothing was left to send or to read.
    pub synced_at: Option<Timestamp>,
    /// Why sync has stopped until a person decides.
    pub attention: Option<Attention>,
}

impl SyncStatus {
    /// Whether everything is on the server, and the server has said so.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced_at.is_some()
            && self.waiting + self.conflicts + self.refused == 0
            && self.attention.is_none()
            && !self.is_rereading
    }
}

impl Garage {
    /// Returns the state of sync.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn sync_status(&self) -> Result<SyncStatus, GarageError> {
        self.database
            .read(|transaction| {
                let progress = sync::progress(transaction)?;
                let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
                Ok(SyncStatus {
                    waiting: sync::count_waiting(transaction)? + count(sync::sent(transaction)?.len()),
                    conflicts: count(sync::open_conflicts(transaction)?.len()),
                    refused: count(sync::all_refusals(transaction)?.len()),
                    server: progress.as_ref().map(|progress| progress.server.clone()),
                    email: progress.as_ref().and_then(|progress| progress.email.clone()),
                    is_rereading: progress.as_ref().is_some_and(|progress| progress.is_rereading),
                    synced_at: progress.as_ref().and_then(|progress| progress.synced_at),
                    attention: progress.and_then(|progress| progress.attention),
                })
            })
            .await
    }

    /// Goes on with a server whose database is not the one that this garage was synced with: both are merged, and what differs
    /// is a conflict. Does nothing unless [`Attention::OtherDatabase`] asks for it.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn accept_other_database(&self) -> Result<(), GarageError> {
        self.write(self.stamp(), |journal| {
            let Some(mut progress) = sync::progress(journal.reader())? else { return Ok(()) };
            if let Some(Attention::OtherDatabase { epoch, lineage }) = progress.attention.clone() {
                apply::enter_epoch(journal, &mut progress, &epoch, &lineage)?;
            }
            Ok(())
        })
        .await
    }

    /// Makes the server take this device for another one. Needed for a copy of a garage's file: two devices with one id
    /// would overwrite each other's answers. What waits still waits, and everything is read again.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn become_another_device(&self) -> Result<(), GarageError> {
        self.write(self.stamp(), |journal| Ok(apply::become_another_device(journal)?)).await
    }
}
