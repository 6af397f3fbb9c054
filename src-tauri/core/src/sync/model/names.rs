//! Renames ids, so that states that differ only in them are equal.

use super::{
    copies::{Cell, VALUES},
    world::Column,
    writes::{Bounds, Writes},
};

/// The least id of a renamed alternative or choice. A lower one is free.
const LEAST_ID: u8 = 2;
/// An id that is greater than those of all renamed columns.
pub(super) const GREATEST_ID: u8 = 60;
/// All ids are less.
const IDS: usize = 64;

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
}

/// Names ids in the order in which they appear; 0 stays.
struct FirstAppearance {
    names: [u8; IDS],
    next: u8,
}

impl FirstAppearance {
    fn new() -> FirstAppearance {
        FirstAppearance { names: [0; IDS], next: LEAST_ID }
    }

    fn name(&mut self, id: u8) -> u8 {
        let name = &mut self.names[usize::from(id)];
        if id != 0 && *name == 0 {
            *name = self.next;
            self.next += 2;
        }
        *name
    }
}
