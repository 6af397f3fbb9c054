//! Small copies of a record, and the replicas that they stand for.

use std::hash::{Hash, Hasher};

use garage_domain::{
    Collection, Extra, FieldValue, Record, RecordId,
    conflict::{Alternative, Conflict, REMOVAL},
    replica::Replica,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::Fault;

/// Values are numbers less than this; 0 is an empty field, and a record that is not removed.
pub(super) const VALUES: u8 = 4;
/// The value of the last cell of a removed record.
pub(super) const REMOVED: u8 = 1;

/// A field, or whether the record is removed, with its conflict. Ids are numbers from 1; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Cell {
    pub value: u8,
    /// The id of the last choice.
    pub decision: u8,
    /// The id of the alternative with each value.
    pub alternatives: [u8; VALUES as usize],
}

impl Hash for Cell {
    /// Hashes all at once, because this is most of the work in a build without optimization.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, second, third, fourth] = self.alternatives;
        state.write(&[self.value, self.decision, first, second, third, fourth]);
    }
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

/// The collection and the fields of copies.
pub(super) struct Fields<const C: usize> {
    pub collection: &'static str,
    /// The names of the fields; the last is [`REMOVAL`].
    pub names: [&'static str; C],
}

impl<const C: usize> Fields<C> {
    pub fn of_fields(&self, fields: &Extra, deleted_at: Option<Timestamp>) -> Replica {
        let mut record = Record::new(Collection::named(self.collection), RecordId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        record.deleted_at = deleted_at;
        Replica::with_fields(record, fields.clone())
    }

    pub fn replica(&self, row: &Row<C>) -> Replica {
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
    pub fn row(&self, replica: &Replica) -> Result<Row<C>, Fault> {
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

/// Checks that conversion loses nothing.
#[test]
fn copies_are_converted_both_ways() {
    let fields = Fields { collection: "notes", names: ["a", REMOVAL] };
    let open = Cell { value: 1, decision: 3, alternatives: [5, 0, 4, 0] };
    for row in [[Cell::default(); 2], [open, Cell { value: 1, ..Cell::default() }]] {
        assert_eq!(fields.row(&fields.replica(&row)).expect("a row"), row);
    }
    let doubled = Cell { value: 2, alternatives: [0, 0, 4, 0], ..open };
    assert!(fields.row(&fields.replica(&[doubled, open])).is_err());
}
