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

/// How long a write whose outcome nobody has seen may take to be committed: longer than a database lets a statement run.
const LONGEST_COMMIT: Duration = Duration::from_secs(60);
/// The number of counters of writes. Users share them by hash, so a write may end the validity of other users' lists.
const COUNTERS: usize = 1_024;

/// The lists that were read last, and the writes since.
pub struct RememberedLists {
    lifetime: Duration,
    lists: CacheByUser<Remembered>,
    started_at: Instant,
    writes: Vec<Writes>,
    hasher: RandomState,
}

#[derive(Default)]
struct Writes {
    /// How many have ended.
    ended: AtomicU64,
    /// Until when one may be committed, in milliseconds after the start. Lists that were read before are not valid.
    uncertain_until: AtomicU64,
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

/// A write that is under way. Dropping it without [`Write::ended`], because its client has hung up, its time is over or it
/// has failed, leaves open whether it is committed: no list of its user is valid for a while.
pub struct Write<'a> {
    lists: &'a RememberedLists,
    writes: &'a Writes,
    has_ended: bool,
}

impl Write<'_> {
    /// The write is committed, or will never be.
    pub fn ended(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            let until = self.lists.milliseconds_at(Instant::now() + LONGEST_COMMIT);
            self.writes.uncertain_until.fetch_max(until, Ordering::AcqRel);
        }
        self.writes.ended.fetch_add(1, Ordering::AcqRel);
    }
}

impl RememberedLists {
    /// Lists are valid for this time after they were read.
    pub fn new(lifetime: Duration) -> RememberedLists {
        RememberedLists {
            lifetime,
            lists: new_cache(),
            started_at: Instant::now(),
            writes: (0..COUNTERS).map(|_| Writes::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Returns the user's list if it is still valid.
    pub fn get(&self, user: &str) -> Option<Arc<EncodedList>> {
        let remembered = self.lists.get(user)?;
        let is_valid = remembered.read_at.elapsed() < self.lifetime
            && remembered.writes == self.count(user)
            && self.milliseconds_at(remembered.read_at) >= self.writes(user).uncertain_until.load(Ordering::Acquire);
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

    /// To be called before a write of the user.
    pub fn write(&self, user: &str) -> Write<'_> {
        Write { lists: self, writes: self.writes(user), has_ended: false }
    }

    fn count(&self, user: &str) -> u64 {
        self.writes(user).ended.load(Ordering::Acquire)
    }

    fn milliseconds_at(&self, time: Instant) -> u64 {
        u64::try_from(time.duration_since(self.started_at).as_millis()).unwrap_or(u64::MAX)
    }

    fn writes(&self, user: &str) -> &Writes {
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
        write.ended();
        assert_eq!(version(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_list_is_valid_while_a_canceled_write_may_be_committed() {
        let lists = RememberedLists::new(Duration::from_secs(300));
        drop(lists.write("ada"));
        lists.insert("ada", list(1), lists.before_read("ada"));
        assert!(lists.get("ada").is_none());
        tokio::time::advance(LONGEST_COMMIT).await;
        assert!(lists.get("ada").is_none(), "it may have been read before the commit");
        lists.insert("ada", list(2), lists.before_read("ada"));
        assert!(lists.get("ada").is_some());
    }

    #[tokio::test]
    async fn a_list_that_was_read_before_a_write_is_not_valid_after_it() {
        let lists = RememberedLists::new(Duration::from_secs(300));
        let before = lists.before_read("ada");
        lists.write("ada").ended();
        lists.insert("ada", list(1), before);
        assert!(lists.get("ada").is_none());
        lists.insert("ada", list(2), lists.before_read("ada"));
        assert!(lists.get("ada").is_some());
    }
}
