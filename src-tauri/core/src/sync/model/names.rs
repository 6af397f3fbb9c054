//! Renames ids and values, so that states and inputs that differ only in them are equal.

use std::collections::HashMap;

use super::copies::{Cell, VALUES};

/// The least id of a renamed alternative or choice. A lower one is free.
pub(super) const LEAST_ID: u8 = 2;
/// An id that is greater than those of all renamed columns.
pub(super) const GREATEST_ID: u8 = 60;
/// The id of what a merge writes, in the planner's inputs.
pub(super) const NEW_ID: u8 = 30;
/// All ids are less.
pub(super) const IDS: usize = 64;

/// Names ids in the order in which they appear; 0 stays.
pub(super) struct FirstAppearance {
    names: [u8; IDS],
    next: u8,
}

impl FirstAppearance {
    pub fn new() -> FirstAppearance {
        FirstAppearance { names: [0; IDS], next: LEAST_ID }
    }

    pub fn name(&mut self, id: u8) -> u8 {
        let name = &mut self.names[usize::from(id)];
        if id != 0 && *name == 0 {
            *name = self.next;
            self.next += 2;
        }
        *name
    }
}

/// A cell of the local copy, the base, and the server's copy.
type Input = [Option<Cell>; 3];

/// The cells of the planner's inputs, by number.
#[derive(Default)]
pub(super) struct Inputs {
    all: Vec<Input>,
    numbers: HashMap<(Input, bool), u32>,
    names: HashMap<(Input, bool, u8), CellNames>,
}

/// How an input is called, and the names that it has in the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellNames {
    pub number: u32,
    values: [u8; VALUES as usize],
    alternatives: [u8; IDS],
    decisions: [u8; IDS],
}

impl Inputs {
    pub fn names(&mut self, input: Input, is_removal: bool, new_id: u8) -> CellNames {
        if let Some(names) = self.names.get(&(input, is_removal, new_id)) {
            return *names;
        }
        let named = value_orders(is_removal).iter().map(|values| renamed(input, *values, new_id));
        let Some((renamed, mut names)) = named.min_by_key(|(renamed, _)| *renamed) else { unreachable!("an order") };
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        names.number = *self.numbers.entry((renamed, is_removal)).or_insert(next);
        if names.number == next {
            self.all.push(renamed);
        }
        self.names.insert((input, is_removal, new_id), names);
        names
    }

    pub fn cells(&self, names: &CellNames) -> Input {
        self.all[names.number as usize]
    }
}

impl CellNames {
    /// The cell of the model that is called like this.
    pub fn cell(&self, cell: &Cell) -> Cell {
        let mut named = Cell {
            value: self.values[usize::from(cell.value)],
            decision: self.decisions[usize::from(cell.decision)],
            ..Cell::default()
        };
        for (value, id) in self.values.into_iter().zip(cell.alternatives) {
            named.alternatives[usize::from(value)] = self.alternatives[usize::from(id)];
        }
        named
    }
}

/// The orders in which values can be called. An empty field is one always, and so is a removed record.
fn value_orders(is_removal: bool) -> &'static [[u8; VALUES as usize]] {
    const ALL: [[u8; VALUES as usize]; 6] =
        [[0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]];
    if is_removal { &ALL[..1] } else { &ALL }
}

/// Calls the values 0, 1, … that the model calls like this, and ids in their order around the new one.
fn renamed(input: Input, values: [u8; VALUES as usize], new_id: u8) -> (Input, CellNames) {
    let mut names = CellNames { number: 0, values, alternatives: [0; IDS], decisions: [0; IDS] };
    let mut is_used = [false; IDS];
    for id in input.iter().flatten().flat_map(|cell| cell.alternatives) {
        is_used[usize::from(id)] = true;
    }
    let mut called = [0; IDS];
    let (mut lesser, mut greater) = (LEAST_ID, NEW_ID + 1);
    for id in (1..IDS).filter(|id| is_used[*id]) {
        let next = if id < usize::from(new_id) { &mut lesser } else { &mut greater };
        called[id] = *next;
        names.alternatives[usize::from(*next)] = u8::try_from(id).unwrap_or_default();
        *next += 1;
    }
    names.alternatives[usize::from(NEW_ID)] = new_id;
    names.decisions[usize::from(NEW_ID)] = new_id;
    let mut decisions = FirstAppearance::new();
    let renamed = input.map(|cell| {
        cell.map(|cell| {
            let decision = decisions.name(cell.decision);
            names.decisions[usize::from(decision)] = cell.decision;
            let value = values.iter().position(|value| *value == cell.value).unwrap_or_default();
            let alternatives = values.map(|value| called[usize::from(cell.alternatives[usize::from(value)])]);
            Cell { value: u8::try_from(value).unwrap_or_default(), decision, alternatives }
        })
    });
    (renamed, names)
}
