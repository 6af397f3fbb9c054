//! Lists of vehicles: searched, filtered, sorted, a page at a time.

use garage_domain::{FilterChoices, LONGEST_PAGE, Vehicle, VehiclePage, VehicleQuery};

use crate::{Garage, GarageError, store::vehicle_list};

impl Garage {
    /// One page of the vehicles that are wanted.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn list_vehicles(&self, query: VehicleQuery) -> Result<VehiclePage, GarageError> {
        self.database.read(move |transaction| Ok(vehicle_list::page(transaction, &query)?)).await
    }

    /// How many vehicles are wanted, whatever the page.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn count_vehicles(&self, query: VehicleQuery) -> Result<u32, GarageError> {
        self.database.read(move |transaction| Ok(vehicle_list::count(transaction, &query)?)).await
    }

    /// What the vehicles that are not removed can be filtered by.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn filter_choices(&self) -> Result<FilterChoices, GarageError> {
        self.database.read(|transaction| Ok(vehicle_list::filter_choices(transaction)?)).await
    }

    /// All vehicles that are wanted, whole, page by page.
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
