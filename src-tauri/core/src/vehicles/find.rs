//! Finding vehicles by id prefix or VIN.

use garage_domain::{Vehicle, Vin};

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
            .read(move |transaction| Ok(find_table::by_id_beginning(transaction, &beginning, is_removed)?))
            .await
    }

    /// Returns the vehicles with this VIN that are not removed: usually one, or several if sync received duplicates.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn vehicles_by_vin(&self, vin: Vin) -> Result<Vec<Vehicle>, GarageError> {
        self.database.read(move |transaction| Ok(find_table::by_vin(transaction, &vin)?)).await
    }
}
