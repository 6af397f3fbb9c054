//! A push of offline edits, compared with a bare commit of the same rows of the server.

use std::time::Duration;

use anyhow::ensure;

use super::{Side, VEHICLES, commit, timed};
use crate::measure::{percent, row};

const ROUNDS: i32 = 3;

pub async fn print(side: &mut Side) -> anyhow::Result<()> {
    let mut best: Option<timed::Spent> = None;
    let mut of_bare = Duration::MAX;
    for round in 0..ROUNDS {
        side.first.edit_all(100_000 + round).await?;
        side.server.stop()?;
        let mut copies = Vec::new();
        for number in 0..commit::ways(&side.server.database) {
            copies.push(side.server.database.copy(&format!("bare_{number}")).await?);
        }
        side.server.start_again()?;
        side.server.database.settle().await?;
        let session = side.first.session().await?;
        let (exchanged, spent) = timed::pass(&side.first.garage, &session).await?;
        ensure!(exchanged.sent == VEHICLES, "{} edits were sent", exchanged.sent);
        if best.is_none_or(|best| spent.total() < best.total()) {
            best = Some(spent);
        }
        for (way, copy) in copies.into_iter().enumerate() {
            let took = commit::again(&side.server.database, &copy, &session.account().account, way).await?;
            of_bare = took.min(of_bare);
            copy.delete().await?;
        }
    }
    let spent = best.unwrap_or_default();
    let ratio = spent.total().as_secs_f64() / of_bare.as_secs_f64();
    let share = |part: Duration| percent(part, spent.total());
    let measured = format!(
        "{ratio:.2} × bare ({:.2} s; bare {:.2} s; {:.0} % freezing, {:.0} % waiting for the server, {:.0} % applying)",
        spent.total().as_secs_f64(),
        of_bare.as_secs_f64(),
        share(spent.freezing),
        share(spent.waiting),
        share(spent.applying),
    );
    row(&format!("push of 10 000 offline edits, {}", side.name), &measured, "≤ 3 ×", ratio <= 3.0);
    Ok(())
}
