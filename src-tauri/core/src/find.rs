//! Finding records by id prefix, and vehicles by VIN.

use garage_domain::{SERVICE_ENTRIES, ServiceEntry, VEHICLES, Vehicle, Vin};

use crate::{Garage, GarageError, store::find as find_table};

impl Garage {
    /// Returns the vehicles whose ids start with `beginning`, removed or not removed. Case is ignored.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn vehicles_by_id_beginning(
        &self,
        beginning: &str,
        is_removed: bool,
    ) -> Result<Vec<Vehicle>, GarageError> {
        let beginning = beginning.to_lowercase();
        self.database
            .read(move |transaction| {
                let found = find_table::by_id_beginning(transaction, &VEHICLES, &beginning, is_removed)?;
                Ok(found.into_iter().map(Vehicle::from).collect())
            })
            .await
    }

    /// Returns the service entries that are not removed and whose ids start with `beginning`. Case is ignored.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn service_entries_by_id_beginning(&self, beginning: &str) -> Result<Vec<ServiceEntry>, GarageError> {
        let beginning = beginning.to_lowercase();
        self.database
            .read(move |transaction| {
                let found = find_table::by_id_beginning(transaction, &SERVICE_ENTRIES, &beginning, false)?;
                Ok(found.into_iter().map(ServiceEntry::from).collect())
            })
            .await
    }

    /// Returns the vehicles with this VIN that are not removed: usually one, or several if sync received duplicates.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn vehicles_by_vin(&self, vin: Vin) -> Result<Vec<Vehicle>, GarageError> {
        self.database
            .read(move |transaction| {
                let found = find_table::by_vin(transaction, &vin)?;
                Ok(found.into_iter().map(Vehicle::from).collect())
            })
            .await
    }
}
