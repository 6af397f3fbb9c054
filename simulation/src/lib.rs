//! Whole devices and a whole server in one process: real SQLite files, the real router, a virtual clock, and a seeded source
//! of randomness that decides what happens and what fails.
//!
//! - `template`: the files that every history starts from
//! - `server` on its `database`, `device`: both sides; `disk`: their files after a fault
//! - `world`: all of them together; `edits`, `rest`, `exchanges`, `restores`: what happens in it
//! - `history`: decides what happens; `oracle`: remembers where each value came from, and says what was lost
//! - `check`: what has to be true at the end
//!
//! A history depends only on its seed.

mod check;
mod database;
mod device;
mod disk;
mod edits;
mod entries;
mod exchanges;
mod history;
mod oracle;
mod rest;
mod restores;
mod server;
mod template;
mod world;

pub use history::{Failure, History, run, run_on_both};
pub use template::Template;
pub use world::Settings;
