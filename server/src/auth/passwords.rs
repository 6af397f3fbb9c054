//! Rules for passwords, and hashing with Argon2id and the library's default parameters (OWASP's recommendation).
//!
//! A hash takes some 20 MB and tens of milliseconds, so the numbers of concurrent hashes and of waiting requests are
//! limited. A hash holds its permit until it is computed, even if its request is canceled.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{Output, ParamsString, Salt, SaltString, rand_core::OsRng},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

use crate::error::ApiError;

const MAX_CONCURRENT_HASHES: usize = 2;
/// The memory that is allocated for a hash; some 20 MB of it are used.
const RESERVED_BYTES: usize = 34 << 20;
/// The maximum number of requests that wait for a hash or compute one.
const MAX_REQUESTS: usize = 64;
/// When a client should retry if too many requests wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const MIN_CHARACTERS: usize = 10;
const MAX_BYTES: usize = 1_000;
/// The most common passwords, in lower case: the list of 20 000 by Royce Williams that Django ships, without those
/// shorter than [`MIN_CHARACTERS`].
const COMMON: &str = include_str!("common_passwords.txt");

/// Checks that a password is acceptable for the account of this normalized email address.
///
/// # Errors
/// A field message, if it is not.
pub fn check(password: &str, email: &str) -> Result<(), &'static str> {
    let normalized = normalized(password);
    // Normalization can make text shorter or longer.
    if normalized.chars().count().min(password.chars().count()) < MIN_CHARACTERS {
        return Err("password must be at least 10 characters");
    }
    if password.len() > MAX_BYTES {
        return Err("password must be at most 1000 bytes");
    }
    let lower = normalized.to_lowercase();
    if lower.trim() == email {
        return Err("password must not be the email address");
    }
    if COMMON.lines().any(|common| common == lower.trim()) {
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

fn output(password: &str, salt: Salt<'_>, algorithm: Algorithm, version: Version, params: &Params) -> Option<Output> {
    let mut salt_bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut salt_bytes).ok()?;
    // Allocates more than is used: glibc returns allocations of 32 MiB or more to the system when they are freed, but each
    // thread of the pool would keep smaller ones.
    let mut memory = Vec::with_capacity(RESERVED_BYTES / Block::SIZE);
    memory.resize(params.block_count(), Block::default());
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let argon2 = Argon2::new(algorithm, version, params.clone());
    Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory)?)
    })
    .ok()
}

/// Whether the password has this hash. Blocks for tens of milliseconds.
fn matches_hash(password: &str, hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else { return false };
    let (Ok(algorithm), Ok(params)) = (Algorithm::try_from(parsed.algorithm), Params::try_from(&parsed)) else {
        return false;
    };
    let version = parsed.version.map_or(Ok(Version::default()), Version::try_from);
    let (Ok(version), Some(salt), Some(expected)) = (version, parsed.salt, parsed.hash) else { return false };
    // The comparison takes constant time.
    let matches = |text: &str| output(text, salt, algorithm, version, &params) == Some(expected);
    let normalized = normalized(password);
    // Hashes from before passwords were normalized are hashes of the text as typed.
    matches(&normalized) || (normalized != password && matches(password))
}

/// Normalizes a password to NFKC, because the Unicode form of typed text depends on the system.
fn normalized(password: &str) -> String {
    password.nfkc().collect()
}

/// Hashes and verifies passwords, a few at the same time.
pub struct Passwords {
    hashes: Arc<Semaphore>,
    requests: Semaphore,
    /// Verified for unknown accounts, so that they take as long as known ones.
    dummy_hash: String,
}

impl Passwords {
    /// Computes the hash for unknown accounts. Blocks for tens of milliseconds.
    pub fn new() -> Passwords {
        Passwords {
            hashes: Arc::new(Semaphore::new(MAX_CONCURRENT_HASHES)),
            requests: Semaphore::new(MAX_REQUESTS),
            dummy_hash: hash("an unknown account's password").unwrap_or_default(),
        }
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] if too many requests wait for a hash.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.run_limited(move || hash(&password)).await?.ok_or(ApiError::Internal)
    }

    /// Whether the password has this hash. Without a hash the result is `false` and takes as long.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] if too many requests wait for a hash.
    pub async fn verify(&self, password: String, hash: Option<&str>) -> Result<bool, ApiError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        Ok(self.run_limited(move || matches_hash(&password, &hash)).await? && is_known)
    }

    /// Runs `work` on a blocking thread when a permit is free.
    async fn run_limited<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let _request = self.requests.try_acquire().map_err(|_| ApiError::TooManyRequests(RETRY_AFTER))?;
        let permit: OwnedSemaphorePermit = self.hashes.clone().acquire_owned().await.map_err(|_| ApiError::Internal)?;
        let work = move || {
            // A canceled request drops the future, but not this closure.
            let _permit = permit;
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
        for common in ["1234567890", "Qwertyuiop", "BASKETBALL", " basketball ", "１２３４５６７８９０"] {
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
        assert!(COMMON.lines().all(|common| common.chars().count() >= MIN_CHARACTERS && common == normalized(common)));
    }

    #[test]
    fn the_forms_of_one_text_are_one_password_and_old_hashes_stay_valid() {
        let (composed, decomposed) = ("ma\u{f1}ana por la ma\u{f1}ana", "man\u{303}ana por la man\u{303}ana");
        for (stored, typed) in [(composed, decomposed), (decomposed, composed), (composed, composed)] {
            assert!(matches_hash(typed, &hash(stored).expect("a hash")), "{stored} {typed}");
        }
        let salt = SaltString::generate(&mut OsRng);
        let old = Argon2::default().hash_password(decomposed.as_bytes(), &salt).expect("a hash").to_string();
        assert!(matches_hash(decomposed, &old));
        let ours = hash(composed).expect("a hash");
        let parsed = PasswordHash::new(&ours).expect("a hash");
        Argon2::default().verify_password(composed.as_bytes(), &parsed).expect("the library verifies ours");
        assert!(!matches_hash("another password", &old));
    }

    #[tokio::test]
    async fn a_hash_keeps_its_permit_after_its_request_is_canceled() {
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
                passwords.run_limited(work).await
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
            task.abort();
        }
        passwords.run_limited(|| ()).await.expect("a permit");
        assert!((1..=MAX_CONCURRENT_HASHES).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    }

    #[tokio::test]
    async fn requests_are_refused_if_too_many_wait() {
        let passwords = Arc::new(Passwords::new());
        let tasks: Vec<_> = (0..MAX_REQUESTS + 5)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(
                    async move { passwords.run_limited(|| std::thread::sleep(Duration::from_millis(5))).await },
                )
            })
            .collect();
        let mut refused = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Ok(()) => {}
                Err(ApiError::TooManyRequests(_)) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(refused, 5);
    }
}
