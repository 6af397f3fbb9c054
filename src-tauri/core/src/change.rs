//! Telling callers what changed.

use std::sync::Arc;

use garage_domain::{VehicleId, Vin};

/// What is another now than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One vehicle's content, or its presence in lists.
    Vehicle(VehicleId),
    /// Any number of vehicles.
    ManyVehicles,
    /// What a VIN decodes to: vPIC has answered.
    Decode(Vin),
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
        (self.0)(&Change::Vehicle(id));
    }

    pub(crate) fn many_changed(&self) {
        (self.0)(&Change::ManyVehicles);
    }

    pub(crate) fn decode_refined(&self, vin: &Vin) {
        (self.0)(&Change::Decode(vin.clone()));
    }
}
