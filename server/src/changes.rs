//! Requests that wait for a change of their account's records.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// How many waits an account can have. Each device has one.
const MOST_WAITS_OF_ACCOUNT: usize = 32;

/// The accounts whose changes are waited for. Each wait has a connection, so their number is limited.
pub struct Changes {
    waits: Mutex<Waits>,
    most_waits: usize,
}

struct Waits {
    accounts: HashMap<String, watch::Sender<()>>,
    count: usize,
    has_ended: bool,
}

/// Why there is no wait.
#[derive(Debug, PartialEq, Eq)]
pub enum NoWait {
    /// The limit of waits is reached, of the server or of the account.
    Full,
    /// The server is stopping.
    Ended,
}

impl Changes {
    pub fn new(most_waits: usize) -> Arc<Changes> {
        let waits = Waits { accounts: HashMap::new(), count: 0, has_ended: false };
        Arc::new(Changes { waits: Mutex::new(waits), most_waits })
    }

    /// Wakes those that wait for a change of this account.
    pub fn wake(&self, account: &str) {
        if let Some(changed) = self.lock().accounts.get(account) {
            changed.send_replace(());
        }
    }

    /// Begins to wait. Every call of [`Changes::wake`] after this one is noticed.
    ///
    /// # Errors
    /// [`NoWait`].
    pub fn wait(self: &Arc<Changes>, account: &str) -> Result<Wait, NoWait> {
        let mut waits = self.lock();
        if waits.has_ended {
            return Err(NoWait::Ended);
        }
        let of_account = waits.accounts.get(account).map_or(0, watch::Sender::receiver_count);
        if waits.count >= self.most_waits || of_account >= MOST_WAITS_OF_ACCOUNT {
            return Err(NoWait::Full);
        }
        waits.count += 1;
        let sender = waits.accounts.entry(account.to_owned()).or_insert_with(|| watch::Sender::new(()));
        Ok(Wait { changed: Some(sender.subscribe()), changes: self.clone(), account: account.to_owned() })
    }

    /// Ends all waits, and refuses new ones.
    pub fn end(&self) {
        let mut waits = self.lock();
        waits.has_ended = true;
        waits.accounts.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for changes of an account; it ends when dropped.
pub struct Wait {
    /// `None` only while it is dropped.
    changed: Option<watch::Receiver<()>>,
    changes: Arc<Changes>,
    account: String,
}

impl Wait {
    /// Waits for a change by this process since the last call. Returns false if the server is stopping.
    pub async fn changed(&mut self) -> bool {
        match &mut self.changed {
            Some(changed) => changed.changed().await.is_ok(),
            None => false,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = self.changes.lock();
        waits.count -= 1;
        self.changed = None;
        if waits.accounts.get(&self.account).is_some_and(|sender| sender.receiver_count() == 0) {
            waits.accounts.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    async fn is_woken(wait: &mut Wait) -> Option<bool> {
        timeout(Duration::from_millis(1), wait.changed()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_wakes_everybody_who_waits_for_its_account_and_nobody_else() {
        let changes = Changes::new(10);
        let mut of_ada = [changes.wait("ada").expect("a wait"), changes.wait("ada").expect("a wait")];
        let mut of_bob = changes.wait("bob").expect("a wait");
        changes.wake("ada");
        changes.wake("ada");
        for wait in &mut of_ada {
            assert_eq!(is_woken(wait).await, Some(true), "also if it happens before somebody looks");
            assert_eq!(is_woken(wait).await, None, "once");
        }
        assert_eq!(is_woken(&mut of_bob).await, None);
        let mut late = changes.wait("ada").expect("a wait");
        assert_eq!(is_woken(&mut late).await, None, "not of what was before");
    }

    #[test]
    fn an_account_leaves_waits_to_others() {
        let changes = Changes::new(100);
        let waits: Vec<_> = (0..MOST_WAITS_OF_ACCOUNT).map(|_| changes.wait("ada").expect("a wait")).collect();
        assert_eq!(changes.wait("ada").err(), Some(NoWait::Full));
        changes.wait("bob").expect("a wait");
        drop(waits);
        assert!(changes.lock().accounts.is_empty(), "accounts without a wait are forgotten");
        changes.wait("ada").expect("a wait");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_limited_and_none_begins_after_the_end() {
        let changes = Changes::new(2);
        let first = changes.wait("ada").expect("a wait");
        let mut second = changes.wait("ada").expect("a wait");
        assert_eq!(changes.wait("bob").err(), Some(NoWait::Full));
        drop(first);
        let mut third = changes.wait("bob").expect("a wait");
        assert_eq!(changes.lock().accounts.len(), 2);
        changes.wake("ada");
        assert_eq!(is_woken(&mut second).await, Some(true), "another one that has ended changes nothing");
        changes.end();
        assert_eq!((is_woken(&mut second).await, is_woken(&mut third).await), (Some(false), Some(false)));
        drop((second, third));
        assert_eq!(changes.lock().count, 0);
        assert_eq!(changes.wait("ada").err(), Some(NoWait::Ended));
    }
}
