//! Stops asking a service that keeps failing, and tries again after a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row after which nothing is asked.
const TOLERATED_FAILURES: u32 = 5;
/// How long nothing is asked then.
const REST: Duration = Duration::from_secs(60);
/// A service that asks for more is mistaken.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

#[derive(Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
}

/// Counts failures in a row. After the rest one question is let through; its outcome decides.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

impl Breaker {
    /// Whether a question may go out now.
    pub fn permits(&self) -> bool {
        let mut state = self.state();
        match state.closed_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                // Others wait for the outcome of this one.
                state.closed_until = Some(Instant::now() + REST);
                true
            }
            None => true,
        }
    }

    pub fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The service asked to be left alone for this long.
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
    async fn rests_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::default();
        for _ in 0..TOLERATED_FAILURES - 1 {
            breaker.failed();
        }
        breaker.succeeded();
        for _ in 0..TOLERATED_FAILURES {
            assert!(breaker.permits(), "a success starts the count anew");
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
    async fn rests_as_long_as_it_was_asked_to_within_reason() {
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
