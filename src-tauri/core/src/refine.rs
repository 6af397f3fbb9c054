//! Asking vPIC in the background, and keeping what it says in the [`VpicCache`](crate::vpic_cache::VpicCache).
//!
//! Nobody waits: an answer is there for the next decode, and listeners hear that it came. Thirty days it counts as
//! fresh; then it is still used, and asked for again. While vPIC is away, what was kept stays.

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

/// How long an answer is not asked for again.
const FRESH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long an unused answer is kept at all: well beyond the longest outage, and not for ever.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// vPIC, the switch, and the questions that are under way.
#[derive(Clone)]
pub(crate) struct Refiner {
    base_url: Option<Arc<str>>,
    /// Made at the first question: setting TLS up takes a while that no start should wait for.
    client: Arc<OnceLock<Option<VpicClient>>>,
    is_on: Arc<AtomicBool>,
    under_way: Arc<Mutex<HashSet<Question>>>,
}

impl Refiner {
    /// Asks the API at this address; without one, never anything.
    pub fn new(base_url: Option<&str>) -> Refiner {
        let is_on = Arc::new(AtomicBool::new(true));
        Refiner { base_url: base_url.map(Arc::from), client: Arc::default(), is_on, under_way: Arc::default() }
    }

    /// The client, unless vPIC is not to be asked.
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

/// The year is part of the question unless the VIN decides it.
fn question(decode: &Decode<'_>, vin: &Vin, model_year: Option<i32>) -> Question {
    (vin.clone(), model_year.filter(|_| decode.years.len() != 1))
}

impl Garage {
    /// Switches asking vPIC on or off. What it has said stays in use.
    pub fn set_vpic(&self, is_on: bool) {
        self.refiner.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Lays what vPIC has said over the snapshot's answer, and sees to it that it is asked where that is due.
    pub(crate) async fn refined(&self, decode: Decode<'static>, vin: &Vin, model_year: Option<i32>) -> Decode<'static> {
        let question = question(&decode, vin, model_year);
        // Without a cache vPIC is not asked either: its answer could not be kept for anybody.
        let Ok(cached) = self.vpic_cache.get(&question).await else { return decode };
        if self.is_due(cached.as_ref()) {
            self.ask_in_background(question);
        }
        match cached {
            Some(Cached { answer, .. }) => decode.refined(&answer, Source::Cache),
            None => decode,
        }
    }

    /// Asks vPIC about all of these VINs, unless its answers are fresh, and waits: for callers who asked for just that.
    /// Later decodes use the answers. Progress counts VINs.
    ///
    /// # Errors
    /// vPIC is switched off, or gives no answer (those that came before are kept); its answers cannot be kept; or it was
    /// stopped.
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

    /// Forgets vPIC's answers that nobody has asked for in two years.
    ///
    /// # Errors
    /// The file of answers cannot be written.
    pub async fn forget_old_answers(&self) -> Result<(), GarageError> {
        let oldest = self.environment.now() - KEPT;
        self.vpic_cache.remove_older(oldest).await.map_err(GarageError::AnswersNotKept)
    }

    /// Whether vPIC is to be asked: there is no answer, or an old one.
    fn is_due(&self, cached: Option<&Cached>) -> bool {
        // A clock that was set back makes an answer from the future; that is not old.
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
