//! Service entries: what persons do with them, and what must be true of them.

use std::collections::BTreeMap;

use anyhow::bail;
use garage_core::{SERVICE_ENTRIES, ServiceEntryDraft, VEHICLES, Vehicle, VehicleId, VehicleQuery};
use garage_domain::{
    RecordId,
    conflict::{self, CONFLICTS, Conflicts, REMOVAL},
};
use garage_protocol::sync::Change;
use rand::{Rng, seq::IndexedRandom};
use serde_json::{Value, json};

use crate::{device::Device, world::World};

/// How often persons have edited a field of an entry, by its id and the field. What may have been made counts.
pub type Edits = BTreeMap<(RecordId, &'static str), usize>;

impl World<'_> {
    /// Adds a service entry, edits one, moves it to another vehicle, or removes it.
    pub async fn service(&mut self, device: usize, live: &[Vehicle]) -> anyhow::Result<()> {
        let garage = self.devices[device].garage().clone();
        let Some(vehicle) = live.choose(&mut self.random) else { return Ok(()) };
        let entries = garage.service_log(vehicle.id).await?.entries;
        let chance: f64 = self.random.random();
        let Some(entry) = entries.choose(&mut self.random).filter(|_| chance < 0.7) else {
            return self.add_entry(device, vehicle.id).await;
        };
        if chance < 0.3 {
            let removed = garage.remove_service_entry(entry.id).await;
            if self.allowed(device, removed, "remove an entry")? {
                self.note(device, format_args!("removes the service entry {}", entry.id));
            }
            return Ok(());
        }
        let (field, value): (_, Value) = match live.choose(&mut self.random) {
            Some(other) if chance < 0.5 && other.id != vehicle.id => ("vehicleId", json!(other.id)),
            _ => ("description", self.value().into()),
        };
        let draft: ServiceEntryDraft = serde_json::from_value(json!({ field: value }))?;
        *self.edits_of_entries.entry((entry.id, field)).or_default() += 1;
        let edited = garage.edit_service_entry(entry.id, &draft).await;
        if self.allowed(device, edited, "edit an entry")? {
            self.note(device, format_args!("edits {field} of the service entry {} to {value}", entry.id));
        }
        Ok(())
    }

    pub async fn add_entry(&mut self, device: usize, vehicle: VehicleId) -> anyhow::Result<()> {
        let fields = json!({
            "vehicleId": vehicle, "date": "2026-03-14", "kind": "service", "description": self.value(),
        });
        let draft: ServiceEntryDraft = serde_json::from_value(fields)?;
        let added = self.devices[device].garage().add_service_entry(&draft).await;
        if self.allowed(device, added, "add an entry")? {
            self.note(device, format_args!("adds a service entry of {vehicle}"));
        }
        Ok(())
    }

    /// A device that has everything shows each entry with its vehicle, also if that was joined with another one. A server
    /// that was restored may have lost an alias.
    pub async fn check_that_entries_are_found(&self, device: usize) -> anyhow::Result<()> {
        if self.has_restored || self.has_restored_device {
            return Ok(());
        }
        let bases = self.devices[device].garage().bases().await?;
        let is_entry = |collection: &str, is_removed: bool| collection == SERVICE_ENTRIES.name && !is_removed;
        let entries = bases.iter().filter(|((collection, _), (_, _, is_removed))| is_entry(collection, *is_removed));
        let vehicles: Vec<VehicleId> = entries.filter_map(|(_, (_, fields, _))| vehicle_of(fields.as_ref()?)).collect();
        if vehicles.is_empty() {
            return Ok(());
        }
        let mut aliases = BTreeMap::new();
        for device in &self.devices {
            aliases.extend(device.garage().aliases().await?);
        }
        let is_known =
            |id: &VehicleId| aliases.contains_key(id) || bases.contains_key(&(VEHICLES.name.to_owned(), *id));
        let expected = vehicles.into_iter().filter(is_known).count();
        let found = found(&self.devices[device]).await?;
        if found < expected {
            bail!("{} finds {found} of {expected} service entries by their vehicle", self.devices[device].name);
        }
        Ok(())
    }
}

/// The vehicle that an entry with these fields is of.
pub fn vehicle_of(fields: &garage_domain::Extra) -> Option<VehicleId> {
    fields.get("vehicleId")?.value().as_str()?.parse().ok()
}

/// How many service entries a device shows with its vehicles, removed vehicles included.
pub async fn found(device: &Device) -> anyhow::Result<usize> {
    let mut found = 0;
    for is_removed in [false, true] {
        let query = VehicleQuery { is_removed, ..VehicleQuery::default() };
        for vehicle in device.garage().all_vehicles(query).await? {
            found += device.garage().service_log(vehicle.id).await?.entries.len();
        }
    }
    Ok(found)
}

/// Conflicts of service entries that there is no reason for: of a field that was edited only once, and of a removal of an
/// entry that nobody has edited.
pub fn needless_conflicts(records: &BTreeMap<(String, RecordId), Change>, edits: &Edits) -> Vec<String> {
    let mut found = Vec::new();
    for change in records.values().filter(|change| change.collection == SERVICE_ENTRIES.name) {
        let json = change.fields.as_ref().and_then(|fields| fields.get(CONFLICTS));
        let conflicts = json.and_then(|json| serde_json::from_str::<Conflicts>(json.text()).ok()).unwrap_or_default();
        let count = |name: Option<&str>| -> usize {
            let of_entry =
                edits.iter().filter(|((id, field), _)| *id == change.record_id && name.is_none_or(|it| it == *field));
            of_entry.map(|(_, count)| count).sum()
        };
        for (name, _) in conflict::open(&conflicts) {
            let is_needless = if name == REMOVAL { count(None) == 0 } else { count(Some(name)) < 2 };
            if is_needless {
                found.push(format!("needless conflict: {name} of the service entry {}", change.record_id));
            }
        }
    }
    found
}
