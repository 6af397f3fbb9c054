//! Explores every history of two devices with a record of two fields.
//!
//! Histories that lead to the same state are one. What an edit changes, no other device reads before the next exchange of
//! its device; so edits are made right before it, and a step is any number of edits on a device with an exchange. States that
//! differ only in names are one as well: of ids, of the two devices, of the two fields, of the values that are not empty.

use std::collections::{HashMap, HashSet};

use garage_domain::conflict::REMOVAL;

use super::{
    Column, Device, Edit, Fault, GREATEST_ID, Planner, Start, World,
    copies::Cell,
};

const VALUES: u8 = 3;

type Two = World<2, 3>;

/// Edits on a device, and an exchange.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    device: usize,
    edits: [Edit; 8],
    count: usize,
}

struct Exploration {
    planner: Planner<3>,
    /// The states with the step before them.
    reached: Vec<(Two, u32, Step)>,
    known: HashMap<Two, u32>,
    settled: HashSet<Two>,
    new_id: u8,
}

impl Exploration {
    fn run(start: Start, edits: u8, new_id: u8) -> Exploration {
        let mut exploration = Exploration {
            planner: Planner::new("notes", ["a", "b", REMOVAL]),
            reached: Vec::new(),
            known: HashMap::new(),
            settled: HashSet::new(),
            new_id,
        };
        exploration.add(canonical(&World::new(start, edits)), 0, Step::default());
        let mut next = 0;
        while let Some((world, ..)) = exploration.reached.get(next).copied() {
            if let Err((fault, step)) = exploration.explore(next, &world) {
                let fault = exploration.story(next, step, &fault);
                panic!("{fault}");
            }
            next += 1;
        }
        exploration
    }

    fn add(&mut self, world: Two, before: usize, step: Step) {
        let next = u32::try_from(self.reached.len()).expect("few states");
        if let std::collections::hash_map::Entry::Vacant(entry) = self.known.entry(world) {
            entry.insert(next);
            self.reached.push((world, u32::try_from(before).expect("few states"), step));
        }
    }

    fn explore(&mut self, number: usize, world: &Two) -> Result<(), (Fault, Step)> {
        let quiet = without_edits(world);
        if self.settled.insert(quiet) {
            quiet.settle(&mut self.planner, |_| {}).map_err(|fault| (fault, Step { device: 9, ..Step::default() }))?;
        }
        for device in 0..2 {
            let mut edited = vec![(*world, Step { device, ..Step::default() })];
            let mut seen = HashSet::from([*world]);
            let mut at = 0;
            while let Some((before, step)) = edited.get(at).copied() {
                at += 1;
                let mut after = before;
                if after.exchange(device, &mut self.planner, self.new_id).map_err(|fault| (fault, step))? {
                    self.add(canonical(&after), number, step);
                }
                for edit in before.edits(device, VALUES) {
                    let mut after = before;
                    after.edit(device, edit);
                    after.compact();
                    // The fewest edits lead to the most histories.
                    if seen.insert(without_edits(&after)) {
                        let mut step = step;
                        step.edits[step.count] = edit;
                        step.count += 1;
                        edited.push((after, step));
                    }
                }
            }
        }
        Ok(())
    }

    /// How a fault comes about. Names change from line to line.
    fn story(&self, mut number: usize, last: Step, fault: &Fault) -> String {
        let describe = |step: &Step| {
            let edits: Vec<String> = step.edits[..step.count].iter().map(|edit| format!("{edit:?}")).collect();
            match step.device {
                9 => "all sync".to_owned(),
                device => format!("{} edits {} and syncs", super::name(device), edits.join(", ")),
            }
        };
        let mut lines = vec![fault.0.clone(), describe(&last)];
        while number != 0 {
            let (world, before, step) = &self.reached[number];
            lines.extend([world.to_string(), describe(step)]);
            number = *before as usize;
        }
        lines.push(self.reached[0].0.to_string());
        lines.reverse();
        lines.join("\n")
    }

    fn report(&self) -> String {
        let (drafts, plans) = self.planner.calls();
        format!("{} states, {drafts} inputs of draft, {plans} of plan", self.reached.len())
    }
}

fn without_edits(world: &Two) -> Two {
    let mut world = *world;
    world.devices = world.devices.map(|device| Device { edits_left: 0, ..device });
    world
}

/// The same for all states that differ only in names.
fn canonical(world: &Two) -> Two {
    let [first, second] = world.devices;
    let mut swapped = *world;
    swapped.devices = [second, first];
    for column in &mut swapped.columns {
        column.bases.reverse();
        column.locals.reverse();
        column.in_bases.reverse();
        column.shown.reverse();
    }
    let named = |mut world: Two| {
        for column in &mut world.columns[..2] {
            column.name_values();
        }
        world.compact();
        world.columns[..2].sort();
        world
    };
    named(*world).min(named(swapped))
}

impl Column<2> {
    /// Swaps the two values that are not empty if the second appears first.
    fn name_values(&mut self) {
        let values = self.cells().map(|cell| cell.value).find(|value| *value != 0);
        let is_swapped = match values {
            Some(value) => value == 2,
            None => self.cells().map(|cell| cell.alternatives).find(|it| it[1] != it[2]).is_some_and(|it| it[2] > it[1]),
        };
        if !is_swapped {
            return;
        }
        for Cell { value, alternatives, .. } in self.cells_mut() {
            alternatives.swap(1, 2);
            *value = [0, 2, 1][usize::from(*value)];
        }
        for bounds in self.bounds_mut() {
            bounds.owed.0.swap(1, 2);
            bounds.allowed.0.swap(1, 2);
        }
    }
}

#[test]
fn probe() {
    for start in [Start::Synced, Start::Made] {
        for edits in std::env::var("FROM").map_or(1, |it| it.parse().expect("a number"))..=std::env::var("DEPTH").map_or(2, |it| it.parse().expect("a number")) {
            for new_id in [GREATEST_ID, 1] {
                let time = std::time::Instant::now();
                let exploration = Exploration::run(start, edits, new_id);
                println!("{start:?} {edits} {new_id}: {} in {:?}", exploration.report(), time.elapsed());
            }
        }
    }
}
