//! Finding a vehicle by what names it, without reading the others.

use garage_domain::{Vehicle, Vin};

use crate::{Garage, GarageError, store::find as find_table};

impl Garage {
    /// The vehicles whose ids begin so, of those that are removed or of the others. Case does not matter.
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

    /// The vehicles with this VIN that are not removed: one, or several where a server has sent a second.
    ///
    /// # Errors
    /// [`GarageError::Store`] if the store cannot be read.
    pub async fn vehicles_by_vin(&self, vin: Vin) -> Result<Vec<Vehicle>, GarageError> {
        self.database.read(move |transaction| Ok(find_table::by_vin(transaction, &vin)?)).await
    }
}
