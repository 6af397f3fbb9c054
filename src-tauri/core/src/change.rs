//! Telling callers what changed.

use std::{collections::BTreeSet, sync::Arc};

use garage_domain::{RecordId, Vin};

/// What a caller may have to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The content of these records, or their presence in lists. Never empty.
    Records(Vec<RecordRef>),
    /// Any number of records: another program has written, or a backup was restored.
    Everything,
    /// What a VIN decodes to: vPIC has answered.
    Decode(Vin),
}

/// A record by its collection and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordRef {
    /// The collection's name, such as `vehicles`.
    pub collection: &'static str,
    /// The record.
    pub id: RecordId,
}

/// Records that are named one by one; of more, callers read everything again.
const MOST_NAMED: usize = 100;

/// Called once after each committed write, on the writer's task: it must be quick.
#[derive(Clone)]
pub struct ChangeListener(Arc<dyn Fn(&Change) + Send + Sync>);

impl ChangeListener {
    /// A listener that calls `listen`.
    pub fn new(listen: impl Fn(&Change) + Send + Sync + 'static) -> ChangeListener {
        ChangeListener(Arc::new(listen))
    }

    /// For callers that only ever do one thing.
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
