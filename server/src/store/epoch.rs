//! Epochs: the history that versions belong to, and noticing that the database was restored from a backup.
//!
//! A restored database gives versions, and so entity tags, a second time: a client would take other content for what it
//! has, or base a change on a state that it never saw. So a restored database begins a new epoch: all counters continue
//! above every version that was ever given.
//!
//! A restore past this program is noticed by the number of starts (`starts`): a database that knows fewer than a server
//! remembers is an older one.

use rusqlite::{Connection, params};
use tokio_postgres::Client;
use uuid::Uuid;

/// The range by which a new epoch raises all counters. Nobody makes so many changes between a backup and its restore, and
/// thousands of epochs keep versions below 2^53, the largest integer of JavaScript's numbers.
pub(super) const SHIFT: std::ops::RangeInclusive<i64> = 1 << 32..=1 << 40;

const READ: &str =
    "SELECT CAST(database_id AS TEXT), base, starts, COALESCE((SELECT max(version) FROM feeds), 0) FROM epoch";
pub(super) const START: &str = "UPDATE epoch SET starts = $1";
pub(super) const BEGIN: &str = "UPDATE epoch SET epoch = $1, base = $2, starts = $3";
pub(super) const RAISE: &str = "UPDATE feeds SET version = $1";

/// The database's row in `epoch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub database_id: String,
    pub base: i64,
    pub starts: i64,
    /// The highest counter.
    pub version: i64,
}

/// What is known of a database from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// The number of starts.
    pub starts: i64,
    /// A version that no counter may fall behind.
    pub version: i64,
}

/// What a start changes.
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

pub(super) fn decide(state: &State, known: Known, shift: i64) -> Decision {
    let starts = state.starts.max(known.starts) + 1;
    match state.starts < known.starts {
        true => Decision::Begin { starts, base: new_base(state, known, shift) },
        false => Decision::Continue { starts },
    }
}

/// The base of a new epoch: above every version that was ever given.
fn new_base(state: &State, known: Known, shift: i64) -> i64 {
    state.base.max(state.version).max(known.version) + shift
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
    begin(connection, new_base(&state, known, shift), state.starts.max(known.starts))
}

pub(super) fn begin(connection: &Connection, base: i64, starts: i64) -> rusqlite::Result<()> {
    connection.execute(&positional(BEGIN), params![Uuid::new_v4().simple().to_string(), base, starts])?;
    connection.execute(&positional(RAISE), [base])?;
    Ok(())
}

/// SQLite takes `$1` for a name.
pub(super) fn positional(sql: &str) -> String {
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
}
