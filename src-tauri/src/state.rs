//! The app's state: the open garage and the services around it.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use garage_core::{
    ChangeListener, Garage, GarageConfig, GarageError, Progress, Repair, Watch,
    sync::{Activity, SyncError},
};
use tauri::{
    App, Manager, Runtime,
    async_runtime::{self, JoinHandle},
};
use tokio::sync::{Notify, RwLock};

use crate::{
    events, preferences,
    start::{self, StartAnswers},
};

/// Delays backup and cleanup until the first screen has been painted.
const UPKEEP_DELAY: Duration = Duration::from_secs(10);

/// The garage, opened on first use. If opening fails, the command returns the error, and the next command tries again.
/// A damaged garage is repaired while it is opened.
pub(crate) struct AppGarage {
    config: GarageConfig,
    on_change: ChangeListener,
    change_count: Arc<AtomicU32>,
    garage: RwLock<Option<Garage>>,
    /// Reports other programs' writes until it is dropped.
    watch: Mutex<Option<Watch>>,
    /// Syncs the garage until it is aborted.
    sync: Mutex<Option<JoinHandle<()>>>,
    /// Notified after each write to the garage.
    changed: Arc<Notify>,
    /// Notified when there is a reason to sync without waiting.
    sync_wanted: Arc<Notify>,
    repaired: Mutex<Option<Repair>>,
    asks_vpic: AtomicBool,
    on_progress: Arc<dyn Fn(u32) + Send + Sync>,
    is_stopping: Arc<AtomicBool>,
}

impl AppGarage {
    /// Returns the open garage, or opens it.
    pub async fn get(&self) -> Result<Garage, GarageError> {
        if let Some(garage) = self.garage.read().await.as_ref() {
            return Ok(garage.clone());
        }
        let mut held = self.garage.write().await;
        if let Some(garage) = held.as_ref() {
            return Ok(garage.clone());
        }
        let (garage, repair) = Garage::open_or_repair(self.config.clone(), self.on_change.clone()).await?;
        self.hold(&mut held, garage.clone(), repair);
        Ok(garage)
    }

    /// Repairs a garage that was found to be damaged after it had been opened.
    pub async fn repair(&self) -> Result<Repair, GarageError> {
        let mut held = self.garage.write().await;
        if let Some(garage) = held.take() {
            self.keep_synced(None);
            garage.close().await;
        }
        let (garage, repair) = Garage::repair(self.config.clone(), self.on_change.clone()).await?;
        self.hold(&mut held, garage, Some(repair.clone()));
        Ok(repair)
    }

    fn hold(&self, held: &mut Option<Garage>, garage: Garage, repair: Option<Repair>) {
        garage.set_vpic(self.asks_vpic.load(Ordering::Relaxed));
        let watch = garage
            .watch_others()
            .inspect_err(|error| tracing::warn!(%error, "cannot watch for writes of other programs"));
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch.ok();
        self.keep_synced(Some(garage.clone()));
        *held = Some(garage);
        if repair.is_some() {
            *self.repaired.lock().unwrap_or_else(PoisonError::into_inner) = repair;
        }
    }

    /// Syncs this garage from now on, and no other. Without an account, nothing is done.
    fn keep_synced(&self, garage: Option<Garage>) {
        let task = garage.map(|garage| {
            let (changed, wanted) = (self.changed.clone(), self.sync_wanted.clone());
            async_runtime::spawn(async move { garage.keep_synced(&changed, &wanted, log_activity).await })
        });
        let before = std::mem::replace(&mut *self.sync.lock().unwrap_or_else(PoisonError::into_inner), task);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Syncs now, without waiting.
    pub fn sync_now(&self) {
        self.sync_wanted.notify_one();
    }

    /// The number of changes of the garage and the preferences since the app started.
    pub fn change_count(&self) -> u32 {
        self.change_count.load(Ordering::SeqCst)
    }

    /// Counts a change of the preferences. It emits no event: the page made the change.
    pub fn count_change(&self) {
        self.change_count.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether a repair has not been returned by `take_repair` yet.
    pub fn is_repaired(&self) -> bool {
        self.repaired.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns the result of a repair at opening, once.
    pub fn take_repair(&self) -> Option<Repair> {
        self.repaired.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Switches vPIC requests on or off, for the open garage and for one opened later.
    pub async fn set_vpic(&self, is_on: bool) {
        self.asks_vpic.store(is_on, Ordering::Relaxed);
        if let Some(garage) = self.garage.read().await.as_ref() {
            garage.set_vpic(is_on);
        }
    }

    /// Returns a progress callback that sends percentages to the page. Only one long task runs at a time.
    pub fn new_task(&self) -> Progress {
        self.is_stopping.store(false, Ordering::Relaxed);
        let (is_stopping, on_progress) = (self.is_stopping.clone(), self.on_progress.clone());
        let told = AtomicU32::new(u32::MAX);
        Progress::new(move |done, total| {
            let percent = u32::try_from(done.min(total) * 100 / total.max(1)).unwrap_or(100);
            if told.swap(percent, Ordering::Relaxed) != percent {
                on_progress(percent);
            }
            if is_stopping.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// Requests cancellation of the running long task.
    pub fn stop_task(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}

fn log_activity(activity: Activity) {
    match activity {
        Activity::Syncing | Activity::Synced(_) => {}
        Activity::Stopped(SyncError::SignedOut) => {}
        Activity::Waiting(error, _) | Activity::Stopped(error) => tracing::info!(%error, "not synced"),
    }
}

/// Registers the garage as app state and forwards its changes to the page.
pub(crate) fn manage<R: Runtime>(app: &App<R>, config: GarageConfig) -> tauri_plugin_store::Result<()> {
    let handle = app.handle().clone();
    let change_count = Arc::new(AtomicU32::new(0));
    let counter = change_count.clone();
    let (changed, sync_wanted) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let notify = changed.clone();
    let on_change = ChangeListener::new(move |change| {
        counter.fetch_add(1, Ordering::SeqCst);
        notify.notify_one();
        events::emit_change(&handle, change);
    });
    let preferences = preferences::manage(app, &config.garage_file)?;
    let handle = app.handle().clone();
    app.manage(AppGarage {
        config,
        on_change,
        change_count,
        garage: RwLock::default(),
        watch: Mutex::default(),
        sync: Mutex::default(),
        changed,
        sync_wanted,
        repaired: Mutex::default(),
        asks_vpic: AtomicBool::new(preferences.asks_vpic),
        on_progress: Arc::new(move |percent| events::emit_progress(&handle, percent)),
        is_stopping: Arc::default(),
    });
    app.manage(StartAnswers::default());
    // Open the garage while the webview starts. Backup and cleanup wait until the window is painted. The first decode
    // opens the vPIC snapshot: it takes 85 MB that listing vehicles does not need.
    let handle = app.handle().clone();
    async_runtime::spawn(async move {
        start::prepare(&handle).await;
        tokio::time::sleep(UPKEEP_DELAY).await;
        if let Ok(garage) = handle.state::<AppGarage>().get().await {
            if let Err(error) = garage.back_up_daily().await {
                tracing::warn!(%error, "the daily backup failed");
            }
            if let Err(error) = garage.forget_old_answers().await {
                tracing::warn!(%error, "old vPIC answers were not deleted");
            }
        }
    });
    Ok(())
}
