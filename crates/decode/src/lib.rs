//! From a VIN to facts about the vehicle, each fact with its source.
//!
//! The [`Snapshot`] is NHTSA's complete vPIC data and answers with no network. [`VinQuery`] is what may be asked:
//! a VIN, or a part of one while it is typed. A [`Decode`] is the answer, in the shape of `docs/contract.md`. The client
//! in [`vpic`] asks NHTSA's web API, whose answer refines the snapshot's. The [`Catalog`] lists makes and models for
//! vehicles that have no VIN.
//!
//! Invariants: nothing here writes to the garage; an answer never contains a guess that the data does not back
//! (what the decoding library says too early or too freely is held back in `answer`).

mod answer;
mod catalog;
mod country;
mod decode;
mod engine;
mod holder;
pub mod pinned;
mod query;
mod snapshot;
mod unpack;
pub mod vpic;
mod year;

pub use answer::{
    CheckDigit, Decode, DecodeError, DecodedFields, DecodedText, DecodedValue, Detail, Fact, PossibleCharacters, Source,
};
pub use catalog::{Catalog, CatalogEntry};
pub use country::{Country, country_of};
pub use holder::SnapshotHolder;
pub use query::VinQuery;
pub use snapshot::{Snapshot, SnapshotError, default_packed_paths, default_snapshot_path};
