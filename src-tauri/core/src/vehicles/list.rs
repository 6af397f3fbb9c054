//! Lists of vehicles: searched, filtered, sorted, a page at a time.

use garage_domain::Vehicle;
use serde::{Deserialize, Serialize};

use crate::{Garage, GarageError, store::list as list_table};

/// The most vehicles of one page.
const LONGEST_PAGE: u32 = 500;

/// What a list is sorted by; empty values come last. What is equal in it follows by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// The last added first.
    #[default]
    Newest,
    /// Nickname, else make and model, else plate or VIN, from A to Z.
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
    /// Only of this make, case aside.
    pub make: Option<String>,
    /// Only of this model year.
    pub year: Option<i32>,
    /// Only of this vehicle type, case aside.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct VehiclePage {
    /// The vehicles.
    pub vehicles: Vec<Vehicle>,
    /// Ask for this next; null at the end.
    pub next: Option<PageEnd>,
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

impl VehicleQuery {
    /// How many vehicles a page holds.
    pub(crate) fn page_length(&self) -> u32 {
        if self.limit == 0 { 50 } else { self.limit.min(LONGEST_PAGE) }
    }
}

impl Garage {
    /// One page of the vehicles that are wanted.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list_vehicles(&self, query: VehicleQuery) -> Result<VehiclePage, GarageError> {
        self.database.read(move |transaction| Ok(list_table::page(transaction, &query)?)).await
    }

    /// How many vehicles are wanted, whatever the page.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn count_vehicles(&self, query: VehicleQuery) -> Result<u32, GarageError> {
        self.database.read(move |transaction| Ok(list_table::count(transaction, &query)?)).await
    }

    /// What the vehicles that are not removed can be filtered by.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn filter_choices(&self) -> Result<FilterChoices, GarageError> {
        self.database.read(|transaction| Ok(list_table::filter_choices(transaction)?)).await
    }

    /// All vehicles that are wanted, page by page, for callers that want them all.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all_vehicles(&self, query: VehicleQuery) -> Result<Vec<Vehicle>, GarageError> {
        let mut query = VehicleQuery { limit: LONGEST_PAGE, ..query };
        let mut vehicles = Vec::new();
        loop {
            let page = self.list_vehicles(query.clone()).await?;
            vehicles.extend(page.vehicles);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(vehicles),
            }
        }
    }
}
