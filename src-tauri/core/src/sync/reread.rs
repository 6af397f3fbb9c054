//! What begins a re-read: another epoch, another device id, a server with another scope, or a difference that was found.

use garage_domain::rules::Rule;
use rusqlite::{Connection, Result};

use super::outbox;
use crate::store::{
    journal::Journal,
    scope::Scope,
    sync::{self, Progress},
};

/// The smallest distance between the last version of an epoch and the first of the next (`docs/sync.md`).
const EPOCH_DISTANCE: i64 = 1 << 32;

/// Enters another epoch: bases with versions that it does not have are forgotten, and everything is read again.
pub(super) fn enter_epoch(
    journal: &Journal<'_>,
    progress: &mut Progress,
    epoch: &str,
    lineage: &[(String, i64)],
) -> Result<()> {
    if !progress.epoch.as_ref().is_none_or(|ours| is_successor(ours, epoch, lineage)) {
        // Another database: its versions say nothing about the bases.
        sync::forget_all(journal.reader())?;
    } else if Rule::LostVersionsAreForgotten.holds() {
        sync::forget_versions(journal.reader(), &forgotten(lineage))?;
    }
    progress.epoch = Some(epoch.to_owned());
    progress.attention = None;
    progress.read_again();
    sync::put_progress(journal.reader(), progress)
}

/// Whether an epoch is of the same database as this one of ours: the same one, or after it.
pub(super) fn is_successor(ours: &str, epoch: &str, lineage: &[(String, i64)]) -> bool {
    ours == epoch || lineage.iter().any(|(known, _)| known == ours)
}

/// The ranges of versions that were lost, ends included: those after the last version of an epoch and before the first of the
/// next, and all after the last epoch, because nothing of the new one is here.
fn forgotten(lineage: &[(String, i64)]) -> Vec<(i64, i64)> {
    let lasts: Vec<i64> = lineage.iter().map(|(_, last)| *last).collect();
    let range = |(index, last): (usize, &i64)| {
        let is_last = index + 1 == lasts.len();
        let end = if is_last { i64::MAX } else { last.saturating_add(EPOCH_DISTANCE - 1) };
        (last.saturating_add(1), end)
    };
    if lasts.is_empty() { vec![(1, i64::MAX)] } else { lasts.iter().enumerate().map(range).collect() }
}

/// The garage's file was copied, or put back from a backup: this device continues as another one.
pub(super) fn become_another_device(journal: &Journal<'_>) -> Result<()> {
    let connection = journal.reader();
    outbox::dissolve(connection)?;
    sync::put_device_id(connection, &journal.new_id().to_string())?;
    if let Some(mut progress) = sync::progress(connection)? {
        progress.begin_anew();
        sync::put_progress(connection, &progress)?;
    }
    Ok(())
}

/// Continues with a server that takes something else than before. A batch in flight is dissolved, because it may contain
/// what this server does not take, or lack what it takes. Cursors are of one kind of server. Bases stay: versions are
/// those of one feed. What a server without `sync.v1` did not show is read again from one with it.
pub(super) fn enter_scope(connection: &Connection, progress: &mut Progress, scope: Scope) -> Result<()> {
    outbox::dissolve(connection)?;
    progress.read_again();
    progress.is_rereading = scope.is_everything();
    progress.scope = scope;
    sync::put_progress(connection, progress)
}
