//! What has to be true at the end of a history: everybody has the same garage, and nothing is lost.

use std::collections::BTreeMap;

use anyhow::Context;
use axum::http::Method;
use garage_core::{SERVICE_ENTRIES, VEHICLES};
use garage_domain::{
    FieldValue, Json, RecordId,
    conflict::{CONFLICTS, Conflicts, REMOVAL},
};
use garage_protocol::sync::{Change, SyncResponse};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::{
    device::Device,
    entries::{found as found_entries, vehicle_of},
    oracle::{Field, Shown},
    server::Server,
};

/// All records of the server, as a new device reads them, by collection and id.
pub async fn records_of(server: &Server) -> anyhow::Result<BTreeMap<(String, RecordId), Change>> {
    let (mut epoch, mut cursor) = (serde_json::Value::Null, serde_json::Value::Null);
    let mut records = BTreeMap::new();
    let device_id = Uuid::from_u128(0xffff_0000);
    loop {
        let request = json!({
            "account": null, "deviceId": device_id, "batch": null, "epoch": epoch, "cursor": cursor, "limit": 500,
            "operations": [],
        });
        let (status, body) = server.send(Method::POST, "/api/sync", &request).await?;
        let response: SyncResponse =
            serde_json::from_slice(&body).with_context(|| format!("{status} {}", String::from_utf8_lossy(&body)))?;
        for change in response.changes {
            records.insert((change.collection.clone(), change.record_id), change);
        }
        (epoch, cursor) = (response.epoch.into(), response.cursor.into());
        if response.reset {
            cursor = serde_json::Value::Null;
        } else if !response.more {
            return Ok(records);
        }
    }
}

/// A record of the server as it is shown.
pub fn shown(change: &Change) -> Shown {
    let mut shown = Shown::new();
    let fields = change.fields.clone().unwrap_or_default();
    for (name, json) in &fields {
        if name != CONFLICTS {
            shown.insert(name.clone(), Field { value: json.text().to_owned(), ..Field::default() });
        }
    }
    let is_removed = FieldValue::Boolean(change.deleted_at.is_some()).to_json();
    shown.insert(REMOVAL.to_owned(), Field { value: is_removed.text().to_owned(), ..Field::default() });
    let conflicts = fields.get(CONFLICTS).and_then(conflicts_of);
    for (name, conflict) in conflicts.unwrap_or_default() {
        let field = shown.entry(name).or_insert_with(Field::empty);
        let values = conflict.alternatives.iter().map(|it| it.value.as_ref().map_or("null", |json| json.text()));
        field.alternatives.extend(values.map(str::to_owned));
    }
    shown
}

/// What is wrong with a device that has synced. `aliases`: those that any device knows.
pub async fn differences(
    device: &Device,
    server: &BTreeMap<(String, RecordId), Change>,
    aliases: &BTreeMap<RecordId, RecordId>,
) -> anyhow::Result<Vec<String>> {
    let name = device.name;
    let mut found: Vec<String> = device.garage().examine_sync().await?;
    let status = device.garage().sync_status().await?;
    if status.waiting > 0 || status.is_rereading || status.attention.is_some() {
        found.push(format!("not synced: {status:?}"));
    }
    // An entry of a vehicle that was removed before it was sent is shown where that vehicle is restored.
    let is_of_vehicle = |entry: &&Change| {
        let id = entry.fields.as_ref().and_then(vehicle_of);
        id.is_some_and(|id| server.contains_key(&(VEHICLES.name.to_owned(), id)) || aliases.contains_key(&id))
    };
    let entries = server.values().filter(|it| it.collection == SERVICE_ENTRIES.name && it.deleted_at.is_none());
    let (entries, listed) = (entries.filter(is_of_vehicle).count(), found_entries(device).await?);
    if listed < entries {
        found.push(format!("{listed} of {entries} service entries are found by their vehicle"));
    }
    let bases = device.garage().bases().await?;
    for (key, base) in &bases {
        match server.get(key) {
            None => found.push(format!("{} {} is unknown to the server", key.0, key.1)),
            Some(change) => {
                let theirs = (change.version, change.fields.as_ref(), change.deleted_at.is_some());
                let ours = (base.0, base.1.as_ref(), base.2);
                if theirs != ours {
                    found.push(format!("{} {}: {ours:?} here, {theirs:?} there", key.0, key.1));
                }
            }
        }
    }
    found.extend(server.keys().filter(|key| !bases.contains_key(*key)).map(|key| format!("{key:?} is missing")));
    Ok(found.into_iter().map(|it| format!("{name}: {it}")).collect())
}

/// What records contain, without what a server chooses at random, and without its clock.
pub fn contents(records: &BTreeMap<(String, RecordId), Change>) -> String {
    let lines = records.iter().map(|((collection, id), change)| {
        let fields = change.fields.iter().flatten().map(|(name, json)| match name.as_str() {
            CONFLICTS => format!(" {name}={}", undated(conflicts_of(json).unwrap_or_default())),
            _ => format!(" {name}={}", json.text()),
        });
        let removed = if change.deleted_at.is_some() { " removed" } else { "" };
        format!("{collection} {id}{removed}{}\n", fields.collect::<String>())
    });
    lines.collect()
}

fn conflicts_of(json: &Json) -> Option<Conflicts> {
    serde_json::from_str(json.text()).ok()
}

/// Conflicts without times: an alternative that plain REST has written has the time of the server.
fn undated(mut conflicts: Conflicts) -> String {
    for alternative in conflicts.values_mut().flat_map(|conflict| &mut conflict.alternatives) {
        alternative.at = Timestamp::UNIX_EPOCH;
    }
    serde_json::to_string(&conflicts).unwrap_or_default()
}

/// Live vehicles with one VIN.
pub fn twins(records: &BTreeMap<(String, RecordId), Change>) -> Vec<String> {
    let mut vins: BTreeMap<String, RecordId> = BTreeMap::new();
    let mut found = Vec::new();
    for change in records.values().filter(|change| change.deleted_at.is_none()) {
        let vin = change.fields.as_ref().and_then(|fields| fields.get("vin")).map(|json| json.text().to_owned());
        if let Some(vin) = vin
            && let Some(other) = vins.insert(vin.clone(), change.record_id)
        {
            found.push(format!("{other} and {} have the VIN {vin}", change.record_id));
        }
    }
    found
}
