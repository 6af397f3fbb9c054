//! Requests to vPIC in the background. Their answers go to the [`VpicCache`](crate::vpic_cache::VpicCache).
//!
//! No decode waits for vPIC: the next decode uses the answer, and the listener is notified when it arrives. An answer
//! is fresh for 30 days. After that it is still used, and requested again. If that request fails, the old answer stays.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use garage_decode::{
    Decode, Detail, Source, VinQuery,
    vpic::{self, VpicClient, VpicError},
};
use garage_domain::Vin;
use jiff::SignedDuration;

use crate::{
    Garage, GarageError, Progress,
    vpic_cache::{Cached, Question},
};

/// How long an answer is not requested again.
const FRESH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long an answer is kept: longer than any outage.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// The vPIC client, its switch, and the requests in progress.
#[derive(Clone)]
pub(crate) struct Refiner {
    base_url: Option<Arc<str>>,
    /// Created by the first request: setting up TLS is too slow for the app's start.
    client: Arc<OnceLock<Option<VpicClient>>>,
    is_on: Arc<AtomicBool>,
    under_way: Arc<Mutex<HashSet<Question>>>,
}

impl Refiner {
    /// Sends requests to this base URL; `None` disables them.
    pub fn new(base_url: Option<&str>) -> Refiner {
        let is_on = Arc::new(AtomicBool::new(true));
        Refiner { base_url: base_url.map(Arc::from), client: Arc::default(), is_on, under_way: Arc::default() }
    }

    /// The client, or `None` if requests are switched off.
    fn client(&self) -> Option<VpicClient> {
        let base_url = self.base_url.as_ref().filter(|_| self.is_on.load(Ordering::Relaxed))?;
        let make = || match VpicClient::new(base_url) {
            Ok(client) => Some(client),
            Err(error) => {
                tracing::warn!(%error, "working without vPIC");
                None
            }
        };
        self.client.get_or_init(make).clone()
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashSet<Question>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Includes the year only if the VIN fits more than one.
fn question(decode: &Decode<'_>, vin: &Vin, model_year: Option<i32>) -> Question {
    (vin.clone(), model_year.filter(|_| decode.years.len() != 1))
}

impl Garage {
    /// Switches requests to vPIC on or off. Cached answers stay in use.
    pub fn set_vpic(&self, is_on: bool) {
        self.refiner.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Adds the cached vPIC answer to the snapshot's decode. Starts a request if there is none or it is old.
    pub(crate) async fn refined(&self, decode: Decode<'static>, vin: &Vin, model_year: Option<i32>) -> Decode<'static> {
        let question = question(&decode, vin, model_year);
        // Without a usable cache, do not ask vPIC: its answer could not be stored.
        let Ok(cached) = self.vpic_cache.get(&question).await else { return decode };
        if self.is_due(cached.as_ref()) {
            self.ask_in_background(question);
        }
        match cached {
            Some(Cached { answer, .. }) => decode.refined(&answer, Source::Cache),
            None => decode,
        }
    }

    /// Requests vPIC's answers for all of these VINs unless they are fresh, and waits for them. Later decodes use the
    /// answers. Progress counts VINs.
    ///
    /// # Errors
    /// [`GarageError::Vpic`] (`VpicAway`) if vPIC is switched off or a request fails; [`GarageError::Snapshot`]
    /// (`SnapshotMissing`); [`GarageError::AnswersNotKept`] (`FileFailed`) if the cache cannot be used;
    /// [`GarageError::Canceled`]. Answers of the batches before the failure are kept.
    pub async fn ask_vpic(&self, queries: &[(VinQuery, Option<i32>)], progress: Progress) -> Result<(), GarageError> {
        let client = self.refiner.client().ok_or(VpicError::SwitchedOff)?;
        let snapshot = self.snapshot.get().await?;
        let total = queries.len() as u64;
        let mut due: Vec<Question> = Vec::new();
        for (query, model_year) in queries {
            let Some(vin) = query.full_vin() else { continue };
            let decode = snapshot.decode(query.as_str(), query, *model_year, Detail::Fields, self.environment.now());
            let question = question(&decode, &vin, *model_year);
            let cached = self.vpic_cache.get(&question).await.map_err(GarageError::AnswersNotKept)?;
            if self.is_due(cached.as_ref()) {
                due.push(question);
            }
        }
        let mut done = total - due.len() as u64;
        progress.at(done, total)?;
        for batch in due.chunks(vpic::LARGEST_BATCH) {
            let answers = client.decode_batch(batch).await?;
            let answers = batch.iter().cloned().zip(answers).collect();
            let kept = self.vpic_cache.keep(answers, self.environment.now()).await;
            kept.map_err(GarageError::AnswersNotKept)?;
            done += batch.len() as u64;
            progress.at(done, total)?;
        }
        Ok(())
    }

    /// Deletes cached vPIC answers that are older than two years.
    ///
    /// # Errors
    /// [`GarageError::AnswersNotKept`] (`FileFailed`) if the cache cannot be written.
    pub async fn forget_old_answers(&self) -> Result<(), GarageError> {
        let oldest = self.environment.now() - KEPT;
        self.vpic_cache.remove_older(oldest).await.map_err(GarageError::AnswersNotKept)
    }

    fn is_due(&self, cached: Option<&Cached>) -> bool {
        // After the clock was set back, an answer may be from the future; treat it as fresh.
        cached.is_none_or(|cached| self.environment.now().duration_since(cached.answered_at) >= FRESH)
    }

    fn ask_in_background(&self, question: Question) {
        let Some(client) = self.refiner.client() else { return };
        if !self.refiner.under_way().insert(question.clone()) {
            return;
        }
        let garage = self.clone();
        tokio::spawn(async move {
            let (vin, model_year) = &question;
            match client.decode(vin, *model_year).await {
                Ok(answer) => {
                    match garage.vpic_cache.keep(vec![(question.clone(), answer)], garage.environment.now()).await {
                        Ok(()) => garage.on_change.decode_refined(vin),
                        Err(error) => tracing::warn!(%error, "vPIC's answer could not be cached"),
                    }
                }
                // Expected without a network connection. The next decode asks again.
                Err(error) => tracing::debug!(%error, "a request to vPIC failed"),
            }
            garage.refiner.under_way().remove(&question);
        });
    }
}
