//! How far a long task is, on a terminal; elsewhere nothing is drawn.

use std::{ops::ControlFlow, time::Duration};

use garage_core::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// A task that is over before anybody could wonder shows nothing.
const QUIET: Duration = Duration::from_millis(400);

/// A bar on standard error, gone when this is dropped.
pub struct Bar(ProgressBar);

impl Bar {
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
            ControlFlow::Continue(())
        });
        (Bar(bar), progress)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
