//! Lists that are sent without a look at the database, with `--list-cache`. A write through this process ends that for its
//! user; a write by another program shows when the time is over.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{CacheByUser, EncodedList, new_cache};

/// The number of counters of writes. Users share them by hash, so a write may end the validity of other users' lists.
const COUNTERS: usize = 1_024;

/// The lists that were read last, and the writes since.
pub struct RememberedLists {
    lifetime: Duration,
    lists: CacheByUser<Remembered>,
    writes: Vec<AtomicU64>,
    hasher: RandomState,
}

#[derive(Clone)]
struct Remembered {
    list: Arc<EncodedList>,
    /// The user's counter of writes before the list was read. If it has changed, the list may be outdated.
    writes: u64,
    read_at: Instant,
}

impl AsRef<EncodedList> for Remembered {
    fn as_ref(&self) -> &EncodedList {
        &self.list
    }
}

/// The moment before a list is read.
pub struct BeforeRead {
    writes: u64,
    at: Instant,
}

/// Counts a write when dropped, also after a panic.
pub struct CountedWrite<'a>(&'a AtomicU64);

impl Drop for CountedWrite<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl RememberedLists {
    /// Lists are valid for this time after they were read.
    pub fn new(lifetime: Duration) -> RememberedLists {
        RememberedLists {
            lifetime,
            lists: new_cache(),
            writes: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Returns the user's list if it is still valid.
    pub fn get(&self, user: &str) -> Option<Arc<EncodedList>> {
        let remembered = self.lists.get(user)?;
        let is_valid = remembered.read_at.elapsed() < self.lifetime && remembered.writes == self.count(user);
        is_valid.then_some(remembered.list)
    }

    /// To be called before a list is read that is going to be remembered.
    pub fn before_read(&self, user: &str) -> BeforeRead {
        BeforeRead { writes: self.count(user), at: Instant::now() }
    }

    /// Remembers a list. It is not valid if a write was counted since `before`.
    pub fn insert(&self, user: &str, list: Arc<EncodedList>, before: BeforeRead) {
        self.lists.insert(user.to_owned(), Remembered { list, writes: before.writes, read_at: before.at });
    }

    /// To be called before a write of the user, and dropped after it.
    pub fn write(&self, user: &str) -> CountedWrite<'_> {
        CountedWrite(self.counter(user))
    }

    fn count(&self, user: &str) -> u64 {
        self.counter(user).load(Ordering::Acquire)
    }

    fn counter(&self, user: &str) -> &AtomicU64 {
        let hash = self.hasher.hash_one(user);
        // The remainder is smaller than the length.
        &self.writes[usize::try_from(hash % COUNTERS as u64).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ListEncoder, *};

    fn list(version: i64) -> Arc<EncodedList> {
        Arc::new(ListEncoder::default().finish(version).expect("a list"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_valid_until_its_time_is_over_or_its_user_writes() {
        let lists = RememberedLists::new(Duration::from_secs(300));
        let version = || lists.get("ada").map(|list| list.version());
        assert_eq!(version(), None);
        lists.insert("ada", list(1), lists.before_read("ada"));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(version(), Some(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(version(), None);
        lists.insert("ada", list(2), lists.before_read("ada"));
        let write = lists.write("ada");
        assert_eq!(version(), Some(2), "the write may not have been committed yet");
        drop(write);
        assert_eq!(version(), None);
    }

    #[tokio::test]
    async fn a_list_that_was_read_before_a_write_is_not_valid_after_it() {
        let lists = RememberedLists::new(Duration::from_secs(300));
        let before = lists.before_read("ada");
        drop(lists.write("ada"));
        lists.insert("ada", list(1), before);
        assert!(lists.get("ada").is_none());
        lists.insert("ada", list(2), lists.before_read("ada"));
        assert!(lists.get("ada").is_some());
    }
}
