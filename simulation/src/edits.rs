//! What persons do on their devices.

use anyhow::{Context, bail};
use garage_core::{
    ErrorCode, GarageError, VEHICLES, Vehicle, VehicleDraft, VehicleQuery,
    domain::{RecordId, conflict::REMOVAL},
    sync::{Choice, OpenConflict, Refusal},
};
use rand::{Rng, seq::IndexedRandom};
use serde_json::{Value, json};

use crate::{
    oracle::Shown,
    world::{self, World, shown, text_of},
};

const VINS: [&str; 3] = ["1HGCM82633A004352", "1M8GDM9AXKP042788", "5YJSA3DS0EFP37229"];

impl World<'_> {
    pub async fn edit(&mut self, device: usize, most_records: usize) -> anyhow::Result<()> {
        let garage = self.devices[device].garage().clone();
        let live = garage.all_vehicles(VehicleQuery::default()).await?;
        let removed = garage.all_vehicles(VehicleQuery { is_removed: true, ..VehicleQuery::default() }).await?;
        let conflicts = garage.conflicts().await?;
        if self.random.random_bool(0.4) && self.discard(device, 1).await? {
            return Ok(());
        }
        let chance: f64 = self.random.random();
        // Where all have one VIN, much of what is added is a duplicate, or takes a VIN that another vehicle has.
        let add_share = if self.has_one_vin() { 0.3 } else { 0.15 };
        if self.has_one_vin() {
            match live.choose(&mut self.random).cloned() {
                Some(_) if self.random.random_bool(0.15) => return self.service(device, &live).await,
                Some(vehicle) if self.random.random_bool(0.25) => {
                    return self.change(device, &vehicle, "vin", &conflicts).await;
                }
                _ => {}
            }
        }
        if chance < add_share && live.len() + removed.len() < most_records {
            return self.add(device).await;
        }
        if chance < 0.60 {
            let Some(vehicle) = live.choose(&mut self.random).cloned() else { return Ok(()) };
            let field = *["nickname", "color", "color", "notes", "vin"].choose(&mut self.random).unwrap_or(&"color");
            return self.change(device, &vehicle, field, &conflicts).await;
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
        self.service(device, &live).await
    }

    /// Whether an edit was made. Some are refused, as they would be in a window.
    pub fn allowed<T>(&mut self, device: usize, result: Result<T, GarageError>, what: &str) -> anyhow::Result<bool> {
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
        if self.random.random_bool(if self.has_one_vin() { 0.5 } else { 0.7 }) {
            fields["vin"] = self.vin().into();
        }
        if self.random.random_bool(0.5) {
            fields["color"] = self.value().into();
        }
        let draft: VehicleDraft = serde_json::from_value(fields.clone())?;
        let added = self.devices[device].garage().add_vehicle(&draft).await;
        let id = added.as_ref().map(|vehicle| vehicle.id).ok();
        if let (true, Some(id)) = (self.allowed(device, added, "add")?, id) {
            let name = self.devices[device].name;
            for (field, value) in fields.as_object().into_iter().flatten() {
                self.oracle.write(name, id, field, &value.to_string(), None);
            }
            self.note(device, format_args!("adds {id} {fields}"));
            // An entry of a duplicate is one of the vehicle that it is joined with.
            if self.random.random_bool(if self.has_one_vin() { 0.4 } else { 0.1 }) {
                self.add_entry(device, id).await?;
            }
        }
        Ok(())
    }

    async fn change(
        &mut self,
        device: usize,
        vehicle: &Vehicle,
        field: &str,
        conflicts: &[OpenConflict],
    ) -> anyhow::Result<()> {
        let value: Value = match field {
            "vin" if self.random.random_bool(0.4) => Value::Null,
            "vin" => self.vin().into(),
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
        let all = world::shown(&vehicle, &all);
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

    pub fn has_one_vin(&self) -> bool {
        self.vins == 1
    }

    pub fn vin(&mut self) -> &'static str {
        VINS[..self.vins].choose(&mut self.random).unwrap_or(&VINS[0])
    }

    /// Discards refused values, at most so many records. Returns whether there were any.
    pub async fn discard(&mut self, device: usize, most: usize) -> anyhow::Result<bool> {
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
}
