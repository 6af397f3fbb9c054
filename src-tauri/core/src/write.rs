//! The one way by which the garage is written: a transaction with a journal, then one notice, then the day's backup.

use crate::{
    Garage, GarageError,
    store::journal::{Journal, Stamp},
};

impl Garage {
    /// The time and the ids of one write.
    pub(crate) fn stamp(&self) -> Stamp {
        let environment = self.environment.clone();
        Stamp {
            now: environment.now(),
            new_uuid: Box::new(move || environment.new_uuid()),
            program: self.program.name(),
        }
    }

    /// Runs `work` in an IMMEDIATE transaction. Once that is on disk, the listener hears of every record that was
    /// written, and the day's backup is started after the first write of the day.
    ///
    /// # Errors
    /// The error of `work`, with nothing written; [`GarageError::Store`] if the store cannot be written;
    /// [`GarageError::FileGone`] if the garage's file is no longer where it was opened.
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
