//! Change notifications to callers.

use std::{collections::BTreeSet, sync::Arc};

use garage_domain::{RecordId, Vin};

/// What is out of date for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These records: their content, or whether lists include them. Never empty.
    Records(Vec<RecordRef>),
    /// Any number of records, because another program wrote or a backup was restored.
    Everything,
    /// The decode of this VIN, because vPIC responded.
    Decode(Vin),
}

/// A record by its collection and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordRef {
    /// The collection's name, such as `vehicles`.
    pub collection: &'static str,
    /// The record's id.
    pub id: RecordId,
}

/// The most records that one change lists. Above it, the listener gets [`Change::Everything`].
const MOST_NAMED: usize = 100;

/// Called once after each committed write, on the writer's task. It must return quickly.
#[derive(Clone)]
pub struct ChangeListener(Arc<dyn Fn(&Change) + Send + Sync>);

impl ChangeListener {
    /// A listener that calls `listen`.
    pub fn new(listen: impl Fn(&Change) + Send + Sync + 'static) -> ChangeListener {
        ChangeListener(Arc::new(listen))
    }

    /// A listener that does nothing.
    #[must_use]
    pub fn none() -> ChangeListener {
        ChangeListener::new(|_| ())
    }

    pub(crate) fn records_changed(&self, records: &BTreeSet<(&'static str, RecordId)>) {
        if records.len() > MOST_NAMED {
            return self.everything_changed();
        }
        let records = records.iter().map(|(collection, id)| RecordRef { collection, id: *id });
        (self.0)(&Change::Records(records.collect()));
    }

    pub(crate) fn everything_changed(&self) {
        (self.0)(&Change::Everything);
    }

    pub(crate) fn decode_refined(&self, vin: &Vin) {
        (self.0)(&Change::Decode(vin.clone()));
    }
}
