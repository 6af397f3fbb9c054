//! When to sync next.

use std::time::Duration;

use super::{Exchanged, RemoteError, SyncError};

/// How long to wait after a pass that has left nothing to do: between half of this and all of it.
const INTERVAL: Duration = Duration::from_secs(30);
/// A wait for changes that ends before this has ended early.
const EARLY: Duration = Duration::from_secs(10);
/// The longest wait after the first failure in a row; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// Decides when the next pass begins, if nothing happens before: an edit, coming online and a person's wish begin one at
/// once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// How often in a row no answer has come.
    failures: u32,
    /// How often in a row a wait for changes has failed, or has ended early for nothing.
    failed_waits: u32,
}

impl Schedule {
    /// How long to wait after a pass; `None` if only a person can help. `random` is between 0 and 1: waits after failures are
    /// anything up to a limit, so that devices that failed together do not come back together.
    pub fn wait_after(&mut self, outcome: &Result<Exchanged, SyncError>, random: f64) -> Option<Duration> {
        let random = random.clamp(0.0, 1.0);
        match outcome {
            Ok(_) => {
                self.failures = 0;
                Some(INTERVAL.mul_f64((1.0 + random) / 2.0))
            }
            Err(SyncError::SignedOut | SyncError::Attention(_)) => None,
            Err(SyncError::Remote(error)) => match error {
                RemoteError::SignedOut
                | RemoteError::OtherAccount
                | RemoteError::Forbidden(_)
                | RemoteError::MissingRecords(_) => None,
                RemoteError::Unavailable { retry_after, .. } => {
                    Some(self.back_off(random).max(retry_after.unwrap_or_default()))
                }
                RemoteError::Offline(_)
                | RemoteError::Refused(_)
                | RemoteError::Unreadable(_)
                | RemoteError::NotEverything => Some(self.back_off(random)),
            },
            Err(SyncError::Busy | SyncError::Overtaken | SyncError::Garage(_)) => Some(self.back_off(random)),
        }
    }

    /// How long to wait after the server was asked to say when something changes. `None` if it never says. `lasted`: how long
    /// it took to answer; `was_idle`: the pass before has exchanged nothing.
    ///
    /// A server that has said that something has changed is not waited for. Otherwise passes begin at random, so that
    /// devices whose waits ended together do not come together. Waits that end early for no reason, because something
    /// between cuts them off, become passes at their interval.
    pub fn wait_after_changes(
        &mut self,
        outcome: &Result<bool, RemoteError>,
        lasted: Duration,
        was_idle: bool,
        random: f64,
    ) -> Option<Duration> {
        if lasted >= EARLY {
            self.failed_waits = 0;
        }
        match outcome {
            Err(RemoteError::NotEverything) => None,
            Ok(true) if lasted >= EARLY || !was_idle => Some(Duration::ZERO),
            Err(RemoteError::Unavailable { retry_after, .. }) => {
                let wait = jittered(&mut self.failed_waits, INTERVAL, random);
                Some(wait.max(retry_after.unwrap_or_default()))
            }
            _ => Some(jittered(&mut self.failed_waits, INTERVAL, random)),
        }
    }

    fn back_off(&mut self, random: f64) -> Duration {
        jittered(&mut self.failures, LONGEST_WAIT, random)
    }
}

/// Counts a failure. The wait after it is a random time up to a limit, which doubles with each failure.
fn jittered(failures: &mut u32, longest: Duration, random: f64) -> Duration {
    let limit = FIRST_WAIT.saturating_mul(1 << (*failures).min(16)).min(longest);
    *failures = failures.saturating_add(1);
    limit.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: RemoteError) -> Result<Exchanged, SyncError> {
        Err(error.into())
    }

    #[test]
    fn waits_grow_up_to_a_limit_and_begin_again_after_a_success() {
        let mut schedule = Schedule::default();
        let offline = || failed(RemoteError::Offline(String::new()));
        let waits: Vec<u64> =
            (0..12).filter_map(|_| schedule.wait_after(&offline(), 1.0)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(schedule.wait_after(&offline(), 0.0), Some(Duration::ZERO), "full jitter");
        assert_eq!(schedule.wait_after(&Ok(Exchanged::default()), 0.0), Some(Duration::from_secs(15)));
        assert_eq!(schedule.wait_after(&offline(), 1.0), Some(Duration::from_secs(1)));
        for _ in 0..100 {
            schedule.wait_after(&offline(), 1.0);
        }
        assert_eq!(schedule.wait_after(&offline(), 1.0), Some(LONGEST_WAIT));
    }

    #[test]
    fn waits_for_changes_that_end_early_become_passes_at_their_interval() {
        let early = Duration::from_secs(1);
        let failed = Err(RemoteError::Offline(String::new()));
        for (outcome, was_idle) in [(failed.clone(), false), (Ok(false), false), (Ok(true), true)] {
            let mut schedule = Schedule::default();
            let mut wait = || schedule.wait_after_changes(&outcome, early, was_idle, 1.0).map(|wait| wait.as_secs());
            assert_eq!([wait(), wait(), wait(), wait(), wait(), wait(), wait()], [1, 2, 4, 8, 16, 30, 30].map(Some));
            let after_long = schedule.wait_after_changes(&failed, Duration::from_secs(25), was_idle, 1.0);
            assert_eq!(after_long, Some(Duration::from_secs(1)), "a wait of some length is worth another one");
        }
        let mut schedule = Schedule::default();
        assert_eq!(schedule.wait_after_changes(&Ok(true), early, false, 1.0), Some(Duration::ZERO));
        assert_eq!(schedule.wait_after_changes(&Ok(true), EARLY, true, 1.0), Some(Duration::ZERO));
        let retry_after = Some(Duration::from_secs(5));
        let full = Err(RemoteError::Unavailable { message: String::new(), retry_after });
        assert_eq!(schedule.wait_after_changes(&full, early, true, 1.0), retry_after);
        assert_eq!(schedule.wait_after_changes(&Err(RemoteError::NotEverything), early, true, 1.0), None);
        assert_eq!(schedule.wait_after(&Ok(Exchanged::default()), 1.0), Some(INTERVAL), "passes are counted apart");
    }

    #[test]
    fn a_server_that_asks_to_wait_longer_is_heard_and_only_a_person_ends_some_waits() {
        let mut schedule = Schedule::default();
        let retry_after = Some(Duration::from_secs(600));
        let busy = failed(RemoteError::Unavailable { message: String::new(), retry_after });
        assert_eq!(schedule.wait_after(&busy, 0.5), retry_after);
        for error in [RemoteError::SignedOut, RemoteError::OtherAccount, RemoteError::Forbidden(String::new())] {
            assert_eq!(schedule.wait_after(&failed(error), 0.5), None);
        }
        assert_eq!(schedule.wait_after(&Err(SyncError::SignedOut), 0.5), None);
    }
}
