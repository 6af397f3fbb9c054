//! Telling callers what a write changed.

use std::sync::Arc;

use garage_domain::VehicleId;

/// What a committed write changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The vehicles whose content, or presence in lists, is another now; empty where it may be any.
    pub vehicles: Vec<VehicleId>,
}

/// Called after each committed write, on the writer's task: it must be quick.
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

    pub(crate) fn vehicle_changed(&self, id: VehicleId) {
        (self.0)(&Change { vehicles: vec![id] });
    }

    pub(crate) fn many_changed(&self) {
        (self.0)(&Change { vehicles: Vec::new() });
    }
}
