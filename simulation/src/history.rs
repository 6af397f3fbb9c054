//! A history: steps of devices, network and server, chosen by a seed; then quiet, until everybody has everything.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context, bail};
use axum::http::Method;
use garage_core::{
    ErrorCode, GarageError, ServiceEntryDraft, VEHICLES, Vehicle, VehicleDraft, VehicleId, VehicleQuery,
    domain::{FieldValue, RecordId, conflict::REMOVAL},
    sync::{Attention, Choice, Exchange, Limits, Next, OpenConflict, Refusal, SyncError},
};
use garage_faulty_disk::Fault;
use garage_protocol::sync::SyncResponse;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use uuid::Builder;

use crate::{
    check,
    device::Device,
    oracle::{Field, Oracle, REST, Shown},
    server::Server,
    template::Template,
};

const VINS: [&str; 3] = ["1HGCM82633A004352", "1M8GDM9AXKP042788", "5YJSA3DS0EFP37229"];
const TEXT_FIELDS: [&str; 3] = ["nickname", "color", "notes"];
/// How many exchanges a device has at most until it has everything, after the last fault.
const MOST_EXCHANGES: usize = 200;

/// How many passes each device needs at most until everybody has everything, after the last fault and edit.
const MOST_PASSES: usize = 3;

/// The share of steps in which a client of plain REST writes.
const REST_SHARE: f64 = 0.04;

/// What a history is made of.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether to record what happens.
    pub is_logged: bool,
}

/// A history that has ended well.
#[derive(Debug)]
pub struct History {
    /// What happened.
    pub log: String,
    /// A number of what happened, without what a server chooses at random: equal for equal seeds.
    pub trace: u64,
    /// How many requests were sent.
    pub exchanges: usize,
}

/// A history that shows a fault.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// What happened.
    pub log: String,
}

/// A request on its way, or a response.
struct Message {
    device: usize,
    exchange: Exchange,
    response: Option<SyncResponse>,
}

struct World<'t> {
    template: &'t Template,
    random: ChaCha8Rng,
    server: Server,
    devices: Vec<Device>,
    oracle: Oracle,
    requests: Vec<Message>,
    responses: Vec<Message>,
    /// Requests and responses that nobody waits for any more. They may still arrive.
    late: Vec<Message>,
    log: String,
    is_logged: bool,
    trace: u64,
    exchanges: usize,
    next_value: usize,
    fault: f64,
    /// The server was restored: a value may be taken for one that nobody has seen.
    has_restored: bool,
}

/// Runs the history of a seed in a folder of its own.
///
/// # Errors
/// [`Failure`] if something is wrong at the end, or on the way.
pub async fn run(template: &Template, seed: u64, settings: Settings) -> Result<History, Failure> {
    let mut log = String::new();
    match try_run(template, seed, settings, &mut log).await {
        Ok((trace, exchanges)) => Ok(History { log, trace, exchanges }),
        Err(error) => Err(Failure { seed, what: format!("{error:#}"), log }),
    }
}

async fn try_run(template: &Template, seed: u64, settings: Settings, log: &mut String) -> anyhow::Result<(u64, usize)> {
    let folder = tempfile::tempdir()?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = *[2, 2, 3, 4].choose(&mut random).unwrap_or(&2);
    // Salts of files and random numbers of the server.
    garage_faulty_disk::seed_randomness(seed);
    let server = template.server(&folder.path().join("server"), seed).await?;
    let mut devices = Vec::new();
    for (name, number) in ('A'..).zip(0..count) {
        devices.push(Device::new(template, folder.path(), name, seed.wrapping_mul(31).wrapping_add(number)).await?);
    }
    let fault = *[0.0, 0.1, 0.3].choose(&mut random).unwrap_or(&0.0);
    let mut world = World {
        template,
        random,
        server,
        devices,
        oracle: Oracle::default(),
        requests: Vec::new(),
        responses: Vec::new(),
        late: Vec::new(),
        log: String::new(),
        is_logged: settings.is_logged,
        trace: 0,
        exchanges: 0,
        next_value: 0,
        fault,
        has_restored: false,
    };
    let result = world.live().await;
    log.push_str(&world.log);
    let ended = (world.trace, world.exchanges);
    for mut device in world.devices {
        device.close().await;
    }
    world.server.close().await;
    result.map(|()| ended)
}

impl World<'_> {
    async fn live(&mut self) -> anyhow::Result<()> {
        let steps = *[12, 25, 45, 80].choose(&mut self.random).unwrap_or(&12);
        let sync_share = *[0.3, 0.5, 0.7].choose(&mut self.random).unwrap_or(&0.5);
        let quick_share = *[0.0, 0.15, 0.35].choose(&mut self.random).unwrap_or(&0.0);
        let most_records = *[1, 2, 4].choose(&mut self.random).unwrap_or(&2);
        for _ in 0..steps {
            // The last device only reads.
            let device = self.random.random_range(0..self.devices.len());
            let is_reader = device + 1 == self.devices.len();
            self.devices[device].tick();
            let is_edit = !is_reader && self.random.random_bool(1.0 - sync_share);
            if self.random.random_bool(self.fault * 0.2) {
                self.killed_during(device, is_edit, most_records, quick_share).await?;
            } else if self.random.random_bool(REST_SHARE) {
                self.rest(most_records).await?;
            } else if is_edit {
                self.edit(device, most_records).await?;
            } else {
                self.sync(device, quick_share).await?;
            }
            self.devices[device].garage().daily_backup_settled().await;
        }
        while let Some(message) = self.late.pop() {
            self.deliver_late(message).await?;
        }
        self.requests.clear();
        self.responses.clear();
        self.settle().await?;
        self.check().await
    }

    /// A step in which the device or the server is killed, loses its power, or cannot write.
    async fn killed_during(
        &mut self,
        device: usize,
        is_edit: bool,
        most_records: usize,
        quick_share: f64,
    ) -> anyhow::Result<()> {
        let changes = self.random.random_range(0..12);
        let (is_power_lost, is_of_server) = (self.random.random_bool(0.5), self.random.random_bool(0.3));
        let disk = if is_of_server { &self.server.disk } else { &self.devices[device].disk };
        match self.random.random_range(0..6) {
            0 => disk.fail_write_after(changes, Fault::Full { written: 0 }),
            1 => disk.fail_write_after(changes, Fault::Device { written: 7 }),
            2 => disk.fail_sync_after(changes),
            _ => disk.kill_after(changes),
        }
        let before = self.snapshot(device).await.ok();
        let writes = self.oracle.len();
        let result = match is_edit {
            true => self.edit(device, most_records).await,
            false => self.sync(device, quick_share).await,
        };
        if let Err(error) = &result {
            let error = format!("{error:#}");
            self.explain(|| error);
        }
        // Whatever has happened, from here on nothing fails.
        self.requests.retain(|message| message.device != device);
        self.responses.retain(|message| message.device != device);
        self.server.revive(self.template, is_power_lost && is_of_server).await.context("the server after a fault")?;
        self.devices[device].revive(is_power_lost && !is_of_server).await.context("the device after a fault")?;
        let how = if is_power_lost { "loses its power" } else { "is killed" };
        self.note(
            if is_of_server { self.devices.len() } else { device },
            format_args!("{how} after {changes} changes"),
        );
        // An edit that was not acknowledged may have been made.
        let after = self.snapshot(device).await?;
        if is_edit && result.is_err() && self.oracle.len() == writes {
            self.observe(device, &before.unwrap_or_default(), &after);
        }
        Ok(())
    }

    /// All vehicles as a device shows them.
    async fn snapshot(&self, device: usize) -> anyhow::Result<BTreeMap<RecordId, Shown>> {
        let garage = self.devices[device].garage();
        let conflicts = garage.conflicts().await?;
        let live = garage.all_vehicles(VehicleQuery::default()).await?;
        let removed = garage.all_vehicles(VehicleQuery { is_removed: true, ..VehicleQuery::default() }).await?;
        Ok(live.iter().chain(&removed).map(|vehicle| (vehicle.id, shown(vehicle, &conflicts))).collect())
    }

    /// Tells the oracle of what differs between two moments of a device.
    fn observe(&mut self, device: usize, before: &BTreeMap<RecordId, Shown>, after: &BTreeMap<RecordId, Shown>) {
        let name = self.devices[device].name;
        for (id, now) in after {
            let was = before.get(id);
            for (field, it) in now {
                let old = was.and_then(|was| was.get(field));
                let is_new = was.is_none() && it.value != "null" && field != REMOVAL;
                if is_new || old.is_some_and(|old| old != it) {
                    self.oracle.write(name, *id, field, &it.value, was);
                    self.note(device, format_args!("had set {id}.{field} to {}", it.value));
                }
            }
        }
    }

    fn note(&mut self, device: usize, what: std::fmt::Arguments<'_>) {
        let name = self.devices.get(device).map_or('S', |device| device.name);
        let line = format!("{name} {what}\n");
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.is_logged {
            self.log.push_str(&line);
        }
    }

    /// What is only for a person to read: it contains what the server has chosen at random.
    fn explain(&mut self, what: impl FnOnce() -> String) {
        if self.is_logged {
            let _ = writeln!(self.log, "    {}", what());
        }
    }

    fn value(&mut self) -> String {
        if self.random.random_bool(0.2) {
            return format!("v{}", self.random.random_range(1..4));
        }
        self.next_value += 1;
        format!("w{}", self.next_value)
    }

    // Edits.

    async fn edit(&mut self, device: usize, most_records: usize) -> anyhow::Result<()> {
        let garage = self.devices[device].garage().clone();
        let live = garage.all_vehicles(VehicleQuery::default()).await?;
        let removed = garage.all_vehicles(VehicleQuery { is_removed: true, ..VehicleQuery::default() }).await?;
        let conflicts = garage.conflicts().await?;
        let chance: f64 = self.random.random();
        if chance < 0.15 && live.len() + removed.len() < most_records {
            return self.add(device).await;
        }
        if chance < 0.60 {
            let Some(vehicle) = live.choose(&mut self.random).cloned() else { return Ok(()) };
            return self.change(device, &vehicle, &conflicts).await;
        }
        if chance < 0.70 {
            let Some(vehicle) = live.choose(&mut self.random).cloned() else { return Ok(()) };
            let shown = shown(&vehicle, &conflicts);
            if self.allowed(device, garage.remove_vehicle(vehicle.id).await, "remove")? {
                let name = self.devices[device].name;
                self.oracle.write(name, vehicle.id, REMOVAL, "true", Some(&shown));
                self.note(device, format_args!("removes {}", vehicle.id));
            }
            return Ok(());
        }
        if chance < 0.78 {
            let Some(vehicle) = removed.choose(&mut self.random).cloned() else { return Ok(()) };
            let shown = shown(&vehicle, &conflicts);
            if self.allowed(device, garage.restore_vehicle(vehicle.id).await, "restore")? {
                let name = self.devices[device].name;
                self.oracle.write(name, vehicle.id, REMOVAL, "false", Some(&shown));
                self.note(device, format_args!("restores {}", vehicle.id));
            }
            return Ok(());
        }
        if chance < 0.90 {
            let Some(conflict) = conflicts.choose(&mut self.random).cloned() else { return Ok(()) };
            return self.choose(device, &conflict).await;
        }
        if chance < 0.92 {
            return self.swap(device, &live, &conflicts).await;
        }
        if chance < 0.94 {
            return self.undo(device, &live, &conflicts).await;
        }
        if chance < 0.98 {
            return self.service(device, &live).await;
        }
        self.discard(device, 1).await.map(drop)
    }

    /// Whether an edit was made. Some are refused, as they would be in a window.
    fn allowed<T>(&mut self, device: usize, result: Result<T, GarageError>, what: &str) -> anyhow::Result<bool> {
        match result {
            Ok(_) => Ok(true),
            Err(error)
                if [ErrorCode::Invalid, ErrorCode::DuplicateVin, ErrorCode::ChangedSince, ErrorCode::NotFound]
                    .contains(&error.code()) =>
            {
                self.note(device, format_args!("cannot {what}: {error}"));
                Ok(false)
            }
            Err(error) => Err(error).context(what.to_owned()),
        }
    }

    async fn add(&mut self, device: usize) -> anyhow::Result<()> {
        let mut fields = json!({ "nickname": self.value(), "licensePlate": "P" });
        if self.random.random_bool(0.7) {
            fields["vin"] = (*VINS.choose(&mut self.random).unwrap_or(&VINS[0])).into();
        }
        if self.random.random_bool(0.5) {
            fields["color"] = self.value().into();
        }
        let draft: VehicleDraft = serde_json::from_value(fields.clone())?;
        let added = self.devices[device].garage().add_vehicle(&draft).await;
        let id = added.as_ref().map(|vehicle| vehicle.id).ok();
        if let (true, Some(id)) = (self.allowed(device, added, "add")?, id) {
            let name = self.devices[device].name;
            for (field, value) in fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "licensePlate") {
                self.oracle.write(name, id, field, &value.to_string(), None);
            }
            self.note(device, format_args!("adds {id} {fields}"));
        }
        Ok(())
    }

    async fn change(&mut self, device: usize, vehicle: &Vehicle, conflicts: &[OpenConflict]) -> anyhow::Result<()> {
        let field = *["nickname", "color", "color", "notes", "vin"].choose(&mut self.random).unwrap_or(&"color");
        let value: Value = match field {
            "vin" if self.random.random_bool(0.25) => Value::Null,
            "vin" => (*VINS.choose(&mut self.random).unwrap_or(&VINS[0])).into(),
            _ if self.random.random_bool(0.1) => Value::Null,
            _ => self.value().into(),
        };
        let shown = shown(vehicle, conflicts);
        let before = shown.get(field).cloned().unwrap_or_default();
        let draft: VehicleDraft = serde_json::from_value(json!({ field: value }))?;
        let edited = self.devices[device].garage().edit_vehicle(vehicle.id, &draft).await;
        let text = value.to_string();
        if self.allowed(device, edited, "edit")? && before.value != text {
            let name = self.devices[device].name;
            self.oracle.write(name, vehicle.id, field, &value.to_string(), Some(&shown));
            self.note(device, format_args!("edits {}.{field} from {} to {value}", vehicle.id, before.value));
        }
        Ok(())
    }

    /// Exchanges the VINs of two vehicles.
    async fn swap(&mut self, device: usize, live: &[Vehicle], conflicts: &[OpenConflict]) -> anyhow::Result<()> {
        let with_vin: Vec<&Vehicle> = live.iter().filter(|vehicle| vehicle.fields.vin.is_some()).collect();
        let [one, other, ..] = with_vin[..] else { return Ok(()) };
        let vin = |vehicle: &Vehicle| serde_json::to_value(&vehicle.fields.vin).unwrap_or_default();
        for (vehicle, value) in [(one, Value::Null), (other, vin(one)), (one, vin(other))] {
            let garage = self.devices[device].garage().clone();
            let now = garage.vehicle(vehicle.id).await?;
            let shown = shown(&now, conflicts);
            let draft: VehicleDraft = serde_json::from_value(json!({ "vin": value }))?;
            let edited = garage.edit_vehicle(vehicle.id, &draft).await;
            if self.allowed(device, edited, "swap")? {
                let name = self.devices[device].name;
                self.oracle.write(name, vehicle.id, "vin", &value.to_string(), Some(&shown));
                self.note(device, format_args!("edits {}.vin to {value}", vehicle.id));
            }
        }
        Ok(())
    }

    async fn choose(&mut self, device: usize, conflict: &OpenConflict) -> anyhow::Result<()> {
        if conflict.collection != VEHICLES.name {
            return Ok(());
        }
        let garage = self.devices[device].garage().clone();
        let vehicle = garage.vehicle_or_removed(conflict.record_id).await?;
        let shown = shown(&vehicle, std::slice::from_ref(conflict));
        let all = garage.conflicts().await?;
        let all = crate::history::shown(&vehicle, &all);
        let other = conflict.alternatives.choose(&mut self.random);
        let (choice, value) = match other.filter(|_| self.random.random_bool(0.5)) {
            Some(other) => (Choice::Other(other.id), other.value.clone()),
            None => (Choice::Kept, conflict.value.clone()),
        };
        let resolved = garage.resolve(&VEHICLES, conflict.record_id, &conflict.field, choice).await;
        if self.allowed(device, resolved, "choose")? {
            let value = text_of(value.as_ref());
            let name = self.devices[device].name;
            let shown = if conflict.field == REMOVAL { all } else { shown };
            self.oracle.write(name, conflict.record_id, &conflict.field, &value, Some(&shown));
            self.note(device, format_args!("chooses {} for {}.{}", value, conflict.record_id, conflict.field));
        }
        Ok(())
    }

    async fn undo(&mut self, device: usize, live: &[Vehicle], conflicts: &[OpenConflict]) -> anyhow::Result<()> {
        let Some(vehicle) = live.choose(&mut self.random).cloned() else { return Ok(()) };
        let garage = self.devices[device].garage().clone();
        let history = garage.history(vehicle.id).await?;
        let Some(change) = history.choose(&mut self.random).filter(|change| change.kind.name() == "edited") else {
            return Ok(());
        };
        let before = shown(&vehicle, conflicts);
        let undone = garage.undo(change.id).await;
        if self.allowed(device, undone, "undo")? {
            let vehicle = garage.vehicle_or_removed(vehicle.id).await?;
            let after = shown(&vehicle, &garage.conflicts().await?);
            let name = self.devices[device].name;
            for (field, now) in &after {
                let was = before.get(field).map(|it| it.value.clone());
                if was.as_deref() != Some(&now.value) {
                    self.oracle.write(name, vehicle.id, field, &now.value, Some(&before));
                }
                // What was chosen against is offered again.
                for value in &now.alternatives {
                    self.oracle.write(name, vehicle.id, field, value, None);
                }
            }
            self.note(device, format_args!("undoes a change of {}", vehicle.id));
        }
        Ok(())
    }

    async fn service(&mut self, device: usize, live: &[Vehicle]) -> anyhow::Result<()> {
        let garage = self.devices[device].garage().clone();
        let Some(vehicle) = live.choose(&mut self.random).cloned() else { return Ok(()) };
        let fields = json!({
            "vehicleId": vehicle.id, "date": "2026-03-14", "kind": "service", "description": self.value(),
        });
        let draft: ServiceEntryDraft = serde_json::from_value(fields)?;
        let added = garage.add_service_entry(&draft).await;
        if self.allowed(device, added, "add an entry")? {
            self.note(device, format_args!("adds a service entry of {}", vehicle.id));
        }
        Ok(())
    }

    /// Discards refused values, at most so many records. Returns whether there were any.
    async fn discard(&mut self, device: usize, most: usize) -> anyhow::Result<bool> {
        let garage = self.devices[device].garage().clone();
        let refusals = garage.refusals().await?;
        let mut records: Vec<_> = refusals.iter().map(|it| (it.collection.clone(), it.record_id)).collect();
        records.dedup();
        for (collection, id) in records.iter().take(most) {
            let shown = match collection == VEHICLES.name {
                true => shown(&garage.vehicle_or_removed(*id).await?, &garage.conflicts().await?),
                false => Shown::new(),
            };
            if most == usize::MAX {
                self.check_the_rest_was_sent(device, collection, *id, &shown, &refusals).await?;
            }
            for refusal in refusals.iter().filter(|it| it.record_id == *id) {
                let value = text_of(refusal.value.as_ref());
                match &refusal.field {
                    Some(field) => {
                        self.oracle.discard(*id, field, &value);
                        if field == REMOVAL && value == "false" {
                            // Not to restore it is to remove it.
                            let name = self.devices[device].name;
                            self.oracle.write(name, *id, REMOVAL, "true", Some(&shown));
                        }
                    }
                    None => bail!("{id} is refused as a whole: {}", refusal.reason),
                }
            }
            garage.discard_refused(collection, *id).await?;
            self.note(device, format_args!("discards what is refused of {id}"));
        }
        Ok(!records.is_empty())
    }

    /// A client of plain REST adds a vehicle, or changes one that it has just read.
    async fn rest(&mut self, most_records: usize) -> anyhow::Result<()> {
        let server = self.devices.len();
        let (_, body) = self.server.send(Method::GET, "/api/vehicles", &Value::Null).await?;
        let vehicles: Vec<Value> = serde_json::from_slice(&body)?;
        let value = self.value();
        let Some(vehicle) = vehicles.choose(&mut self.random).filter(|_| self.random.random_bool(0.7)) else {
            if vehicles.len() >= most_records {
                return Ok(());
            }
            let id = Builder::from_random_bytes(self.random.random()).into_uuid();
            let draft = json!({ "id": id, "nickname": value, "licensePlate": "R" });
            let (status, body) = self.server.send(Method::POST, "/api/vehicles", &draft).await?;
            if status != 201 {
                bail!("{status} {}", String::from_utf8_lossy(&body));
            }
            self.oracle.write(REST, RecordId(id), "nickname", &Value::from(value).to_string(), None);
            self.note(server, format_args!("has a new vehicle of a REST client: {id}"));
            return Ok(());
        };
        let id: RecordId = vehicle["id"].as_str().unwrap_or_default().parse()?;
        let field = *["nickname", "color", "notes"].choose(&mut self.random).unwrap_or(&"color");
        let before = vehicle.get(field).map_or_else(|| "null".to_owned(), Value::to_string);
        let shown = Shown::from([(field.to_owned(), Field { value: before, ..Field::default() })]);
        let (path, value) = (format!("/api/vehicles/{id}"), Value::from(value));
        let (status, body) = self.server.send(Method::PUT, &path, &json!({ field: value })).await?;
        if status != 200 {
            bail!("{status} {}", String::from_utf8_lossy(&body));
        }
        self.oracle.write(REST, id, field, &value.to_string(), Some(&shown));
        self.note(server, format_args!("has a change of a REST client: {id}.{field} to {value}"));
        Ok(())
    }

    /// What the server has refused holds back nothing else of its record.
    async fn check_the_rest_was_sent(
        &self,
        device: usize,
        collection: &str,
        id: RecordId,
        shown: &Shown,
        refusals: &[Refusal],
    ) -> anyhow::Result<()> {
        let bases = self.devices[device].garage().bases().await?;
        let Some((_, Some(fields), _)) = bases.get(&(collection.to_owned(), id)) else { return Ok(()) };
        let of_record = || refusals.iter().filter(|it| it.record_id == id);
        for (name, field) in shown.iter().filter(|(name, _)| *name != REMOVAL) {
            let on_server = fields.get(name).map_or("null", |json| json.text());
            if on_server != field.value && !of_record().any(|it| it.field.as_ref() == Some(name)) {
                bail!("{id}.{name} was not refused, and is not on the server: {} and {on_server}", field.value);
            }
        }
        Ok(())
    }

    // Sync.

    async fn sync(&mut self, device: usize, quick_share: f64) -> anyhow::Result<()> {
        let is_waiting = self.requests.iter().chain(&self.responses).any(|message| message.device == device);
        if !is_waiting && self.random.random_bool(quick_share) {
            for _ in 0..*[1, 3].choose(&mut self.random).unwrap_or(&1) {
                if self.exchange(device).await? {
                    break;
                }
            }
            return Ok(());
        }
        let chance: f64 = self.random.random();
        let fault = self.fault;
        if chance < 0.1 && fault > 0.0 {
            // The connection breaks. What was sent may still arrive.
            let (gone, kept): (Vec<_>, Vec<_>) = self.requests.drain(..).partition(|message| message.device == device);
            self.requests = kept;
            self.late.extend(gone);
            let (gone, kept): (Vec<_>, Vec<_>) = self.responses.drain(..).partition(|message| message.device == device);
            self.responses = kept;
            self.late.extend(gone);
            self.note(device, format_args!("loses its connection"));
            if self.random.random_bool(0.3) {
                self.devices[device].restart().await?;
                self.note(device, format_args!("restarts"));
            }
            if self.random.random_bool(0.3) {
                let by = self.random.random_range(-31_536_000..31_536_000);
                self.devices[device].set_clock(by);
                self.note(device, format_args!("sets its clock by {by} s"));
            }
        } else if chance < 0.15 && fault > 0.0 && !self.late.is_empty() {
            let index = self.random.random_range(0..self.late.len());
            let message = self.late.swap_remove(index);
            self.deliver_late(message).await?;
        } else if chance < 0.18 && fault > 0.0 {
            self.disturb_server().await?;
        } else if chance < 0.5 && !is_waiting {
            let exchange = self.begin(device).await?;
            self.requests.push(Message { device, exchange, response: None });
        } else if chance < 0.75 {
            let Some(index) = self.requests.iter().position(|message| message.device == device) else { return Ok(()) };
            let message = self.requests.remove(index);
            if self.random.random_bool(fault * 0.5) {
                self.note(device, format_args!("its request is lost"));
                if self.random.random_bool(0.5) {
                    self.late.push(message);
                }
                return Ok(());
            }
            if self.random.random_bool(fault * 0.3) {
                self.late.push(Message { device, exchange: message.exchange.clone(), response: None });
            }
            let response = self.deliver(&message).await?;
            if self.random.random_bool(fault * 0.6) {
                self.note(device, format_args!("its response is lost"));
                return Ok(());
            }
            self.responses.push(Message { response: Some(response), ..message });
        } else {
            let Some(index) = self.responses.iter().position(|message| message.device == device) else {
                return Ok(());
            };
            let message = self.responses.remove(index);
            self.receive(message).await?;
        }
        Ok(())
    }

    async fn disturb_server(&mut self) -> anyhow::Result<()> {
        let server = self.devices.len();
        if !self.server.has_backup() || self.random.random_bool(0.3) {
            self.server.back_up(self.template).await?;
            self.note(server, format_args!("is backed up"));
        } else if self.random.random_bool(0.5) {
            self.has_restored = true;
            self.note(server, format_args!("is restored"));
            self.server.restore(self.template).await?;
        } else {
            self.server.restart(self.template).await?;
            self.note(server, format_args!("restarts"));
        }
        Ok(())
    }

    /// The server performs a request.
    async fn deliver(&mut self, message: &Message) -> anyhow::Result<SyncResponse> {
        self.exchanges += 1;
        let request = serde_json::to_value(message.exchange.request())?;
        let (status, body) = self.server.send(Method::POST, "/api/sync", &request).await?;
        if status != 200 {
            bail!("{status} {} to {request}", String::from_utf8_lossy(&body));
        }
        let response: SyncResponse = serde_json::from_slice(&body)?;
        let statuses: Vec<String> = response.results.iter().map(|it| format!("{:?}", it.status)).collect();
        let changes = response.changes.len();
        let (reset, late, copied) = (response.reset, response.late, response.copied);
        self.note(
            message.device,
            format_args!("is answered {statuses:?}, {changes} changes, reset {reset} late {late} copied {copied}"),
        );
        self.explain(|| String::from_utf8_lossy(&body).into_owned());
        Ok(response)
    }

    async fn deliver_late(&mut self, message: Message) -> anyhow::Result<()> {
        self.note(message.device, format_args!("a late message of it arrives"));
        match message.response {
            None => self.deliver(&message).await.map(drop),
            Some(_) => self.receive(message).await.map(drop),
        }
    }

    /// A device applies a response. Returns whether it has everything.
    async fn receive(&mut self, message: Message) -> anyhow::Result<bool> {
        let Message { device, exchange, response: Some(response) } = message else { return Ok(false) };
        match self.devices[device].garage().finish_exchange(exchange, response).await {
            Ok(next) => {
                self.note(device, format_args!("applies it: {next:?}"));
                Ok(matches!(next, Next::Done { .. }))
            }
            Err(SyncError::Overtaken) => {
                self.note(device, format_args!("ignores it"));
                Ok(false)
            }
            Err(SyncError::Attention(Attention::OtherDatabase { .. })) => {
                self.devices[device].garage().accept_other_database().await?;
                self.note(device, format_args!("goes on with another database"));
                Ok(false)
            }
            Err(error) => Err(error).context("finish"),
        }
    }

    /// A device makes a request.
    async fn begin(&mut self, device: usize) -> anyhow::Result<Exchange> {
        let garage = self.devices[device].garage().clone();
        let exchange = garage.begin_exchange(Limits { operations: 3, records: 2 }).await.context("begin")?;
        let operations = &exchange.request().operations;
        let count = operations.len();
        self.note(device, format_args!("sends a request with {count} operations"));
        self.explain(|| describe(&exchange));
        let vins = operations.iter().filter_map(|it| Some((it.record_id, it.fields.get("vin")?.text().to_owned())));
        let vins: Vec<(RecordId, String)> = vins.filter(|(_, vin)| vin != "null").collect();
        if !vins.is_empty() {
            let (bases, shown) = (garage.bases().await?, self.snapshot(device).await?);
            for ((_, id), (_, fields, is_removed)) in bases.iter().filter(|((name, _), _)| name == VEHICLES.name) {
                let Some(vin) = fields.as_ref().and_then(|fields| fields.get("vin")).filter(|_| !is_removed) else {
                    continue;
                };
                let has_it_here = shown
                    .get(id)
                    .is_some_and(|shown| shown["vin"].value == vin.text() && shown[REMOVAL].value == "false");
                if let Some((other, _)) = vins.iter().find(|(other, it)| other != id && it == vin.text())
                    && !has_it_here
                {
                    bail!("{other} takes the VIN that {id} has on the server and has given up here");
                }
            }
        }
        Ok(exchange)
    }

    /// Sends a request and applies its response. Returns whether the device has everything.
    async fn exchange(&mut self, device: usize) -> anyhow::Result<bool> {
        let exchange = self.begin(device).await?;
        let message = Message { device, exchange, response: None };
        let response = self.deliver(&message).await?;
        self.receive(Message { response: Some(response), ..message }).await
    }

    // The end.

    /// No faults and no edits any more, but a person who discards what is refused: after at most three passes each, nobody
    /// has anything to send.
    async fn settle(&mut self) -> anyhow::Result<()> {
        self.note(self.devices.len(), format_args!("is quiet from here"));
        let (mut busy_rounds, mut quiet_rounds) = (0, 0);
        while quiet_rounds < 2 {
            let (mut is_quiet, mut has_discarded) = (true, false);
            for device in 0..self.devices.len() {
                let before = self.exchanges;
                while !self.exchange(device).await? {
                    if self.exchanges > before + MOST_EXCHANGES {
                        bail!("{} does not come to an end", self.devices[device].name);
                    }
                }
                is_quiet &= self.exchanges == before + 1;
                has_discarded |= self.discard(device, usize::MAX).await?;
            }
            if has_discarded {
                (busy_rounds, quiet_rounds) = (0, 0);
            } else if is_quiet {
                quiet_rounds += 1;
            } else {
                busy_rounds += 1;
            }
            if busy_rounds > MOST_PASSES {
                bail!("after {MOST_PASSES} passes there is still something to exchange");
            }
        }
        Ok(())
    }

    async fn check(&mut self) -> anyhow::Result<()> {
        let records = check::records_of(&self.server).await?;
        let mut wrong = check::twins(&records);
        for device in &self.devices {
            wrong.extend(check::differences(device, &records).await?);
        }
        let vehicles = records.values().filter(|change| change.collection == VEHICLES.name);
        let mut aliases: BTreeMap<_, _> =
            vehicles.clone().filter_map(|change| Some((change.record_id, change.alias_of?))).collect();
        for device in &self.devices {
            // A server that was restored may have lost an alias, which is no loss.
            aliases.extend(device.garage().aliases().await?);
        }
        aliases
            .retain(|alias, _| records.get(&(VEHICLES.name.to_owned(), *alias)).is_none_or(|it| it.alias_of.is_some()));
        let shown: BTreeMap<RecordId, Shown> = vehicles
            .filter(|change| change.alias_of.is_none())
            .map(|change| (change.record_id, check::shown(change)))
            .collect();
        if self.has_restored {
            // No device has to have read it.
            self.oracle.excuse(REST);
        }
        wrong.extend(self.oracle.lost(&shown, &aliases).into_iter().map(|what| format!("lost: {what}")));
        if !self.has_restored {
            let needless = self.oracle.needless_conflicts(&shown, &aliases);
            wrong.extend(needless.into_iter().map(|what| format!("needless conflict: {what}")));
        }
        for (id, shown) in shown {
            self.explain(|| format!("in the end: {id} {shown:?}"));
        }
        if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
    }
}

fn describe(exchange: &Exchange) -> String {
    serde_json::to_string(exchange.request()).unwrap_or_default()
}

fn text_of(value: Option<&FieldValue>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_json().text().to_owned())
}

/// A vehicle as a device shows it.
fn shown(vehicle: &Vehicle, conflicts: &[OpenConflict]) -> Shown {
    let json = serde_json::to_value(vehicle).unwrap_or_default();
    let mut shown = Shown::new();
    for name in TEXT_FIELDS.into_iter().chain(["vin"]) {
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
