//! Queries for lists of vehicles, and their results.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{OdometerUnit, VehicleId, Vin};

/// The maximum number of vehicles in a page.
pub const LONGEST_PAGE: u32 = 500;
/// The default number of vehicles in a page.
const DEFAULT_PAGE: u32 = 50;

/// The sort order of a list. Empty values come last; equal values are sorted by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By creation time, then id, newest first.
    #[default]
    Newest,
    /// By nickname, else make and model, else plate or VIN, A to Z; ignores case and accents.
    Name,
    /// By make, A to Z.
    Make,
    /// By model year, latest first.
    Year,
    /// By odometer reading, highest first.
    Odometer,
    /// By time of the last change, latest first.
    Updated,
}

/// Filters and paging of a list. The default is all vehicles that are not removed, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase", default)]
pub struct VehicleQuery {
    /// Prefixes of words in any field, or fragments of a VIN or plate. All must match; ignores case and accents.
    pub search: String,
    /// The sort order.
    pub sort: Sort,
    /// Only this make; ignores case and accents.
    pub make: Option<String>,
    /// Only this model year.
    pub year: Option<i32>,
    /// Only this vehicle type; ignores case and accents.
    pub vehicle_type: Option<String>,
    /// Only vehicles that are active (true) or inactive (false).
    pub is_active: Option<bool>,
    /// Only removed vehicles, instead of only those that are not removed.
    pub is_removed: bool,
    /// The `next` of the previous page.
    pub after: Option<PageEnd>,
    /// The number of vehicles in a page, at most 500; 0 means 50.
    pub limit: u32,
}

impl VehicleQuery {
    /// The effective number of vehicles in a page.
    #[must_use]
    pub fn page_length(&self) -> u32 {
        if self.limit == 0 { DEFAULT_PAGE } else { self.limit.min(LONGEST_PAGE) }
    }
}

/// A position in a list: the sort key and tie-breaker of a page's last vehicle. Concurrent writes do not invalidate
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct PageEnd {
    /// The sort key as text.
    pub key: String,
    /// The position among vehicles with an equal sort key.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub position: String,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct VehiclePage {
    /// The vehicles.
    pub vehicles: Vec<VehicleSummary>,
    /// The cursor of the next page; null on the last page.
    pub next: Option<PageEnd>,
}

/// The columns of a vehicle that a list shows. Excludes notes, origins and other long values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are documented in the contract")]
pub struct VehicleSummary {
    pub id: VehicleId,
    pub vin: Option<Vin>,
    pub license_plate: Option<String>,
    pub color: Option<String>,
    pub nickname: Option<String>,
    pub make: Option<String>,
    pub model: Option<String>,
    pub trim_level: Option<String>,
    pub engine: Option<String>,
    pub body_class: Option<String>,
    pub vehicle_type: Option<String>,
    pub year: Option<i32>,
    pub odometer_reading: Option<i32>,
    pub odometer_unit: OdometerUnit,
    pub is_active: bool,
    #[cfg_attr(feature = "specta", specta(type = Option<String>))]
    pub deleted_at: Option<Timestamp>,
}

/// The values to filter by that occur in the garage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct FilterChoices {
    /// Makes, sorted by name, each in one spelling.
    pub makes: Vec<String>,
    /// Model years, latest first.
    pub years: Vec<i32>,
    /// Vehicle types, sorted by name, each in one spelling.
    pub vehicle_types: Vec<String>,
}
