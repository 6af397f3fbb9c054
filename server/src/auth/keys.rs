//! The keys that sign tokens: a folder of files, readable by their owner only, which several servers share.
//!
//! A file's name is the key's id, a UUIDv7, which has the time at which the key was made. All keys are published. A key
//! signs only some minutes after that, when every server and every cache of the published keys knows it; the only key signs
//! at once. A running server reads the folder again from time to time, and for a token whose key it does not know.

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

/// How long a token is valid that a key has signed.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a key is published before it signs.
const PUBLISHED_BEFORE_USE: SignedDuration = SignedDuration::from_mins(5);
/// How long after a key's last signature a token may still be valid: its lifetime, and some minutes in which a server may
/// not have noticed that another key signs.
const VALID_AFTER_USE: SignedDuration = SignedDuration::from_secs(LIFETIME.as_secs() as i64 + 5 * 60);
/// How often the folder is read for unknown keys at most. Anybody can make up ids of keys.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(10);
/// How often the folder is read while all keys are known.
const PAUSE: Duration = Duration::from_secs(60);
/// Held while the folder's keys change.
const LOCK: &str = ".keys.lock";

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or a file in it cannot be used.
    #[error("the keys in {} cannot be used: {source}", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A key cannot be made or used.
    #[error("{} is no key: {reason}", path.display())]
    NoKey {
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
    reading: Arc<Mutex<Reading>>,
}

/// What is known about reading the folder; locked by whoever reads it.
struct Reading {
    last: Instant,
    last_for_unknown: Option<Instant>,
    /// Files that a warning was logged for.
    warned: HashSet<PathBuf>,
}

/// A set of keys, sorted by the time at which they were made; never empty.
pub struct KeyRing {
    keys: Vec<Key>,
    /// The public halves as a JWK set (RFC 7517).
    pub public: Value,
    /// Differs between all sets of a process.
    pub number: u64,
}

/// A key.
pub struct Key {
    pub id: String,
    pub signing: EncodingKey,
    pub verifying: DecodingKey,
    made_at: Timestamp,
    public: Value,
}

impl Keys {
    /// Reads the folder's keys, and makes the first.
    pub fn open(folder: &Path) -> Result<Arc<Keys>, KeyError> {
        let mut warned = HashSet::new();
        let mut keys = read_keys(folder, &mut warned)?;
        if keys.is_empty() {
            let _lock = lock(folder)?;
            // Another server may have made the first key meanwhile.
            keys = read_keys(folder, &mut warned)?;
            if keys.is_empty() {
                add_key(folder)?;
                keys = read_keys(folder, &mut warned)?;
            }
        }
        if keys.is_empty() {
            return Err(KeyError::File { path: folder.to_owned(), source: io::ErrorKind::NotFound.into() });
        }
        let reading = Reading { last: Instant::now(), last_for_unknown: None, warned };
        let ring = Arc::new(KeyRing::new(keys, 0));
        let reading = Arc::new(Mutex::new(reading));
        Ok(Arc::new(Keys { folder: folder.to_owned(), ring: RwLock::new(ring), reading }))
    }

    /// The keys, as they were at most a minute ago.
    pub async fn current(self: &Arc<Self>) -> Arc<KeyRing> {
        // Requests do not wait for another one that reads: the keys of the last time will do.
        if let Ok(reading) = self.reading.clone().try_lock_owned()
            && reading.last.elapsed() > PAUSE
        {
            self.read(reading).await;
        }
        self.known()
    }

    /// The keys, of which one has this id, unless the folder has none or was read for an unknown key just now.
    pub async fn with(self: &Arc<Self>, id: &str) -> Arc<KeyRing> {
        let ring = self.current().await;
        if ring.key(id).is_some() {
            return ring;
        }
        let mut reading = self.reading.clone().lock_owned().await;
        // Whoever had the lock may have read the key.
        let is_due = reading.last_for_unknown.is_none_or(|last| last.elapsed() > UNKNOWN_KEY_PAUSE);
        if is_due && self.known().key(id).is_none() {
            reading.last_for_unknown = Some(Instant::now());
            self.read(reading).await;
        }
        self.known()
    }

    /// The keys as they were when the folder was last read.
    pub fn known(&self) -> Arc<KeyRing> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the folder, also if the request that waits for it is aborted.
    async fn read(self: &Arc<Self>, mut reading: OwnedMutexGuard<Reading>) {
        let keys = self.clone();
        let read = move || {
            reading.last = Instant::now();
            match read_keys(&keys.folder, &mut reading.warned) {
                Ok(read) if read.is_empty() => {
                    tracing::error!("the folder of keys has none any more; the known ones stay in use");
                }
                Ok(read) => keys.replace(read),
                Err(error) => tracing::error!(%error, "the keys cannot be read again; the known ones stay in use"),
            }
        };
        // Fails only while the runtime shuts down.
        let _ = tokio::task::spawn_blocking(read).await;
    }

    fn replace(&self, keys: Vec<Key>) {
        let known = self.known();
        if known.ids().ne(keys.iter().map(|key| &key.id)) {
            tracing::info!(keys = keys.len(), "the keys have changed");
            let ring = Arc::new(KeyRing::new(keys, known.number + 1));
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

    /// The key of this id.
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The key that signs at this time.
    pub fn signing(&self, now: Timestamp) -> &Key {
        &self.keys[signing(&self.keys, now)]
    }
}

/// The index of the key that signs at this time: the newest that has been published long enough, or the oldest if none has.
fn signing(keys: &[Key], now: Timestamp) -> usize {
    keys.iter().rposition(|key| now.duration_since(key.made_at) >= PUBLISHED_BEFORE_USE).unwrap_or(0)
}

/// Makes a key in the folder, and returns its file. Servers publish it within a minute, and sign with it a few minutes later.
///
/// # Errors
/// The folder cannot be written.
pub fn rotate(folder: &Path) -> Result<PathBuf, KeyError> {
    let _lock = lock(folder)?;
    add_key(folder)
}

/// Deletes the keys that were made longer ago than this and no longer sign, unless a token that they have signed can still
/// be valid. Returns their files.
///
/// # Errors
/// The folder cannot be read or written.
pub fn retire(folder: &Path, age: SignedDuration) -> Result<Vec<PathBuf>, KeyError> {
    let _lock = lock(folder)?;
    let keys = read_keys(folder, &mut HashSet::new())?;
    let retired = retired(&keys, age, Timestamp::now());
    let paths: Vec<PathBuf> = retired.iter().map(|key| folder.join(format!("{}.pem", key.id))).collect();
    for path in &paths {
        fs::remove_file(path).map_err(|source| KeyError::File { path: path.clone(), source })?;
    }
    garage_files::sync_folder(folder)?;
    Ok(paths)
}

/// Keys to delete.
fn retired(keys: &[Key], age: SignedDuration, now: Timestamp) -> Vec<&Key> {
    // Keys after this one have signed since, or will.
    let first_in_use = signing(keys, now - VALID_AFTER_USE);
    keys.iter().take(first_in_use).filter(|key| now.duration_since(key.made_at) > age).collect()
}

fn lock(folder: &Path) -> Result<FileLock, KeyError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| KeyError::File { path: folder.to_owned(), source })?;
    Ok(FileLock::exclusive(&folder.join(LOCK))?)
}

fn add_key(folder: &Path) -> Result<PathBuf, KeyError> {
    let pem = SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|error| KeyError::NoKey { path: folder.to_owned(), reason: error.to_string() })?;
    let path = folder.join(format!("{}.pem", Uuid::now_v7()));
    garage_files::write(&path, pem.as_bytes(), Existing::Keep)?;
    Ok(path)
}

/// Reads the keys, sorted by the time at which they were made. Logs a warning for a file that is no key, once.
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
            // A key that was retired meanwhile.
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            // A key that this user may not read is not one that is missing.
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
    let no_key = |reason: String| KeyError::NoKey { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    let pem = String::from_utf8(bytes).map_err(|error| no_key(error.to_string()))?;
    let secret = SecretKey::from_pkcs8_pem(&pem).map_err(|error| no_key(error.to_string()))?;
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut public: Value =
        serde_json::from_str(&secret.public_key().to_jwk_string()).map_err(|error| no_key(error.to_string()))?;
    let coordinate = |name: &str| public[name].as_str().unwrap_or_default();
    let verifying = DecodingKey::from_ec_components(coordinate("x"), coordinate("y"));
    let verifying = verifying.map_err(|error| no_key(error.to_string()))?;
    public["kid"] = json!(id);
    public["alg"] = json!("ES256");
    public["use"] = json!("sig");
    let signing = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|error| no_key(error.to_string()))?;
    Ok(Key { made_at: made_at(&id), id, signing, verifying, public })
}

/// When the key of this id was made. Keys of other names are taken for older than all others.
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

    /// Makes a key that was made this long ago, and returns its id.
    fn key(folder: &Path, seconds_ago: u64) -> String {
        let path = rotate(folder).expect("a key");
        let now = u64::try_from(Timestamp::now().as_second()).expect("after 1970");
        let made_at = uuid::Timestamp::from_unix(uuid::NoContext, now - seconds_ago, 0);
        let id = Uuid::new_v7(made_at).to_string();
        fs::rename(path, folder.join(format!("{id}.pem"))).expect("renamed");
        id
    }

    fn signing_id(folder: &Path) -> String {
        Keys::open(folder).expect("keys").known().signing(Timestamp::now()).id.clone()
    }

    #[test]
    fn a_key_signs_after_it_was_published_for_some_minutes() {
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
    fn a_stray_file_is_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("zz-notes.pem"), [0xff, 0xfe]).expect("written");
        fs::write(folder.path().join("notes.txt"), "notes").expect("written");
        fs::create_dir(folder.path().join("folder.pem")).expect("made");
        let first = signing_id(folder.path());
        assert_eq!(signing_id(folder.path()), first);
        assert_eq!(retire(folder.path(), SignedDuration::ZERO).expect("retired"), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_once_in_a_while() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::open(folder.path()).expect("keys");
        let number = keys.known().number;
        let one = key(folder.path(), 0);
        assert!(keys.current().await.key(&one).is_none());
        let ring = keys.with(&one).await;
        assert!(ring.key(&one).is_some() && ring.number != number);
        let two = key(folder.path(), 0);
        assert!(keys.with(&two).await.key(&two).is_none(), "the folder was read just now");
    }

    #[test]
    fn servers_that_start_together_have_one_first_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let barrier = std::sync::Barrier::new(16);
        let start = || {
            barrier.wait();
            Keys::open(&keys).expect("keys").known().keys.len()
        };
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(counts, [1; 16]);
    }
}
