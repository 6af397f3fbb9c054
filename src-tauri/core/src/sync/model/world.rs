//! Devices, a server, and what they exchange.

use std::fmt;

use super::{
    Fault,
    column::Column,
    copies::{Cell, REMOVED, Row, VALUES},
    planner::Planner,
    writes::{Bounds, NEW, Sides, Writes},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Device {
    pub has_record: bool,
    pub has_base: bool,
    /// Whether the base has the server's version.
    pub is_current: bool,
}

/// The state of all. `D` devices; `C` is the number of fields and one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct World<const D: usize, const C: usize> {
    pub columns: [Column<D>; C],
    pub devices: [Device; D],
    pub is_on_server: bool,
}

/// How a history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Everyone has the record, with empty fields.
    Synced,
    /// The first device has made the record, and not sent it.
    Made,
    /// Everyone has the record, and no device has a base: the server was restored from a backup, or the file was.
    WithoutBases,
}

impl Start {
    pub const ALL: [Start; 3] = [Start::Synced, Start::Made, Start::WithoutBases];
}

impl<const D: usize, const C: usize> World<D, C> {
    pub fn new(start: Start) -> World<D, C> {
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
        let devices =
            std::array::from_fn(|device| Device { has_record: has_record(device), has_base, is_current: has_base });
        World { columns: [column; C], devices, is_on_server }
    }

    pub fn local(&self, device: usize) -> Option<Row<C>> {
        self.devices[device].has_record.then(|| self.columns.map(|column| column.locals[device]))
    }

    pub fn base(&self, device: usize) -> Option<Row<C>> {
        self.devices[device].has_base.then(|| self.columns.map(|column| column.bases[device]))
    }

    pub fn server(&self) -> Row<C> {
        self.columns.map(|column| column.server)
    }

    /// One request and its response. Returns whether it sent or received anything.
    pub fn exchange(&mut self, device: usize, planner: &mut Planner<C>, id: u8) -> Result<bool, Fault> {
        let Device { has_record, has_base, is_current, .. } = self.devices[device];
        let (local, base) = (self.local(device), self.base(device));
        let may_exist = !has_base && self.is_on_server;
        let sent = match &local {
            Some(local) => planner.send(local, base.as_ref(), may_exist)?,
            None => None,
        };
        let before = self.columns.map(|column| column.shown[device].owed);
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
                    has_base,
                    was_removed: has_base && self.columns[C - 1].bases[device].value == REMOVED,
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
        self.devices[device] = Device { has_record: true, has_base: true, is_current: true };
        self.check(device)?;
        self.adopt_shown(device, before);
        Ok(true)
    }

    /// Compares the copies that an exchange of this device changes with what they must show.
    fn check(&self, device: usize) -> Result<(), Fault> {
        for (cell, column) in self.columns.iter().enumerate() {
            let (local, base) = (column.locals[device], column.bases[device]);
            for (copy, bounds, who) in [
                (local, &column.shown[device], name(device)),
                (base, &column.in_bases[device], "the base"),
                (column.server, &column.on_server, "the server"),
            ] {
                for value in 0..VALUES {
                    let what = match copy.shows(value) {
                        false if bounds.owed.has(value) => "has lost",
                        true if !bounds.allowed.has(value) => "has made up",
                        _ => continue,
                    };
                    let name = cell_name(cell, C);
                    return Err(Fault(format!("{who} {what} the value {value} of {name}")));
                }
            }
            // While values stand beside each other, the server's is the record's; an opposed removal is not.
            let kept = if cell == C - 1 { 0 } else { base.value };
            if local.is_open() && local.value != kept && local.shows(kept) {
                let what = "does not have the server's value of an open conflict";
                return Err(Fault(format!("{} {what}, {}", name(device), cell_name(cell, C))));
            }
        }
        Ok(())
    }

    /// What a device shows is owed from then on, and what it does not show need not be remembered. Where there is a choice,
    /// a value that the server has too is the server's write. One that it showed `before` is the same write still.
    fn adopt_shown(&mut self, device: usize, before: [Writes; C]) {
        for (column, before) in self.columns.iter_mut().zip(before) {
            let (local, server) = (column.locals[device], column.in_bases[device].owed);
            let Bounds { owed, allowed } = &mut column.shown[device];
            for value in 0..VALUES {
                let number = usize::from(value);
                if !local.shows(value) {
                    allowed.0[number] = 0;
                } else if server.has(value) && (local.is_open() || owed.0[number] == 0) {
                    owed.0[number] = server.0[number];
                } else if owed.0[number] == 0 {
                    owed.0[number] = if before.has(value) { before.0[number] } else { NEW };
                }
            }
        }
    }

    /// Fails unless all have the same.
    pub fn check_same(&self) -> Result<(), Fault> {
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
}

pub(super) fn name(device: usize) -> &'static str {
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
                let alternatives = (0..VALUES).filter(|value| row[cell].alternatives[usize::from(*value)] != 0);
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
