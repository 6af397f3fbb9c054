//! Whole devices and a whole server in one process: real SQLite files, the real router, a virtual clock, and a seeded source
//! of randomness that decides what happens and what fails.
//!
//! - `template`: the files that every history starts from
//! - `server`, `device`: both sides; `disk`: their files after a fault
//! - `history`: decides what happens; `oracle`: remembers where each value came from, and says what was lost
//! - `check`: what has to be true at the end
//!
//! A history depends only on its seed.

mod check;
mod device;
mod disk;
mod history;
mod oracle;
mod server;
mod template;

pub use history::{Failure, History, Settings, run};
pub use template::Template;
