//! The route of exchanges.

use std::{collections::HashSet, io::Read};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, header},
};
use garage_protocol::{
    ErrorBody,
    sync::{MAX_AUDITED, MAX_BYTES, MAX_RECORDS, Operation, OperationKind, SyncRequest, SyncResponse},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    device::Cursor,
    steps::{Account, Refusal},
    store,
    wait::{__path_changes, changes},
};
use crate::{
    app::{App, now},
    auth::User,
    error::ApiError,
};

/// The longest name of a collection or field.
const MAX_NAME_BYTES: usize = 64;
/// The longest epoch, cursor or account.
const MAX_TEXT_BYTES: usize = 255;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sync)).routes(routes!(changes))
}

/// Exchanges changes of all collections with a device.
#[utoipa::path(
    post,
    path = "/api/sync",
    tag = "sync",
    operation_id = "sync",
    request_body(content = SyncRequest, description = "May be compressed with gzip or zstd"),
    responses(
        (status = OK, description = "What became of the operations, and what has changed", body = SyncResponse),
        (status = FORBIDDEN, description = "The account has as many devices as it can have", body = ErrorBody),
        (status = CONFLICT, description = "The device's garage belongs to another account", body = ErrorBody),
        (status = PAYLOAD_TOO_LARGE, description = "The request is larger than 1 MiB, compressed or not", body = ErrorBody)
    )
)]
async fn sync(
    State(app): State<App>,
    User(user): User,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SyncResponse>, ApiError> {
    let request = parse(&headers, body.map_err(|_| ApiError::BodyTooLarge)?)?;
    if request.account.as_ref().is_some_and(|account| *account != user) {
        return Err(ApiError::Conflict("This garage belongs to another account"));
    }
    check(&request)?;
    let has_operations = !request.operations.is_empty();
    let write = app.remembered_lists.as_ref().filter(|_| has_operations).map(|lists| lists.write(&user));
    let account = Account { user: user.clone(), quota: app.vehicle_quota };
    let outcome = store::sync(&app.store, account, request, now()).await?;
    // After an error the operations may be committed later.
    if let Some(write) = write {
        write.ended();
    }
    let response = outcome?;
    if has_operations {
        app.wrote(&user, response.applied());
    }
    Ok(Json(response))
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Contradicts(operation) => {
                ApiError::BadRequest(format!("operation {operation} was sent before with another content"))
            }
            Refusal::TooManyDevices => ApiError::Forbidden("An account can have at most 1000 devices"),
        }
    }
}

fn parse(headers: &HeaderMap, body: Bytes) -> Result<SyncRequest, ApiError> {
    crate::http::check_json(headers)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let decoded = match text(header::CONTENT_ENCODING) {
        "" | "identity" => body.into(),
        "gzip" => decompressed(flate2::read::GzDecoder::new(&body[..]))?,
        "zstd" => decompressed(zstd::Decoder::with_buffer(&body[..]).map_err(|_| invalid())?)?,
        _ => return Err(ApiError::UnsupportedMediaType),
    };
    serde_json::from_slice(&decoded).map_err(|error| {
        let is_json = serde_json::from_slice::<serde_json::Value>(&decoded).is_ok();
        let is_object = decoded.trim_ascii_start().starts_with(b"{");
        ApiError::BadRequest(match (is_json, is_object) {
            (false, _) => "Request body is not valid JSON".to_owned(),
            (true, false) => "Request body must be an object".to_owned(),
            (true, true) => format!("Request body is not valid: {error}"),
        })
    })
}

fn invalid() -> ApiError {
    ApiError::BadRequest("Request body is not validly compressed".to_owned())
}

fn decompressed(decoder: impl Read) -> Result<Vec<u8>, ApiError> {
    let mut decoded = Vec::new();
    decoder.take(MAX_BYTES as u64 + 1).read_to_end(&mut decoded).map_err(|_| invalid())?;
    if decoded.len() > MAX_BYTES { Err(ApiError::BodyTooLarge) } else { Ok(decoded) }
}

/// Checks the request as a whole: what a correct device never sends.
fn check(request: &SyncRequest) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::BadRequest(message));
    if !(1..=MAX_RECORDS).contains(&request.limit) {
        return refuse(format!("limit must be between 1 and {MAX_RECORDS}"));
    }
    let texts = [&request.account, &request.epoch, &request.cursor];
    if texts.into_iter().flatten().any(|text| text.len() > MAX_TEXT_BYTES) {
        return refuse(format!("account, epoch and cursor must be at most {MAX_TEXT_BYTES} bytes"));
    }
    if request.cursor.as_deref().is_some_and(|cursor| request.epoch.is_none() || Cursor::parse(cursor).is_none()) {
        return refuse("cursor must be one of a response, with its epoch".to_owned());
    }
    if request.batch.is_some_and(|batch| batch < 0) || request.batch.is_some() == request.operations.is_empty() {
        return refuse("batch must be the number of the batch of operations".to_owned());
    }
    if request.operations.len() > MAX_RECORDS {
        return refuse(format!("operations must be at most {MAX_RECORDS}"));
    }
    if let Some(audit) = &request.audit
        && (!is_name(&audit.collection) || !(1..=MAX_AUDITED).contains(&audit.limit))
    {
        return refuse(format!("audit must have a collection, and a limit between 1 and {MAX_AUDITED}"));
    }
    let (mut ids, mut records) = (HashSet::new(), HashSet::new());
    for (index, operation) in request.operations.iter().enumerate() {
        if let Err(message) = check_operation(operation) {
            return refuse(format!("operations[{index}] {message}"));
        }
        if !ids.insert(operation.op_id) || !records.insert((&operation.collection, operation.record_id)) {
            return refuse(format!("operations[{index}] must have an id and a record of its own"));
        }
    }
    Ok(())
}

fn check_operation(operation: &Operation) -> Result<(), String> {
    if !is_name(&operation.collection) {
        return Err("must have the name of a collection".to_owned());
    }
    if (operation.kind == OperationKind::Create) != operation.base_version.is_none() {
        return Err("must have a base version unless it is a create".to_owned());
    }
    let is_field = |name: &String| is_name(name) && !is_reserved(name);
    if !operation.fields.keys().all(is_field) {
        return Err(format!("must have names of fields: letters and digits, at most {MAX_NAME_BYTES}"));
    }
    if !operation.origins.keys().all(|name| operation.fields.contains_key(name)) {
        return Err("must have origins only of its fields".to_owned());
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Names of what a record has besides fields.
fn is_reserved(name: &str) -> bool {
    ["id", "userId", "imageUrl", "createdAt", "updatedAt", "deletedAt", "version", "origins", "extra"].contains(&name)
}
