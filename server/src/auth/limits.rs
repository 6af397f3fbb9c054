//! Limits attempts to log in and register, by account and network. The counters are in this process.
//!
//! - by account and network: as configured. Wrong guesses from one network do not lock out the owner at another.
//! - by network: five times as many, for the accounts of a household or an office
//! - by account: ten times as many, against guesses from many networks
//!
//! A successful login does not count, and resets the first limit. It must not reset the others: an attacker could log in to
//! an account of their own between guesses, and the owner's login would allow more guesses from other networks.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::error::ApiError;

/// How many more attempts are allowed from one network than for one account from it.
const BY_NETWORK: u32 = 5;
/// How many more attempts are allowed for one account from all networks than from one.
const BY_ACCOUNT: u32 = 10;
/// All allowed attempts may come at once; then they are allowed again one by one over this time.
const WINDOW: Duration = Duration::from_secs(60);
/// The number of counters at which those without recent attempts are first deleted.
const FIRST_SWEEP: usize = 10_000;

pub struct Limits {
    per_minute: u32,
    /// Hashes email addresses, which can be long, with a random key.
    hasher: RandomState,
    counters: Mutex<Counters>,
}

struct Counters {
    /// When the last counted attempt expires.
    clear_at: HashMap<Key, Instant>,
    next_sweep: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    AccountAndNetwork(u64, IpAddr),
    Network(IpAddr),
    Account(u64),
}

impl Limits {
    /// Allows this many attempts a minute for an account from one network.
    pub fn new(per_minute: u32) -> Limits {
        let counters = Counters { clear_at: HashMap::new(), next_sweep: FIRST_SWEEP };
        Limits { per_minute: per_minute.max(1), hasher: RandomState::new(), counters: Mutex::new(counters) }
    }

    /// Counts an attempt from this network, for the account of this email address. An invalid address has no account.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] if there were too many. The attempt is not counted then.
    pub fn attempt(&self, email: Option<&str>, network: IpAddr) -> Result<(), ApiError> {
        self.attempt_at(email, network, Instant::now())
    }

    /// Resets the counter of an account from this network, and takes this attempt back from the other counters.
    pub fn succeeded(&self, email: &str, network: IpAddr) {
        self.succeeded_at(email, network, Instant::now());
    }

    fn attempt_at(&self, email: Option<&str>, network: IpAddr, now: Instant) -> Result<(), ApiError> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys(email, network);
        let mut counted = Vec::with_capacity(keys.len());
        for (key, interval) in keys {
            let clear_at = counters.clear_at.get(&key).map_or(now, |at| (*at).max(now)) + interval;
            if let Some(wait) = clear_at.checked_duration_since(now + WINDOW).filter(|wait| !wait.is_zero()) {
                return Err(ApiError::TooManyRequests(wait));
            }
            counted.push((key, clear_at));
        }
        counters.clear_at.extend(counted);
        counters.sweep(now);
        Ok(())
    }

    fn succeeded_at(&self, email: &str, network: IpAddr, now: Instant) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, interval) in self.keys(Some(email), network) {
            if matches!(key, Key::AccountAndNetwork(..)) {
                counters.clear_at.remove(&key);
            } else if let Some(clear_at) = counters.clear_at.get_mut(&key) {
                *clear_at = clear_at.checked_sub(interval).unwrap_or(now);
            }
        }
    }

    /// The counters of an attempt, each with the time after which one attempt expires.
    fn keys(&self, email: Option<&str>, network: IpAddr) -> Vec<(Key, Duration)> {
        let interval = |factor: u32| WINDOW / self.per_minute.saturating_mul(factor);
        let mut keys = vec![(Key::Network(network), interval(BY_NETWORK))];
        if let Some(email) = email {
            let account = self.hasher.hash_one(email);
            keys.push((Key::AccountAndNetwork(account, network), interval(1)));
            keys.push((Key::Account(account), interval(BY_ACCOUNT)));
        }
        keys
    }
}

impl Counters {
    fn sweep(&mut self, now: Instant) {
        if self.clear_at.len() >= self.next_sweep {
            self.clear_at.retain(|_, clear_at| *clear_at > now);
            // Doubled, so that the cost of a sweep is spread over many attempts.
            self.next_sweep = FIRST_SWEEP.max(2 * self.clear_at.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(number))
    }

    fn allowed(limits: &Limits, email: &str, from: impl Fn(u32) -> IpAddr, now: Instant) -> u32 {
        let is_allowed = |number: &u32| limits.attempt_at(Some(email), from(*number), now).is_ok();
        u32::try_from((0..1_000).take_while(is_allowed).count()).expect("a number")
    }

    #[test]
    fn guesses_from_one_network_do_not_lock_out_the_owner_at_another() {
        let (limits, now) = (Limits::new(10), Instant::now());
        assert_eq!(allowed(&limits, "ada", |_| network(1), now), 10);
        assert_eq!(allowed(&limits, "ada", |_| network(2), now), 10);
        assert_eq!(
            allowed(&limits, "ada", |_| network(1), now + WINDOW / 2),
            5,
            "attempts are allowed again one by one"
        );
    }

    #[test]
    fn a_network_is_limited_over_all_accounts_and_an_account_over_all_networks() {
        let (limits, now) = (Limits::new(10), Instant::now());
        let accounts = (0..100).filter(|it: &i32| limits.attempt_at(Some(&it.to_string()), network(1), now).is_ok());
        assert_eq!(accounts.count(), 50);
        assert!(limits.attempt_at(None, network(1), now).is_err());
        assert_eq!(allowed(&limits, "ada", |number| network(2 + number), now), 100);
        assert!(limits.attempt_at(Some("ada"), network(5_000), now + WINDOW).is_ok());
    }

    #[test]
    fn a_success_resets_the_owners_limit_and_no_other() {
        let (limits, now) = (Limits::new(10), Instant::now());
        for _ in 0..20 {
            for _ in 0..9 {
                limits.attempt_at(Some("ada"), network(1), now).expect("allowed");
                limits.succeeded_at("ada", network(1), now);
            }
        }
        assert_eq!(allowed(&limits, "ada", |_| network(1), now), 10);
        limits.succeeded_at("ada", network(1), now);
        assert_eq!(allowed(&limits, "ada", |_| network(1), now), 10);
        // Logging in to one's own account between guesses does not reset the network.
        let (limits, mut guesses) = (Limits::new(10), 0);
        while guesses < 1_000 && limits.attempt_at(Some(&guesses.to_string()), network(1), now).is_ok() {
            guesses += 1;
            if limits.attempt_at(Some("mine"), network(1), now).is_ok() {
                limits.succeeded_at("mine", network(1), now);
            }
        }
        assert_eq!(guesses, 50);
    }

    #[test]
    fn counters_without_recent_attempts_are_deleted() {
        let (limits, now) = (Limits::new(10), Instant::now());
        for number in 0..30_000 {
            let now = now + Duration::from_millis(u64::from(number) * 20);
            limits.attempt_at(Some("ada"), network(number), now).ok();
        }
        let counters = limits.counters.lock().expect("a lock");
        assert!(counters.clear_at.len() < 2 * FIRST_SWEEP, "{}", counters.clear_at.len());
    }
}
