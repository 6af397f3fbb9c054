//! Progress bars for long tasks; drawn only on a terminal.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use garage_core::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// A task that takes less time than this draws no bar.
const QUIET: Duration = Duration::from_millis(400);

/// Set by Ctrl-C, to stop the task.
static STOPPING: AtomicBool = AtomicBool::new(false);
/// The exit code that shells report for a program ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// A progress bar on standard error, removed on drop.
pub struct Bar(ProgressBar);

impl Bar {
    /// Same as [`Bar::new`], for a task that can roll back: the first Ctrl-C stops it and cleans up, a second one ends
    /// the program at once.
    pub fn stoppable(task: &'static str) -> (Bar, Progress) {
        tokio::spawn(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if STOPPING.swap(true, Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED);
                }
            }
        });
        Bar::new(task)
    }

    /// A bar with this label, and the listener that moves it.
    pub fn new(task: &'static str) -> (Bar, Progress) {
        let bar = ProgressBar::new(0).with_message(task);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}") {
            bar.set_style(style);
        }
        let moved = bar.clone();
        let progress = Progress::new(move |done, total| {
            if moved.elapsed() > QUIET {
                moved.set_length(total);
                moved.set_position(done);
            }
            if STOPPING.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (Bar(bar), progress)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
