//! What a server takes of a garage.

use std::collections::{BTreeMap, BTreeSet};

use garage_domain::COLLECTIONS;
use serde::{Deserialize, Serialize};

/// What a server takes of a garage. Everything else stays on this device until a server takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Every record with all its fields: the server has the capability `sync.v1`.
    #[default]
    Everything,
    /// These fields of these collections, by their names: the server has a route for each of these records (plain REST).
    /// No conflicts, no origins and no fields of other versions.
    Fields(BTreeMap<String, BTreeSet<String>>),
}

impl Scope {
    /// The scope of a server with these capabilities. Collections with routes of their own are capabilities.
    #[must_use]
    pub fn of_capabilities(capabilities: &[String]) -> Scope {
        let has = |name: &str| capabilities.iter().any(|capability| capability == name);
        if has("sync.v1") {
            return Scope::Everything;
        }
        let taken = COLLECTIONS.into_iter().filter(|collection| has(collection.name));
        let names = |fields: &[&garage_domain::Field]| fields.iter().map(|field| field.name.to_owned()).collect();
        Scope::Fields(taken.map(|collection| (collection.name.to_owned(), names(collection.fields))).collect())
    }

    /// Whether the server takes everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Scope::Everything
    }

    /// Whether the server takes no records.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Scope::Fields(collections) if collections.is_empty())
    }

    /// The collections that the server takes, or `None` if it takes everything.
    #[must_use]
    pub fn collections(&self) -> Option<Vec<String>> {
        match self {
            Scope::Everything => None,
            Scope::Fields(collections) => Some(collections.keys().cloned().collect()),
        }
    }

    /// Whether the server takes records of a collection.
    #[must_use]
    pub fn has_collection(&self, collection: &str) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Fields(collections) => collections.contains_key(collection),
        }
    }

    /// Whether the server takes a field of a collection.
    #[must_use]
    pub fn has_field(&self, collection: &str, field: &str) -> bool {
        match self {
            Scope::Everything => true,
            Scope::Fields(collections) => collections.get(collection).is_some_and(|fields| fields.contains(field)),
        }
    }

    /// The most operations of a request.
    pub(crate) fn most_operations(&self) -> usize {
        // Each operation is a request of its own in plain REST, and all are sent again if one fails.
        if self.is_everything() { usize::MAX } else { 20 }
    }
}
