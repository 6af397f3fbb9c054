//! Runs random histories of three devices with a record of two fields of four values. A history depends only on its seed.

use std::fmt::{self, Write as _};

use garage_domain::conflict::REMOVAL;

use super::{
    Fault,
    column::Edit,
    copies::{REMOVED, VALUES},
    names::GREATEST_ID,
    planner::Planner,
    world::{Start, World, name},
};

const DEVICES: usize = 3;
/// The fields, and whether the record is removed.
const CELLS: usize = 3;
/// The most edits and exchanges before all sync.
const MOST_STEPS: usize = 24;
/// The most exchanges with something to send or to receive after the last edit: each device receives and merges, sends, and
/// receives what the other ones have sent.
const MOST_EXCHANGES: usize = DEVICES * (DEVICES + 1);
/// The most inputs of the planner that are remembered.
const MOST_INPUTS: usize = 2_000_000;
/// The ids of what a merge writes: before all others, between them, and after them.
const NEW_IDS: [u8; 4] = [1, 3, 5, GREATEST_ID];

/// Runs random histories, and remembers the planner's results.
pub struct Cases {
    planner: Planner<CELLS>,
}

impl Default for Cases {
    fn default() -> Cases {
        Cases { planner: Planner::new("notes", ["a", "b", REMOVAL]) }
    }
}

impl Cases {
    /// The number of inputs of the planner that are remembered.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.planner.inputs()
    }

    /// Runs the history of this seed.
    ///
    /// # Errors
    /// What is wrong, after the history that has led to it.
    pub fn run(&mut self, seed: u64) -> Result<(), Fault> {
        if self.planner.inputs() > MOST_INPUTS {
            *self = Cases::default();
        }
        let history = History::new(seed, &mut self.planner, |_, _| {});
        if history.run().is_ok() {
            return Ok(());
        }
        let mut story = String::new();
        let tell = |step: Step, world: &World<DEVICES, CELLS>| {
            let _ = writeln!(story, "{step}\n  {world}");
        };
        let history = History::new(seed, &mut self.planner, tell);
        history.run().map_err(|Fault(what)| Fault(format!("{story}{what}")))
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(Start),
    Edit(usize, Edit),
    Exchange(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Begin(start) => write!(f, "{start:?}"),
            Step::Edit(device, edit) => write!(f, "{} {}", name(*device), edit.describe(CELLS)),
            Step::Exchange(device) => write!(f, "{} syncs", name(*device)),
        }
    }
}

struct History<'a, F> {
    random: fastrand::Rng,
    world: World<DEVICES, CELLS>,
    planner: &'a mut Planner<CELLS>,
    /// Is called with each step and what it leads to.
    tell: F,
}

impl<F: FnMut(Step, &World<DEVICES, CELLS>)> History<'_, F> {
    fn new(seed: u64, planner: &mut Planner<CELLS>, mut tell: F) -> History<'_, F> {
        let mut random = fastrand::Rng::with_seed(seed);
        let start = random.choice(Start::ALL).unwrap_or(Start::Synced);
        let world = World::new(start);
        tell(Step::Begin(start), &world);
        History { random, world, planner, tell }
    }

    fn run(mut self) -> Result<(), Fault> {
        for _ in 0..self.random.usize(1..=MOST_STEPS) {
            let device = self.random.usize(..DEVICES);
            if self.random.bool() {
                self.exchange(device)?;
            } else if self.world.devices[device].has_record {
                self.edit(device);
            }
        }
        self.settle()
    }

    fn edit(&mut self, device: usize) {
        let is_removed = self.world.columns[CELLS - 1].locals[device].value == REMOVED;
        let cell = self.random.usize(..CELLS);
        let is_removal = cell == CELLS - 1;
        let values = if is_removal { REMOVED + 1 } else { VALUES };
        let column = &mut self.world.columns[cell];
        let edits = column.edits(device, cell, values, is_removal || !is_removed);
        if let Some(edit) = self.random.choice(edits.collect::<Vec<_>>()) {
            column.set(device, edit.value);
            column.rename();
            (self.tell)(Step::Edit(device, edit), &self.world);
        }
    }

    fn exchange(&mut self, device: usize) -> Result<bool, Fault> {
        let id = self.random.choice(NEW_IDS).unwrap_or(GREATEST_ID);
        let is_effective = self.world.exchange(device, self.planner, id);
        for column in &mut self.world.columns {
            column.rename();
        }
        if is_effective != Ok(false) {
            (self.tell)(Step::Exchange(device), &self.world);
        }
        is_effective
    }

    /// Lets all devices sync, in any order, until nothing is to be sent or received. Then all have the same.
    fn settle(&mut self) -> Result<(), Fault> {
        let mut exchanges = 0;
        let mut resting = [false; DEVICES];
        while resting != [true; DEVICES] {
            let device = self.random.usize(..DEVICES);
            if self.exchange(device)? {
                resting = [false; DEVICES];
                exchanges += 1;
            } else {
                resting[device] = true;
            }
            if exchanges > MOST_EXCHANGES {
                return Err(Fault("sync does not end".to_owned()));
            }
        }
        self.world.check_same()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_histories_of_three_devices_show_what_they_must() {
        let mut cases = Cases::default();
        for seed in 0..5_000 {
            if let Err(fault) = cases.run(seed) {
                panic!("seed {seed}\n{fault}");
            }
        }
        assert!(cases.inputs() > 5_000, "the histories are alike: {} inputs", cases.inputs());
    }
}
