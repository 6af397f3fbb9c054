//! Circuit breaker: stops requests to a service after repeated failures, and retries after a pause.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Consecutive failures that open the breaker.
const TOLERATED_FAILURES: u32 = 5;
/// How long the breaker stays open.
const REST: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is honored.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

#[derive(Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
}

/// Counts consecutive failures. After the pause one request is permitted; its result closes or reopens the breaker.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

impl Breaker {
    /// Whether a request may be sent now.
    pub fn permits(&self) -> bool {
        let mut state = self.state();
        match state.closed_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                // Only this request; others wait for its result.
                state.closed_until = Some(Instant::now() + REST);
                true
            }
            None => true,
        }
    }

    pub fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// Opens the breaker for the time in the service's `Retry-After`.
    pub fn asked_to_rest(&self, wait: Duration) {
        self.state().closed_until = Some(Instant::now() + wait.min(LONGEST_REST));
    }

    pub fn failed(&self) {
        let mut state = self.state();
        state.failures += 1;
        if state.failures >= TOLERATED_FAILURES {
            state.closed_until = state.closed_until.max(Some(Instant::now() + REST));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_consecutive_failures_and_then_permits_one_request() {
        let breaker = Breaker::default();
        for _ in 0..TOLERATED_FAILURES - 1 {
            breaker.failed();
        }
        breaker.succeeded();
        for _ in 0..TOLERATED_FAILURES {
            assert!(breaker.permits(), "a success resets the count");
            breaker.failed();
        }
        assert!(!breaker.permits());
        tokio::time::advance(REST).await;
        assert!(breaker.permits());
        assert!(!breaker.permits(), "one at a time");
        breaker.succeeded();
        assert!(breaker.permits() && breaker.permits());
    }

    #[tokio::test(start_paused = true)]
    async fn stays_open_for_retry_after_up_to_a_limit() {
        for (asked_for, rest) in [(REST * 2, REST * 2), (Duration::MAX, LONGEST_REST)] {
            let breaker = Breaker::default();
            breaker.asked_to_rest(asked_for);
            breaker.failed();
            tokio::time::advance(rest - Duration::from_secs(1)).await;
            assert!(!breaker.permits());
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(breaker.permits());
        }
    }
}
