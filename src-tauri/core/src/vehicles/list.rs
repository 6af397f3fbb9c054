//! Lists of vehicles: search, filter, sort and pages.

use garage_domain::{FilterChoices, LONGEST_PAGE, Vehicle, VehiclePage, VehicleQuery};

use crate::{Garage, GarageError, store::vehicle_list};

impl Garage {
    /// Returns one page of the vehicles that match the query.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn list_vehicles(&self, query: VehicleQuery) -> Result<VehiclePage, GarageError> {
        self.database.read(move |transaction| Ok(vehicle_list::page(transaction, &query)?)).await
    }

    /// Returns how many vehicles match the query, regardless of its page.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn count_vehicles(&self, query: VehicleQuery) -> Result<u32, GarageError> {
        self.database.read(move |transaction| Ok(vehicle_list::count(transaction, &query)?)).await
    }

    /// Returns the values by which the vehicles that are not removed can be filtered.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn filter_choices(&self) -> Result<FilterChoices, GarageError> {
        self.database.read(|transaction| Ok(vehicle_list::filter_choices(transaction)?)).await
    }

    /// Returns all vehicles that match the query, complete. Reads page by page.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn all_vehicles(&self, query: VehicleQuery) -> Result<Vec<Vehicle>, GarageError> {
        let mut query = VehicleQuery { limit: LONGEST_PAGE, ..query };
        let mut vehicles = Vec::new();
        loop {
            let wanted = query.clone();
            let page = self
                .database
                .read(move |transaction| Ok::<_, GarageError>(vehicle_list::whole_page(transaction, &wanted)?));
            let (page, next) = page.await?;
            vehicles.extend(page);
            match next {
                Some(next) => query.after = Some(next),
                None => return Ok(vehicles),
            }
        }
    }
}
