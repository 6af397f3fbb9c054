//! How often somebody may try to log in: counted by account and by address, in this process.

use std::{net::IpAddr, num::NonZeroU32};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::error::ApiError;

/// How many more may come from one address than for one account: a household, an office.
const ACCOUNTS_OF_AN_ADDRESS: u32 = 5;
/// From this many on, those who have not tried for a while are forgotten.
const MOST_COUNTED: usize = 10_000;

/// Counts attempts.
pub struct Limits {
    by_account: DefaultKeyedRateLimiter<String>,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Limits {
    /// This many attempts a minute for an account.
    pub fn new(attempts_per_minute: u32) -> Limits {
        let quota = |attempts: u32| Quota::per_minute(NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN));
        Limits {
            by_account: RateLimiter::keyed(quota(attempts_per_minute)),
            by_address: RateLimiter::keyed(quota(attempts_per_minute.saturating_mul(ACCOUNTS_OF_AN_ADDRESS))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// There were too many.
    pub fn attempt(&self, email: &str, address: IpAddr) -> Result<(), ApiError> {
        if self.by_account.len() + self.by_address.len() > MOST_COUNTED {
            self.by_account.retain_recent();
            self.by_address.retain_recent();
        }
        let now = self.clock.now();
        self.by_address.check_key(&address).map_err(|until| ApiError::TooMany(until.wait_time_from(now)))?;
        self.by_account.check_key(&email.to_owned()).map_err(|until| ApiError::TooMany(until.wait_time_from(now)))
    }
}
