//! Opens SQLite files, for the device's garage and for the server's database: pragmas, migrations in one transaction,
//! one connection that writes and a few that read.
//!
//! - `open`: [`Schema`], the pragmas of every connection, migrations, and refusing other files
//! - `access`: [`Database`], its reads and writes
//! - `copy`: backing up, replacing the content, checking a file
//! - `vacuum`: a compact copy in one file, by SQL
//! - `opened`: the file that a connection has open, and whether it still has its name
//! - `writer`: the connection that writes, its queue, and committing several writes at once
//! - `pool`: the connections that read, each lent to one read at a time
//! - `error`: [`Error`]
//!
//! This crate knows no table of either program. Invariants: every write runs in an IMMEDIATE transaction, which commits
//! as a whole or not at all, and is on disk when [`Database::write`] returns; readers cannot write.

mod access;
mod copy;
mod error;
#[cfg(test)]
#[cfg(unix)]
mod faults;
mod open;
mod opened;
mod pool;
#[cfg(test)]
mod testing;
mod vacuum;
mod writer;

pub use access::{Database, Usage};
pub use copy::{Access, check, open_unchanged};
pub use error::Error;
pub use open::Schema;
pub use vacuum::vacuum_into;
