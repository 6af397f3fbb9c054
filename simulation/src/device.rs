//! A device: the real core on a real file, with a clock that can be wrong.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use garage_core::{ChangeListener, Environment, Garage, GarageConfig, Program, Remote, SessionConfig};
use garage_faulty_disk::Disk;
use jiff::{SignedDuration, Timestamp};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use crate::{disk, template::Template};

/// The seconds since the beginning of a history, and how wrong each clock is.
pub type Clock = Arc<AtomicI64>;

/// When every history begins.
fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap_or_default()
}

/// A clock at this second.
pub fn clock(second: i64) -> Clock {
    Arc::new(AtomicI64::new(second))
}

pub struct Device {
    pub name: char,
    file: PathBuf,
    /// The files that faults can happen to.
    pub disk: Disk,
    clock: Clock,
    seed: u64,
    /// How often it was opened: each process has other random numbers.
    opened: u64,
    garage: Option<Garage>,
}

/// The settings of a garage with a virtual clock, and ids from this seed.
pub fn config(file: &Path, clock: Clock, seed: u64) -> GarageConfig {
    let random = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
    let now = move || start() + SignedDuration::from_secs(clock.load(Ordering::Relaxed));
    let new_uuid = move || {
        let mut bytes = [0; 16];
        random
            .lock()
            .map(|mut random| random.fill_bytes(&mut bytes))
            .map_or(Uuid::nil(), |()| Builder::from_random_bytes(bytes).into_uuid())
    };
    GarageConfig {
        garage_file: file.to_owned(),
        snapshot_file: file.with_file_name("no-snapshot"),
        packed_snapshots: Vec::new(),
        vpic_answers_file: file.with_file_name("no-answers"),
        vpic_url: None,
        environment: Environment::new(now, new_uuid),
        program: Program::App,
        session: SessionConfig::default(),
    }
}

impl Device {
    pub async fn new(template: &Template, folder: &Path, name: char, seed: u64) -> anyhow::Result<Device> {
        let file = folder.join(name.to_string()).join("garage.db");
        let backups = folder.join(name.to_string()).join("garage.db-backups");
        std::fs::create_dir_all(&backups)?;
        // Today's backup is made: it would be the same in every history.
        std::fs::write(backups.join(format!("daily-{}.db", start().strftime("%F"))), "")?;
        std::fs::copy(template.garage(), &file)?;
        let disk = Disk::new(&folder.join(name.to_string()), seed)?;
        let mut device = Device { name, file, disk, clock: clock(0), seed, opened: 0, garage: None };
        device.open().await?;
        // The template's garage has a device id, which no two devices may share.
        let garage = device.garage();
        garage.become_another_device().await?;
        let (server, account) = ("http://127.0.0.1".to_owned(), template.account.clone());
        garage.bind_to_account(Remote { server, account, email: None }).await?;
        Ok(device)
    }

    async fn open(&mut self) -> anyhow::Result<()> {
        self.opened += 1;
        let seed = self.seed.wrapping_add(self.opened << 32);
        let config = config(&self.file, self.clock.clone(), seed);
        self.garage = Some(Garage::open(config, ChangeListener::none()).await?);
        Ok(())
    }

    /// Closes the garage, and opens it again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.close().await;
        self.open().await
    }

    /// Opens the garage again after the program was killed, or the power was lost.
    pub async fn revive(&mut self, is_power_lost: bool) -> anyhow::Result<()> {
        self.close().await;
        disk::revive(&self.disk, is_power_lost).await?;
        self.open().await
    }

    pub async fn close(&mut self) {
        if let Some(garage) = self.garage.take() {
            garage.close().await;
        }
    }

    pub fn garage(&self) -> &Garage {
        match &self.garage {
            Some(garage) => garage,
            None => unreachable!("a device is open between steps"),
        }
    }

    /// The next second.
    pub fn tick(&self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets the clock forward or back.
    pub fn set_clock(&self, by: i64) {
        self.clock.fetch_add(by, Ordering::Relaxed);
    }
}
