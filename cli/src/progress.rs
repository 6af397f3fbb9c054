//! How far a long task is, on a terminal; elsewhere nothing is drawn.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use garage_core::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// A task that is over before anybody could wonder shows nothing.
const QUIET: Duration = Duration::from_millis(400);

/// Whether the person has asked for the task to stop.
static STOPPING: AtomicBool = AtomicBool::new(false);
/// What shells report of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// A bar on standard error, gone when this is dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// As [`Bar::new`], for a task that leaves nothing half-done: Ctrl-C has it stop and clean up. A second one ends the
    /// program at once, as usual.
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

    /// A bar that says what is being done, and the ear that moves it.
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
