//! A history: steps of devices, network and server, chosen by a seed; then quiet, until everybody has everything.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context, bail};
use garage_core::{
    VEHICLES,
    domain::{RecordId, conflict::REMOVAL},
};
use garage_faulty_disk::Fault;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    check,
    device::Device,
    entries,
    oracle::{Oracle, REST, Shown},
    template::{self, Template},
    world::{Message, NOBODY, Settings, World},
};

/// How many exchanges a device has at most until it has everything, after the last fault.
const MOST_EXCHANGES: usize = 200;

/// How many passes each device needs at most until everybody has everything, after the last fault and edit.
const MOST_PASSES: usize = 3;

/// The share of steps in which a client of plain REST writes.
const REST_SHARE: f64 = 0.04;
/// The same where all vehicles have one VIN, so that the server refuses some.
const REST_SHARE_OF_ONE_VIN: f64 = 0.12;
/// The share of steps in which a device is lost for good, as long as there are two others.
const LOSS_SHARE: f64 = 0.004;
/// The share of steps in which a garage is backed up or restored.
const BACKUP_SHARE: f64 = 0.03;

/// A history that has ended well.
#[derive(Debug)]
pub struct History {
    /// What happened.
    pub log: String,
    /// A number of what happened, without what a server chooses at random: equal for equal seeds.
    pub trace: u64,
    /// How many requests were sent.
    pub exchanges: usize,
    /// All records of the server at the end, without what a server chooses at random.
    pub garage: String,
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

/// Runs the history of a seed in a folder of its own.
///
/// # Errors
/// [`Failure`] if something is wrong at the end, or on the way.
pub async fn run(template: &Template, seed: u64, settings: Settings) -> Result<History, Failure> {
    let mut log = String::new();
    match try_run(template, seed, settings, &mut log).await {
        Ok(ended) => Ok(History { log, ..ended }),
        Err(error) => Err(Failure { seed, what: format!("{error:#}"), log }),
    }
}

/// Runs the history of a seed on SQLite and on PostgreSQL, and compares both. Faults of the server's files are left out.
///
/// # Errors
/// [`Failure`] if one of them fails, or they differ.
pub async fn run_on_both(sqlite: &Template, postgres: &Template, seed: u64) -> Result<History, Failure> {
    let settings = Settings { has_server_files: false, ..Settings::default() };
    let (first, second) = (run(sqlite, seed, settings).await?, run(postgres, seed, settings).await?);
    if first.garage != second.garage {
        let what = format!("on SQLite:\n{}\non PostgreSQL:\n{}", first.garage, second.garage);
        return Err(Failure { seed, what, log: second.log });
    }
    if first.trace != second.trace {
        return Err(Failure { seed, what: "the histories on both databases differ".to_owned(), log: second.log });
    }
    Ok(second)
}

async fn try_run(template: &Template, seed: u64, settings: Settings, log: &mut String) -> anyhow::Result<History> {
    let folder = template::new_folder()?;
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
    let repeated = *[0.3, 0.3, 3.0].choose(&mut random).unwrap_or(&0.3) * fault;
    let vins = *[1, 3, 3].choose(&mut random).unwrap_or(&3);
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
        settings,
        trace: 0,
        exchanges: 0,
        sent: 0,
        next_value: 0,
        made: BTreeSet::new(),
        edits_of_entries: entries::Edits::new(),
        fault,
        repeated,
        vins,
        has_restored: false,
        has_restored_device: false,
    };
    let result = world.live().await;
    log.push_str(&world.log);
    let (trace, exchanges) = (world.trace, world.exchanges);
    for mut device in world.devices {
        device.close().await;
    }
    world.server.close(template).await?;
    result.map(|garage| History { log: String::new(), trace, exchanges, garage })
}

impl World<'_> {
    async fn live(&mut self) -> anyhow::Result<String> {
        let steps = *[12, 25, 45, 80].choose(&mut self.random).unwrap_or(&12);
        let sync_share = *[0.3, 0.5, 0.7].choose(&mut self.random).unwrap_or(&0.5);
        let quick_share = *[0.0, 0.15, 0.35].choose(&mut self.random).unwrap_or(&0.0);
        let most_records = *[1, 2, 4].choose(&mut self.random).unwrap_or(&2);
        let rest_share = if self.has_one_vin() { REST_SHARE_OF_ONE_VIN } else { REST_SHARE };
        for _ in 0..steps {
            // The last device only reads.
            let device = self.random.random_range(0..self.devices.len());
            let is_reader = device + 1 == self.devices.len();
            self.devices[device].tick();
            let is_edit = !is_reader && self.random.random_bool(1.0 - sync_share);
            if self.random.random_bool(self.fault * 0.2) {
                self.killed_during(device, is_edit, most_records, quick_share).await?;
            } else if self.random.random_bool(rest_share) {
                self.rest(most_records).await?;
            } else if !is_reader && self.devices.len() > 2 && self.random.random_bool(LOSS_SHARE) {
                self.lose(device).await;
                continue;
            } else if !is_reader && self.random.random_bool(BACKUP_SHARE) {
                self.back_up_or_restore(device).await?;
            } else if is_edit {
                self.edit(device, most_records).await?;
            } else {
                self.sync(device, quick_share).await?;
            }
            self.devices[device].garage().daily_backup_settled().await;
        }
        self.requests.clear();
        self.responses.clear();
        // What was sent may arrive again when everybody has everything, and others have been sent since.
        let is_batch = |message: &&Message| !message.exchange.request().operations.is_empty();
        let later: Vec<Message> = self.late.iter().filter(is_batch).filter_map(Message::repeated).collect();
        self.deliver_all_late().await?;
        self.settle().await?;
        if !later.is_empty() {
            for _ in 0..2 {
                for device in 0..self.devices.len() - 1 {
                    self.edit(device, most_records).await?;
                    self.exchange(device).await?;
                }
                self.rest(most_records).await?;
            }
            self.late = later;
            self.deliver_all_late().await?;
            self.settle().await?;
        }
        self.check().await
    }

    async fn deliver_all_late(&mut self) -> anyhow::Result<()> {
        while let Some(message) = self.late.pop() {
            self.deliver_late(message).await?;
        }
        Ok(())
    }

    /// A device is lost for good, with what it has not sent. A request on its way may still arrive.
    async fn lose(&mut self, device: usize) {
        self.note(device, format_args!("is lost"));
        let mut lost = self.devices.remove(device);
        self.oracle.excuse_so_far(lost.name);
        lost.close().await;
        self.late.extend(self.requests.extract_if(.., |message| message.device == device));
        for messages in [&mut self.requests, &mut self.responses, &mut self.late] {
            // Nobody receives a response.
            messages.retain(|message| message.device != device || message.response.is_none());
            for message in messages {
                message.device = match message.device.cmp(&device) {
                    Ordering::Less => message.device,
                    Ordering::Equal => NOBODY,
                    Ordering::Greater if message.device == NOBODY => NOBODY,
                    Ordering::Greater => message.device - 1,
                };
            }
        }
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
        let disk = match (is_of_server, self.server.disk()) {
            (false, _) => Some(&self.devices[device].disk),
            (true, disk) => disk.filter(|_| self.settings.has_server_files),
        };
        let fault = self.random.random_range(0..6);
        match (disk, fault) {
            (None, _) => self.server.restart(self.template).await?,
            (Some(disk), 0) => disk.fail_write_after(changes, Fault::Full { written: 0 }),
            (Some(disk), 1) => disk.fail_write_after(changes, Fault::Device { written: 7 }),
            (Some(disk), 2) => disk.fail_sync_after(changes),
            (Some(disk), _) => disk.kill_after(changes),
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
        if is_of_server {
            self.server.revive(self.template, is_power_lost).await.context("the server after a fault")?;
        } else {
            self.devices[device].revive(is_power_lost).await.context("the device after a fault")?;
        }
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

    /// No faults and no edits any more, but a person who discards what is refused: after at most three passes each, nobody
    /// has anything to send.
    async fn settle(&mut self) -> anyhow::Result<()> {
        self.note(self.devices.len(), format_args!("is quiet from here"));
        let (mut busy_rounds, mut quiet_rounds) = (0, 0);
        while quiet_rounds < 2 {
            let (mut is_quiet, mut has_discarded) = (true, false);
            for device in 0..self.devices.len() {
                let (before, sent) = (self.exchanges, self.sent);
                while !self.exchange(device).await? {
                    if self.exchanges > before + MOST_EXCHANGES {
                        bail!("{} does not come to an end", self.devices[device].name);
                    }
                }
                is_quiet &= self.exchanges == before + 1 && self.sent == sent;
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

    async fn check(&mut self) -> anyhow::Result<String> {
        let records = check::records_of(&self.server).await?;
        let mut wrong = check::twins(&records);
        let vehicles = records.values().filter(|change| change.collection == VEHICLES.name);
        let mut aliases: BTreeMap<_, _> =
            vehicles.clone().filter_map(|change| Some((change.record_id, change.alias_of?))).collect();
        for device in &self.devices {
            // A server that was restored may have lost an alias, which is no loss.
            aliases.extend(device.garage().aliases().await?);
        }
        for device in &self.devices {
            wrong.extend(check::differences(device, &records, &aliases).await?);
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
        if !self.has_restored && !self.has_restored_device {
            wrong.extend(self.oracle.returned(&shown).into_iter().map(|what| format!("came back: {what}")));
            wrong.extend(entries::needless_conflicts(&records, &self.edits_of_entries));
            let needless = self.oracle.needless_conflicts(&shown, &aliases);
            wrong.extend(needless.into_iter().map(|what| format!("needless conflict: {what}")));
        }
        for (id, shown) in shown {
            self.explain(|| format!("in the end: {id} {shown:?}"));
        }
        if wrong.is_empty() { Ok(check::contents(&records)) } else { bail!("{}", wrong.join("\n")) }
    }
}
