//! Sends operations to a server without `sync.v1`, each by the route for its record.
//!
//! A response can be lost after the server has applied the request, and the operations that were answered are then sent
//! again with the others. Each kind recognizes what it has done itself: a create by its id, an update by the values that it
//! sets, a delete by the missing record.

use garage_domain::{Collection, Extra, FieldError, RecordId, conflict::REMOVAL};
use garage_protocol::sync::{
    Change, Operation, OperationKind, OperationResult, OperationStatus, Rejection, value_hash,
};
use uuid::{Builder, Variant};

use super::{
    record::{ListedRecord, missing_fields, removal},
    routes::{Answer, List, Routes},
};
use crate::{
    Session,
    store::sync::{Key, StoredBase},
    sync::{Exchange, RemoteError},
};

/// Sends the operations of a request in their order. Returns their results, and the records as they are after them.
pub(super) async fn send(
    session: &Session,
    exchange: &Exchange,
) -> Result<(Vec<OperationResult>, Vec<Change>), RemoteError> {
    let (mut results, mut changes) = (Vec::new(), Vec::new());
    for operation in &exchange.request().operations {
        let Some(collection) = Collection::by_name(&operation.collection) else {
            return Err(RemoteError::Unreadable(format!("it has no route for {}", operation.collection)));
        };
        let routes = Routes { session, collection };
        let base = exchange.bases.get(&Key::of(operation));
        let sending = Sending { exchange, routes, operation, base };
        let Outcome { result, change } = sending.perform().await?;
        results.push(result);
        changes.extend(change);
    }
    Ok((results, changes))
}

/// What became of an operation.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: OperationResult,
    /// The record after it, if the server has returned it.
    change: Option<Change>,
}

/// An operation that is sent.
struct Sending<'a> {
    exchange: &'a Exchange,
    routes: Routes<'a>,
    operation: &'a Operation,
    base: Option<&'a StoredBase>,
}

impl Sending<'_> {
    async fn perform(&self) -> Result<Outcome, RemoteError> {
        match (self.operation.kind, self.base) {
            (OperationKind::Create, _) => self.create().await,
            (OperationKind::Update, Some(base)) => self.update(base).await,
            (OperationKind::Delete, Some(base)) => self.delete(base).await,
            (OperationKind::Restore, Some(base)) => self.add_again(base).await,
            // The base was lost: the record is created.
            (_, None) => Ok(self.outcome(OperationStatus::Stale, None)),
        }
    }

    async fn create(&self) -> Result<Outcome, RemoteError> {
        let Operation { record_id: id, fields, .. } = self.operation;
        let message = match self.routes.post(*id, fields).await? {
            Answer::Record(record) if record.id == *id => {
                return self.acknowledged(&record, OperationStatus::Applied);
            }
            Answer::Refused(rejection) => return Ok(self.rejected(rejection)),
            Answer::Taken(message) => message,
            answer => return Err(unexpected(&answer)),
        };
        // Its record may be there already, from a request whose response was lost, and may have been changed since.
        match self.routes.get(*id).await? {
            Answer::Record(record) => return self.acknowledged(&record, OperationStatus::Duplicate),
            Answer::NotFound => {}
            answer => return Err(unexpected(&answer)),
        }
        if let Some(twin) = self.twin(fields).await? {
            return self.exists(&twin);
        }
        if is_about_id(&message) {
            // It was there and was removed, or another account has this id. A person decides whether it stays.
            let removed_at = self.exchange.begun_at;
            let removal = removal(self.routes.collection.name, *id, fields.clone(), None, removed_at);
            return Ok(self.outcome(OperationStatus::Stale, Some(removal)));
        }
        Ok(self.rejected(self.about_unique_value(message)))
    }

    async fn update(&self, base: &StoredBase) -> Result<Outcome, RemoteError> {
        let Operation { record_id: id, fields, .. } = self.operation;
        match self.routes.put(*id, base.version, fields).await? {
            Answer::Record(record) if record.id == *id => self.acknowledged(&record, OperationStatus::Applied),
            Answer::Changed(current) if current.contains(self.routes.collection, fields) => {
                self.acknowledged(&current, OperationStatus::Duplicate)
            }
            Answer::Changed(current) => self.stale(base, &current),
            Answer::NotFound => Ok(self.outcome(OperationStatus::Stale, Some(self.removed(base)))),
            Answer::Taken(message) => Ok(self.rejected(self.about_unique_value(message))),
            Answer::Refused(rejection) => Ok(self.rejected(rejection)),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Sets the fields that were edited before the removal, then removes the record.
    async fn delete(&self, base: &StoredBase) -> Result<Outcome, RemoteError> {
        let mut version = base.version;
        if !self.operation.fields.is_empty() {
            let edited = self.update(base).await?;
            match (edited.result.status, edited.result.version) {
                (OperationStatus::Applied | OperationStatus::Duplicate, Some(after)) => version = after,
                _ => return Ok(edited),
            }
        }
        match self.routes.delete(self.operation.record_id, version).await? {
            Answer::Removed => Ok(self.applied(OperationStatus::Applied, version, None)),
            Answer::NotFound => Ok(self.applied(OperationStatus::Duplicate, version, None)),
            Answer::Changed(current) => self.stale(base, &current),
            answer => Err(unexpected(&answer)),
        }
    }

    /// A removed record cannot be restored by a route. It is added again with another id, and its id becomes an alias.
    async fn add_again(&self, base: &StoredBase) -> Result<Outcome, RemoteError> {
        let collection = self.routes.collection;
        let mut fields = base.fields.clone();
        fields.extend(self.operation.fields.clone());
        fields.retain(|name, json| collection.field(name).is_some() && json.text() != "null");
        let mut message = String::new();
        // The first id is free unless the record was removed under it, too.
        for id in [successor(self.operation.record_id, base.version), RecordId(self.operation.op_id)] {
            match self.routes.post(id, &fields).await? {
                Answer::Record(record) => return self.exists(&record),
                Answer::Refused(rejection) => return Ok(self.rejected(rejection)),
                Answer::Taken(reason) => message = reason,
                answer => return Err(unexpected(&answer)),
            }
            match self.routes.get(id).await? {
                Answer::Record(record) => return self.exists(&record),
                Answer::NotFound => {}
                answer => return Err(unexpected(&answer)),
            }
            if let Some(twin) = self.twin(&fields).await? {
                return self.exists(&twin);
            }
        }
        let about_removal = FieldError { field: REMOVAL.to_owned(), message: message.clone() };
        Ok(self.rejected(Rejection { message, details: vec![about_removal] }))
    }

    /// The record that has the unique value of these fields on the server.
    async fn twin(&self, fields: &Extra) -> Result<Option<ListedRecord>, RemoteError> {
        let unique = self.routes.collection.unique.and_then(|unique| Some((unique, fields.get(unique.name)?)));
        let Some((unique, value)) = unique.filter(|(_, value)| value.text() != "null") else { return Ok(None) };
        let List::Records { records, .. } = self.routes.list(None).await? else { return Ok(None) };
        let value = value.value();
        let has_value = |record: &ListedRecord| record.value(unique.name).is_some_and(|it| it.value() == value);
        Ok(records.into_iter().find(|record| record.id != self.operation.record_id && has_value(record)))
    }

    /// The server has applied the operation, and returned the record, in which others may have changed more.
    fn acknowledged(&self, record: &ListedRecord, status: OperationStatus) -> Result<Outcome, RemoteError> {
        record.refuse_other_account(self.exchange)?;
        let lost = missing_fields(record, &self.operation.fields);
        if !lost.is_empty() {
            let message = "This server does not have this field".to_owned();
            let detail = |name: &str| FieldError { field: name.to_owned(), message: message.clone() };
            let details = lost.into_iter().map(detail).collect();
            return Ok(self.rejected(Rejection { message, details }));
        }
        let change = record.change(self.routes.collection.name, self.base, Some(self.operation));
        Ok(self.applied(status, record.version, Some(change)))
    }

    fn applied(&self, status: OperationStatus, version: i64, change: Option<Change>) -> Outcome {
        let result = self.outcome(status, None).result;
        Outcome { result: OperationResult { version: Some(version), ..result }, change }
    }

    /// The record was changed since the base.
    fn stale(&self, base: &StoredBase, current: &ListedRecord) -> Result<Outcome, RemoteError> {
        current.refuse_other_account(self.exchange)?;
        if current.version <= base.version && !base.is_forgotten {
            let message = "its database is older than what this device has read from it".to_owned();
            return Err(RemoteError::Unavailable { message, retry_after: None });
        }
        let change = current.change(self.routes.collection.name, Some(base), None);
        Ok(self.outcome(OperationStatus::Stale, Some(change)))
    }

    /// Another record is there in the place of the operation's.
    fn exists(&self, record: &ListedRecord) -> Result<Outcome, RemoteError> {
        record.refuse_other_account(self.exchange)?;
        let collection = self.routes.collection.name;
        let base = self.exchange.bases.get(&Key::new(collection, record.id));
        Ok(self.outcome(OperationStatus::Exists, Some(record.change(collection, base, None))))
    }

    fn removed(&self, base: &StoredBase) -> Change {
        let Operation { record_id: id, .. } = self.operation;
        let collection = self.routes.collection.name;
        removal(collection, *id, base.fields.clone(), Some(base), self.exchange.begun_at)
    }

    fn rejected(&self, rejection: Rejection) -> Outcome {
        let result = self.outcome(OperationStatus::Rejected, None).result;
        Outcome { result: OperationResult { error: Some(rejection), ..result }, change: None }
    }

    /// A rejection of the unique value, or of a restore that brings it back.
    fn about_unique_value(&self, message: String) -> Rejection {
        let unique = self.routes.collection.unique.filter(|unique| self.operation.fields.contains_key(unique.name));
        let field = unique.map_or(REMOVAL, |unique| unique.name).to_owned();
        Rejection { details: vec![FieldError { field, message: message.clone() }], message }
    }

    fn outcome(&self, status: OperationStatus, current: Option<Change>) -> Outcome {
        let current = current.map(Box::new);
        let result = OperationResult { op_id: self.operation.op_id, status, version: None, current, error: None };
        Outcome { result, change: None }
    }
}

/// Whether the message of a 409 is about the id.
fn is_about_id(message: &str) -> bool {
    message.starts_with("This id is already used")
}

/// The id with which a removed record is added again: the same on all devices that have seen the same state, so that they
/// add it once. It sorts where the record's own id does.
fn successor(id: RecordId, version: i64) -> RecordId {
    let hash = value_hash(&garage_domain::Json::from(&serde_json::json!([id, version])));
    let mut bytes = *id.0.as_bytes();
    for (byte, digits) in bytes[8..].iter_mut().zip(hash.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    RecordId(Builder::from_bytes(bytes).with_variant(Variant::RFC4122).into_uuid())
}

fn unexpected(answer: &Answer) -> RemoteError {
    let what = match answer {
        Answer::Record(_) => "it returned another record",
        Answer::Removed => "it removed a record that was not to be removed",
        Answer::NotFound => "it has no route for this record",
        Answer::Taken(message) => message,
        Answer::Changed(_) => "it compared a version that was not sent",
        Answer::Refused(rejection) => &rejection.message,
    };
    RemoteError::Unreadable(what.to_owned())
}
