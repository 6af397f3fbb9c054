//! The operations on vehicles, each one transaction, on whichever database this is.

mod postgres;
mod sqlite;
mod statements;

use garage_domain::VehicleId;
use garage_protocol::WireVehicle;
use jiff::Timestamp;

use super::{Created, Creation, Update};
use crate::{error::ApiError, http::IfMatch, store::Store};

/// The number that stands for all of the user's vehicles as they are: the last version given.
pub async fn feed_version(store: &Store, user: &str) -> Result<i64, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::feed_version(database, user).await,
        Store::Postgres(database) => postgres::feed_version(database, user).await,
    }
}

/// The user's live vehicles, newest first, and the version of all of them, of one moment.
pub async fn list(store: &Store, user: &str) -> Result<(i64, Vec<WireVehicle>), ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::list(database, user).await,
        Store::Postgres(database) => postgres::list(database, user).await,
    }
}

/// A live vehicle of the user.
pub async fn get(store: &Store, user: &str, id: VehicleId) -> Result<WireVehicle, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::get(database, user, id).await,
        Store::Postgres(database) => postgres::get(database, user, id).await,
    }
}

/// Adds a vehicle, unless the same request has done so before.
pub async fn create(store: &Store, user: &str, creation: Creation) -> Result<Created, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::create(database, user, creation).await,
        Store::Postgres(database) => postgres::create(database, user, &creation).await,
    }
}

/// Changes a vehicle, if it is at one of the versions that are meant.
pub async fn update(store: &Store, user: &str, update: Update) -> Result<WireVehicle, ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::update(database, user, update).await,
        Store::Postgres(database) => postgres::update(database, user, &update).await,
    }
}

/// Marks a vehicle as removed, if it is at one of the versions that are meant.
pub async fn remove(
    store: &Store,
    user: &str,
    id: VehicleId,
    if_match: IfMatch,
    at: Timestamp,
) -> Result<(), ApiError> {
    match store {
        Store::Sqlite(database) => sqlite::remove(database, user, id, if_match, at).await,
        Store::Postgres(database) => postgres::remove(database, user, id, &if_match, at).await,
    }
}
