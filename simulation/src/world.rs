//! Everything that takes part in a history, and what has happened so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use garage_core::{
    Vehicle, VehicleId, VehicleQuery,
    domain::{FieldValue, RecordId, conflict::REMOVAL},
    sync::{Exchange, OpenConflict},
};
use garage_protocol::sync::SyncResponse;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    device::Device,
    entries::Edits,
    oracle::{Field, Oracle, Shown},
    server::Server,
    template::Template,
};

/// The fields of vehicles that persons set.
const FIELDS: [&str; 5] = ["nickname", "color", "notes", "vin", "licensePlate"];

/// What a history is made of.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether to record what happens.
    pub is_logged: bool,
    /// Whether faults happen to the files of the server. Otherwise it restarts, so that the history is the same on every
    /// database.
    pub has_server_files: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { is_logged: false, has_server_files: true }
    }
}

/// In place of a device that was lost.
pub const NOBODY: usize = usize::MAX;

/// A request on its way, or a response.
pub struct Message {
    pub device: usize,
    pub exchange: Exchange,
    pub response: Option<SyncResponse>,
}

impl Message {
    /// The request once more.
    pub fn repeated(&self) -> Option<Message> {
        let is_request = self.response.is_none();
        is_request.then(|| Message { device: self.device, exchange: self.exchange.clone(), response: None })
    }
}

pub struct World<'t> {
    pub template: &'t Template,
    pub random: ChaCha8Rng,
    pub server: Server,
    pub devices: Vec<Device>,
    pub oracle: Oracle,
    pub requests: Vec<Message>,
    pub responses: Vec<Message>,
    /// Requests and responses that nobody waits for any more. They may still arrive.
    pub late: Vec<Message>,
    pub log: String,
    pub settings: Settings,
    pub trace: u64,
    pub exchanges: usize,
    /// How many operations were sent.
    pub sent: usize,
    pub next_value: usize,
    /// The operations of all requests so far.
    pub made: BTreeSet<Uuid>,
    pub edits_of_entries: Edits,
    pub fault: f64,
    /// The share of requests that arrive once more, later.
    pub repeated: f64,
    /// How many VINs there are.
    pub vins: usize,
    /// The server was restored: a value may be taken for one that nobody has seen.
    pub has_restored: bool,
    /// A garage was restored from a backup.
    pub has_restored_device: bool,
}

impl World<'_> {
    /// All vehicles as a device shows them.
    pub async fn snapshot(&self, device: usize) -> anyhow::Result<BTreeMap<RecordId, Shown>> {
        let garage = self.devices[device].garage();
        let conflicts = garage.conflicts().await?;
        let live = garage.all_vehicles(VehicleQuery::default()).await?;
        let removed = garage.all_vehicles(VehicleQuery { is_removed: true, ..VehicleQuery::default() }).await?;
        Ok(live.iter().chain(&removed).map(|vehicle| (vehicle.id, shown(vehicle, &conflicts))).collect())
    }

    pub fn note(&mut self, device: usize, what: std::fmt::Arguments<'_>) {
        let name = self.devices.get(device).map_or('S', |device| device.name);
        let line = format!("{name} {what}\n");
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.settings.is_logged {
            self.log.push_str(&line);
        }
    }

    /// What is only for a person to read: it contains what the server has chosen at random.
    pub fn explain(&mut self, what: impl FnOnce() -> String) {
        if self.settings.is_logged {
            let _ = writeln!(self.log, "    {}", what());
        }
    }

    pub fn value(&mut self) -> String {
        if self.random.random_bool(0.2) {
            return format!("v{}", self.random.random_range(1..4));
        }
        self.next_value += 1;
        format!("w{}", self.next_value)
    }
}

pub fn text_of(value: Option<&FieldValue>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_json().text().to_owned())
}

/// A vehicle as a device shows it.
pub fn shown(vehicle: &Vehicle, conflicts: &[OpenConflict]) -> Shown {
    let json = serde_json::to_value(vehicle).unwrap_or_default();
    let mut shown = Shown::new();
    for name in FIELDS {
        let value = json.get(name).map_or_else(|| "null".to_owned(), Value::to_string);
        shown.insert(name.to_owned(), Field { value, ..Field::default() });
    }
    let is_removed = json.get("deletedAt").is_some_and(|at| !at.is_null());
    shown.insert(REMOVAL.to_owned(), Field { value: is_removed.to_string(), ..Field::default() });
    let id: VehicleId = vehicle.id;
    for conflict in conflicts.iter().filter(|it| it.record_id == id) {
        let field = shown.entry(conflict.field.clone()).or_default();
        field.alternatives.extend(conflict.alternatives.iter().map(|it| text_of(it.value.as_ref())));
    }
    shown
}
