//! Files after a fault.

use std::{io::ErrorKind, time::Duration};

use garage_faulty_disk::Disk;

/// How often to look whether threads have closed their connections. They do it after what they are at.
const MOST_TRIES: u32 = 2_000;

/// Makes files usable again after the program was killed, or the power was lost, once its last connection is closed.
///
/// # Errors
/// If a connection stays open, or a file cannot be written.
pub async fn revive(disk: &Disk, is_power_lost: bool) -> anyhow::Result<()> {
    for _ in 0..MOST_TRIES {
        match if is_power_lost { disk.power_loss() } else { disk.restart() } {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            revived => return Ok(revived?),
        }
    }
    anyhow::bail!("a connection stays open")
}
