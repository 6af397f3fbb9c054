//! Lists as they are sent. Most requests ask for a list that has not changed since the last request, and to read, encode
//! and compress it takes longer than the rest of the request.
//!
//! - `encoded`: encoding a list while it is read, and the response for a client's `Accept-Encoding`
//! - `decompressed`: the body of a large list for a client that does not accept zstd
//!
//! A cached list is valid while the user's feed is at its version. A version never stands for two states, so the cache
//! needs no other invalidation. With `--list-cache` a list is also valid for some time without a look at the feed
//! (`remembered`).

mod decompressed;
mod encoded;
mod remembered;

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

pub use self::{
    encoded::{EncodedList, ListEncoder},
    remembered::RememberedLists,
};

/// The size of a cache.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// The expected size of a cached list: some 20 vehicles.
const USUAL_BYTES: u64 = 16 * 1024;

/// A value by user, limited by the memory of its list.
type CacheByUser<T> = Cache<String, T, ByBytes>;

/// The lists of the users that asked last.
pub struct EncodedLists(CacheByUser<Arc<EncodedList>>);

#[derive(Clone)]
struct ByBytes;

impl<T: AsRef<EncodedList>> Weighter<String, T> for ByBytes {
    fn weight(&self, user: &String, list: &T) -> u64 {
        (user.len() + list.as_ref().memory_bytes()) as u64
    }
}

fn new_cache<T: AsRef<EncodedList> + Clone>() -> CacheByUser<T> {
    let lists = usize::try_from(CACHE_BYTES / USUAL_BYTES).unwrap_or(usize::MAX);
    Cache::with_weighter(lists, CACHE_BYTES, ByBytes)
}

impl EncodedLists {
    pub fn new() -> EncodedLists {
        EncodedLists(new_cache())
    }

    /// Returns the user's list if it is cached at this version.
    pub fn get(&self, user: &str, version: i64) -> Option<Arc<EncodedList>> {
        self.0.get(user).filter(|list| list.version() == version)
    }

    pub fn insert(&self, user: &str, list: EncodedList) -> Arc<EncodedList> {
        let list = Arc::new(list);
        self.0.insert(user.to_owned(), list.clone());
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_valid_at_its_version_and_for_its_user_only() {
        let lists = EncodedLists::new();
        let empty = |version| ListEncoder::default().finish(version).expect("a list");
        lists.insert("ada", empty(7));
        assert!(lists.get("ada", 7).is_some_and(|list| list.version() == 7));
        assert!(lists.get("ada", 8).is_none() && lists.get("bob", 7).is_none());
        lists.insert("ada", empty(8));
        assert!(lists.get("ada", 7).is_none() && lists.get("ada", 8).is_some());
    }
}
