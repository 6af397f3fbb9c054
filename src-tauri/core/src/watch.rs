//! Hearing of what other programs write into the garage, without asking again and again.

use std::{sync::Arc, time::Duration};

use garage_sqlite::{Database, make_folder_of};
use notify::{Event, RecursiveMode, Watcher};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{ChangeListener, Garage};

/// Writes that come one upon the other are told once.
const GATHERING: Duration = Duration::from_millis(100);

/// Listens for as long as it lives.
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
    /// Has the garage's listener told of other programs' writes, too. The system says when the files change; SQLite says
    /// whether that was somebody else.
    ///
    /// # Errors
    /// The system does not watch files, or no more of them.
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
        // The folder, since the log beside the file comes and goes.
        let folder = make_folder_of(&self.garage_file).map_err(|error| notify::Error::generic(&error.to_string()))?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        let task = tokio::spawn(listen(self.database.clone(), self.on_change.clone(), changed));
        Ok(Watch { _watcher: watcher, task })
    }
}

/// Until the garage is closed.
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
