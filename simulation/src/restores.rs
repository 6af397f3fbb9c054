//! A person backs a garage up, and restores it later.

use garage_core::{
    Existing, Progress, VEHICLES,
    domain::{FieldValue, conflict::REMOVAL},
    sync::{Attention, Difference, Exchange, Remote, RemoteError, Scope, Stands},
};
use garage_protocol::sync::SyncResponse;
use rand::Rng;

use crate::{
    check,
    oracle::Field,
    server::Server,
    world::{World, text_of},
};

impl World<'_> {
    /// A person backs a garage up, or restores its backup and decides what stands.
    pub async fn back_up_or_restore(&mut self, device: usize) -> anyhow::Result<()> {
        let garage = self.devices[device].garage().clone();
        let file = self.devices[device].backup_file();
        if !file.exists() || self.random.random_bool(0.4) {
            garage.back_up(&file, Existing::Replace, Progress::none()).await?;
            self.note(device, format_args!("is backed up"));
            return Ok(());
        }
        // Messages of the replaced garage may still arrive.
        for messages in [&mut self.requests, &mut self.responses] {
            self.late.extend(messages.extract_if(.., |message| message.device == device));
        }
        garage.restore_backup(&file, Progress::none()).await?;
        self.has_restored_device = true;
        let name = self.devices[device].name;
        // What was not sent goes with the replaced garage.
        self.oracle.excuse_so_far(name);
        if garage.sync_status().await?.attention != Some(Attention::Restored) {
            anyhow::bail!("{name} was restored, and does not ask what stands");
        }
        let comparison = garage.compare(&self.server).await?;
        let stands = if self.random.random_bool(0.5) { Stands::Server } else { Stands::Backup };
        self.note(device, format_args!("is restored; {} fields differ; {stands:?}", comparison.differences.len()));
        if stands == Stands::Backup {
            let on_server = check::records_of(&self.server).await?;
            let of_vehicles = comparison.differences.iter().filter(|it| it.collection == VEHICLES.name);
            for Difference { collection, record_id, field, here, .. } in of_vehicles {
                let mut shown = on_server.get(&(collection.clone(), *record_id)).map(check::shown);
                if let Some(shown) = &mut shown {
                    shown.entry(field.clone()).or_insert_with(Field::empty);
                }
                for (index, value) in here.iter().enumerate() {
                    let value = match (field.as_str(), value) {
                        (REMOVAL, Some(FieldValue::Boolean(is_removed))) => is_removed.to_string(),
                        (_, value) => text_of(value.as_ref()),
                    };
                    // The other values of a conflict are offered again.
                    self.oracle.write(name, *record_id, field, &value, shown.as_ref().filter(|_| index == 0));
                }
            }
        }
        Ok(garage.choose_after_restore(stands, &comparison).await?)
    }
}

impl Remote for Server {
    async fn scope(&self) -> Result<Scope, RemoteError> {
        Ok(Scope::Everything)
    }

    async fn exchange(&self, exchange: &Exchange) -> Result<SyncResponse, RemoteError> {
        let unreadable = |error: String| RemoteError::Unreadable(error);
        let request = serde_json::to_value(exchange.request()).map_err(|error| unreadable(error.to_string()))?;
        let sent = self.send(axum::http::Method::POST, "/api/sync", &request).await;
        let (_, body) = sent.map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))
    }
}
