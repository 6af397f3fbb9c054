//! Asking vPIC in the background, and keeping what it says.
//!
//! Nobody waits: an answer is there for the next decode, and listeners hear that it came. Thirty days it counts as
//! fresh; then it is still used, and asked for again. While vPIC is away, what was kept stays.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use garage_decode::{Decode, Source, vpic::VpicClient};
use garage_domain::Vin;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Garage, GarageError,
    store::vin_cache::{self, Cached},
};

/// How long an answer is not asked for again.
const FRESH: SignedDuration = SignedDuration::from_hours(30 * 24);

type Question = (Vin, Option<i32>);

/// vPIC, the switch, and the questions that are under way.
#[derive(Clone)]
pub(crate) struct Refiner {
    client: Option<VpicClient>,
    is_on: Arc<AtomicBool>,
    under_way: Arc<Mutex<HashSet<Question>>>,
}

impl Refiner {
    /// Asks the API at this address; without one, never anything.
    pub fn new(base_url: Option<&str>) -> Refiner {
        let client = base_url.and_then(|base_url| match VpicClient::new(base_url) {
            Ok(client) => Some(client),
            Err(error) => {
                tracing::warn!(%error, "working without vPIC");
                None
            }
        });
        Refiner { client, is_on: Arc::new(AtomicBool::new(true)), under_way: Arc::default() }
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashSet<Question>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Garage {
    /// Switches asking vPIC on or off. What it has said stays in use.
    pub fn set_vpic(&self, is_on: bool) {
        self.refiner.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Lays what vPIC has said over the snapshot's answer, and sees to it that it is asked where that is due.
    pub(crate) async fn refined(
        &self,
        decode: Decode,
        vin: &Vin,
        model_year: Option<i32>,
    ) -> Result<Decode, GarageError> {
        // The year is a part of the question only where the VIN leaves it open.
        let model_year = model_year.filter(|_| decode.years.len() > 1);
        let asked = vin.clone();
        let cached = self
            .database
            .read(move |transaction| Ok::<_, GarageError>(vin_cache::get(transaction, &asked, model_year)?));
        let cached = cached.await?;
        if cached.as_ref().is_none_or(|cached| !self.is_fresh(cached.fetched_at)) {
            self.ask_in_background(vin, model_year);
        }
        Ok(match cached {
            Some(Cached { answer, .. }) => decode.refined(&answer, Source::Cache),
            None => decode,
        })
    }

    fn is_fresh(&self, fetched_at: Timestamp) -> bool {
        // A clock that was set back makes an answer from the future; that is not old.
        self.environment.now().duration_since(fetched_at) < FRESH
    }

    fn ask_in_background(&self, vin: &Vin, model_year: Option<i32>) {
        let Some(client) = self.refiner.client.clone().filter(|_| self.refiner.is_on.load(Ordering::Relaxed)) else {
            return;
        };
        let question = (vin.clone(), model_year);
        if !self.refiner.under_way().insert(question.clone()) {
            return;
        }
        let garage = self.clone();
        tokio::spawn(async move {
            let (vin, model_year) = &question;
            match client.decode(vin, *model_year).await {
                Ok(answer) => {
                    let cached = Cached { answer, fetched_at: garage.environment.now() };
                    let asked = vin.clone();
                    let year = *model_year;
                    let kept = garage.database.write(move |transaction| {
                        Ok::<_, GarageError>(vin_cache::put(transaction, &asked, year, &cached)?)
                    });
                    match kept.await {
                        Ok(()) => garage.on_change.decode_refined(vin),
                        Err(error) => tracing::warn!(%error, "vPIC's answer could not be kept"),
                    }
                }
                // Usual enough: there is no network, or vPIC is away. The next decode asks again.
                Err(error) => tracing::debug!(%error, "vPIC gave no answer"),
            }
            garage.refiner.under_way().remove(&question);
        });
    }
}
