//! Vehicles in the database. Each backend reads the facts of a write and applies the decision of `decide` in one
//! transaction.

mod postgres;
mod sqlite;
mod statements;

use garage_domain::VehicleId;
use garage_protocol::WireVehicle;

use super::decide::{Operation, Outcome};
use crate::store::{Store, StoreError};

/// The user's feed version: the version of the last change, 0 before the first. It identifies the state of all vehicles.
pub async fn feed_version(store: &Store, user: &str) -> Result<i64, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::feed_version(database, user).await,
        Store::Postgres(database) => database.feed_version(user).await,
    }
}

/// Adds the user's live vehicles to `vehicles`, newest first, while they are read. Returns the feed version of the same
/// moment.
pub async fn list<V>(store: &Store, user: &str, vehicles: V) -> Result<(i64, V), StoreError>
where
    V: Extend<WireVehicle> + Send + 'static,
{
    match store {
        Store::Sqlite(database) => sqlite::list(database, user, vehicles).await,
        Store::Postgres(database) => postgres::list(database, user, vehicles).await,
    }
}

/// A live vehicle of the user.
pub async fn get(store: &Store, user: &str, id: VehicleId) -> Result<Option<WireVehicle>, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::get(database, user, id).await,
        Store::Postgres(database) => postgres::get(database, user, id).await,
    }
}

/// Performs a write for the user, who may have `quota` rows and tombstones.
///
/// # Errors
/// [`StoreError::Unavailable`] and [`StoreError::Failed`]. The write may have happened; performing the operation again is
/// safe.
pub async fn perform(store: &Store, user: &str, operation: Operation, quota: i64) -> Result<Outcome, StoreError> {
    match store {
        Store::Sqlite(database) => sqlite::perform(database, user, operation, quota).await,
        Store::Postgres(database) => postgres::perform(database, user, &operation, quota).await,
    }
}
