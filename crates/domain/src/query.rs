//! Lists of vehicles: what can be asked for, and what is answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{OdometerUnit, VehicleId, Vin};

/// The most vehicles of one page.
pub const LONGEST_PAGE: u32 = 500;
/// Vehicles of a page if no limit is given.
const DEFAULT_PAGE: u32 = 50;

/// What a list is sorted by; empty values come last. What is equal in it follows by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By creation time, then id; the last created first.
    #[default]
    Newest,
    /// Nickname, else make and model, else plate or VIN, from A to Z; case and accents do not matter.
    Name,
    /// Make, from A to Z.
    Make,
    /// The latest model year first.
    Year,
    /// The highest reading first.
    Odometer,
    /// The last changed first.
    Updated,
}

/// Which vehicles are wanted. The default is all that are not removed, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase", default)]
pub struct VehicleQuery {
    /// Beginnings of words of any field, or fragments of a VIN or plate; all must match, case and accents aside.
    pub search: String,
    /// What to sort by.
    pub sort: Sort,
    /// Only of this make, case and accents aside.
    pub make: Option<String>,
    /// Only of this model year.
    pub year: Option<i32>,
    /// Only of this vehicle type, case and accents aside.
    pub vehicle_type: Option<String>,
    /// Only those in use, or only those not in use.
    pub is_active: Option<bool>,
    /// The removed ones instead of the others.
    pub is_removed: bool,
    /// Where the page before ended, as its `next` says.
    pub after: Option<PageEnd>,
    /// Vehicles of a page, at most 500; 0 means 50.
    pub limit: u32,
}

impl VehicleQuery {
    /// How many vehicles a page holds.
    #[must_use]
    pub fn page_length(&self) -> u32 {
        if self.limit == 0 { DEFAULT_PAGE } else { self.limit.min(LONGEST_PAGE) }
    }
}

/// Where a page ends: the last vehicle's sort key and its place among equals. Stays right while others are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct PageEnd {
    /// The sort key as text.
    pub key: String,
    /// The place among equals.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub position: String,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct VehiclePage {
    /// The vehicles.
    pub vehicles: Vec<VehicleSummary>,
    /// Ask for this next; null at the end.
    pub next: Option<PageEnd>,
}

/// What a list shows of a vehicle: no notes, no origins, and nothing else that can be long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contract's; its table says what each means")]
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

/// What the vehicles in the garage can be filtered by: only what at least one of them has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct FilterChoices {
    /// Makes by name, each in one spelling.
    pub makes: Vec<String>,
    /// Model years, the latest first.
    pub years: Vec<i32>,
    /// Vehicle types by name, each in one spelling.
    pub vehicle_types: Vec<String>,
}
