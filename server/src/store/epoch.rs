//! Epochs, which keep versions unique after the database was restored from a backup.
//!
//! A restored database would assign versions a second time, so entity tags would repeat: a client would treat outdated
//! content as current, or base a change on a state that it never saw. Therefore a restored database begins a new epoch, in
//! which all counters continue above every version that was ever assigned. `restore` begins it, or else the next start of a
//! server.
//!
//! A restore with other tools is detected by the number `starts`, which servers raise (`starts`): a database with a lower
//! number than a server remembers is an older one. Backends of other programs do not raise it, so a restore that takes
//! only their writes back is not detected: `new-epoch` is for that.

use rusqlite::{Connection, params};
use tokio_postgres::Client;
use uuid::Uuid;

/// By how much a new epoch raises all counters. This is more than the number of changes between a backup and its restore,
/// and versions stay below 2^53, the limit of integers in JavaScript, for thousands of epochs.
pub(super) const EPOCH_SHIFT: std::ops::RangeInclusive<i64> = 1 << 32..=1 << 40;

const READ: &str =
    "SELECT CAST(database_id AS TEXT), base, starts, COALESCE((SELECT max(version) FROM feeds), 0) FROM epoch";
pub(super) const SET_STARTS: &str = "UPDATE epoch SET starts = $1";
pub(super) const BEGIN_EPOCH: &str = "UPDATE epoch SET epoch = $1, base = $2, starts = $3";
pub(super) const RAISE_COUNTERS: &str = "UPDATE feeds SET version = $1, epoch = NULL";
/// Before these: the epochs of users end, and that of the database, which is the epoch of users without a feed. Its row has
/// no user.
pub(super) const END_EPOCH_OF_DATABASE: &str = "INSERT INTO lineage (user_id, epoch, last_version)
    SELECT '', CAST(epoch AS TEXT), base FROM epoch WHERE true ON CONFLICT (user_id, epoch) DO NOTHING";
pub(super) const END_EPOCHS: &str = "INSERT INTO lineage (user_id, epoch, last_version)
    SELECT user_id, COALESCE(feeds.epoch, CAST(epoch.epoch AS TEXT)), feeds.version FROM feeds CROSS JOIN epoch
    WHERE true ON CONFLICT (user_id, epoch) DO NOTHING";
/// The epochs before the current one of the user $1, each with its last version.
pub const LINEAGE: &str = "SELECT epoch, last_version FROM lineage AS known
    WHERE user_id = $1 OR user_id = ''
        AND NOT EXISTS (SELECT 1 FROM lineage AS own WHERE own.user_id = $1 AND own.epoch = known.epoch)
    ORDER BY last_version";
/// The steps that begin an epoch of the user $1 alone: named $2, its counter raised by $3.
pub const FIRST_FEED: &str = "INSERT INTO feeds (user_id, version) SELECT $1, base FROM epoch WHERE true
    ON CONFLICT (user_id) DO NOTHING";
pub const END_EPOCH_OF_USER: &str = "INSERT INTO lineage (user_id, epoch, last_version)
    SELECT user_id, COALESCE(feeds.epoch, CAST(epoch.epoch AS TEXT)), feeds.version FROM feeds CROSS JOIN epoch
    WHERE user_id = $1 ON CONFLICT (user_id, epoch) DO NOTHING";
pub const BEGIN_EPOCH_OF_USER: &str = "UPDATE feeds SET epoch = $2, version = version + $3 WHERE user_id = $1";

/// The database's row in `epoch`, and its highest counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub database_id: String,
    pub base: i64,
    pub starts: i64,
    /// The highest version in `feeds`.
    pub version: i64,
}

/// The state of a database before it may have been restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LastState {
    /// The number that servers raise.
    pub starts: i64,
    /// A version that all counters of a new epoch must exceed.
    pub version: i64,
}

/// By how much the next epoch raises a counter.
pub fn shift() -> i64 {
    rand::Rng::gen_range(&mut rand::thread_rng(), EPOCH_SHIFT)
}

/// What a start of the server changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Continue {
        starts: i64,
    },
    /// Begin a new epoch with this base.
    Begin {
        starts: i64,
        base: i64,
    },
}

/// `is_restored` is what an operator says about the database.
pub(super) fn decide(state: &State, last: LastState, is_restored: bool, shift: i64) -> Decision {
    let starts = state.starts.max(last.starts) + 1;
    match is_restored || state.starts < last.starts {
        true => Decision::Begin { starts, base: new_base(state, last, shift) },
        false => Decision::Continue { starts },
    }
}

/// The base of a new epoch: above every version that was ever assigned.
fn new_base(state: &State, last: LastState, shift: i64) -> i64 {
    state.base.max(state.version).max(last.version) + shift
}

/// The state of the database that a restore is about to replace.
///
/// # Errors
/// [`rusqlite::Error`] if the database cannot be read.
pub(super) fn last_state(connection: &Connection) -> rusqlite::Result<LastState> {
    let state = state_of(connection)?;
    Ok(LastState { starts: state.starts, version: state.version.max(state.base) })
}

/// Begins a new epoch in a backup that is about to replace the database in this last state.
///
/// # Errors
/// [`rusqlite::Error`] if the backup cannot be written.
pub(super) fn begin_after(connection: &Connection, last: LastState) -> rusqlite::Result<()> {
    let state = state_of(connection)?;
    begin(connection, new_base(&state, last, shift()), state.starts.max(last.starts))
}

pub(super) fn begin(connection: &Connection, base: i64, starts: i64) -> rusqlite::Result<()> {
    connection.execute(END_EPOCH_OF_DATABASE, [])?;
    connection.execute(END_EPOCHS, [])?;
    connection.execute(&positional(BEGIN_EPOCH), params![Uuid::new_v4().simple().to_string(), base, starts])?;
    connection.execute(&positional(RAISE_COUNTERS), [base])?;
    Ok(())
}

/// Replaces `$1` by `?1`, because SQLite takes `$1` for a name.
pub fn positional(sql: &str) -> String {
    sql.replace('$', "?")
}

pub(super) fn state_of(connection: &Connection) -> rusqlite::Result<State> {
    connection.query_row(READ, [], |row| {
        Ok(State { database_id: row.get(0)?, base: row.get(1)?, starts: row.get(2)?, version: row.get(3)? })
    })
}

pub(super) async fn state_of_postgres(client: &Client) -> Result<State, tokio_postgres::Error> {
    let row = client.query_one(READ, &[]).await?;
    Ok(State { database_id: row.try_get(0)?, base: row.try_get(1)?, starts: row.try_get(2)?, version: row.try_get(3)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(base: i64, starts: i64, version: i64) -> State {
        State { database_id: "x".to_owned(), base, starts, version }
    }

    #[test]
    fn a_database_with_fewer_starts_begins_a_new_epoch_above_all_versions() {
        let last = |starts, version| LastState { starts, version };
        assert_eq!(decide(&state(0, 3, 7), last(3, 7), false, 100), Decision::Continue { starts: 4 });
        assert_eq!(
            decide(&state(0, 4, 9), last(3, 7), false, 100),
            Decision::Continue { starts: 5 },
            "another server started"
        );
        assert_eq!(decide(&state(0, 0, 0), LastState::default(), false, 100), Decision::Continue { starts: 1 });
        assert_eq!(decide(&state(0, 2, 7), last(3, 9), false, 100), Decision::Begin { starts: 4, base: 109 });
        assert_eq!(decide(&state(50, 2, 60), last(3, 9), false, 100), Decision::Begin { starts: 4, base: 160 });
        assert_eq!(decide(&state(90, 2, 0), last(3, 9), false, 100), Decision::Begin { starts: 4, base: 190 });
        assert_eq!(decide(&state(0, 5, 9), last(3, 7), true, 100), Decision::Begin { starts: 6, base: 109 });
    }
}
