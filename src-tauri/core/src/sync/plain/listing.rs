//! Reads what has changed on a server without `sync.v1`: its lists, compared with the bases.

use std::collections::{BTreeMap, HashSet};

use garage_domain::{COLLECTIONS, Collection, RecordId};
use garage_protocol::sync::Change;

use super::{
    record::{ListedRecord, removal},
    routes::{Answer, List, Routes},
};
use crate::{
    Session,
    store::sync::{Key, StoredBase},
    sync::{Exchange, RemoteError},
};

/// The entity tags of the lists that were applied, by collection. They are the cursor of these servers.
type Tags = BTreeMap<String, String>;

/// Reads the lists. Returns what has changed since the bases, and the cursor.
pub(super) async fn read(session: &Session, exchange: &Exchange) -> Result<(Vec<Change>, Option<String>), RemoteError> {
    let cursor = exchange.request().cursor.as_deref();
    let mut tags: Tags = cursor.and_then(|cursor| serde_json::from_str(cursor).ok()).unwrap_or_default();
    let mut changes = Vec::new();
    for collection in COLLECTIONS.into_iter().filter(|it| exchange.scope().has_collection(it.name)) {
        let routes = Routes { session, collection };
        let List::Records { records, tag } = routes.list(tags.get(collection.name)).await? else { continue };
        let listing = Listing { exchange, collection };
        let missing = listing.compare(&records, &mut changes)?;
        let is_whole = listing.find_removed(&routes, missing, &mut changes).await?;
        match tag.filter(|_| is_whole) {
            Some(tag) => drop(tags.insert(collection.name.to_owned(), tag)),
            None => drop(tags.remove(collection.name)),
        }
    }
    // A map of texts has always a JSON form.
    Ok((changes, serde_json::to_string(&tags).ok()))
}

/// A list that is compared with the bases.
struct Listing<'a> {
    exchange: &'a Exchange,
    collection: &'static Collection,
}

/// A record that is missing in a list, and its base.
type Missing<'a> = (RecordId, &'a StoredBase);

impl<'a> Listing<'a> {
    /// Collects what is new in the list. Returns the records that it lacks.
    ///
    /// # Errors
    /// [`RemoteError::MissingRecords`] if it lacks more than half of them, unless a person has confirmed that.
    fn compare(&self, records: &[ListedRecord], changes: &mut Vec<Change>) -> Result<Vec<Missing<'a>>, RemoteError> {
        for record in records {
            record.refuse_other_account(self.exchange)?;
            changes.extend(self.change(record));
        }
        let listed: HashSet<RecordId> = records.iter().map(|record| record.id).collect();
        let known = self.exchange.bases.iter().filter(|(key, base)| {
            key.collection == self.collection.name && base.deleted_at.is_none() && !base.is_row_gone
        });
        let known: Vec<Missing<'a>> = known.map(|(key, base)| (key.id, base)).collect();
        let all = known.len();
        let mut missing: Vec<Missing<'a>> = known.into_iter().filter(|(id, _)| !listed.contains(id)).collect();
        missing.sort_unstable_by_key(|(id, _)| *id);
        let count = u64::try_from(missing.len()).unwrap_or(u64::MAX);
        if missing.len() * 2 > all && count > self.exchange.accepted_removals {
            return Err(RemoteError::MissingRecords(count));
        }
        Ok(missing)
    }

    /// Asks for each record that is missing in the list. Returns whether the list was whole.
    async fn find_removed(
        &self,
        routes: &Routes<'_>,
        missing: Vec<Missing<'a>>,
        changes: &mut Vec<Change>,
    ) -> Result<bool, RemoteError> {
        let mut is_whole = true;
        for (id, base) in missing {
            match routes.get(id).await? {
                Answer::NotFound => {
                    let removed_at = self.exchange.begun_at;
                    changes.push(removal(self.collection.name, id, base.fields.clone(), Some(base), removed_at));
                }
                Answer::Record(record) if record.id == id => {
                    // Not removed: the list was of a moment before, or not whole.
                    is_whole = false;
                    record.refuse_other_account(self.exchange)?;
                    changes.extend(self.change(&record));
                }
                _ => return Err(RemoteError::Unreadable("a record has an answer of another route".to_owned())),
            }
        }
        Ok(is_whole)
    }

    /// The change of a record that is newer than its base. A removed record comes back only at a higher version.
    fn change(&self, record: &ListedRecord) -> Option<Change> {
        let base = self.exchange.bases.get(&Key::new(self.collection.name, record.id));
        let is_new = base.is_none_or(|base| base.is_forgotten || record.version > base.version);
        is_new.then(|| record.change(self.collection.name, base, None))
    }
}
