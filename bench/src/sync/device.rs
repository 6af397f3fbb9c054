//! Devices: the real core with a real session, whose tokens are in memory.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::ensure;
use garage_core::{
    ChangeListener, Environment, Garage, GarageConfig, ImportMode, KeyStore, KeyStoreError, Program, Progress,
    SecretSlice, SecretString, Session, SessionConfig, Unencrypted, VehicleId, VehicleQuery, sync::Exchanged,
};
use serde_json::json;
use tokio::sync::Notify;

const PASSWORD: &str = "correct horse battery staple";

/// A device whose garage is open.
pub struct Device {
    pub garage: Garage,
    pub file: PathBuf,
    keys: Arc<Keys>,
    /// Notified after each write, for `keep_synced`.
    pub changed: Arc<Notify>,
    /// The same, for the benchmark.
    pub seen: Arc<Notify>,
}

impl Device {
    /// A new device in this folder that registers the account.
    pub async fn sign_up(folder: &Path, server: &str, account: &str) -> anyhow::Result<Device> {
        let device = Device::open(folder, Arc::default()).await?;
        let email = format!("{account}@example.org");
        device.garage.sign_up(server, &email, &SecretString::from(PASSWORD), Unencrypted::Refuse).await?;
        Ok(device)
    }

    /// A device in this folder, which may have a garage, that signs in.
    pub async fn sign_in(folder: &Path, server: &str, account: &str) -> anyhow::Result<Device> {
        let device = Device::open(folder, Arc::default()).await?;
        let email = format!("{account}@example.org");
        device.garage.sign_in(server, &email, &SecretString::from(PASSWORD), Unencrypted::Refuse).await?;
        Ok(device)
    }

    /// A device in this folder that nobody has signed in on.
    pub async fn signed_out(folder: &Path) -> anyhow::Result<Device> {
        Device::open(folder, Arc::default()).await
    }

    /// Closes the garage, and waits for its daily backup.
    pub async fn close(&self) {
        self.garage.clone().close().await;
    }

    /// Closes the garage, and opens it again.
    pub async fn reopen(&mut self) -> anyhow::Result<()> {
        self.close().await;
        *self = Device::open(self.file.parent().unwrap_or(Path::new(".")), self.keys.clone()).await?;
        Ok(())
    }

    async fn open(folder: &Path, keys: Arc<Keys>) -> anyhow::Result<Device> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join("garage.db");
        let (changed, seen) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (for_sync, for_us) = (changed.clone(), seen.clone());
        let listener = ChangeListener::new(move |_| {
            for_sync.notify_one();
            for_us.notify_one();
        });
        let config = GarageConfig {
            garage_file: file.clone(),
            // Sync decodes nothing.
            snapshot_file: folder.join("no-snapshot"),
            packed_snapshots: Vec::new(),
            vpic_answers_file: folder.join("no-answers"),
            vpic_url: None,
            environment: Environment::system(),
            program: Program::App,
            session: SessionConfig { key_store: keys.clone(), given: None },
        };
        Ok(Device { garage: Garage::open(config, listener).await?, file, keys, changed, seen })
    }

    pub async fn session(&self) -> anyhow::Result<Session> {
        Ok(self.garage.session().await?)
    }

    /// Syncs once.
    pub async fn pass(&self) -> anyhow::Result<Exchanged> {
        let session = self.session().await?;
        Ok(self.garage.sync(&session, Duration::ZERO, |_| ()).await?)
    }

    /// Adds this many vehicles.
    pub async fn import(&self, count: usize) -> anyhow::Result<()> {
        let report = self.garage.import_json(&vehicles(count), ImportMode::Write, Progress::none()).await?;
        ensure!(report.added as usize == count, "{} vehicles were added: {:?}", report.added, report.refused.first());
        Ok(())
    }

    pub async fn ids(&self) -> anyhow::Result<Vec<VehicleId>> {
        let all = self.garage.all_vehicles(VehicleQuery::default()).await?;
        Ok(all.into_iter().map(|vehicle| vehicle.id).collect())
    }

    /// Edits two fields of a vehicle.
    pub async fn edit(&self, id: VehicleId, reading: i32) -> anyhow::Result<()> {
        let draft = json!({ "odometerReading": reading, "color": format!("Blue {reading}") });
        self.garage.edit_vehicle(id, &serde_json::from_value(draft)?).await?;
        Ok(())
    }

    /// Edits all vehicles while offline, and waits for the daily backup.
    pub async fn edit_all(&mut self, reading: i32) -> anyhow::Result<()> {
        for id in self.ids().await? {
            self.edit(id, reading).await?;
        }
        self.reopen().await
    }
}

/// Vehicles as people have them: with a VIN, a plate, what is decoded, and some notes.
fn vehicles(count: usize) -> String {
    const MAKES: [&str; 5] = ["HONDA", "TOYOTA", "FORD", "CITROËN", "TESLA"];
    let vehicle = |index: usize| {
        json!({
            "vin": format!("1HGCM82633A{index:06}"),
            "licensePlate": format!("BE {index}"),
            "nickname": index.is_multiple_of(7).then(|| format!("car {index}")),
            "make": MAKES[index % MAKES.len()], "model": format!("Model {}", index % 300), "year": 1970 + index % 55,
            "trimLevel": "EX-V6", "engine": "3.0L V6", "transmission": "Automatic", "driveType": "FWD",
            "fuelType": "Gasoline", "bodyClass": "Sedan/Saloon", "vehicleType": "PASSENGER CAR", "color": "Red",
            "odometerReading": index * 3, "notes": "Bought from Ada, with winter tires and a new battery",
        })
    };
    serde_json::Value::from_iter((0..count).map(vehicle)).to_string()
}

/// The tokens of one device.
#[derive(Default)]
struct Keys(Mutex<HashMap<String, Vec<u8>>>);

impl KeyStore for Keys {
    fn check(&self) -> Result<(), KeyStoreError> {
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Option<SecretSlice<u8>>, KeyStoreError> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.get(name).cloned().map(SecretSlice::from))
    }

    fn write(&self, name: &str, secret: &[u8]) -> Result<(), KeyStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), secret.to_vec());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), KeyStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}
