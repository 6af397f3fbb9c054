//! The routes of vehicles.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use garage_domain::{
    Field, FieldAccess, FieldError, FieldValue, Invalid, Patch, RecordId, VEHICLES, VehicleFields, VehicleId, vehicle,
};
use garage_protocol::{ErrorBody, WireVehicle};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    decide::{Base, Kind, Operation, Outcome, Refusal},
    list::{EncodedList, ListEncoder},
    store,
};
use crate::{
    app::{App, BACKEND, now},
    auth::User,
    error::ApiError,
    http::{IfMatch, IfMatchHeader, IfNoneMatch, JsonObject, PathId, etag, is_not_modified, not_modified},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(list, create)).routes(routes!(show, update, remove))
}

/// The state of the vehicle routes.
#[derive(Serialize, ToSchema)]
struct FeatureHealth {
    /// Always `ok`.
    status: &'static str,
    /// Always `vehicles`.
    feature: &'static str,
    /// The name of the backend.
    backend: &'static str,
}

/// Whether the server has the vehicle routes.
#[utoipa::path(
    get,
    path = "/api/vehicles/health",
    tag = "health",
    operation_id = "getVehiclesHealth",
    security(()),
    responses((status = OK, description = "It has them", body = FeatureHealth))
)]
async fn health() -> Json<FeatureHealth> {
    Json(FeatureHealth { status: "ok", feature: "vehicles", backend: BACKEND })
}

/// The user's live vehicles, newest first.
#[utoipa::path(
    get,
    path = "/api/vehicles",
    tag = "vehicles",
    operation_id = "listVehicles",
    params(IfNoneMatch),
    responses(
        (status = OK, description = "All vehicles", body = Vec<WireVehicle>,
            headers(("ETag" = String, description = "Opaque; identifies the state of the whole list"))),
        (status = NOT_MODIFIED, description = "Nothing has changed", headers(("ETag" = String)))
    )
)]
async fn list(State(app): State<App>, user: User, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(list) = app.remembered_lists.as_ref().and_then(|lists| lists.get(&user.0)) {
        let tag = list_tag(list.version());
        return if is_not_modified(&headers, &tag) { Ok(not_modified(tag)) } else { list_response(&list, &headers) };
    }
    let before = app.remembered_lists.as_ref().map(|lists| lists.before_read(&user.0));
    // Most requests find the list unchanged, and read no vehicles.
    let version = app.store.feed_version(&user.0).await?;
    let tag = list_tag(version);
    if is_not_modified(&headers, &tag) {
        return Ok(not_modified(tag));
    }
    let list = match app.lists.get(&user.0, version) {
        Some(list) => list,
        None => {
            let (version, encoder) = store::list(&app.store, &user.0, ListEncoder::default()).await?;
            app.lists.insert(&user.0, encoder.finish(version).map_err(|_| ApiError::Internal)?)
        }
    };
    if let (Some(lists), Some(before)) = (&app.remembered_lists, before) {
        lists.insert(&user.0, list.clone(), before);
    }
    list_response(&list, &headers)
}

fn list_response(list: &EncodedList, headers: &HeaderMap) -> Result<Response, ApiError> {
    let mut response = list.response(headers).map_err(|_| ApiError::Internal)?;
    response.headers_mut().insert(header::ETAG, list_tag(list.version()));
    Ok(response)
}

/// Adds a vehicle. Empty fields are filled with values decoded from its VIN.
#[utoipa::path(
    post,
    path = "/api/vehicles",
    tag = "vehicles",
    operation_id = "createVehicle",
    request_body(content = ref("#/components/schemas/NewVehicle"), content_type = "application/json"),
    responses(
        (status = CREATED, description = "The vehicle was added", body = WireVehicle,
            headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        (status = OK, description = "An earlier request with the same content added the vehicle", body = WireVehicle,
            headers(("ETag" = String, description = "Its version"))),
        (status = CONFLICT, description = "Another vehicle has the VIN or the id", body = ErrorBody)
    )
)]
async fn create(State(app): State<App>, user: User, JsonObject(body): JsonObject) -> Result<Response, ApiError> {
    let at = now();
    let (id, fields) = created_fields(body, at)?;
    let sent = digest(&fields);
    let mut filled = fields;
    for (field, value) in decoded_values(&app, &filled, at).await {
        filled.fill(field, value);
    }
    let id = id.unwrap_or_else(|| RecordId(Uuid::now_v7()));
    let operation = Operation { id, kind: Kind::Create { fields: Box::new(filled), sent }, at };
    match perform(&app, &user, operation).await? {
        Outcome::Written(vehicle) => {
            let location = HeaderValue::from_str(&format!("/api/vehicles/{id}")).map_err(|_| ApiError::Internal)?;
            let headers = [(header::ETAG, etag(vehicle.version)), (header::LOCATION, location)];
            Ok((StatusCode::CREATED, headers, Json(vehicle)).into_response())
        }
        Outcome::Kept(vehicle) => Ok(([(header::ETAG, etag(vehicle.version))], Json(vehicle)).into_response()),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

/// A live vehicle of the user.
#[utoipa::path(
    get,
    path = "/api/vehicles/{id}",
    tag = "vehicles",
    operation_id = "getVehicle",
    params(("id" = Uuid, Path, description = "The vehicle"), IfNoneMatch),
    responses(
        (status = OK, description = "The vehicle", body = WireVehicle,
            headers(("ETag" = String, description = "Its version"))),
        (status = NOT_MODIFIED, description = "The vehicle has that version", headers(("ETag" = String))),
        (status = NOT_FOUND, description = "The user has no such vehicle", body = ErrorBody)
    )
)]
async fn show(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let vehicle = store::get(&app.store, &user.0, id).await?.ok_or(ApiError::VEHICLE_NOT_FOUND)?;
    let tag = etag(vehicle.version);
    Ok(if is_not_modified(&headers, &tag) {
        not_modified(tag)
    } else {
        ([(header::ETAG, tag)], Json(vehicle)).into_response()
    })
}

/// Changes the fields that are sent; null clears a field.
#[utoipa::path(
    put,
    path = "/api/vehicles/{id}",
    tag = "vehicles",
    operation_id = "updateVehicle",
    params(("id" = Uuid, Path, description = "The vehicle"), IfMatchHeader),
    request_body(content = ref("#/components/schemas/VehicleChange"), content_type = "application/json"),
    responses(
        (status = OK, description = "The changed vehicle", body = WireVehicle,
            headers(("ETag" = String, description = "Its version"))),
        (status = NOT_FOUND, description = "The user has no such vehicle", body = ErrorBody),
        (status = CONFLICT, description = "Another vehicle has the VIN", body = ErrorBody),
        (status = PRECONDITION_FAILED, description = "The vehicle has another version", body = ErrorBody)
    )
)]
async fn update(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    headers: HeaderMap,
    body: Result<JsonObject, ApiError>,
) -> Result<Response, ApiError> {
    let at = now();
    // An unknown vehicle takes precedence over errors in the body.
    let current = store::get(&app.store, &user.0, id).await?.ok_or(ApiError::VEHICLE_NOT_FOUND)?;
    let JsonObject(body) = body?;
    let patch = Patch::parse(&VEHICLES, &body, at)?;
    let decoded = if patch.names(&vehicle::VIN) {
        // Decodes before the transaction, because opening the snapshot would block other writers for too long.
        decoded_values(&app, &patch.apply(current.fields)?, at).await
    } else {
        Vec::new()
    };
    let kind = Kind::Update { patch, decoded, base: Base::from(IfMatch::from_headers(&headers)) };
    let vehicle = match perform(&app, &user, Operation { id, kind, at }).await? {
        Outcome::Written(vehicle) | Outcome::Kept(vehicle) => vehicle,
        Outcome::Refused(refusal) => return Err(refusal.into()),
    };
    Ok(([(header::ETAG, etag(vehicle.version))], Json(vehicle)).into_response())
}

/// Removes a vehicle.
#[utoipa::path(
    delete,
    path = "/api/vehicles/{id}",
    tag = "vehicles",
    operation_id = "deleteVehicle",
    params(("id" = Uuid, Path, description = "The vehicle"), IfMatchHeader),
    responses(
        (status = NO_CONTENT, description = "The vehicle was removed"),
        (status = NOT_FOUND, description = "The user has no such vehicle", body = ErrorBody),
        (status = PRECONDITION_FAILED, description = "The vehicle has another version", body = ErrorBody)
    )
)]
async fn remove(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let kind = Kind::Remove { base: Base::from(IfMatch::from_headers(&headers)) };
    match perform(&app, &user, Operation { id, kind, at: now() }).await? {
        Outcome::Written(_) | Outcome::Kept(_) => Ok(StatusCode::NO_CONTENT),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

async fn perform(app: &App, user: &User, operation: Operation) -> Result<Outcome, ApiError> {
    let write = app.remembered_lists.as_ref().map(|lists| lists.write(&user.0));
    let performed = store::perform(&app.store, &user.0, operation, app.vehicle_quota).await;
    // After an error the write may be committed later.
    if let (Some(write), Ok(_)) = (write, &performed) {
        write.ended();
    }
    let outcome = performed?;
    if matches!(outcome, Outcome::Written(_)) {
        app.wrote(&user.0, 1);
    }
    Ok(outcome)
}

impl From<IfMatch> for Base {
    fn from(condition: IfMatch) -> Base {
        match condition {
            IfMatch::Any => Base::Any,
            IfMatch::Versions(versions) => Base::OneOf(versions),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::NotFound => ApiError::VEHICLE_NOT_FOUND,
            Refusal::UsedId => ApiError::USED_ID,
            Refusal::DuplicateVin => ApiError::DUPLICATE_VIN,
            Refusal::Changed(vehicle) => ApiError::Changed(vehicle),
            Refusal::Invalid(invalid) => invalid.into(),
            Refusal::QuotaReached(quota) => ApiError::QuotaReached(quota),
        }
    }
}

/// The `ETag` of a list. It differs from those of vehicles.
fn list_tag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"all-{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Parses the body of a create. Errors are in the contract's order.
fn created_fields(body: Map<String, Value>, at: Timestamp) -> Result<(Option<VehicleId>, VehicleFields), ApiError> {
    let id = match body.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| text.parse().ok())
            .map(Some)
            .ok_or_else(|| FieldError { field: "id".to_owned(), message: "id must be a UUID".to_owned() }),
    };
    let fields = Patch::parse(&VEHICLES, &body, at).and_then(|patch| patch.apply(VehicleFields::default()));
    match (id, fields) {
        (Ok(id), Ok(fields)) => Ok((id, fields)),
        (Err(id), Err(Invalid::Fields(mut errors))) => {
            errors.push(id);
            Err(ApiError::Fields(errors))
        }
        (Err(id), _) => Err(ApiError::Fields(vec![id])),
        (Ok(_), Err(invalid)) => Err(invalid.into()),
    }
}

/// The values decoded from the VIN. Empty without a full VIN or without vPIC data, which must not prevent a save.
async fn decoded_values(app: &App, fields: &VehicleFields, at: Timestamp) -> Vec<(&'static Field, FieldValue)> {
    let Some(vin) = fields.vin.as_ref().filter(|vin| vin.is_full()) else { return Vec::new() };
    match app.decode(vin.as_str(), fields.year, garage_decode::Detail::Fields, at).await {
        Ok(decode) => decode.fields.into_values(at).map(|(field, decoded)| (field, decoded.value)).collect(),
        Err(_) => Vec::new(),
    }
}

/// A digest of the fields that are set, sorted by name. It is the same in a version that declares more fields or in another
/// order, so that it recognizes a create that is repeated after an upgrade.
fn digest(fields: &VehicleFields) -> String {
    let set = VEHICLES.fields.iter().filter_map(|field| {
        let value = fields.get(field).filter(|value| field.default_value().as_ref() != Some(value))?;
        Some((field.name, value))
    });
    let text = serde_json::to_vec(&set.collect::<BTreeMap<_, _>>()).unwrap_or_default();
    format!("{:x}", Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use garage_domain::OdometerUnit;

    use super::*;

    #[test]
    fn the_digest_covers_the_set_fields_sorted_by_name() {
        let fields = VehicleFields {
            nickname: Some("Blue".to_owned()),
            color: Some("Red".to_owned()),
            year: Some(2003),
            odometer_unit: OdometerUnit::Km,
            ..VehicleFields::default()
        };
        // Of {"color":"Red","nickname":"Blue","odometerUnit":"km","year":2003}
        assert_eq!(digest(&fields), "65ef0e73341f6f919d985d8eccf75e2b23ad54470e2c26bbc5316e6d481df006");
    }
}
