//! The only way to write to the garage: one transaction with a journal, then one notification, then the daily backup.

use crate::{
    Garage, GarageError,
    store::journal::{Journal, Stamp},
};

impl Garage {
    /// Takes the time and the ids of one write from the environment.
    pub(crate) fn stamp(&self) -> Stamp {
        let environment = self.environment.clone();
        Stamp {
            now: environment.now(),
            new_uuid: Box::new(move || environment.new_uuid()),
            program: self.program.name(),
        }
    }

    /// Runs `work` in an IMMEDIATE transaction. After the commit, notifies the listener of the written records and
    /// starts the daily backup if it is due.
    ///
    /// # Errors
    /// The error of `work`, after a rollback; [`GarageError::Store`] if the store cannot be written;
    /// [`GarageError::FileGone`] if the garage's file was moved or deleted.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        stamp: Stamp,
        work: impl FnOnce(&mut Journal<'_>) -> Result<T, GarageError> + Send + 'static,
    ) -> Result<T, GarageError> {
        let written = self.database.write(move |transaction| {
            let mut journal = Journal::begin(transaction, stamp)?;
            let value = work(&mut journal)?;
            Ok::<_, GarageError>((value, journal.finish()))
        });
        let (value, touched) = written.await?;
        if !touched.is_empty() {
            self.on_change.records_changed(&touched);
            self.back_up_on_first_write();
        }
        Ok(value)
    }
}
