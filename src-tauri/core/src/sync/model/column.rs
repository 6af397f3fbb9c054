//! One field in every copy, and what a person does with it.

use super::{
    copies::{Cell, VALUES},
    names::{FirstAppearance, IDS, LEAST_ID},
    writes::{Bounds, Writes},
};

/// A person sets a field, removes or restores the record, or chooses a value of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Edit {
    pub cell: u8,
    pub value: u8,
}

impl Edit {
    /// What a person does. `cells` is the number of fields and one more.
    pub fn describe(self, cells: usize) -> String {
        match (usize::from(self.cell) + 1 == cells, self.value) {
            (true, 0) => "keeps or restores the record".to_owned(),
            (true, _) => "removes the record".to_owned(),
            (false, 0) => format!("empties field {}", self.cell + 1),
            (false, value) => format!("sets field {} to {value}", self.cell + 1),
        }
    }
}

/// One field in every copy, or whether the record is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Column<const D: usize> {
    pub server: Cell,
    pub bases: [Cell; D],
    pub locals: [Cell; D],
    /// What the copies must show.
    pub on_server: Bounds,
    pub in_bases: [Bounds; D],
    pub shown: [Bounds; D],
}

impl<const D: usize> Column<D> {
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        [&self.server].into_iter().chain(&self.bases).chain(&self.locals)
    }

    pub fn cells_mut(&mut self) -> impl Iterator<Item = &mut Cell> {
        [&mut self.server].into_iter().chain(&mut self.bases).chain(&mut self.locals)
    }

    pub fn bounds_mut(&mut self) -> impl Iterator<Item = &mut Bounds> {
        [&mut self.on_server].into_iter().chain(&mut self.in_bases).chain(&mut self.shown)
    }

    /// An id that no choice has.
    pub fn new_decision(&self) -> u8 {
        self.cells().map(|cell| cell.decision).max().unwrap_or_default().max(LEAST_ID) + 1
    }

    /// Renames ids: those of alternatives keep their order, with room for one more at every place; those that are only
    /// compared get theirs in the order of their first appearance.
    pub fn rename(&mut self) {
        let mut is_used = [false; IDS];
        for cell in self.cells() {
            for id in cell.alternatives {
                is_used[usize::from(id)] = true;
            }
        }
        let mut names = [0; IDS];
        let mut next = LEAST_ID;
        for id in 1..IDS {
            if is_used[id] {
                names[id] = next;
                next += 2;
            }
        }
        let mut decisions = FirstAppearance::new();
        for cell in self.cells_mut() {
            cell.decision = decisions.name(cell.decision);
            for id in &mut cell.alternatives {
                *id = names[usize::from(*id)];
            }
        }
        let (mut owed, mut allowed) = (FirstAppearance::new(), FirstAppearance::new());
        for bounds in self.bounds_mut() {
            for value in 0..usize::from(VALUES) {
                let (Writes(owed_of), Writes(allowed_of)) = (&mut bounds.owed, &mut bounds.allowed);
                owed_of[value] = owed.name(owed_of[value]);
                allowed_of[value] = allowed.name(allowed_of[value]);
            }
        }
    }

    /// What a person can do with it on a device. Fields of removed records are not edited, but their conflicts can be
    /// settled. `cell` is its number.
    pub fn edits(&self, device: usize, cell: usize, values: u8, can_set: bool) -> impl Iterator<Item = Edit> {
        let local = self.locals[device];
        let is_edit = move |value: &u8| local.is_open() && local.shows(*value) || can_set && local.value != *value;
        let cell = u8::try_from(cell).unwrap_or_default();
        (0..values).filter(is_edit).map(move |value| Edit { cell, value })
    }

    /// A person sets the value on a device, as `Journal::changed` stores it: a write of an open conflict closes it.
    pub fn set(&mut self, device: usize, value: u8) {
        let decision = self.new_decision();
        let local = &mut self.locals[device];
        self.shown[device] = self.shown[device].write(value, local.is_open(), self.in_bases[device]);
        if local.is_open() {
            (local.decision, local.alternatives) = (decision, [0; VALUES as usize]);
        }
        local.value = value;
    }
}
