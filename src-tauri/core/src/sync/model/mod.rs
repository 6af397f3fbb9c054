//! A model of devices and a server around the planner: one record, few fields, few values.
//!
//! It calls the functions of `plan` and `wire` for everything that they decide, and compares what every copy shows with
//! what it must show (`writes`). `exhaustive` explores every history of two devices, `random` longer ones of three.
//!
//! Devices and the server meet only in an exchange: one request with what the device has to send, and its response. Three
//! kinds of events need no place in the model, because they lead to states that it has:
//! - A response that is lost, and asked for again: an operation that was applied has set the base that the device learns
//!   later, and one that was not is computed from the device's state again.
//! - Edits while a request is on its way: the response does not change them, so that they could follow it.
//! - Requests of two devices at the same time: the server puts them in an order.

mod copies;
#[cfg(test)]
mod exhaustive;
#[cfg(feature = "simulation")]
mod random;
mod writes;

use std::fmt;

use self::{
    copies::{Cell, MOST_VALUES, Planner, REMOVED, Row},
    writes::{Bounds, NEW, Sides, Writes},
};

#[cfg(feature = "simulation")]
pub use self::random::{Case, run};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub String);

/// A person sets a field, removes or restores the record, or chooses a value of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Edit {
    cell: u8,
    value: u8,
}

/// One field in every copy, or whether the record is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Column<const D: usize> {
    server: Cell,
    bases: [Cell; D],
    locals: [Cell; D],
    /// What the copies must show.
    on_server: Bounds,
    in_bases: [Bounds; D],
    shown: [Bounds; D],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
struct Device {
    has_record: bool,
    has_base: bool,
    /// Whether the base has the server's version.
    is_current: bool,
    /// How many edits its person still makes.
    edits_left: u8,
}

/// The state of all. `D` devices; `C` is the number of fields and one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct World<const D: usize, const C: usize> {
    columns: [Column<D>; C],
    devices: [Device; D],
    is_on_server: bool,
}

/// How a history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Everyone has the record, with empty fields.
    Synced,
    /// The first device has made the record, and not sent it.
    Made,
    /// Everyone has the record, and no device has a base: the server was restored from a backup, or the file was.
    WithoutBases,
}

/// The least id of an alternative or a choice. A lower one is free.
const LEAST_ID: u8 = 2;
/// An id that is greater than those of all canonical columns.
const GREATEST_ID: u8 = 250;
/// The most exchanges in a row that have something to send, or to receive, of devices whose persons rest.
const fn most_exchanges(devices: usize) -> usize {
    // Each device receives and merges, sends, and receives what the others have sent.
    3 * devices
}

impl<const D: usize, const C: usize> World<D, C> {
    fn new(start: Start, edits: u8) -> World<D, C> {
        let empty = Bounds { owed: Writes::one(0, 1), allowed: Writes::one(0, 1) };
        let has_base = start == Start::Synced;
        let is_on_server = start != Start::Made;
        let of = |is_there: bool| if is_there { empty } else { Bounds::default() };
        let has_record = |device: usize| is_on_server || device == 0;
        let column = Column {
            server: Cell::default(),
            bases: [Cell::default(); D],
            locals: [Cell::default(); D],
            on_server: of(is_on_server),
            in_bases: [of(has_base); D],
            shown: std::array::from_fn(|device| of(has_record(device))),
        };
        let devices = std::array::from_fn(|device| Device {
            has_record: has_record(device),
            has_base,
            is_current: has_base,
            edits_left: edits,
        });
        World { columns: [column; C], devices, is_on_server }
    }

    fn local(&self, device: usize) -> Option<Row<C>> {
        self.devices[device].has_record.then(|| self.columns.map(|column| column.locals[device]))
    }

    fn base(&self, device: usize) -> Option<Row<C>> {
        self.devices[device].has_base.then(|| self.columns.map(|column| column.bases[device]))
    }

    fn server(&self) -> Row<C> {
        self.columns.map(|column| column.server)
    }

    /// What a person can do on a device. Removed records are not edited, but their conflicts can be settled.
    fn edits(&self, device: usize, values: u8) -> Vec<Edit> {
        let mut edits = Vec::new();
        if !self.devices[device].has_record || self.devices[device].edits_left == 0 {
            return edits;
        }
        let is_removed = self.columns[C - 1].locals[device].value == REMOVED;
        for (cell, column) in (0_u8..).zip(&self.columns) {
            let local = column.locals[device];
            let is_removal = usize::from(cell) == C - 1;
            let values = 0..if is_removal { 2 } else { values };
            let can_set = is_removal || !is_removed;
            let is_edit = |value: &u8| {
                let is_choice = local.is_open() && local.shows(*value);
                is_choice || can_set && local.value != *value
            };
            edits.extend(values.filter(is_edit).map(|value| Edit { cell, value }));
        }
        edits
    }

    /// A person edits on a device, as `Journal::changed` stores it: a write of an open conflict closes it.
    fn edit(&mut self, device: usize, edit: Edit) {
        self.devices[device].edits_left -= 1;
        let column = &mut self.columns[usize::from(edit.cell)];
        let decision = column.cells().map(|cell| cell.decision).max().unwrap_or_default().max(LEAST_ID) + 1;
        let local = &mut column.locals[device];
        column.shown[device] = column.shown[device].write(edit.value, local.is_open(), column.in_bases[device]);
        if local.is_open() {
            (local.decision, local.alternatives) = (decision, [0; MOST_VALUES]);
        }
        local.value = edit.value;
    }

    /// One request and its response. Returns whether it sent or received anything.
    fn exchange(&mut self, device: usize, planner: &mut Planner<C>, id: u8) -> Result<bool, Fault> {
        let Device { has_record, has_base, is_current, .. } = self.devices[device];
        let (local, base) = (self.local(device), self.base(device));
        let may_exist = !has_base && self.is_on_server;
        let sent = match &local {
            Some(local) => planner.send(local, base.as_ref(), may_exist)?,
            None => None,
        };
        let is_changed = self.columns.iter().any(|column| column.shown[device] != column.in_bases[device]);
        if has_base && sent.is_some() && !is_changed {
            return Err(Fault(format!("{} sends {sent:?}", name(device))));
        }
        let is_base_current = if has_base { is_current } else { !self.is_on_server };
        match sent {
            Some(sent) if is_base_current => {
                for (cell, column) in self.columns.iter_mut().enumerate() {
                    (column.server, column.bases[device]) = (sent.server[cell], sent.base[cell]);
                    column.on_server = column.shown[device];
                    column.in_bases[device] = column.shown[device];
                }
                self.is_on_server = true;
                for it in &mut self.devices {
                    it.is_current = false;
                }
            }
            // The server judges it stale, or there is only its state to receive.
            _ if self.is_on_server && !(has_base && is_current) => {
                let received = planner.receive(local.as_ref(), base.as_ref(), &self.server(), id)?;
                let sides = Sides {
                    here: self.columns.map(|column| column.shown[device]),
                    seen: self.columns.map(|column| column.in_bases[device]),
                    server: self.columns.map(|column| column.on_server),
                    live_here: self.columns.map(|column| column.locals[device].value),
                    live_there: self.columns.map(|column| column.server.value),
                };
                let merged = if has_record { sides.merged() } else { sides.server };
                for (cell, column) in self.columns.iter_mut().enumerate() {
                    (column.bases[device], column.locals[device]) = (column.server, received[cell]);
                    (column.in_bases[device], column.shown[device]) = (column.on_server, merged[cell]);
                }
            }
            _ => return Ok(false),
        }
        self.devices[device] =
            Device { has_record: true, has_base: true, is_current: true, ..self.devices[device] };
        self.check()?;
        self.adopt_shown(device);
        Ok(true)
    }

    /// Compares every copy with what it must show.
    fn check(&self) -> Result<(), Fault> {
        for (cell, column) in self.columns.iter().enumerate() {
            let is_removal = cell == C - 1;
            let copies = (0..D).flat_map(|device| {
                let Device { has_record, has_base, .. } = self.devices[device];
                let local = (has_record, column.locals[device], column.shown[device], name(device));
                let base = (has_base, column.bases[device], column.in_bases[device], "a base");
                [local, base]
            });
            let server = (self.is_on_server, column.server, column.on_server, "the server");
            for (_, copy, writes, who) in copies.chain([server]).filter(|(is_there, ..)| *is_there) {
                for value in 0..MOST_VALUES {
                    let value = u8::try_from(value).unwrap_or_default();
                    let what = match copy.shows(value) {
                        false if writes.owed.has(value) => "has lost",
                        true if !writes.allowed.has(value) => "has made up",
                        _ => continue,
                    };
                    let name = cell_name(cell, C);
                    return Err(Fault(format!("{who} {what} the value {value} of {name}")));
                }
            }
            for device in 0..D {
                let (local, base) = (column.locals[device], column.bases[device]);
                // While both stand beside each other, the server's is the record's; an opposed removal is not.
                let kept = if is_removal { 0 } else { base.value };
                let is_other = local.value != kept && local.shows(kept);
                if self.devices[device].has_base && local.is_open() && is_other {
                    let what = "does not have the server's value of an open conflict";
                    return Err(Fault(format!("{} {what}, {}", name(device), cell_name(cell, C))));
                }
            }
        }
        Ok(())
    }

    /// What a device shows is owed from then on, and what it does not show need not be remembered. Where there is a choice,
    /// a value that the server has too is the server's write.
    fn adopt_shown(&mut self, device: usize) {
        for column in &mut self.columns {
            let (local, server) = (column.locals[device], column.in_bases[device].owed);
            let Bounds { owed, allowed } = &mut column.shown[device];
            for (value, number) in (0_u8..).zip(0..MOST_VALUES) {
                if !local.shows(value) {
                    allowed.0[number] = 0;
                } else if server.has(value) && (local.is_open() || owed.0[number] == 0) {
                    owed.0[number] = server.0[number];
                } else if owed.0[number] == 0 {
                    owed.0[number] = NEW;
                }
            }
        }
    }

    /// Lets all devices sync until nothing is to be sent: then all have the same. Another round changes nothing.
    fn settle(mut self, planner: &mut Planner<C>, mut each: impl FnMut(&World<D, C>)) -> Result<(), Fault> {
        let mut exchanges = 0;
        loop {
            let before = exchanges;
            for device in 0..D {
                while self.exchange(device, planner, GREATEST_ID)? {
                    self.compact();
                    each(&self);
                    exchanges += 1;
                    if exchanges > most_exchanges(D) {
                        return Err(Fault("sync does not end".to_owned()));
                    }
                }
            }
            if exchanges == before {
                break;
            }
        }
        let server = self.server();
        let is_same = |device: usize| {
            let (local, base) = (self.local(device), self.base(device));
            if self.is_on_server { local == Some(server) && base == Some(server) } else { base.is_none() }
        };
        match (0..D).find(|device| !is_same(*device)) {
            Some(device) => Err(Fault(format!("{} and the server differ", name(device)))),
            None => Ok(()),
        }
    }

    /// Renumbers ids.
    fn compact(&mut self) {
        for column in &mut self.columns {
            column.compact();
        }
    }
}

impl<const D: usize> Column<D> {
    fn cells(&self) -> impl Iterator<Item = &Cell> {
        [&self.server].into_iter().chain(&self.bases).chain(&self.locals)
    }

    fn cells_mut(&mut self) -> impl Iterator<Item = &mut Cell> {
        [&mut self.server].into_iter().chain(&mut self.bases).chain(&mut self.locals)
    }

    fn bounds_mut(&mut self) -> impl Iterator<Item = &mut Bounds> {
        [&mut self.on_server].into_iter().chain(&mut self.in_bases).chain(&mut self.shown)
    }

    /// Renumbers ids: those of alternatives in their order, with room for one more at every place; those that are only
    /// compared, in the order of their first appearance.
    fn compact(&mut self) {
        let mut used = [false; 256];
        for id in self.cells().flat_map(|cell| cell.alternatives) {
            used[usize::from(id)] = true;
        }
        let mut numbers = [0_u8; 256];
        let mut next = LEAST_ID;
        for id in (1..256).filter(|id| used[*id]) {
            numbers[id] = next;
            next += 2;
        }
        let mut decisions = FirstAppearance::from(LEAST_ID);
        for cell in self.cells_mut() {
            cell.decision = decisions.number(cell.decision);
            cell.alternatives = cell.alternatives.map(|id| numbers[usize::from(id)]);
        }
        let (mut owed, mut allowed) = (FirstAppearance::from(1), FirstAppearance::from(1));
        for bounds in self.bounds_mut() {
            bounds.owed.0 = bounds.owed.0.map(|number| owed.number(number));
            bounds.allowed.0 = bounds.allowed.0.map(|number| allowed.number(number));
        }
    }
}

/// Numbers ids in the order in which they appear; 0 stays.
struct FirstAppearance {
    numbers: [u8; 256],
    next: u8,
}

impl FirstAppearance {
    fn from(next: u8) -> FirstAppearance {
        FirstAppearance { numbers: [0; 256], next }
    }

    fn number(&mut self, id: u8) -> u8 {
        let number = &mut self.numbers[usize::from(id)];
        if id != 0 && *number == 0 {
            *number = self.next;
            self.next += 1;
        }
        *number
    }
}

fn name(device: usize) -> &'static str {
    ["A", "B", "C"].get(device).copied().unwrap_or("another device")
}

fn cell_name(cell: usize, cells: usize) -> String {
    if cell + 1 == cells { "removal".to_owned() } else { format!("field {}", cell + 1) }
}

impl<const D: usize, const C: usize> fmt::Display for World<D, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, row: Row<C>| {
            for (cell, Cell { value, decision, .. }) in row.iter().enumerate() {
                match (cell + 1 == C, *value) {
                    (true, 0) => f.write_str(" live")?,
                    (true, _) => f.write_str(" removed")?,
                    (false, value) => write!(f, " {value}")?,
                }
                let alternatives = (0..MOST_VALUES).filter(|value| row[cell].alternatives[*value] != 0);
                for value in alternatives {
                    if cell + 1 == C { f.write_str(" (or removed)")? } else { write!(f, "|{value}")? }
                }
                if *decision != 0 {
                    write!(f, "#{decision}")?;
                }
            }
            Ok(())
        };
        f.write_str("server:")?;
        if self.is_on_server {
            row(f, self.server())?;
        }
        for device in 0..D {
            write!(f, " | {}:", name(device))?;
            if let Some(local) = self.local(device) {
                row(f, local)?;
            }
            match self.base(device) {
                Some(_) if self.devices[device].is_current => f.write_str(", base current")?,
                Some(base) => {
                    f.write_str(", base")?;
                    row(f, base)?;
                }
                None => f.write_str(", no base")?,
            }
        }
        Ok(())
    }
}
