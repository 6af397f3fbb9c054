//! State shared by all request handlers.

use std::{ops::Deref, sync::Arc, time::Duration};

use garage_decode::{Decode, Detail, SnapshotHolder, VinQuery};
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    auth::{Auth, Authenticate},
    changes::Changes,
    error::ApiError,
    metrics::Metrics,
    store::Store,
    vehicles::{EncodedLists, RememberedLists},
};

/// The name of this backend in responses.
pub const BACKEND: &str = "axum";

/// Cloning shares everything. None of it is needed by another process: several can serve one database.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What an [`App`] gives access to.
pub struct Shared {
    pub(crate) store: Store,
    pub(crate) auth: Auth,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The number of vehicles that an account can have, removed ones included.
    pub(crate) vehicle_quota: i64,
    pub(crate) lists: EncodedLists,
    /// With `--list-cache`.
    pub(crate) remembered_lists: Option<RememberedLists>,
    pub(crate) metrics: Arc<Metrics>,
    /// Notified after each write.
    pub(crate) written: Arc<Notify>,
    /// The requests that wait for a write.
    pub(crate) changes: Arc<Changes>,
    decoder: SnapshotHolder,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Authenticate for App {
    fn auth(&self) -> &Auth {
        &self.auth
    }

    fn store(&self) -> &Store {
        &self.store
    }
}

impl App {
    /// An app on this database.
    #[must_use]
    pub fn new(
        store: Store,
        auth: Auth,
        decoder: SnapshotHolder,
        trusted_proxies: Vec<IpNet>,
        vehicle_quota: u32,
        list_cache: Option<Duration>,
        most_waits: usize,
    ) -> App {
        App(Arc::new(Shared {
            store,
            auth,
            trusted_proxies,
            vehicle_quota: vehicle_quota.into(),
            lists: EncodedLists::new(),
            remembered_lists: list_cache.map(RememberedLists::new),
            metrics: Arc::new(Metrics::new()),
            written: Arc::default(),
            changes: Changes::new(most_waits),
            decoder,
        }))
    }

    /// Says that records of this account were written.
    pub(crate) fn wrote(&self, account: &str, records: usize) {
        self.metrics.count_feed_writes(records);
        self.written.notify_one();
        self.changes.wake(account);
    }

    /// What a VIN says.
    ///
    /// # Errors
    /// The text is no VIN, not even in part; or there is no vPIC data.
    pub(crate) async fn decode(
        &self,
        vin_text: &str,
        model_year: Option<i32>,
        detail: Detail,
        at: Timestamp,
    ) -> Result<Decode<'static>, ApiError> {
        let query = VinQuery::parse(vin_text).map_err(|error| {
            ApiError::Fields(vec![garage_domain::FieldError { field: "vin".to_owned(), message: error.to_string() }])
        })?;
        let snapshot = self.decoder.get().await.map_err(no_decoder)?;
        Ok(snapshot.decode(vin_text, &query, model_year, detail, at).into_owned())
    }

    /// The makes, models and years that can be chosen from.
    pub(crate) async fn catalog(&self) -> Result<Arc<garage_decode::Catalog>, ApiError> {
        self.decoder.catalog().await.map_err(no_decoder)
    }
}

/// The time to the microsecond, as databases keep it: what is answered is what is stored.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(jiff::Unit::Microsecond).unwrap_or(now)
}

fn no_decoder(error: garage_decode::SnapshotError) -> ApiError {
    tracing::warn!(%error, "nothing to decode with");
    ApiError::NoDecoder
}
