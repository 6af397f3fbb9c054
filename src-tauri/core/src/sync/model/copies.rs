//! Small copies of a record, and the planner's functions on them.

use std::collections::HashMap;

use garage_domain::{
    Collection, Extra, FieldValue, Json, Record, RecordId,
    conflict::{Alternative, Conflict, REMOVAL},
    merge::Author,
    replica::Replica,
};
use garage_protocol::sync::{Operation, OperationKind};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    super::{
        plan::{Action, Base, Incoming, Refused, draft, plan},
        wire,
    },
    world::Fault,
};
use crate::store::sync::{Key, StoredBase};

/// Values are numbers less than this; 0 is an empty field, and a record that is not removed.
pub(super) const VALUES: u8 = 4;
/// The value of the last cell of a removed record.
pub(super) const REMOVED: u8 = 1;

/// A field, or whether the record is removed, with its conflict. Ids are numbers from 1; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Cell {
    pub value: u8,
    /// The id of the last choice.
    pub decision: u8,
    /// The id of the alternative with each value.
    pub alternatives: [u8; VALUES as usize],
}

impl Cell {
    pub fn is_open(&self) -> bool {
        self.alternatives != [0; VALUES as usize]
    }

    /// Whether a person sees this value.
    pub fn shows(&self, value: u8) -> bool {
        self.value == value || self.alternatives[usize::from(value)] != 0
    }
}

/// A copy of a record: its fields, then whether it is removed.
pub(super) type Row<const C: usize> = [Cell; C];

/// What an operation leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<const C: usize> {
    pub server: Row<C>,
    pub base: Row<C>,
}

type DraftKey<const C: usize> = (Row<C>, Option<Row<C>>, bool);
type PlanKey<const C: usize> = (Option<Row<C>>, Option<Row<C>>, Row<C>, u8);

/// The planner, called once for each input.
pub(super) struct Planner<const C: usize> {
    collection: &'static str,
    /// The names of the fields; the last is [`REMOVAL`].
    names: [&'static str; C],
    drafts: HashMap<DraftKey<C>, Option<Sent<C>>>,
    plans: HashMap<PlanKey<C>, Row<C>>,
}

const BASE_VERSION: i64 = 1;
const CURRENT_VERSION: i64 = 2;

impl<const C: usize> Planner<C> {
    pub fn new(collection: &'static str, names: [&'static str; C]) -> Planner<C> {
        Planner { collection, names, drafts: HashMap::new(), plans: HashMap::new() }
    }

    /// The number of inputs: of `draft`, and of `plan`.
    pub fn calls(&self) -> (usize, usize) {
        (self.drafts.len(), self.plans.len())
    }

    /// What the record is on the server and as the base after the device has sent what it has to send. The server applies it
    /// if the base is current.
    pub fn send(&mut self, local: &Row<C>, base: Option<&Row<C>>, may_exist: bool) -> Result<Option<Sent<C>>, Fault> {
        let key = (*local, base.copied(), may_exist);
        if let Some(sent) = self.drafts.get(&key) {
            return Ok(*sent);
        }
        let sent = self.send_anew(local, base, may_exist)?;
        self.drafts.insert(key, sent);
        Ok(sent)
    }

    fn send_anew(&self, row: &Row<C>, base: Option<&Row<C>>, may_exist: bool) -> Result<Option<Sent<C>>, Fault> {
        let local = self.replica(row);
        let stored = base.map(|base| stored(&self.replica(base)));
        let planned = stored.as_ref().map(|stored| stored.for_plan(self.of_fields(&stored.fields, stored.deleted_at)));
        let Some(draft) = draft(&local, planned.as_ref(), may_exist, &Refused::default()) else { return Ok(None) };
        let version = stored.as_ref().map(|stored| stored.version);
        let key = Key::new(self.collection, local.record.id);
        let operation = wire::operation(draft, &key, Uuid::from_u128(9), version, &local);
        let server = self.row(&self.applied(stored.as_ref(), &operation))?;
        let stored = StoredBase::after(stored, &operation, CURRENT_VERSION, 1);
        let base = stored.for_plan(self.of_fields(&stored.fields, stored.deleted_at));
        // The page with the device's own change changes nothing, neither does reading everything again.
        let own = Incoming { version: CURRENT_VERSION, replica: Some(self.replica(&server)), author: author(1) };
        if plan(Some(&local), Some(&base), &own, &author(1), false) != Action::Skip {
            return Err(Fault(format!("a device does not skip its own change\nlocal {row:?}\nsent {operation:?}")));
        }
        match plan(Some(&local), Some(&base), &own, &author(1), true) {
            Action::Store(replica) if self.row(&replica)? == *row => {}
            other => return Err(Fault(format!("reading again changes a record: {other:?}\nlocal {row:?}"))),
        }
        Ok(Some(Sent { server, base: self.row(&base.replica)? }))
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
        let key = (local.copied(), base.copied(), *current, id);
        if let Some(row) = self.plans.get(&key) {
            return Ok(*row);
        }
        let planned = base.map(|base| Base {
            version: BASE_VERSION,
            replica: self.replica(base),
            is_row_gone: false,
            is_forgotten: false,
        });
        let incoming = Incoming { version: CURRENT_VERSION, replica: Some(self.replica(current)), author: author(id) };
        let local = local.map(|local| self.replica(local));
        let row = match plan(local.as_ref(), planned.as_ref(), &incoming, &author(id), false) {
            Action::Store(replica) => self.row(&replica)?,
            other => return Err(Fault(format!("a newer state is not stored: {other:?}"))),
        };
        self.plans.insert(key, row);
        Ok(row)
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
        self.of_fields(&fields, is_removed.then_some(Timestamp::UNIX_EPOCH))
    }

    fn of_fields(&self, fields: &Extra, deleted_at: Option<Timestamp>) -> Replica {
        let mut record =
            Record::new(Collection::named(self.collection), RecordId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        record.deleted_at = deleted_at;
        Replica::with_fields(record, fields.clone())
    }

    fn replica(&self, row: &Row<C>) -> Replica {
        let is_removed = row[C - 1].value == REMOVED;
        let mut replica = self.of_fields(&Extra::new(), is_removed.then_some(Timestamp::UNIX_EPOCH));
        for (name, cell) in self.names.into_iter().zip(row) {
            if name != REMOVAL {
                replica.record.set_value(name, value_of(name, cell.value));
            }
            let alternatives = (0_u8..).zip(cell.alternatives).filter(|(_, id)| *id != 0).map(|(value, id)| {
                let value = value_of(name, value).map(|value| value.to_json());
                let (at, device_id) = (Timestamp::UNIX_EPOCH, String::new());
                Alternative { op_id: Uuid::from_u128(id.into()), value, at, device_id }
            });
            let decision = Some(cell.decision).filter(|id| *id != 0).map(|id| Uuid::from_u128(id.into()));
            let mut conflict = Conflict { decision, alternatives: alternatives.collect() };
            conflict.alternatives.sort_by_key(|alternative| alternative.op_id);
            if conflict != Conflict::default() {
                replica.conflicts.insert(name.to_owned(), conflict);
            }
        }
        replica
    }

    /// Fails if the replica has something that no record of the model has, such as the same value twice in a conflict.
    fn row(&self, replica: &Replica) -> Result<Row<C>, Fault> {
        let fault = |what: &str| Err(Fault(format!("{what}: {replica:?}")));
        let mut row = [Cell::default(); C];
        for (name, cell) in self.names.into_iter().zip(&mut row) {
            let number = |value: Option<FieldValue>| match value {
                None => 0,
                Some(FieldValue::Boolean(is_removed)) => u8::from(is_removed),
                Some(value) => value.to_string().parse().unwrap_or(u8::MAX),
            };
            cell.value = match name {
                REMOVAL => u8::from(replica.record.is_removed()),
                name => number(replica.record.value(name)),
            };
            let Some(conflict) = replica.conflicts.get(name) else { continue };
            if *conflict == Conflict::default() {
                return fault("a conflict says nothing");
            }
            let id = |id: Uuid| u8::try_from(id.as_u128()).unwrap_or(u8::MAX);
            cell.decision = conflict.decision.map_or(0, id);
            for alternative in &conflict.alternatives {
                let value = number(alternative.value.clone().and_then(FieldValue::of_json));
                if cell.shows(value) {
                    return fault("a conflict has a value twice");
                }
                cell.alternatives[usize::from(value)] = id(alternative.op_id);
            }
        }
        match replica.conflicts.keys().find(|name| !self.names.contains(&name.as_str())) {
            Some(_) => fault("a conflict of an unknown field"),
            None => Ok(row),
        }
    }
}

fn value_of(name: &str, value: u8) -> Option<FieldValue> {
    match (name, value) {
        (REMOVAL, value) => Some(FieldValue::Boolean(value == REMOVED)),
        (_, 0) => None,
        (_, value) => Some(FieldValue::Text(value.to_string())),
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

/// Checks that conversion loses nothing.
#[test]
fn copies_are_converted_both_ways() {
    let planner = Planner::new("notes", ["a", REMOVAL]);
    let open = Cell { value: 1, decision: 3, alternatives: [5, 0, 4, 0] };
    for row in [[Cell::default(); 2], [open, Cell { value: 1, ..Cell::default() }]] {
        assert_eq!(planner.row(&planner.replica(&row)).expect("a row"), row);
    }
    let doubled = Cell { value: 2, alternatives: [0, 0, 4, 0], ..open };
    assert!(planner.row(&planner.replica(&[doubled, open])).is_err());
    assert_eq!(Json::parse("1").ok().and_then(FieldValue::of_json), Some(FieldValue::Integer(1)));
}
