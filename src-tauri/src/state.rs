//! The garage as the app holds it.

use garage_core::{Garage, GarageConfig, GarageError};
use tauri::{App, Manager, Runtime, async_runtime};
use tokio::sync::OnceCell;

use crate::events;

/// The garage, opened by the first command: the window stands before the disk is read, and a garage that cannot be
/// opened is an error the page can show. The next command tries again.
pub(crate) struct AppGarage {
    config: GarageConfig,
    garage: OnceCell<Garage>,
    on_change: garage_core::ChangeListener,
}

impl AppGarage {
    /// The opened garage.
    pub async fn get(&self) -> Result<&Garage, GarageError> {
        let open = || Garage::open(self.config.clone(), self.on_change.clone());
        self.garage.get_or_try_init(open).await
    }
}

/// Makes the garage available to commands, and its changes to the page.
pub(crate) fn manage<R: Runtime>(app: &App<R>, config: GarageConfig) {
    let handle = app.handle().clone();
    let on_change = garage_core::ChangeListener::new(move |change| events::emit(&handle, change));
    app.manage(AppGarage { config, garage: OnceCell::new(), on_change });
    // The snapshot's first use takes 0.1 s; have it over before somebody types. Then today's backup.
    let handle = app.handle().clone();
    async_runtime::spawn(async move {
        if let Ok(garage) = handle.state::<AppGarage>().get().await {
            let _ = garage.snapshot_month().await;
            if let Err(error) = garage.back_up_daily().await {
                tracing::warn!(%error, "there is no backup of today");
            }
        }
    });
}
