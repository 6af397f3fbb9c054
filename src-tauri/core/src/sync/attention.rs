//! What needs a person: conflicts, and what the server has refused.

use garage_domain::{
    ChangeKind, Collection, FieldValue, Json, Origin, Record, RecordId, UNKNOWN,
    conflict::{self, Alternative, Conflicts, REMOVAL},
};
use jiff::Timestamp;
use serde::Serialize;

use super::outbox;
use crate::{
    Garage, GarageError, records,
    store::{
        journal::Journal,
        sync::{self, Key, WHOLE_RECORD},
    },
};

/// A field that was set to different values in different places. The record has one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct OpenConflict {
    /// The record's collection.
    pub collection: String,
    /// The record.
    pub record_id: RecordId,
    /// The field; `deletedAt` if it is whether the record is removed.
    pub field: String,
    /// The value that the record has; null if the field is empty.
    pub value: Option<FieldValue>,
    /// The other values.
    pub alternatives: Vec<OtherValue>,
}

/// A value that a conflict offers beside the record's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct OtherValue {
    /// The id by which it is chosen.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub id: uuid::Uuid,
    /// The value; null to empty the field.
    pub value: Option<FieldValue>,
    /// When it was set.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub at: Timestamp,
    /// The device that set it; empty if it was not set on a device.
    pub device_id: String,
}

impl From<Alternative> for OtherValue {
    fn from(alternative: Alternative) -> OtherValue {
        let Alternative { op_id: id, value, at, device_id } = alternative;
        OtherValue { id, value: value.and_then(FieldValue::of_json), at, device_id }
    }
}

/// Which value of a conflict is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The value that the record has.
    Kept,
    /// The other value with this id.
    Other(uuid::Uuid),
}

/// A value that the server has refused. It stays on this device until it is changed, sent again, or discarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The record's collection.
    pub collection: String,
    /// The record.
    pub record_id: RecordId,
    /// The field, `deletedAt` for whether the record is removed; null if the whole record is refused.
    pub field: Option<String>,
    /// The refused value; null if the field is empty.
    pub value: Option<FieldValue>,
    /// The server's reason.
    pub reason: String,
}

impl Garage {
    /// Lists the open conflicts by collection, record and field.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn conflicts(&self) -> Result<Vec<OpenConflict>, GarageError> {
        self.database
            .read(|transaction| {
                let mut open = Vec::new();
                for (key, field, conflict) in sync::open_conflicts(transaction)? {
                    let Some(replica) = sync::replica(transaction, &key)? else { continue };
                    let value = match field.as_str() {
                        REMOVAL => Some(FieldValue::Boolean(replica.record.is_removed())),
                        name => replica.record.value(name),
                    };
                    let alternatives = conflict.alternatives.into_iter().map(OtherValue::from).collect();
                    let Key { collection, id: record_id } = key;
                    open.push(OpenConflict { collection, record_id, field, value, alternatives });
                }
                Ok(open)
            })
            .await
    }

    /// Closes a conflict. The choice is a change like any other: it is sent, and can be undone. A number and its unit that
    /// were set together are chosen together.
    ///
    /// # Errors
    /// [`GarageError::NoSuchConflict`]; [`GarageError::DuplicateVin`] and [`GarageError::Invalid`] as for any change;
    /// [`GarageError::Store`].
    pub async fn resolve(
        &self,
        collection: &'static Collection,
        id: RecordId,
        field: &str,
        choice: Choice,
    ) -> Result<(), GarageError> {
        let field = field.to_owned();
        self.write(self.stamp(), move |journal| resolve(journal, collection, id, &field, choice)).await
    }

    /// Lists what the server has refused, by collection, record and field.
    ///
    /// # Errors
    /// [`GarageError::Store`].
    pub async fn refusals(&self) -> Result<Vec<Refusal>, GarageError> {
        let refusals = self.database.read(|transaction| Ok::<_, GarageError>(sync::all_refusals(transaction)?)).await?;
        let refusal = |stored: sync::StoredRefusal| Refusal {
            collection: stored.key.collection,
            record_id: stored.key.id,
            field: Some(stored.field).filter(|field| field != WHOLE_RECORD),
            value: Json::parse(&stored.value).ok().and_then(FieldValue::of_json),
            reason: stored.reason,
        };
        Ok(refusals.into_iter().map(refusal).collect())
    }

    /// Sends what the server has refused of a record once more.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if nothing of it is refused; [`GarageError::Store`].
    pub async fn retry_refused(&self, collection: &str, id: RecordId) -> Result<(), GarageError> {
        let key = Key::new(collection, id);
        self.write(self.stamp(), move |journal| {
            forget_refusals(journal, &key)?;
            Ok(outbox::mark(journal.reader(), &key)?)
        })
        .await
    }

    /// Sets the refused fields of a record back to what the server has. A record that the server does not have is removed.
    ///
    /// # Errors
    /// [`GarageError::NotFound`] if nothing of it is refused; [`GarageError::Store`].
    pub async fn discard_refused(&self, collection: &str, id: RecordId) -> Result<(), GarageError> {
        let key = Key::new(collection, id);
        self.write(self.stamp(), move |journal| discard(journal, &key)).await
    }
}

fn forget_refusals(journal: &Journal<'_>, key: &Key) -> Result<Vec<sync::StoredRefusal>, GarageError> {
    let refusals = sync::refusals(journal.reader(), key)?;
    if refusals.is_empty() {
        return Err(GarageError::NotFound("Refused record"));
    }
    for refusal in &refusals {
        sync::delete_refusal(journal.reader(), key, &refusal.field)?;
    }
    Ok(refusals)
}

fn discard(journal: &mut Journal<'_>, key: &Key) -> Result<(), GarageError> {
    let refusals = forget_refusals(journal, key)?;
    let copies = outbox::Copies::read(journal.reader(), key)?;
    let Some(local) = copies.local.filter(|local| local.record.collection != &UNKNOWN) else {
        return Ok(outbox::mark(journal.reader(), key)?);
    };
    let (mut after, mut conflicts) = (local.record.clone(), local.conflicts);
    match copies.base {
        None => after.deleted_at = after.deleted_at.or(Some(journal.now())),
        Some(base) => {
            let is_whole = refusals.iter().any(|refusal| refusal.field == WHOLE_RECORD);
            let named: Vec<&str> = refusals.iter().map(|refusal| refusal.field.as_str()).collect();
            let (base, of_server) = (base.replica.record, base.replica.conflicts);
            let names: Vec<String> = local.record.names().chain(base.names()).map(str::to_owned).collect();
            for name in names.iter().filter(|name| is_whole || named.contains(&name.as_str())) {
                after.set_value(name, base.value(name));
                after.set_origin(name, base.origin(name));
            }
            // A conflict that is open there is open again.
            let is_set_back = |name: &String| is_whole || named.contains(&name.as_str());
            conflicts.retain(|name, _| !is_set_back(name));
            conflicts.extend(of_server.into_iter().filter(|(name, _)| is_set_back(name)));
            if is_whole || named.contains(&REMOVAL) {
                after.deleted_at = base.deleted_at;
            }
        }
    }
    let kind = kind_of(&local.record, &after);
    journal.settled(&local.record, after, conflicts, kind, None)?;
    Ok(outbox::mark(journal.reader(), key)?)
}

fn resolve(
    journal: &mut Journal<'_>,
    collection: &'static Collection,
    id: RecordId,
    field: &str,
    choice: Choice,
) -> Result<(), GarageError> {
    let before = journal.record(collection, id)?.ok_or(GarageError::NotFound(collection.noun))?;
    let mut conflicts = sync::conflicts(journal.reader(), &Key::new(collection.name, before.id))?;
    let mut after = before.clone();
    let chosen = choose(&mut after, &conflicts, field, choice, journal).ok_or(GarageError::NoSuchConflict)?;
    for name in chosen {
        conflict::close(&mut conflicts, &name, journal.new_id().0);
    }
    let after = records::checked(Some(&before), after)?;
    records::refuse_twin(journal, Some(&before), &after)?;
    let kind = kind_of(&before, &after);
    journal.settled(&before, after, conflicts, kind, None)?;
    Ok(())
}

/// Sets the chosen value. Returns the fields whose conflict is closed: the field, and its unit or number if the same
/// operation set both.
fn choose(
    after: &mut Record,
    conflicts: &Conflicts,
    field: &str,
    choice: Choice,
    journal: &Journal<'_>,
) -> Option<Vec<String>> {
    let open = conflicts.get(field).filter(|conflict| !conflict.alternatives.is_empty())?;
    let units = after.collection.units.iter();
    let partner = units
        .flat_map(|(number, unit)| [(number.name, unit.name), (unit.name, number.name)])
        .find(|(name, _)| *name == field)
        .map(|(_, partner)| partner);
    let Choice::Other(op_id) = choice else { return Some(vec![field.to_owned()]) };
    let of_operation = |alternatives: &[Alternative]| alternatives.iter().find(|it| it.op_id == op_id).cloned();
    let chosen = of_operation(&open.alternatives)?;
    let mut closed = vec![field.to_owned()];
    let with_partner = partner.and_then(|name| Some((name, of_operation(&conflicts.get(name)?.alternatives)?)));
    for (name, alternative) in [(field, chosen)].into_iter().chain(with_partner) {
        let value = alternative.value.and_then(FieldValue::of_json);
        if name == REMOVAL {
            let is_removed = value == Some(FieldValue::Boolean(true));
            after.deleted_at = is_removed.then(|| after.deleted_at.unwrap_or(journal.now()));
        } else {
            after.set_value(name, value);
            after.set_origin(name, Origin::Typed);
        }
        if name != field {
            closed.push(name.to_owned());
        }
    }
    Some(closed)
}

fn kind_of(before: &Record, after: &Record) -> ChangeKind {
    match (before.is_removed(), after.is_removed()) {
        (false, true) => ChangeKind::Removed,
        (true, false) => ChangeKind::Restored,
        _ => ChangeKind::Edited,
    }
}
