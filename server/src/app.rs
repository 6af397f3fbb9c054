//! What every request works with.

use std::sync::Arc;

use axum::extract::FromRef;
use garage_decode::{Decode, Detail, SnapshotHolder, VinQuery};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{auth::Auth, error::ApiError, metrics::Metrics, store::Store, vehicles::EncodedLists};

/// What this backend calls itself in answers.
pub const BACKEND: &str = "axum";

/// Cloning shares everything. Nothing in it is needed by another process: several can serve one database.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub(crate) store: Store,
    /// Whose tokens are good.
    pub(crate) auth: Arc<Auth>,
    /// Proxies that say truly whom they ask for.
    pub(crate) trusted_proxies: Arc<[IpNet]>,
    /// How many vehicles an account can have, removed ones included.
    pub(crate) vehicle_quota: i64,
    /// Lists that need not be read and encoded again.
    pub(crate) lists: Arc<EncodedLists>,
    pub(crate) metrics: Arc<Metrics>,
    decoder: SnapshotHolder,
}

impl FromRef<App> for Arc<Auth> {
    fn from_ref(app: &App) -> Arc<Auth> {
        app.auth.clone()
    }
}

impl FromRef<App> for Store {
    fn from_ref(app: &App) -> Store {
        app.store.clone()
    }
}

impl App {
    /// An app on this database.
    #[must_use]
    pub fn new(
        store: Store,
        auth: Auth,
        decoder: SnapshotHolder,
        trusted_proxies: &[IpNet],
        vehicle_quota: u32,
    ) -> App {
        App {
            store,
            auth: Arc::new(auth),
            trusted_proxies: trusted_proxies.into(),
            vehicle_quota: vehicle_quota.into(),
            lists: Arc::new(EncodedLists::new()),
            metrics: Arc::new(Metrics::new()),
            decoder,
        }
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
