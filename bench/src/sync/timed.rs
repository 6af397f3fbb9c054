//! A server that notes where a device spends the time of a pass.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use garage_core::sync::SyncResponse;
use garage_core::{
    Garage, Session,
    sync::{Exchange, Exchanged, Remote, RemoteError, Scope},
};

/// The time of a pass. Parsing the response is part of waiting for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    pub freezing: Duration,
    pub waiting: Duration,
    pub applying: Duration,
}

impl Spent {
    pub fn total(&self) -> Duration {
        self.freezing + self.waiting + self.applying
    }
}

struct Timed<'s> {
    session: &'s Session,
    clock: Mutex<(Instant, Spent)>,
}

impl Timed<'_> {
    /// Adds the time since the last call to a part.
    fn note(&self, part: impl FnOnce(&mut Spent) -> &mut Duration) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = std::mem::replace(&mut clock.0, now);
        *part(&mut clock.1) += now - since;
    }
}

impl Remote for Timed<'_> {
    async fn scope(&self) -> Result<Scope, RemoteError> {
        self.session.scope().await
    }

    async fn exchange(&self, exchange: &Exchange) -> Result<SyncResponse, RemoteError> {
        self.note(|spent| &mut spent.freezing);
        let response = self.session.exchange(exchange).await;
        self.note(|spent| &mut spent.waiting);
        response
    }
}

/// Syncs once.
pub async fn pass(garage: &Garage, session: &Session) -> anyhow::Result<(Exchanged, Spent)> {
    let timed = Timed { session, clock: Mutex::new((Instant::now(), Spent::default())) };
    let exchanged = garage.sync(&timed, Duration::ZERO, |_| timed.note(|spent| &mut spent.applying)).await?;
    let (_, spent) = timed.clock.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((exchanged, spent))
}
