//! What was written, and what each write had seen. At the end it says what was lost.
//!
//! A value may disappear only if a later write has seen it: it was shown where that write was made. Values are compared by
//! their text, so most writes of a history set a value of their own.

use std::collections::{BTreeMap, BTreeSet};

use garage_domain::{RecordId, conflict::REMOVAL};

/// The name of clients of plain REST.
pub const REST: char = 'R';

/// A value as JSON text; an empty field is `null`.
pub type Text = String;

/// The state of a record that a person sees: values and open alternatives by field, the removal among them.
pub type Shown = BTreeMap<String, Field>;

/// A field as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    pub value: Text,
    pub alternatives: BTreeSet<Text>,
}

impl Field {
    pub fn empty() -> Field {
        Field { value: "null".to_owned(), ..Field::default() }
    }
}

/// A write of one field.
#[derive(Debug, Clone)]
struct Write {
    /// How many there were before.
    number: usize,
    record: RecordId,
    device: char,
    /// It may be lost.
    is_excused: bool,
    field: String,
    value: Text,
    /// The values of this field that it has seen.
    seen: BTreeSet<Text>,
    /// For a removal: all values that it has seen, by field.
    seen_by_removal: BTreeSet<(String, Text)>,
}

#[derive(Debug, Default)]
pub struct Oracle {
    writes: Vec<Write>,
    /// Values that a person has given up, discarded after a refusal, each with the number of writes before that.
    gone: BTreeMap<(RecordId, String, Text), usize>,
    /// The device whose writes may be lost.
    excused: Option<char>,
}

impl Oracle {
    /// A person sets a field of a record that is shown so; `None` for a new record.
    pub fn write(&mut self, device: char, record: RecordId, field: &str, value: &str, shown: Option<&Shown>) {
        let before = shown.and_then(|shown| shown.get(field));
        let mut seen: BTreeSet<Text> = before.map(|it| it.alternatives.clone()).unwrap_or_default();
        // An empty field of a new record is nobody's value.
        seen.extend(before.map(|it| it.value.clone()));
        let is_removal = field == REMOVAL && value == "true";
        let all = |shown: &Shown| {
            let values = shown.iter().flat_map(|(name, field)| {
                let values = field.alternatives.iter().chain([&field.value]);
                values.map(move |value| (name.clone(), value.clone()))
            });
            values.collect::<BTreeSet<_>>()
        };
        let seen_by_removal = shown.filter(|_| is_removal).map(all).unwrap_or_default();
        let (field, value) = (field.to_owned(), value.to_owned());
        let number = self.writes.len();
        self.writes.push(Write { number, record, device, is_excused: false, field, value, seen, seen_by_removal });
    }

    /// The writes of a device may be lost.
    pub fn excuse(&mut self, device: char) {
        self.excused = Some(device);
    }

    /// What a device has written so far may be lost.
    pub fn excuse_so_far(&mut self, device: char) {
        for write in self.writes.iter_mut().filter(|write| write.device == device) {
            write.is_excused = true;
        }
    }

    /// The number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// A person discards a refused value.
    pub fn discard(&mut self, record: RecordId, field: &str, value: &str) {
        self.gone.insert((record, field.to_owned(), value.to_owned()), self.writes.len());
    }

    /// Compares what was written with the server's records at the end. `aliases`: the record that an id is an alias of.
    pub fn lost(&self, records: &BTreeMap<RecordId, Shown>, aliases: &BTreeMap<RecordId, RecordId>) -> Vec<String> {
        let canonical = |mut id: RecordId| {
            while let Some(other) = aliases.get(&id) {
                id = *other;
            }
            id
        };
        let mut joined: BTreeMap<RecordId, BTreeSet<RecordId>> = BTreeMap::new();
        for write in &self.writes {
            joined.entry(canonical(write.record)).or_default().insert(write.record);
        }
        let mut lost = Vec::new();
        for (id, shown) in records.iter().filter(|_| self.excused.is_none()) {
            let is_removed = shown.get(REMOVAL).is_some_and(|it| it.value == "true");
            if is_removed && !self.writes.iter().any(|write| write.record == *id && is_removal(write)) {
                lost.push(format!("{id} is removed, and nobody has removed it"));
            }
        }
        for write in self.writes.iter().filter(|write| !write.is_excused && self.excused != Some(write.device)) {
            let id = canonical(write.record);
            let Some(shown) = records.get(&id) else {
                // A record that was removed before it was sent is nobody's business.
                let is_removed = self.writes.iter().any(|it| it.record == write.record && is_removal(it));
                if !is_removed {
                    lost.push(format!("the record {} of {}", write.record, write.device));
                }
                continue;
            };
            let others = || self.writes.iter().filter(|other| canonical(other.record) == id);
            let is_joined = joined.get(&id).is_some_and(|ids| ids.len() > 1);
            if self.is_settled(write, shown, is_joined, others) {
                continue;
            }
            let field = shown.get(&write.field);
            lost.push(format!(
                "{}.{} = {} of {}; it is {field:?}",
                write.record, write.field, write.value, write.device
            ));
        }
        lost.sort();
        lost.dedup();
        lost
    }

    /// Values that a person has discarded, and that nobody has written again.
    pub fn returned(&self, records: &BTreeMap<RecordId, Shown>) -> Vec<String> {
        let has_returned = |(record, field, value): &(RecordId, String, Text), writes: usize| {
            let shown = records.get(record).and_then(|shown| shown.get(field));
            let is_there = shown.is_some_and(|it| it.value == *value || it.alternatives.contains(value));
            let is_other = |write: &Write| write.record != *record || write.field != *field || write.value != *value;
            // It may have been there before somebody wrote it again.
            let of_value = self.writes.iter().filter(|write| !is_other(write)).count();
            is_there && of_value == 1 && self.writes[writes..].iter().all(is_other)
        };
        let returned = self.gone.iter().filter(|(gone, writes)| has_returned(gone, **writes));
        returned.map(|((record, field, value), _)| format!("{record}.{field} = {value}, which was discarded")).collect()
    }

    /// Conflicts between values of which one has seen the other. Only values that were written once are looked at.
    pub fn needless_conflicts(
        &self,
        records: &BTreeMap<RecordId, Shown>,
        aliases: &BTreeMap<RecordId, RecordId>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        for (id, shown) in records {
            if !aliases.values().any(|record| record == id) {
                found.extend(self.needless_removal_conflict(*id, shown));
            }
            let is_of = |write: &&Write| aliases.get(&write.record).unwrap_or(&write.record) == id;
            for (name, field) in shown.iter().filter(|(name, field)| *name != REMOVAL && !field.alternatives.is_empty())
            {
                let writes_of = |value: &Text| {
                    let writes = self.writes.iter().filter(is_of);
                    // A field is empty before anybody empties it.
                    let writes = writes.filter(|it| it.field == *name && it.value == *value && value != "null");
                    writes.collect::<Vec<_>>()
                };
                for value in &field.alternatives {
                    if let [_] = &writes_of(value)[..]
                        && writes_of(&field.value).iter().any(|live| live.seen.contains(value))
                    {
                        found.push(format!("{id}.{name}: {} has seen {value}", field.value));
                    }
                    if let ([_], [other]) = (&writes_of(&field.value)[..], &writes_of(value)[..])
                        && other.seen.contains(&field.value)
                    {
                        found.push(format!("{id}.{name}: {value} has seen {}", field.value));
                    }
                }
            }
        }
        found
    }

    /// A conflict about a removal that has seen everything that the record has. Only records that nothing was joined with and
    /// with one removal are looked at, and only if nothing was emptied, discarded or written twice: the removal may have seen
    /// an equal value before an edit that it has not seen.
    fn needless_removal_conflict(&self, id: RecordId, shown: &Shown) -> Option<String> {
        shown.get(REMOVAL).filter(|field| field.alternatives.contains("true"))?;
        let mut presence = self.writes.iter().filter(|write| write.record == id && write.field == REMOVAL);
        let (removal, None) = (presence.next().filter(|write| is_removal(write))?, presence.next()) else {
            return None;
        };
        let mut values = BTreeSet::new();
        let mut edits = self.writes.iter().filter(|write| write.record == id && write.field != REMOVAL);
        let is_discarded = self.gone.keys().any(|(record, ..)| *record == id);
        if is_discarded || !edits.all(|write| write.value != "null" && values.insert((&write.field, &write.value))) {
            return None;
        }
        let names: BTreeSet<&String> = removal.seen_by_removal.iter().map(|(name, _)| name).collect();
        let null = Field::empty();
        let has_seen_all = names.into_iter().filter(|name| *name != REMOVAL).all(|name| {
            let field = shown.get(name).unwrap_or(&null);
            let mut values = field.alternatives.iter().chain([&field.value]);
            values.all(|value| removal.seen_by_removal.contains(&(name.clone(), value.clone())))
        });
        has_seen_all.then(|| format!("{id}: its removal has seen everything"))
    }

    fn is_settled<'a, I: Iterator<Item = &'a Write>>(
        &'a self,
        write: &Write,
        shown: &Shown,
        is_joined: bool,
        others: impl Fn() -> I,
    ) -> bool {
        let Write { record, field, value, .. } = write;
        if self.gone.contains_key(&(*record, field.clone(), value.clone())) {
            return true;
        }
        // Another device that was still shown all values of a conflict has not seen the choice that closed it, unless it had
        // closed that conflict itself, so that it was shown a new one.
        let shows_conflict = |other: &Write| write.seen.len() > 1 && other.seen.is_superset(&write.seen);
        let is_later = |one: &Write, other: &Write| other.device == one.device && other.number > one.number;
        let has_closed =
            |other: &Write| others().any(|it| it.field == *field && shows_conflict(it) && is_later(it, other));
        let is_open = |other: &Write| shows_conflict(other) && !is_later(write, other) && !has_closed(other);
        let has_seen = |other: &Write| other.value != *value && other.seen.contains(value) && !is_open(other);
        let is_seen = others().any(|other| other.field == *field && has_seen(other));
        let is_seen_by_removal =
            || others().any(|other| other.seen_by_removal.contains(&(field.clone(), value.clone())));
        let is_removed = shown.get(REMOVAL).is_some_and(|it| it.value == "true");
        let null = Field::empty();
        let end = shown.get(field).unwrap_or(&null);
        if end.value == *value || end.alternatives.contains(value) {
            // The values of a removed record have been seen by whoever removed it.
            return field == REMOVAL || !is_removed || is_seen || is_seen_by_removal() || is_joined;
        }
        if is_seen {
            return true;
        }
        if is_joined {
            // Nobody has emptied a field of a record that was two; and a removal of one was about a duplicate.
            return value == "null" || field == REMOVAL || is_seen_by_removal();
        }
        // A restored record that is removed again stays so.
        field == REMOVAL && value == "false" && is_removed
    }
}

fn is_removal(write: &Write) -> bool {
    write.field == REMOVAL && write.value == "true"
}
