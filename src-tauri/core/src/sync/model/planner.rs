//! The planner's functions on small copies, called once for all inputs that differ only in names.

use std::collections::HashMap;

use garage_domain::{Extra, merge::Author, replica::Replica};
use garage_protocol::sync::{Operation, OperationKind};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    super::{
        plan::{Action, Base, Incoming, Refused, draft, plan},
        wire,
    },
    Fault,
    copies::{Cell, Fields, Row},
    names::{CellNames, Inputs, NEW_ID},
};
use crate::store::sync::{Key, StoredBase};

/// What an operation leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<const C: usize> {
    pub server: Row<C>,
    pub base: Row<C>,
}

/// The local copy, the base, and the server's copy.
type Copies<const C: usize> = [Option<Row<C>>; 3];

/// The planner, called once for each input.
pub(super) struct Planner<const C: usize> {
    fields: Fields<C>,
    inputs: Inputs,
    drafts: HashMap<([u32; C], bool), Option<Sent<C>>>,
    plans: HashMap<[u32; C], Row<C>>,
}

const BASE_VERSION: i64 = 1;
const CURRENT_VERSION: i64 = 2;

impl<const C: usize> Planner<C> {
    /// `names`: those of the fields, and that of the removal.
    pub fn new(collection: &'static str, names: [&'static str; C]) -> Planner<C> {
        let fields = Fields { collection, names };
        Planner { fields, inputs: Inputs::default(), drafts: HashMap::new(), plans: HashMap::new() }
    }

    /// The number of inputs that it was called with.
    pub fn inputs(&self) -> usize {
        self.drafts.len() + self.plans.len()
    }

    /// What the record is on the server and as the base after the device has sent what it has to send. The server applies it
    /// if the base is current.
    pub fn send(&mut self, local: &Row<C>, base: Option<&Row<C>>, may_exist: bool) -> Result<Option<Sent<C>>, Fault> {
        let named = self.named([Some(*local), base.copied(), None], NEW_ID);
        let key = (named.key(), may_exist);
        let sent = match self.drafts.get(&key) {
            Some(sent) => *sent,
            None => {
                let [local, base, _] = self.copies(&named);
                let sent = self.send_anew(&local.unwrap_or([Cell::default(); C]), base.as_ref(), may_exist)?;
                *self.drafts.entry(key).or_insert(sent)
            }
        };
        Ok(sent.map(|sent| Sent { server: named.row(&sent.server), base: named.row(&sent.base) }))
    }

    fn send_anew(&self, row: &Row<C>, base: Option<&Row<C>>, may_exist: bool) -> Result<Option<Sent<C>>, Fault> {
        let local = self.fields.replica(row);
        let stored = base.map(|base| stored(&self.fields.replica(base)));
        let planned =
            stored.as_ref().map(|stored| stored.for_plan(self.fields.of_fields(&stored.fields, stored.deleted_at)));
        let Some(draft) = draft(&local, planned.as_ref(), may_exist, &Refused::default()) else { return Ok(None) };
        let version = stored.as_ref().map(|stored| stored.version);
        let key = Key::new(self.fields.collection, local.record.id);
        let operation = wire::operation(draft, &key, Uuid::from_u128(9), version, &local);
        let server = self.fields.row(&self.applied(stored.as_ref(), &operation))?;
        let stored = StoredBase::after(stored, &operation, CURRENT_VERSION, 1);
        let base = stored.for_plan(self.fields.of_fields(&stored.fields, stored.deleted_at));
        // The page with the device's own change changes nothing, neither does reading everything again.
        let own = Incoming { version: CURRENT_VERSION, replica: Some(self.fields.replica(&server)), author: author(1) };
        if plan(Some(&local), Some(&base), &own, &author(1), false) != Action::Skip {
            return Err(Fault(format!("a device does not skip its own change\nlocal {row:?}\nsent {operation:?}")));
        }
        match plan(Some(&local), Some(&base), &own, &author(1), true) {
            Action::Store(replica) if self.fields.row(&replica)? == *row => {}
            other => return Err(Fault(format!("reading again changes a record: {other:?}\nlocal {row:?}"))),
        }
        Ok(Some(Sent { server, base: self.fields.row(&base.replica)? }))
    }

    /// What the record is after the device has received the server's state of it, which is newer than its base. `id` is the
    /// id of what the merge writes.
    pub fn receive(
        &mut self,
        local: Option<&Row<C>>,
        base: Option<&Row<C>>,
        current: &Row<C>,
        id: u8,
    ) -> Result<Row<C>, Fault> {
        let named = self.named([local.copied(), base.copied(), Some(*current)], id);
        let row = match self.plans.get(&named.key()) {
            Some(row) => *row,
            None => {
                let [local, base, current] = self.copies(&named);
                let row = self.receive_anew(local.as_ref(), base.as_ref(), &current.unwrap_or([Cell::default(); C]))?;
                *self.plans.entry(named.key()).or_insert(row)
            }
        };
        Ok(named.row(&row))
    }

    fn receive_anew(&self, local: Option<&Row<C>>, base: Option<&Row<C>>, current: &Row<C>) -> Result<Row<C>, Fault> {
        let base = base.map(|base| Base {
            version: BASE_VERSION,
            replica: self.fields.replica(base),
            is_row_gone: false,
            is_forgotten: false,
        });
        let author = author(NEW_ID);
        let incoming =
            Incoming { version: CURRENT_VERSION, replica: Some(self.fields.replica(current)), author: author.clone() };
        let local = local.map(|local| self.fields.replica(local));
        match plan(local.as_ref(), base.as_ref(), &incoming, &author, false) {
            Action::Store(replica) => self.fields.row(&replica),
            other => Err(Fault(format!("a newer state is not stored: {other:?}"))),
        }
    }

    /// The record as the server has it after an operation, as `server/src/sync/decide.rs` applies it.
    fn applied(&self, current: Option<&StoredBase>, operation: &Operation) -> Replica {
        let mut fields = current.map(|current| current.fields.clone()).unwrap_or_default();
        for (name, value) in &operation.fields {
            if value.text() == "null" {
                fields.remove(name);
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
        let is_removed = match operation.kind {
            OperationKind::Create | OperationKind::Restore => false,
            OperationKind::Delete => true,
            OperationKind::Update => current.is_some_and(|current| current.deleted_at.is_some()),
        };
        self.fields.of_fields(&fields, is_removed.then_some(Timestamp::UNIX_EPOCH))
    }

    fn named(&mut self, copies: Copies<C>, new_id: u8) -> Named<C> {
        let mut names: [CellNames; C] = std::array::from_fn(|cell| {
            let cells = copies.each_ref().map(|row| row.map(|row| row[cell]));
            self.inputs.names(cells, cell + 1 == C, new_id)
        });
        let mut cells: [usize; C] = std::array::from_fn(|cell| cell);
        cells[..C - 1].sort_by_key(|cell| names[*cell].number);
        names[..C - 1].sort_by_key(|names| names.number);
        Named { names, cells }
    }

    fn copies(&self, named: &Named<C>) -> Copies<C> {
        let cells = named.names.each_ref().map(|names| self.inputs.cells(names));
        std::array::from_fn(|copy| cells[0][copy].map(|_| cells.map(|cell| cell[copy].unwrap_or_default())))
    }
}

/// How the planner's input is called.
struct Named<const C: usize> {
    /// In the order of the planner's input.
    names: [CellNames; C],
    /// The cells of the model in this order.
    cells: [usize; C],
}

impl<const C: usize> Named<C> {
    fn key(&self) -> [u32; C] {
        self.names.each_ref().map(|names| names.number)
    }

    /// The model's row that is called like this.
    fn row(&self, row: &Row<C>) -> Row<C> {
        let mut named = *row;
        for ((names, at), cell) in self.names.iter().zip(self.cells).zip(row) {
            named[at] = names.cell(cell);
        }
        named
    }
}

fn author(id: u8) -> Author {
    Author { op_id: Uuid::from_u128(id.into()), at: Timestamp::UNIX_EPOCH, device_id: String::new() }
}

fn stored(replica: &Replica) -> StoredBase {
    StoredBase {
        version: BASE_VERSION,
        fields: replica.fields(),
        origins: Extra::new(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        deleted_at: replica.record.deleted_at,
        is_row_gone: false,
        is_forgotten: false,
        reread: 1,
    }
}
