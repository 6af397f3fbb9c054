//! Passwords: which are acceptable, and Argon2id with the library's own parameters (OWASP's recommendation).
//!
//! A hash takes some 20 MB and tens of milliseconds, so only a few are computed at the same time, and only a few requests
//! may wait. A hash that nobody waits for any more still holds its permit until it is done.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{Output, ParamsString, Salt, SaltString, rand_core::OsRng},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

use crate::error::ApiError;

/// Hashes that are computed at the same time.
const AT_ONCE: usize = 2;
/// The memory that is reserved for a hash, in bytes; some 20 MB of it are used.
const RESERVED_BYTES: usize = 34 << 20;
/// Requests that wait for a hash or are computing one.
const MOST_WAITING: usize = 64;
/// How long a client should wait that finds the queue full.
const PAUSE: Duration = Duration::from_secs(1);
/// Characters of the shortest password.
const SHORTEST: usize = 10;
/// Bytes of the longest password.
const LONGEST_BYTES: usize = 1_000;
/// Those of the 20 000 most common passwords that have at least [`SHORTEST`] characters, in lower case: the list that
/// Django ships, by Royce Williams.
const COMMON: &str = include_str!("common_passwords.txt");

/// Checks that a password is acceptable for the account of this normalized email address.
///
/// # Errors
/// Why it is not.
pub fn check(password: &str, email: &str) -> Result<(), &'static str> {
    let normalized = normalized(password);
    // Normalizing can make text shorter and longer.
    if normalized.chars().count().min(password.chars().count()) < SHORTEST {
        return Err("password must be at least 10 characters");
    }
    if password.len() > LONGEST_BYTES {
        return Err("password must be at most 1000 bytes");
    }
    let lower = normalized.to_lowercase();
    if lower.trim() == email {
        return Err("password must not be the email address");
    }
    if COMMON.lines().any(|common| common == lower) {
        return Err("password is too common");
    }
    Ok(())
}

/// Hashes a password. Blocks for tens of milliseconds.
pub fn hash(password: &str) -> Option<String> {
    let salt = SaltString::generate(&mut OsRng);
    let params = Params::default();
    let output = output(&normalized(password), salt.as_salt(), Algorithm::default(), Version::default(), &params)?;
    let hash = PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Some(hash.to_string())
}

/// Computes Argon2 in memory of its own.
fn output(password: &str, salt: Salt<'_>, algorithm: Algorithm, version: Version, params: &Params) -> Option<Output> {
    let mut salt_bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut salt_bytes).ok()?;
    // Reserves more than is used. From 32 MiB on, glibc returns memory to the system as soon as it is freed; below, each
    // thread of the pool would keep the largest amount that it ever used.
    let mut memory = Vec::with_capacity(RESERVED_BYTES / Block::SIZE);
    memory.resize(params.block_count(), Block::default());
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let argon2 = Argon2::new(algorithm, version, params.clone());
    Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory)?)
    })
    .ok()
}

/// Compares a password with a hash. Blocks for tens of milliseconds.
fn is_right(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    let (Ok(algorithm), Ok(params)) = (Algorithm::try_from(parsed.algorithm), Params::try_from(&parsed)) else {
        return false;
    };
    let version = parsed.version.map_or(Ok(Version::default()), Version::try_from);
    let (Ok(version), Some(salt), Some(expected)) = (version, parsed.salt, parsed.hash) else { return false };
    // Outputs are compared in constant time.
    let is = |text: &str| output(text, salt, algorithm, version, &params) == Some(expected);
    let normalized = normalized(password);
    // Hashes from before passwords were normalized are of the password as it was typed.
    is(&normalized) || (normalized != password && is(password))
}

/// The same text has several forms in Unicode, and which one a keyboard sends depends on the system.
fn normalized(password: &str) -> String {
    password.nfkc().collect()
}

/// Hashes and compares passwords, a few at a time.
pub struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Semaphore,
    /// The hash that is compared for unknown accounts, so that they take as long as known ones.
    dummy_hash: String,
}

impl Passwords {
    /// Computes the hash for unknown accounts. Blocks for tens of milliseconds.
    pub fn new() -> Passwords {
        Passwords {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(MOST_WAITING),
            dummy_hash: hash("an unknown account's password").unwrap_or_default(),
        }
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// [`ApiError::TooMany`] if too many requests wait for a hash.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.in_turn(move || hash(&password)).await?.ok_or(ApiError::Internal)
    }

    /// Whether the password is the one of this hash. Without a hash it takes as long, and is `false`.
    ///
    /// # Errors
    /// [`ApiError::TooMany`] if too many requests wait for a hash.
    pub async fn verify(&self, password: String, hash: Option<&str>) -> Result<bool, ApiError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        Ok(self.in_turn(move || is_right(&password, &hash)).await? && is_known)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let _place = self.waiting.try_acquire().map_err(|_| ApiError::TooMany(PAUSE))?;
        let turn: OwnedSemaphorePermit = self.turns.clone().acquire_owned().await.map_err(|_| ApiError::Internal)?;
        let work = move || {
            // The client may be gone, which drops the future but not this closure.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Internal)
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn common_passwords_and_the_email_address_are_refused() {
        for common in ["1234567890", "Qwertyuiop", "BASKETBALL", "１２３４５６７８９０"] {
            assert_eq!(check(common, "ada@example.org"), Err("password is too common"), "{common}");
        }
        for email in ["ada@example.org", " Ada@Example.org "] {
            assert_eq!(check(email, "ada@example.org"), Err("password must not be the email address"), "{email}");
        }
        for short in ["123 56789", "a\u{301}23456789", "\u{fb03}\u{fb03}\u{fb03}\u{fb03}"] {
            assert_eq!(check(short, ""), Err("password must be at least 10 characters"), "{short}");
        }
        assert_eq!(check("ada@example.org", "bob@example.org"), Ok(()));
        assert_eq!(check("correct horse battery", "ada@example.org"), Ok(()));
        assert!(COMMON.lines().all(|common| common.chars().count() >= SHORTEST && common == normalized(common)));
    }

    #[test]
    fn the_forms_of_one_text_are_one_password_and_old_hashes_stay_valid() {
        let (composed, decomposed) = ("ma\u{f1}ana por la ma\u{f1}ana", "man\u{303}ana por la man\u{303}ana");
        for (stored, typed) in [(composed, decomposed), (decomposed, composed), (composed, composed)] {
            assert!(is_right(typed, &hash(stored).expect("a hash")), "{stored} {typed}");
        }
        let salt = SaltString::generate(&mut OsRng);
        // By the library itself.
        let old = Argon2::default().hash_password(decomposed.as_bytes(), &salt).expect("a hash").to_string();
        assert!(is_right(decomposed, &old));
        let ours = hash(composed).expect("a hash");
        let parsed = PasswordHash::new(&ours).expect("a hash");
        Argon2::default().verify_password(composed.as_bytes(), &parsed).expect("the library verifies ours");
        assert!(!is_right("another password", &old));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_permit() {
        let passwords = Arc::new(Passwords::new());
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..50 {
            let (passwords, running, most) = (passwords.clone(), running.clone(), most.clone());
            let task = tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                passwords.in_turn(work).await
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
            task.abort();
        }
        passwords.in_turn(|| ()).await.expect("a turn");
        assert!((1..=AT_ONCE).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    }

    #[tokio::test]
    async fn requests_are_refused_when_too_many_wait() {
        let passwords = Arc::new(Passwords::new());
        let tasks: Vec<_> = (0..MOST_WAITING + 5)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.in_turn(|| std::thread::sleep(Duration::from_millis(5))).await })
            })
            .collect();
        let mut refused = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(()) => {}
                Err(ApiError::TooMany(_)) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(refused, 5);
    }
}
