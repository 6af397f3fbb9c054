//! The keys that sign tokens: a folder of files, readable by their owner only, which several servers share.
//!
//! A file's name is the key's id, a UUIDv7, which contains the time at which the key was made. All keys are published.
//! A key signs only 5 minutes after it was made, when all servers and caches of the published keys have it; if there is
//! only one key, it signs at once. A running server reads the folder again every minute, and for a token with an
//! unknown key.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use garage_files::{Existing, FileLock};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{DecodingKey, EncodingKey};
use p256::{
    SecretKey,
    elliptic_curve::rand_core::OsRng,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

/// How long an access token is valid.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a key is published before it signs.
const PUBLISHED_BEFORE_USE: SignedDuration = SignedDuration::from_mins(5);
/// How long after a key's last signature a token may still be valid: the token's lifetime, and some minutes in which a
/// server may not have read the next key yet.
const VALID_AFTER_USE: SignedDuration = SignedDuration::from_secs(ACCESS_TOKEN_LIFETIME.as_secs() as i64 + 5 * 60);
/// The minimum interval between reads of the folder for unknown keys. Anybody can send tokens with made-up ids of keys.
const UNKNOWN_KEY_READ_INTERVAL: Duration = Duration::from_secs(10);
/// The interval between reads of the folder while all keys are known.
const READ_INTERVAL: Duration = Duration::from_secs(60);
/// The lock file that is locked while keys are added or deleted.
const LOCK_FILE: &str = ".keys.lock";

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or a file in it cannot be used.
    #[error("the keys in {} cannot be used: {source}", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A key cannot be created or parsed.
    #[error("{} is not a valid key: {reason}", path.display())]
    InvalidKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl From<garage_files::Error> for KeyError {
    fn from(garage_files::Error { path, source }: garage_files::Error) -> KeyError {
        KeyError::File { path, source }
    }
}

/// The keys of a folder, as they were when it was last read.
pub struct Keys {
    folder: PathBuf,
    ring: RwLock<Arc<KeyRing>>,
    read_state: Arc<Mutex<ReadState>>,
}

/// When the folder was read. Locked while it is read.
struct ReadState {
    last: Instant,
    last_for_unknown_key: Option<Instant>,
    /// Files that a warning was logged for.
    warned: HashSet<PathBuf>,
}

/// A set of keys, sorted by the time at which they were made. Never empty.
pub struct KeyRing {
    keys: Vec<Key>,
    /// The public halves as a JWK set (RFC 7517).
    pub public: Value,
    /// Unique among the sets of this process.
    pub number: u64,
}

pub struct Key {
    pub id: String,
    pub signing: EncodingKey,
    pub verifying: DecodingKey,
    made_at: Timestamp,
    public: Value,
}

impl Keys {
    /// Reads the keys in the folder. Makes the first one if there is none.
    pub fn open(folder: &Path) -> Result<Arc<Keys>, KeyError> {
        let mut warned = HashSet::new();
        let mut keys = read_keys(folder, &mut warned)?;
        if keys.is_empty() {
            let _lock = lock(folder)?;
            // Another server may have made the first key while this one waited for the lock.
            keys = read_keys(folder, &mut warned)?;
            if keys.is_empty() {
                add_key(folder)?;
                keys = read_keys(folder, &mut warned)?;
            }
        }
        if keys.is_empty() {
            return Err(KeyError::File { path: folder.to_owned(), source: io::ErrorKind::NotFound.into() });
        }
        let read_state = ReadState { last: Instant::now(), last_for_unknown_key: None, warned };
        let ring = Arc::new(KeyRing::new(keys, 0));
        let read_state = Arc::new(Mutex::new(read_state));
        Ok(Arc::new(Keys { folder: folder.to_owned(), ring: RwLock::new(ring), read_state }))
    }

    /// The keys. Reads the folder again if that was more than a minute ago.
    pub async fn current(self: &Arc<Self>) -> Arc<KeyRing> {
        // While another request reads the folder, this one uses the cached keys.
        if let Ok(state) = self.read_state.clone().try_lock_owned()
            && state.last.elapsed() > READ_INTERVAL
        {
            self.read(state).await;
        }
        self.cached()
    }

    /// The keys. If none has this id, reads the folder again, unless that was done for an unknown key in the last 10
    /// seconds.
    pub async fn with_key(self: &Arc<Self>, id: &str) -> Arc<KeyRing> {
        let ring = self.current().await;
        if ring.key(id).is_some() {
            return ring;
        }
        let mut state = self.read_state.clone().lock_owned().await;
        let is_due = state.last_for_unknown_key.is_none_or(|last| last.elapsed() > UNKNOWN_KEY_READ_INTERVAL);
        // Another request may have read the key while this one waited for the lock.
        if is_due && self.cached().key(id).is_none() {
            state.last_for_unknown_key = Some(Instant::now());
            self.read(state).await;
        }
        self.cached()
    }

    /// The keys of the last read of the folder.
    pub fn cached(&self) -> Arc<KeyRing> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the folder, even if the request that waits for it is canceled.
    async fn read(self: &Arc<Self>, mut state: OwnedMutexGuard<ReadState>) {
        let keys = self.clone();
        let read = move || {
            state.last = Instant::now();
            match read_keys(&keys.folder, &mut state.warned) {
                Ok(read) if read.is_empty() => {
                    tracing::error!("the folder of keys is empty; the cached keys stay in use");
                }
                Ok(read) => keys.replace(read),
                Err(error) => tracing::error!(%error, "the keys cannot be read; the cached keys stay in use"),
            }
        };
        // Fails only while the runtime shuts down.
        let _ = tokio::task::spawn_blocking(read).await;
    }

    fn replace(&self, keys: Vec<Key>) {
        let cached = self.cached();
        if cached.ids().ne(keys.iter().map(|key| &key.id)) {
            tracing::info!(keys = keys.len(), "the keys have changed");
            let ring = Arc::new(KeyRing::new(keys, cached.number + 1));
            *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        }
    }
}

impl KeyRing {
    fn new(keys: Vec<Key>, number: u64) -> KeyRing {
        let public = json!({ "keys": keys.iter().map(|key| key.public.clone()).collect::<Vec<_>>() });
        KeyRing { keys, public, number }
    }

    fn ids(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().map(|key| &key.id)
    }

    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The key that signs at this time.
    pub fn signing_key(&self, now: Timestamp) -> &Key {
        &self.keys[signing_index(&self.keys, now)]
    }
}

/// The index of the key that signs at this time: the newest that has been published long enough, or the oldest if none has.
fn signing_index(keys: &[Key], now: Timestamp) -> usize {
    keys.iter().rposition(|key| now.duration_since(key.made_at) >= PUBLISHED_BEFORE_USE).unwrap_or(0)
}

/// Makes a key in the folder, and returns its file. Servers publish it within a minute, and sign with it after 5 minutes.
///
/// # Errors
/// [`KeyError::File`] if the folder cannot be written, [`KeyError::InvalidKey`] if the key cannot be encoded.
pub fn rotate(folder: &Path) -> Result<PathBuf, KeyError> {
    let _lock = lock(folder)?;
    add_key(folder)
}

/// Deletes the keys that are older than `age`, except those that sign or whose tokens can still be valid. Returns their
/// files.
///
/// # Errors
/// [`KeyError::File`] if the folder cannot be read or written.
pub fn retire(folder: &Path, age: SignedDuration) -> Result<Vec<PathBuf>, KeyError> {
    let _lock = lock(folder)?;
    let keys = read_keys(folder, &mut HashSet::new())?;
    let retired = retirable(&keys, age, Timestamp::now());
    let paths: Vec<PathBuf> = retired.iter().map(|key| folder.join(format!("{}.pem", key.id))).collect();
    for path in &paths {
        fs::remove_file(path).map_err(|source| KeyError::File { path: path.clone(), source })?;
    }
    garage_files::sync_folder(folder)?;
    Ok(paths)
}

fn retirable(keys: &[Key], age: SignedDuration, now: Timestamp) -> Vec<&Key> {
    // This key or a later one has signed every token that can still be valid.
    let first_in_use = signing_index(keys, now - VALID_AFTER_USE);
    keys.iter().take(first_in_use).filter(|key| now.duration_since(key.made_at) > age).collect()
}

fn lock(folder: &Path) -> Result<FileLock, KeyError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| KeyError::File { path: folder.to_owned(), source })?;
    Ok(FileLock::exclusive(&folder.join(LOCK_FILE))?)
}

fn add_key(folder: &Path) -> Result<PathBuf, KeyError> {
    let pem = SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|error| KeyError::InvalidKey { path: folder.to_owned(), reason: error.to_string() })?;
    let path = folder.join(format!("{}.pem", Uuid::now_v7()));
    garage_files::write(&path, pem.as_bytes(), Existing::Keep)?;
    Ok(path)
}

/// Reads the keys, sorted by the time at which they were made. Logs one warning for each file that is not a key.
fn read_keys(folder: &Path, warned: &mut HashSet<PathBuf>) -> Result<Vec<Key>, KeyError> {
    let at = |source| KeyError::File { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(error)),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let path = entry.map_err(at)?.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        match read_key(&path) {
            Ok(key) => keys.push(key),
            // The key was retired after the folder was listed.
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            // An unreadable key must not be ignored, because its tokens would be refused.
            Err(error @ KeyError::File { .. }) if path.is_file() => return Err(error),
            Err(error) => {
                if warned.insert(path) {
                    tracing::warn!(%error, "a file in the folder of keys is ignored");
                }
            }
        }
    }
    keys.sort_by(|one: &Key, other| (one.made_at, &one.id).cmp(&(other.made_at, &other.id)));
    Ok(keys)
}

fn read_key(path: &Path) -> Result<Key, KeyError> {
    let invalid = |reason: String| KeyError::InvalidKey { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    let pem = String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
    let secret = SecretKey::from_pkcs8_pem(&pem).map_err(|error| invalid(error.to_string()))?;
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut public: Value =
        serde_json::from_str(&secret.public_key().to_jwk_string()).map_err(|error| invalid(error.to_string()))?;
    let coordinate = |name: &str| public[name].as_str().unwrap_or_default();
    let verifying = DecodingKey::from_ec_components(coordinate("x"), coordinate("y"));
    let verifying = verifying.map_err(|error| invalid(error.to_string()))?;
    public["kid"] = json!(id);
    public["alg"] = json!("ES256");
    public["use"] = json!("sig");
    let signing = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|error| invalid(error.to_string()))?;
    Ok(Key { made_at: made_at(&id), id, signing, verifying, public })
}

/// When the key with this id was made. Keys whose id is not a UUIDv7 count as the oldest.
fn made_at(id: &str) -> Timestamp {
    let made_at = || {
        let (seconds, nanoseconds) = Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
    };
    made_at().unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;

    /// Adds a key that was made this long ago, and returns its id.
    fn key(folder: &Path, seconds_ago: u64) -> String {
        let path = rotate(folder).expect("a key");
        let now = u64::try_from(Timestamp::now().as_second()).expect("after 1970");
        let made_at = uuid::Timestamp::from_unix(uuid::NoContext, now - seconds_ago, 0);
        let id = Uuid::new_v7(made_at).to_string();
        fs::rename(path, folder.join(format!("{id}.pem"))).expect("renamed");
        id
    }

    fn signing_id(folder: &Path) -> String {
        Keys::open(folder).expect("keys").cached().signing_key(Timestamp::now()).id.clone()
    }

    #[test]
    fn a_key_signs_5_minutes_after_it_was_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let only = key(folder.path(), 0);
        assert_eq!(signing_id(folder.path()), only, "the only key signs at once");
        let old = key(folder.path(), 60 * MINUTE);
        assert_eq!(signing_id(folder.path()), old);
        let next = key(folder.path(), 6 * MINUTE);
        assert_eq!(signing_id(folder.path()), next);
        key(folder.path(), 4 * MINUTE);
        assert_eq!(signing_id(folder.path()), next);
    }

    #[test]
    fn only_keys_whose_tokens_have_expired_are_retired() {
        let folder = tempfile::tempdir().expect("a folder");
        let day = 24 * 60 * MINUTE;
        let oldest = key(folder.path(), 90 * day);
        let older = key(folder.path(), 40 * day);
        let signed_until_now = key(folder.path(), 35 * day);
        let signing = key(folder.path(), 10 * MINUTE);
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let file = |id: &str| folder.path().join(format!("{id}.pem"));
        assert_eq!(retire(folder.path(), days(60)).expect("retired"), [file(&oldest)]);
        assert_eq!(retire(folder.path(), days(0)).expect("retired"), [file(&older)]);
        assert!(file(&signed_until_now).exists() && file(&signing).exists());
        assert_eq!(signing_id(folder.path()), signing);
    }

    #[test]
    fn files_that_are_not_keys_are_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("zz-notes.pem"), [0xff, 0xfe]).expect("written");
        fs::write(folder.path().join("notes.txt"), "notes").expect("written");
        fs::create_dir(folder.path().join("folder.pem")).expect("made");
        let first = signing_id(folder.path());
        assert_eq!(signing_id(folder.path()), first);
        assert_eq!(retire(folder.path(), SignedDuration::ZERO).expect("retired"), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn the_folder_is_read_for_unknown_keys_at_most_every_10_seconds() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::open(folder.path()).expect("keys");
        let number = keys.cached().number;
        let one = key(folder.path(), 0);
        assert!(keys.current().await.key(&one).is_none());
        let ring = keys.with_key(&one).await;
        assert!(ring.key(&one).is_some() && ring.number != number);
        let two = key(folder.path(), 0);
        assert!(keys.with_key(&two).await.key(&two).is_none(), "the folder was read just now");
    }

    #[test]
    fn servers_that_start_at_the_same_time_make_one_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let barrier = std::sync::Barrier::new(16);
        let start = || {
            barrier.wait();
            Keys::open(&keys).expect("keys").cached().keys.len()
        };
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(counts, [1; 16]);
    }
}
