//! What a person must see of a field, and what a person may see: the writes that no later write has seen.
//!
//! This is the reference that the planner is compared with. It knows nothing of versions, alternatives or merges of records.
//! A write takes the place of all writes that its device shows, and two sets of writes are merged as sets. So a write
//! disappears only if another takes its place on a device that shows it, and two writes stand beside each other only if
//! neither has seen the other.

use std::hash::{Hash, Hasher};

use super::copies::{REMOVED, VALUES};

/// Writes that stand: for each value the number of its write; 0 if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Writes(pub [u8; VALUES as usize]);

/// A number that no write has.
pub(super) const NEW: u8 = 63;

impl Writes {
    pub fn one(value: u8, number: u8) -> Writes {
        let mut writes = Writes::default();
        writes.0[usize::from(value)] = number;
        writes
    }

    pub fn has(&self, value: u8) -> bool {
        self.0[usize::from(value)] != 0
    }

    /// The value of the only write; `None` if there are several.
    fn value(&self) -> Option<usize> {
        let mut all = (0..self.0.len()).filter(|value| self.0[*value] != 0);
        all.next().filter(|_| all.next().is_none())
    }

    fn are_several(&self) -> bool {
        self.0.iter().filter(|number| **number != 0).count() > 1
    }

    /// The number of the only write.
    pub fn only(&self) -> Option<u8> {
        self.value().map(|value| self.0[value])
    }

    /// Merges what a device and the server show. `seen`: what the server had when the device last heard of it. `both`: the
    /// number of two new writes of the same value.
    fn merged(self, seen: Writes, server: Writes, both: impl Fn(u8, u8) -> u8) -> Writes {
        let mut merged = Writes::default();
        for value in 0..self.0.len() {
            let (here, seen, there) = (self.0[value], seen.0[value], server.0[value]);
            let is_new = |number: u8| number != 0 && number != seen;
            merged.0[value] = match (is_new(here), is_new(there)) {
                (true, true) => both(here, there),
                (true, false) => here,
                (false, true) => there,
                // One that the other side does not have any more has been replaced there.
                (false, false) => here.min(there),
            };
        }
        merged
    }

    /// Whether there are writes here that `seen` has not, of a value other than `live`.
    fn has_news(self, seen: Writes, live: u8) -> bool {
        let is_new = |value: usize| self.0[value] != 0 && self.0[value] != seen.0[value];
        (0..self.0.len()).any(|value| is_new(value) && value != usize::from(live))
    }
}

/// The writes that have to be shown, and those that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Bounds {
    /// Whoever has seen a value has seen all writes of it. A write's number is that of the last choice before it, or its own
    /// if it is one: a choice of a value that was seen is new.
    pub owed: Writes,
    /// A value that is written again is new.
    pub allowed: Writes,
}

impl Hash for Bounds {
    /// Hashes all at once, as `Cell` does.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.owed.0);
        state.write(&self.allowed.0);
    }
}

impl Bounds {
    /// A write on a device that shows `self`. `base`: what the server had when the device last heard of it.
    pub fn write(self, value: u8, is_choice: bool, base: Bounds) -> Bounds {
        let choice = self.owed.only().filter(|_| !is_choice).unwrap_or(NEW);
        let owed = Writes::one(value, choice);
        // A value that is set and set back was not changed.
        if owed == base.owed && base.allowed.only().is_some() {
            return base;
        }
        Bounds { owed, allowed: Writes::one(value, NEW) }
    }
}

/// One record on a device and on the server; the last of each is whether it is removed.
pub(super) struct Sides<const C: usize> {
    pub here: [Bounds; C],
    pub seen: [Bounds; C],
    pub server: [Bounds; C],
    pub has_base: bool,
    /// Whether the record was removed on the server when the device last heard of it.
    pub was_removed: bool,
    /// The value that the record has in each field.
    pub live_here: [u8; C],
    pub live_there: [u8; C],
}

impl<const C: usize> Sides<C> {
    /// What the device shows after it has received the server's state.
    pub fn merged(&self) -> [Bounds; C] {
        let mut owed = self.merged_writes(|bounds| bounds.owed, |here| here, |_, there| there);
        for (cell, owed) in owed.iter_mut().enumerate() {
            let [here, seen, server] = [&self.here, &self.seen, &self.server].map(|side| side[cell].owed);
            // Both sides have settled on one value, so there is nothing to choose from.
            if server != seen && here.value().is_some() && here.value() == server.value() {
                *owed = server;
            }
            // Who has seen the server's conflict open has not chosen what is left of it.
            if let (true, Some(value)) = (server.are_several(), owed.value()) {
                owed.0[value] = NEW;
            }
        }
        // Without a base what is here counts as new, although others may have seen and replaced it.
        let own = |here| if self.has_base { here } else { NEW };
        let both = |here, there| if here == there { here } else { NEW };
        let mut allowed = self.merged_writes(|bounds| bounds.allowed, own, both);
        // A removal has no name, so that one that was taken back is not told from a later one: both may be asked about.
        let removed = usize::from(REMOVED);
        let is_opposed = |side: &[Bounds; C]| side[C - 1].allowed.has(REMOVED);
        let is_live = self.live_here[C - 1] != REMOVED && self.live_there[C - 1] != REMOVED;
        if self.was_removed && is_live && (is_opposed(&self.here) || is_opposed(&self.server)) {
            allowed[C - 1].0[removed] = NEW;
        }
        std::array::from_fn(|cell| Bounds { owed: owed[cell], allowed: allowed[cell] })
    }

    /// `own`: the number of a write here; `both`: that of two new writes of the same value.
    fn merged_writes(&self, of: fn(&Bounds) -> Writes, own: impl Fn(u8) -> u8, both: fn(u8, u8) -> u8) -> [Writes; C] {
        let [mut here, seen, server] = [&self.here, &self.seen, &self.server].map(|side| side.each_ref().map(of));
        for number in here.iter_mut().flat_map(|writes| &mut writes.0).filter(|number| **number != 0) {
            *number = own(*number);
        }
        let mut merged: [Writes; C] = std::array::from_fn(|cell| here[cell].merged(seen[cell], server[cell], both));
        let mut fields = 0..C - 1;
        let removal = C - 1;
        let removes = |side: &[Writes; C]| side[removal].has_news(seen[removal], 0);
        let unopposed = match (here[removal].has(0), server[removal].has(0)) {
            // A removal here has not seen what is new there: an edit says that the record is to stay.
            (false, true) if removes(&here) => {
                fields.any(|cell| server[cell].has_news(seen[cell], self.live_here[cell])).then_some(server[removal])
            }
            // The other way round.
            (true, false) if removes(&server) => {
                fields.any(|cell| here[cell].has_news(seen[cell], self.live_there[cell])).then_some(here[removal])
            }
            _ => None,
        };
        if let Some(stays) = unopposed {
            merged[removal].0[0] = stays.0[0];
        }
        merged
    }
}
