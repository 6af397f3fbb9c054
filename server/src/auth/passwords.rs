//! Rules for passwords, and hashing with Argon2id and the library's default parameters (OWASP's recommendation).
//!
//! A hash takes some 20 MB and tens of milliseconds. So hashes are computed on one or two threads of lower priority, which
//! leave a processor to other requests if there is more than one; and the number of requests that wait for a hash is limited.

use std::{
    num::NonZero,
    sync::{Arc, OnceLock},
    thread::available_parallelism,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{Output, ParamsString, Salt, SaltString, rand_core::OsRng},
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::sync::{Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization;

use crate::error::ApiError;

/// The maximum number of threads that hash.
const MAX_THREADS: usize = 2;
/// The priority of these threads, from 0 to 99. On Linux it is niceness 10: a tenth of a processor's time that is contended,
/// so that log-ins do not starve under load.
const PRIORITY: u8 = 22;
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

/// Hashes and verifies passwords, a few at the same time. Clones share the threads.
#[derive(Clone)]
pub struct Passwords {
    threads: Arc<ThreadPool>,
    /// A permit for each request that can wait for a hash. A request holds it until its hash is computed or skipped.
    requests: Arc<Semaphore>,
    /// Verified for unknown accounts, so that they take as long as known ones. Computed when the server starts, on one of
    /// the threads, so that the server does not wait for it.
    dummy_hash: Arc<OnceLock<String>>,
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn new() -> Result<Passwords, rayon::ThreadPoolBuildError> {
        let threads = ThreadPoolBuilder::new()
            .num_threads(thread_count())
            .thread_name(|_| "passwords".to_owned())
            .start_handler(|_| lower_priority())
            // The hook of the process logs it. The default would end the process.
            .panic_handler(|_| {})
            .build()?;
        let dummy_hash = Arc::<OnceLock<String>>::default();
        let computed = dummy_hash.clone();
        threads.spawn_fifo(move || {
            computed.get_or_init(dummy);
        });
        Ok(Passwords { threads: Arc::new(threads), requests: Arc::new(Semaphore::new(MAX_REQUESTS)), dummy_hash })
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
        let (hash, dummy_hash) = (hash.map(str::to_owned), self.dummy_hash.clone());
        let is_known = hash.is_some();
        let matches = move || matches_hash(&password, hash.as_ref().unwrap_or_else(|| dummy_hash.get_or_init(dummy)));
        Ok(self.run_limited(matches).await? && is_known)
    }

    /// Runs `work` on one of the threads, after what was requested before. Skips it if the request has been canceled until
    /// then.
    async fn run_limited<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let permit = self.requests.clone().try_acquire_owned().map_err(|_| ApiError::TooManyRequests(RETRY_AFTER))?;
        let (answer, answered) = oneshot::channel();
        self.threads.spawn_fifo(move || {
            if !answer.is_closed() {
                let result = work();
                drop(permit);
                // The request may have been canceled in the meantime.
                let _ = answer.send(result);
            }
        });
        answered.await.map_err(|_| ApiError::Internal)
    }
}

fn dummy() -> String {
    hash("an unknown account's password").unwrap_or_default()
}

/// Leaves a processor to other requests, if there is more than one: despite its priority, a thread that hashes can delay a
/// request by a time slice of the scheduler.
fn thread_count() -> usize {
    available_parallelism().map_or(1, NonZero::get).saturating_sub(1).clamp(1, MAX_THREADS)
}

/// Lowers the priority of this thread. Where the system refuses, hashes delay other requests, which is tolerable.
fn lower_priority() {
    let lowered = ThreadPriorityValue::try_from(PRIORITY)
        .map_err(|_| thread_priority::Error::Priority("not a priority"))
        .and_then(|priority| set_current_thread_priority(ThreadPriority::Crossplatform(priority)));
    if let Err(error) = lowered {
        tracing::warn!(?error, "the priority of a thread that hashes passwords could not be lowered");
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use tokio::task::JoinHandle;

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

    /// Occupies all threads until the sender is dropped. Returns the requests too.
    async fn occupied(passwords: &Arc<Passwords>) -> (mpsc::Sender<()>, Vec<JoinHandle<Result<(), ApiError>>>) {
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let mut requests = Vec::new();
        for _ in 0..passwords.threads.current_num_threads() {
            let (begun, has_begun) = oneshot::channel();
            let (passwords, released) = (passwords.clone(), released.clone());
            let work = move || {
                let _ = begun.send(());
                let _ = released.lock().map(|released| released.recv());
            };
            requests.push(tokio::spawn(async move { passwords.run_limited(work).await }));
            has_begun.await.expect("it has begun");
        }
        (release, requests)
    }

    /// Waits until no request holds a permit.
    async fn returns_all_permits(passwords: &Passwords) {
        let all = passwords.requests.acquire_many(u32::try_from(MAX_REQUESTS).expect("a number"));
        drop(tokio::time::timeout(Duration::from_secs(60), all).await.expect("in time").expect("permits"));
    }

    #[tokio::test]
    async fn canceled_requests_are_not_hashed_and_do_not_free_the_threads_that_hash() {
        let passwords = Arc::new(Passwords::new().expect("threads"));
        let (release, hashing) = occupied(&passwords).await;
        let hashed = Arc::new(AtomicUsize::new(0));
        let request = |passwords: Arc<Passwords>, hashed: Arc<AtomicUsize>| async move {
            passwords.run_limited(move || hashed.fetch_add(1, Ordering::SeqCst)).await
        };
        for _ in 0..10 {
            let canceled = tokio::spawn(request(passwords.clone(), hashed.clone()));
            tokio::task::yield_now().await;
            canceled.abort();
        }
        hashing.iter().for_each(JoinHandle::abort);
        let next = tokio::spawn(request(passwords.clone(), hashed.clone()));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(hashed.load(Ordering::SeqCst), 0, "the threads are still occupied");
        drop(release);
        assert_eq!(next.await.expect("joined").expect("hashed"), 0, "none was hashed before it");
        returns_all_permits(&passwords).await;
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_leaves_the_threads_usable() {
        let passwords = Passwords::new().expect("threads");
        for _ in 0..2 * passwords.threads.current_num_threads() {
            let failed = passwords.run_limited(|| panic!("in a hash")).await;
            assert!(matches!(failed, Err::<(), _>(ApiError::Internal)), "{failed:?}");
        }
        passwords.run_limited(|| ()).await.expect("run");
        returns_all_permits(&passwords).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashes_have_a_lower_priority_than_requests() {
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("stat");
            // The name in parentheses may contain spaces; field 3 follows it, and field 19 is the niceness.
            let (_, fields) = stat.rsplit_once(") ").expect("fields");
            fields.split(' ').nth(16).expect("field 19").parse::<i32>().expect("a number")
        };
        let passwords = Passwords::new().expect("threads");
        assert_eq!(passwords.run_limited(niceness).await.expect("run"), niceness() + 10);
    }

    #[tokio::test]
    async fn requests_are_refused_if_too_many_wait() {
        let passwords = Arc::new(Passwords::new().expect("threads"));
        let (release, hashing) = occupied(&passwords).await;
        let tasks: Vec<_> = (hashing.len()..MAX_REQUESTS + 5)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.run_limited(|| ()).await })
            })
            .collect();
        while tasks.iter().filter(|task| task.is_finished()).count() < 5 {
            tokio::task::yield_now().await;
        }
        drop(release);
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
