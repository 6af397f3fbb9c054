//! What the server remembers of a device, and what a request means by it: whether it belongs to the current epoch, comes too
//! late, or comes from a copy of a device's garage.

use std::collections::HashMap;

use garage_domain::rules::Rule;
use garage_protocol::sync::{SyncRequest, operation_hash};
use uuid::Uuid;

use super::decide::{Answer, Remembered};

/// The last version that a device has read. The tag is random: a database that was restored does not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub version: i64,
    tag: String,
}

impl Cursor {
    pub fn new(version: i64) -> Cursor {
        Cursor { version, tag: format!("{:016x}", rand::random::<u64>()) }
    }

    /// Parses the text that a device was given.
    pub fn parse(text: &str) -> Option<Cursor> {
        let (version, tag) = text.split_once('.')?;
        let version = version.parse().ok().filter(|version| *version >= 0)?;
        Some(Cursor { version, tag: tag.to_owned() })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.version, self.tag)
    }
}

/// A batch that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub number: i64,
    pub answers: Vec<Answer>,
}

/// How many cursors are remembered of a device: requests that were repeated, and responses that arrive late, leave several
/// from which it may continue.
const MAX_CURSORS: usize = 8;

/// The last cursors and the last two batches of a device, the latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    pub cursors: Vec<Cursor>,
    pub batches: [Option<Batch>; 2],
}

/// What a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It continues. Contains the results of operations that were answered before.
    Continues(HashMap<Uuid, Remembered>),
    /// It has another epoch.
    OtherEpoch,
    /// It has a cursor that the current epoch cannot have given: the database was restored.
    NewEpoch,
    /// It is older than what is remembered.
    Late,
    /// A copy of the device has sent another batch with this number.
    Copied,
    /// An operation was sent before with another content.
    Contradicts(Uuid),
}

impl Device {
    /// What the request means, for an account with this epoch and version. `cursor` is the request's.
    pub fn meaning(&self, request: &SyncRequest, cursor: Option<&Cursor>, epoch: &str, version: i64) -> Meaning {
        let is_compared = Rule::EpochsAreCompared.holds();
        if request.epoch.as_ref().is_some_and(|other| other != epoch) && is_compared {
            return Meaning::OtherEpoch;
        }
        if let Some(cursor) = cursor.filter(|cursor| is_compared && !self.cursors.contains(cursor)) {
            // A device gets ascending cursors, so a lower one is that of a request that was overtaken.
            let is_overtaken = self.cursors.iter().all(|known| cursor.version < known.version);
            return if is_overtaken && !self.cursors.is_empty() { Meaning::Late } else { Meaning::NewEpoch };
        }
        if is_compared && cursor.is_some_and(|cursor| cursor.version > version) {
            return Meaning::NewEpoch;
        }
        let Some(number) = request.batch else { return Meaning::Continues(HashMap::new()) };
        let mut batches = self.batches.iter().flatten();
        let Some(known) = batches.clone().find(|batch| batch.number == number) else {
            let is_next = batches.all(|batch| batch.number < number);
            let is_late = !is_next && Rule::LateBatchesAreIgnored.holds();
            return if is_late { Meaning::Late } else { Meaning::Continues(HashMap::new()) };
        };
        let ids = request.operations.iter().map(|operation| operation.op_id);
        if !ids.eq(known.answers.iter().map(|answer| answer.op_id)) {
            return Meaning::Copied;
        }
        let mut remembered = HashMap::new();
        for (operation, answer) in request.operations.iter().zip(&known.answers) {
            if operation_hash(operation) != answer.hash {
                return Meaning::Contradicts(operation.op_id);
            }
            if let Some(result) = answer.result.as_ref().filter(|_| Rule::ResultsAreRemembered.holds()) {
                remembered.insert(operation.op_id, result.clone());
            }
        }
        Meaning::Continues(remembered)
    }

    /// The cursor for a device that has read up to this version: the one that it got last, if that is the same.
    pub fn cursor(&self, version: i64) -> Cursor {
        match self.cursors.first() {
            Some(last) if last.version == version => last.clone(),
            _ => Cursor::new(version),
        }
    }

    /// Remembers that the device got this cursor. Returns whether that is new.
    pub fn remember_cursor(&mut self, given: Cursor) -> bool {
        if self.cursors.first() == Some(&given) {
            return false;
        }
        self.cursors.insert(0, given);
        self.cursors.truncate(MAX_CURSORS);
        true
    }

    /// Remembers an answered batch, and forgets those before the last two.
    pub fn remember_batch(&mut self, number: i64, answers: Vec<Answer>) {
        let batch = Some(Batch { number, answers });
        match self.batches.iter_mut().find(|known| known.as_ref().is_some_and(|known| known.number == number)) {
            Some(known) => *known = batch,
            None => {
                let [latest, _] = std::mem::take(&mut self.batches);
                self.batches = [batch, latest];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use garage_domain::RecordId;
    use garage_protocol::sync::{Operation, OperationKind};
    use jiff::Timestamp;

    use super::*;

    fn operation(number: u128) -> Operation {
        Operation {
            op_id: Uuid::from_u128(number),
            collection: "vehicles".to_owned(),
            record_id: RecordId(Uuid::from_u128(number + 100)),
            kind: OperationKind::Delete,
            base_version: Some(1),
            fields: Default::default(),
            origins: Default::default(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn request(batch: Option<i64>, operations: &[u128]) -> SyncRequest {
        SyncRequest {
            account: None,
            device_id: Uuid::nil(),
            batch,
            epoch: Some("e".to_owned()),
            cursor: None,
            limit: 1,
            audit: None,
            operations: operations.iter().copied().map(operation).collect(),
        }
    }

    fn answers(request: &SyncRequest) -> Vec<Answer> {
        let answer = |operation: &Operation| Answer {
            op_id: operation.op_id,
            hash: operation_hash(operation),
            result: (operation.op_id.as_u128() % 2 == 1).then_some(Remembered::Applied { version: 7 }),
        };
        request.operations.iter().map(answer).collect()
    }

    #[test]
    fn a_cursor_continues_while_it_is_one_of_the_last() {
        let mut device = Device::default();
        let cursors: Vec<Cursor> = (1..).map(Cursor::new).take(MAX_CURSORS + 2).collect();
        let (last, kept) = cursors.split_last().expect("cursors");
        assert!(kept.iter().all(|cursor| device.remember_cursor(cursor.clone())));
        let meaning = |cursor: &Cursor, version| device.meaning(&request(None, &[]), Some(cursor), "e", version);
        let continues = Meaning::Continues(HashMap::new());
        for cursor in &kept[1..] {
            assert_eq!(meaning(cursor, 99), continues, "responses with later cursors were lost");
        }
        assert_eq!(meaning(&kept[0], 99), Meaning::Late, "a request that was overtaken");
        assert_eq!(meaning(last, 99), Meaning::NewEpoch, "given after the backup");
        assert_eq!(meaning(&Cursor::new(3), 99), Meaning::NewEpoch, "of another history");
        assert_eq!(meaning(&kept[5], 5), Meaning::NewEpoch, "ahead of the counter");
        assert_eq!(Device::default().meaning(&request(None, &[]), Some(&kept[0]), "e", 99), Meaning::NewEpoch);
        assert_eq!(Device::default().meaning(&request(None, &[]), None, "e", 99), continues);
        assert_eq!(device.meaning(&request(None, &[]), Some(&kept[5]), "f", 99), Meaning::OtherEpoch);
    }

    #[test]
    fn a_device_that_has_read_nothing_new_gets_the_same_cursor() {
        let mut device = Device::default();
        let first = device.cursor(7);
        assert!(device.remember_cursor(first.clone()));
        assert_eq!(device.cursor(7), first);
        assert!(!device.remember_cursor(first.clone()));
        assert_ne!(device.cursor(8), first);
    }

    #[test]
    fn cursors_are_read_as_they_were_written_and_nothing_else_is_one() {
        let cursor = Cursor::new(7);
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor.clone()));
        assert_ne!(Cursor::new(7), cursor, "the tag is random");
        for other in ["", "7", "x.y", "-1.a", "9223372036854775808.a"] {
            assert_eq!(Cursor::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_batch_is_answered_again_late_or_recognized_as_a_copys() {
        let mut device = Device::default();
        for number in 1..=3 {
            let sent = request(Some(number), &[2 * number as u128, 2 * number as u128 + 1]);
            device.remember_batch(number, answers(&sent));
        }
        let meaning = |batch, operations: &[u128]| device.meaning(&request(Some(batch), operations), None, "e", 9);
        assert_eq!(meaning(4, &[8, 9]), Meaning::Continues(HashMap::new()));
        let again = HashMap::from([(Uuid::from_u128(7), Remembered::Applied { version: 7 })]);
        assert_eq!(meaning(3, &[6, 7]), Meaning::Continues(again), "6 was stale, and is judged afresh");
        assert_eq!(meaning(3, &[7, 6]), Meaning::Copied);
        assert_eq!(meaning(3, &[6]), Meaning::Copied);
        assert_eq!(meaning(1, &[2, 3]), Meaning::Late);
        let mut other = request(Some(2), &[4, 5]);
        other.operations[1].base_version = Some(2);
        assert_eq!(device.meaning(&other, None, "e", 9), Meaning::Contradicts(Uuid::from_u128(5)));
        device.remember_batch(3, Vec::new());
        assert_eq!(device.batches.each_ref().map(|it| it.as_ref().map(|it| it.number)), [Some(3), Some(2)]);
    }
}
