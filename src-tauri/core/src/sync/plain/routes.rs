//! The routes of a collection in plain REST (`docs/contract.md`), and what their responses mean.

use std::time::Duration;

use garage_domain::{Collection, Extra, FieldError, RecordId};
use garage_protocol::sync::Rejection;
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{ETAG, IF_MATCH, IF_NONE_MATCH},
};
use serde::Deserialize;

use super::record::ListedRecord;
use crate::{
    Session,
    http::Response,
    sync::{
        RemoteError,
        session_http::{failure, message},
    },
};

/// The largest response about one record, which has less than 64 KiB.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// The largest list: 100 000 vehicles have about 80 MB.
const MAX_LIST_BYTES: usize = 256 << 20;
/// The time limit of a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The routes of a collection.
pub(super) struct Routes<'a> {
    pub session: &'a Session,
    pub collection: &'static Collection,
}

/// A response about one record.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// 200 or 201 with the record.
    Record(Box<ListedRecord>),
    /// 204: it was removed.
    Removed,
    /// 404: there is none with this id, or none of this user that is not removed.
    NotFound,
    /// 409 with a message: another record has its id or its unique value.
    Taken(String),
    /// 412 with the record: it has another version.
    Changed(Box<ListedRecord>),
    /// 400, 403 or 413: it breaks a rule.
    Refused(Rejection),
}

/// A response with all records that are not removed.
#[derive(Debug, PartialEq)]
pub(super) enum List {
    /// 304: it is the one with the tag that was sent.
    IsSame,
    /// 200.
    Records {
        records: Vec<ListedRecord>,
        /// The entity tag of the list, if it has one.
        tag: Option<String>,
    },
}

impl Routes<'_> {
    pub async fn list(&self, known_tag: Option<&String>) -> Result<List, RemoteError> {
        let mut request = self.request(Method::GET, None).timeout(LIST_TIMEOUT);
        if let Some(tag) = known_tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        read_list(self.collection, &self.session.send(request, MAX_LIST_BYTES).await?)
    }

    pub async fn get(&self, id: RecordId) -> Result<Answer, RemoteError> {
        self.send(self.request(Method::GET, Some(id))).await
    }

    /// Adds a record with this id.
    pub async fn post(&self, id: RecordId, fields: &Extra) -> Result<Answer, RemoteError> {
        let mut body = fields.clone();
        body.insert("id".to_owned(), garage_domain::Json::from(&id.to_string().into()));
        self.send(self.request(Method::POST, None).json(&body)).await
    }

    /// Sets fields of a record that has this version.
    pub async fn put(&self, id: RecordId, version: i64, fields: &Extra) -> Result<Answer, RemoteError> {
        let request = self.request(Method::PUT, Some(id)).header(IF_MATCH, tag_of(version));
        self.send(request.json(fields)).await
    }

    /// Removes a record that has this version.
    pub async fn delete(&self, id: RecordId, version: i64) -> Result<Answer, RemoteError> {
        self.send(self.request(Method::DELETE, Some(id)).header(IF_MATCH, tag_of(version))).await
    }

    fn request(&self, method: Method, id: Option<RecordId>) -> RequestBuilder {
        let path = match id {
            Some(id) => format!("/api/{}/{id}", self.collection.name),
            None => format!("/api/{}", self.collection.name),
        };
        self.session.request(method, &path)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, RemoteError> {
        read(self.collection, &self.session.send(request, MAX_RECORD_BYTES).await?)
    }
}

fn tag_of(version: i64) -> String {
    format!("\"{version}\"")
}

/// An error response, with its status: a page of a proxy has none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    status_code: u16,
    message: String,
    #[serde(default)]
    details: Vec<FieldError>,
    current: Option<Extra>,
}

/// Reads a response about one record. Only responses in the form of the contract mean something about the record.
pub(super) fn read(collection: &Collection, response: &Response) -> Result<Answer, RemoteError> {
    match response.status {
        StatusCode::OK | StatusCode::CREATED => record(collection, parsed(&response.body)?).map(Answer::Record),
        StatusCode::NO_CONTENT => Ok(Answer::Removed),
        StatusCode::NOT_FOUND => match refusal(response)? {
            refusal if refusal.message == format!("{} not found", collection.noun) => Ok(Answer::NotFound),
            refusal => Err(RemoteError::Unreadable(refusal.message)),
        },
        StatusCode::CONFLICT => Ok(Answer::Taken(refusal(response)?.message)),
        StatusCode::PRECONDITION_FAILED => {
            let Some(current) = refusal(response)?.current else {
                return Err(RemoteError::Unreadable("a version conflict has no current state".to_owned()));
            };
            record(collection, current).map(Answer::Changed)
        }
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::PAYLOAD_TOO_LARGE => {
            let Failure { message, details, .. } = refusal(response)?;
            Ok(Answer::Refused(Rejection { message, details }))
        }
        _ => Err(unusable(response)),
    }
}

/// Reads a response with a list.
pub(super) fn read_list(collection: &Collection, response: &Response) -> Result<List, RemoteError> {
    match response.status {
        StatusCode::NOT_MODIFIED => Ok(List::IsSame),
        StatusCode::OK => {
            let all: Vec<Extra> = parsed(&response.body)?;
            let records = all.into_iter().map(|members| record(collection, members).map(|record| *record));
            let tag = response.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            Ok(List::Records { records: records.collect::<Result<_, _>>()?, tag })
        }
        _ => Err(unusable(response)),
    }
}

/// The error of a status that says nothing about a record.
fn unusable(response: &Response) -> RemoteError {
    match response.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => failure(response),
        status if status.is_server_error() => failure(response),
        _ => RemoteError::Unreadable(message(response)),
    }
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RemoteError> {
    serde_json::from_slice(body).map_err(|error| RemoteError::Unreadable(error.to_string()))
}

fn record(collection: &Collection, members: Extra) -> Result<Box<ListedRecord>, RemoteError> {
    ListedRecord::read(collection, members).map(Box::new).map_err(RemoteError::Unreadable)
}

fn refusal(response: &Response) -> Result<Failure, RemoteError> {
    let failure: Failure = parsed(&response.body)?;
    if failure.status_code != response.status.as_u16() {
        return Err(RemoteError::Unreadable(format!("status {}", response.status)));
    }
    Ok(failure)
}

#[cfg(test)]
mod tests {
    use garage_domain::VEHICLES;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "018f0000-0000-7000-8000-000000000001";

    fn vehicle() -> Value {
        json!({
            "id": ID, "userId": "ada", "nickname": "Blue", "vin": null, "seats": 5, "imageUrl": null, "version": 7,
            "createdAt": "2026-03-14T00:00:00Z", "updatedAt": "2026-03-14T00:00:00Z", "deletedAt": null,
        })
    }

    fn error(status: u16, message: &str, more: &Value) -> Value {
        let mut body = json!({ "statusCode": status, "error": "…", "message": message });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    }

    fn response(status: u16, body: &str) -> Response {
        let headers = HeaderMap::from_iter([
            (RETRY_AFTER, HeaderValue::from_static("7")),
            (ETAG, HeaderValue::from_static("\"all-7\"")),
        ]);
        let status = StatusCode::from_u16(status).expect("a status");
        Response { status, headers, body: body.as_bytes().to_vec() }
    }

    /// What a response means, in a word.
    fn meaning(status: u16, body: &str) -> String {
        match read(&VEHICLES, &response(status, body)) {
            Ok(Answer::Record(record)) => format!("record {}", record.version),
            Ok(Answer::Changed(record)) => format!("changed {}", record.version),
            Ok(Answer::Removed) => "removed".to_owned(),
            Ok(Answer::NotFound) => "not found".to_owned(),
            Ok(Answer::Taken(message)) => format!("taken: {message}"),
            Ok(Answer::Refused(rejection)) => format!("refused: {} {}", rejection.message, rejection.details.len()),
            Err(RemoteError::Unavailable { retry_after, .. }) => format!("unavailable {retry_after:?}"),
            Err(RemoteError::Unreadable(_)) => "unreadable".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn a_response_means_something_about_a_record_only_in_the_form_of_the_contract() {
        let (record, none) = (vehicle().to_string(), json!({}));
        let of = |status, message: &str| error(status, message, &none).to_string();
        let details = json!({ "details": [{ "field": "year", "message": "year must be an integer" }] });
        let current = json!({ "current": vehicle() });
        for (status, body, expected) in [
            (200, record.clone(), "record 7"),
            (201, record.clone(), "record 7"),
            (204, String::new(), "removed"),
            (404, of(404, "Vehicle not found"), "not found"),
            (409, of(409, "This id is already used"), "taken: This id is already used"),
            (412, error(412, "The vehicle has changed", &current).to_string(), "changed 7"),
            (400, error(400, "year must be an integer", &details).to_string(), "refused: year must be an integer 1"),
            (403, of(403, "An account can have"), "refused: An account can have 0"),
            (429, of(429, "Too many requests"), "unavailable Some(7s)"),
            (500, of(500, "Internal Server Error"), "unavailable Some(7s)"),
            (503, "<html>".to_owned(), "unavailable Some(7s)"),
            // Not about a record: another route, a proxy, a portal, a body that was broken off.
            (404, of(404, "Not Found"), "unreadable"),
            (404, "<html>Vehicle not found".to_owned(), "unreadable"),
            (404, of(200, "Vehicle not found"), "unreadable"),
            (409, "<html>".to_owned(), "unreadable"),
            (412, of(412, "The vehicle has changed"), "unreadable"),
            (400, "<html>".to_owned(), "unreadable"),
            (403, "<html>".to_owned(), "unreadable"),
            (200, "<html>".to_owned(), "unreadable"),
            (200, record[..record.len() / 2].to_owned(), "unreadable"),
            (200, "[]".to_owned(), "unreadable"),
            (200, "{}".to_owned(), "unreadable"),
            (302, String::new(), "unreadable"),
            (405, of(405, "Method Not Allowed"), "unreadable"),
        ] {
            assert_eq!(meaning(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let both = json!([vehicle(), vehicle()]).to_string();
        let read = |status, body: &str| read_list(&VEHICLES, &response(status, body));
        let Ok(List::Records { records, tag }) = read(200, &both) else { panic!("no list") };
        assert_eq!((records.len(), tag.as_deref()), (2, Some("\"all-7\"")));
        assert!(records[0].has_field("vin") && !records[0].has_field("color") && !records[0].has_field("seats"));
        assert_eq!(read(304, ""), Ok(List::IsSame));
        let broken = json!([vehicle(), { "id": "x" }]).to_string();
        for body in [&both[..both.len() - 1], &broken, "{}", "<html>", ""] {
            assert!(matches!(read(200, body), Err(RemoteError::Unreadable(_))), "{body}");
        }
        for status in [204, 404, 403] {
            assert!(matches!(read(status, "[]"), Err(RemoteError::Unreadable(_))), "{status}");
        }
        assert!(matches!(read(503, "[]"), Err(RemoteError::Unavailable { .. })));
    }
}
