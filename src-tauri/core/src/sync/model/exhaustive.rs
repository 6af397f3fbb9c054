//! Explores every history of two devices with a record of two fields of three values.
//!
//! Histories that lead to the same state are one. What an edit changes, no other device reads before the next exchange of
//! its device; so edits are made right before it, and a step is any number of edits on a device with an exchange. States that
//! differ only in names are one as well: of ids, of the two devices, of the two fields, of the values that are not empty. A
//! state is not explored again with fewer edits left, because its histories are among those that were.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    rc::Rc,
};

use garage_domain::conflict::REMOVAL;

use super::{
    Fault,
    column::{Column, Edit},
    copies::{Cell, REMOVED},
    names::GREATEST_ID,
    planner::Planner,
    world::{Device, Start, World, name},
};

/// The values of a field; 0 is an empty one.
const VALUES: u8 = 3;
/// The fields, and whether the record is removed.
const CELLS: usize = 3;
const REMOVAL_CELL: usize = CELLS - 1;
/// The most exchanges with something to send or to receive after the last edit: one device sends, the other one receives and
/// merges, sends, and the first one receives.
const MOST_EXCHANGES: u32 = 4;

type Two = World<2, CELLS>;

/// A state. Columns are numbers in [`Columns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct State {
    columns: [u32; CELLS],
    devices: [Device; 2],
    is_on_server: bool,
}

/// A column under its canonical name, and that with the devices swapped.
#[derive(Debug, Clone, Copy)]
struct Names {
    plain: u32,
    swapped: u32,
}

/// Every column that occurs in a state, once.
#[derive(Default)]
struct Columns {
    all: Vec<Column<2>>,
    numbers: HashMap<Column<2>, u32>,
    /// By what an exchange left, for fields and removals.
    names: [HashMap<Column<2>, Names>; 2],
}

impl Columns {
    fn names(&mut self, column: Column<2>, is_removal: bool) -> Names {
        if let Some(names) = self.names[usize::from(is_removal)].get(&column) {
            return *names;
        }
        let mut mirrored = column;
        mirrored.bases.reverse();
        mirrored.locals.reverse();
        mirrored.in_bases.reverse();
        mirrored.shown.reverse();
        let names = Names {
            plain: self.number(canonical(column, is_removal)),
            swapped: self.number(canonical(mirrored, is_removal)),
        };
        self.names[usize::from(is_removal)].insert(column, names);
        names
    }

    fn number(&mut self, column: Column<2>) -> u32 {
        *self.numbers.entry(column).or_insert_with(|| {
            self.all.push(column);
            u32::try_from(self.all.len() - 1).expect("few columns")
        })
    }

    fn world(&self, state: &State) -> Two {
        World {
            columns: state.columns.map(|number| self.all[number as usize]),
            devices: state.devices,
            is_on_server: state.is_on_server,
        }
    }

    /// The state under its canonical name, and whether the devices are swapped in it; `None` if that makes no difference.
    fn state(&mut self, world: &Two) -> (State, Option<bool>) {
        let mut number = 0;
        let names = world.columns.map(|column| {
            number += 1;
            self.names(column, number == CELLS)
        });
        let [first, second] = world.devices;
        let named = |of: fn(&Names) -> u32, devices| {
            let mut columns = names.each_ref().map(of);
            columns[..REMOVAL_CELL].sort_unstable();
            State { columns, devices, is_on_server: world.is_on_server }
        };
        let (plain, swapped) = (named(|it| it.plain, [first, second]), named(|it| it.swapped, [second, first]));
        (plain.min(swapped), (plain != swapped).then_some(swapped < plain))
    }
}

/// The least of all names of a column.
fn canonical(mut column: Column<2>, is_removal: bool) -> Column<2> {
    column.rename();
    if is_removal {
        return column;
    }
    let mut other = column;
    for Cell { value, alternatives, .. } in other.cells_mut() {
        alternatives.swap(1, 2);
        *value = [0, 2, 1][usize::from(*value)];
    }
    for bounds in other.bounds_mut() {
        bounds.owed.0.swap(1, 2);
        bounds.allowed.0.swap(1, 2);
    }
    other.rename();
    column.min(other)
}

/// What a person can make of a column with the fewest edits.
#[derive(Debug, Clone)]
struct Outcome {
    column: Column<2>,
    edits: Vec<Edit>,
    /// Whether the record was there at one time, so that fields could be set.
    was_live: bool,
}

fn outcomes(column: Column<2>, cell: usize, device: usize, most: usize, can_set: bool) -> Rc<[Outcome]> {
    let is_live = |column: &Column<2>| cell != REMOVAL_CELL || column.locals[device].value != REMOVED;
    let mut all = vec![Outcome { column, edits: Vec::new(), was_live: is_live(&column) }];
    let mut at = 0;
    while at < all.len() {
        let before = all[at].clone();
        at += 1;
        if before.edits.len() == most {
            continue;
        }
        let values = if cell == REMOVAL_CELL { 2 } else { VALUES };
        for edit in before.column.edits(device, cell, values, can_set) {
            let mut after = before.clone();
            after.column.set(device, edit.value);
            after.column.rename();
            after.edits.push(edit);
            after.was_live |= is_live(&after.column);
            if !all.iter().any(|it| it.column == after.column && it.was_live == after.was_live) {
                all.push(after);
            }
        }
    }
    all.into()
}

/// Edits on a device, and an exchange.
#[derive(Debug, Clone, Default)]
struct Step {
    device: usize,
    edits: Vec<Edit>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edits: Vec<String> = self.edits.iter().map(|edit| format!("{}, ", edit.describe(CELLS))).collect();
        write!(f, "{} {}syncs", name(self.device), edits.concat())
    }
}

/// A state that was reached.
struct Reached {
    state: State,
    /// The state before, and the step between.
    before: Option<(usize, Step)>,
    /// The edits left that it was explored with, or will be.
    edits_left: Vec<[u8; 2]>,
    /// What follows if nobody edits.
    quiet: Vec<usize>,
}

/// By the column, whether it is the removal, the device, the number of edits, and whether fields can be set.
type Outcomes = HashMap<(u32, bool, usize, usize, bool), Rc<[Outcome]>>;

struct Exploration {
    planner: Planner<CELLS>,
    columns: Columns,
    outcomes: Outcomes,
    numbers: HashMap<State, usize>,
    reached: Vec<Reached>,
    /// What is still to be explored, by the sum of the edits left.
    waiting: Vec<Vec<(usize, [u8; 2])>>,
    new_id: u8,
    exchanges: u64,
}

impl Exploration {
    /// Explores all histories that begin like this, with at most that many edits on each device. `new_id` is the id of what
    /// a merge writes.
    fn run(starts: &[(Start, u8)], new_id: u8) -> Exploration {
        let mut exploration = Exploration {
            planner: Planner::new("notes", ["a", "b", REMOVAL]),
            columns: Columns::default(),
            outcomes: HashMap::new(),
            numbers: HashMap::new(),
            reached: Vec::new(),
            waiting: Vec::new(),
            new_id,
            exchanges: 0,
        };
        for (start, edits) in starts {
            exploration.add(&World::new(*start), [*edits; 2], None);
        }
        while let Some((number, edits_left)) = exploration.waiting.iter_mut().rev().find_map(Vec::pop) {
            if let Err((fault, step)) = exploration.explore(number, edits_left) {
                panic!("{}", exploration.story(number, &step, &fault));
            }
        }
        exploration
    }

    /// Returns the number of the state.
    fn add(&mut self, world: &Two, edits_left: [u8; 2], before: Option<(usize, Step)>) -> usize {
        let (state, is_swapped) = self.columns.state(world);
        let [first, second] = edits_left;
        let edits_left = match is_swapped {
            Some(false) => [first, second],
            Some(true) => [second, first],
            None => [first.max(second), first.min(second)],
        };
        let number = match self.numbers.entry(state) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.reached.push(Reached { state, before, edits_left: Vec::new(), quiet: Vec::new() });
                *entry.insert(self.reached.len() - 1)
            }
        };
        let known = &mut self.reached[number].edits_left;
        if !known.iter().any(|it| it[0] >= edits_left[0] && it[1] >= edits_left[1]) {
            known.push(edits_left);
            let sum = usize::from(edits_left[0] + edits_left[1]);
            if self.waiting.len() <= sum {
                self.waiting.resize(sum + 1, Vec::new());
            }
            self.waiting[sum].push((number, edits_left));
        }
        number
    }

    fn explore(&mut self, number: usize, edits_left: [u8; 2]) -> Result<(), (Fault, Step)> {
        let state = self.reached[number].state;
        let world = self.columns.world(&state);
        let mut quiet = Vec::new();
        for device in 0..2 {
            let most = usize::from(edits_left[device]);
            let [first, second, removal] = std::array::from_fn(|cell| {
                [true, false].map(|can_set| self.outcomes(&state, cell, device, most, can_set))
            });
            for removal in removal[0].iter() {
                let [first, second] = [&first, &second].map(|it| &it[usize::from(!removal.was_live)]);
                for first in first.iter() {
                    for second in second.iter() {
                        let count = first.edits.len() + second.edits.len() + removal.edits.len();
                        if count > most {
                            continue;
                        }
                        let mut after = world;
                        after.columns = [first.column, second.column, removal.column];
                        let step = || {
                            let edits = [&removal.edits, &first.edits, &second.edits];
                            Step { device, edits: edits.into_iter().flatten().copied().collect() }
                        };
                        self.exchanges += 1;
                        if !after.exchange(device, &mut self.planner, self.new_id).map_err(|fault| (fault, step()))? {
                            continue;
                        }
                        let mut left = edits_left;
                        left[device] -= u8::try_from(count).unwrap_or_default();
                        let next = self.add(&after, left, Some((number, step())));
                        if count == 0 {
                            quiet.push(next);
                        }
                    }
                }
            }
        }
        if quiet.is_empty() {
            world.check_same().map_err(|fault| (fault, Step { device: 2, edits: Vec::new() }))?;
        }
        self.reached[number].quiet = quiet;
        Ok(())
    }

    fn outcomes(&mut self, state: &State, cell: usize, device: usize, most: usize, can_set: bool) -> Rc<[Outcome]> {
        let column = self.columns.all[state.columns[cell] as usize];
        // A device without the record has nothing to edit.
        let most = if state.devices[device].has_record { most } else { 0 };
        let make = || outcomes(column, cell, device, most, can_set);
        let key = (state.columns[cell], cell == REMOVAL_CELL, device, most, can_set);
        Rc::clone(self.outcomes.entry(key).or_insert_with(make))
    }

    /// The most exchanges with something to send or to receive until all have the same, if nobody edits. Panics if there is
    /// no end.
    fn most_exchanges(&self) -> u32 {
        // The number of each state, once everything that follows it is known.
        let mut known = vec![None; self.reached.len()];
        for first in 0..self.reached.len() {
            let mut path = vec![first];
            while let Some(number) = path.last().copied() {
                let quiet = &self.reached[number].quiet;
                if let Some(next) = quiet.iter().find(|next| known[**next].is_none()) {
                    if path.contains(next) {
                        let fault = Fault("sync does not end".to_owned());
                        panic!("{}", self.story(number, &Step::default(), &fault));
                    }
                    path.push(*next);
                } else {
                    known[number] =
                        quiet.iter().filter_map(|next| known[*next]).max().map_or(Some(0), |it: u32| Some(it + 1));
                    path.pop();
                }
            }
        }
        known.into_iter().flatten().max().unwrap_or_default()
    }

    /// How a fault comes about. Names may change from line to line.
    fn story(&self, mut number: usize, last: &Step, fault: &Fault) -> String {
        let mut lines = vec![fault.0.clone(), last.to_string()];
        loop {
            let Reached { state, before, .. } = &self.reached[number];
            lines.push(self.columns.world(state).to_string());
            let Some((before, step)) = before else { break };
            lines.push(step.to_string());
            number = *before;
        }
        lines.reverse();
        lines.join("\n")
    }
}

/// Explores histories, and checks that sync ends after all of them.
fn explore(starts: &[(Start, u8)], new_id: u8, least_states: usize) {
    let exploration = Exploration::run(starts, new_id);
    let most = exploration.most_exchanges();
    assert!(most <= MOST_EXCHANGES, "{most} exchanges until all have the same");
    let (states, exchanges, inputs) = (exploration.reached.len(), exploration.exchanges, exploration.planner.inputs());
    println!("{states} states, {exchanges} exchanges, {inputs} inputs of the planner");
    assert!(states >= least_states, "the model has lost states: {states}");
}

#[test]
fn every_history_with_up_to_four_edits_on_each_device_shows_what_it_must() {
    explore(&[(Start::Synced, 4), (Start::Made, 4), (Start::WithoutBases, 3)], GREATEST_ID, 100_000);
}

/// New ids come before all others. The order of ids has no meaning.
#[test]
fn every_history_with_up_to_three_edits_is_right_whichever_ids_are_first() {
    explore(&[(Start::Synced, 3), (Start::Made, 3), (Start::WithoutBases, 2)], 1, 10_000);
}
