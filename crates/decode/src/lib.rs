//! Decodes a VIN to facts about the vehicle, each fact with its source.
//!
//! The [`Snapshot`] is NHTSA's complete vPIC data and needs no network. A [`VinQuery`] is a VIN, or a part of one while
//! it is typed. A [`Decode`] is the answer, in the form of `docs/contract.md`; it borrows text from the snapshot. The
//! client in [`vpic`] requests NHTSA's web API, and [`Decode::refined`] merges its answer into the snapshot's. The
//! [`Catalog`] lists makes and models for vehicles without a VIN.
//!
//! Invariants: nothing here writes to the garage. An answer contains only what the data backs; `decode` drops what the
//! decoding library returns too early or without a registered manufacturer.

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
