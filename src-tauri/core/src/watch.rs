//! Notices writes of other programs to the garage, without polling.

use std::{sync::Arc, time::Duration};

use garage_files::make_folder_of;
use garage_sqlite::Database;
use notify::{Event, RecursiveMode, Watcher};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{ChangeListener, Garage};

/// Combines writes in quick succession into one notification.
const GATHERING: Duration = Duration::from_millis(100);

/// Watches until it is dropped.
pub struct Watch {
    _watcher: notify::RecommendedWatcher,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Garage {
    /// Calls the garage's listener after writes of other programs, too. File system events say that a file changed;
    /// SQLite's data version says whether another connection changed it.
    ///
    /// # Errors
    /// [`notify::Error`] if the system cannot watch files, or has reached its limit of watches.
    pub fn watch_others(&self) -> Result<Watch, notify::Error> {
        let changed = Arc::new(Notify::new());
        let file = self.garage_file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let waker = changed.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let is_ours = event.is_ok_and(|event| {
                let is_write = event.kind.is_modify() || event.kind.is_create();
                let names = event.paths.iter().filter_map(|path| path.file_name());
                is_write && names.into_iter().any(|name| name.to_string_lossy().starts_with(&file))
            });
            if is_ours {
                waker.notify_one();
            }
        })?;
        // Watch the folder, since SQLite creates and deletes the log beside the file.
        let folder = make_folder_of(&self.garage_file).map_err(|error| notify::Error::generic(&error.to_string()))?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        let task = tokio::spawn(listen(self.database.clone(), self.on_change.clone(), changed));
        Ok(Watch { _watcher: watcher, task })
    }
}

/// Runs until the garage is closed.
async fn listen(database: Database, on_change: ChangeListener, changed: Arc<Notify>) {
    let Ok(mut known) = database.others_version().await else { return };
    loop {
        changed.notified().await;
        tokio::time::sleep(GATHERING).await;
        let Ok(version) = database.others_version().await else { return };
        if version != known {
            known = version;
            on_change.everything_changed();
        }
    }
}
