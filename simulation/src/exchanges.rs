//! Requests, responses, and what happens to them on their way.

use anyhow::{Context, bail};
use axum::http::Method;
use garage_core::{
    VEHICLES,
    domain::{RecordId, conflict::REMOVAL},
    sync::{Attention, Exchange, Limits, Next, Scope, SyncError},
};
use garage_protocol::sync::{OperationKind, OperationStatus, SyncResponse};
use rand::{Rng, seq::IndexedRandom};

use crate::world::{Message, World};

impl World<'_> {
    pub async fn sync(&mut self, device: usize, quick_share: f64) -> anyhow::Result<()> {
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
            if self.random.random_bool(self.repeated) {
                self.late.push(Message { device, exchange: message.exchange.clone(), response: None });
            }
            let response = self.deliver(&message).await?;
            let is_refused = response.results.iter().any(|it| it.status == OperationStatus::Rejected);
            if is_refused && fault > 0.0 {
                // What is refused now would be applied later, when the other record has given up its value.
                self.late.push(Message { device, exchange: message.exchange.clone(), response: None });
            }
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
        self.sent += message.exchange.request().operations.len();
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

    pub async fn deliver_late(&mut self, message: Message) -> anyhow::Result<()> {
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
                self.accept_other_database(device).await?;
                Ok(false)
            }
            Err(error) => Err(error).context("finish"),
        }
    }

    async fn accept_other_database(&mut self, device: usize) -> anyhow::Result<()> {
        self.devices[device].garage().accept_other_database().await?;
        self.note(device, format_args!("goes on with another database"));
        Ok(())
    }

    /// A device makes a request.
    async fn begin(&mut self, device: usize) -> anyhow::Result<Exchange> {
        let garage = self.devices[device].garage().clone();
        let limits = Limits { operations: 3, records: 2 };
        let mut begun = garage.begin_exchange(&Scope::Everything, limits).await;
        if let Err(SyncError::Attention(Attention::OtherDatabase { .. })) = begun {
            // The device was killed before the person had decided.
            self.accept_other_database(device).await?;
            begun = garage.begin_exchange(&Scope::Everything, limits).await;
        }
        let exchange = begun.context("begin")?;
        let operations = &exchange.request().operations;
        let count = operations.len();
        self.note(device, format_args!("sends a request with {count} operations"));
        self.explain(|| describe(&exchange));
        // A removed record takes no VIN, and an operation that is sent again was made before.
        let vins = operations
            .iter()
            .filter(|it| it.kind != OperationKind::Delete && self.made.insert(it.op_id))
            .filter_map(|it| Some((it.record_id, it.fields.get("vin")?.text().to_owned())));
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
    pub async fn exchange(&mut self, device: usize) -> anyhow::Result<bool> {
        let exchange = self.begin(device).await?;
        let message = Message { device, exchange, response: None };
        let response = self.deliver(&message).await?;
        let is_done = self.receive(Message { response: Some(response), ..message }).await?;
        if is_done && self.devices[device].garage().sync_status().await?.waiting == 0 {
            self.check_that_entries_are_found(device).await?;
        }
        Ok(is_done)
    }
}

fn describe(exchange: &Exchange) -> String {
    serde_json::to_string(exchange.request()).unwrap_or_default()
}
