//! Decoding VINs, and the lists for entering a vehicle without a VIN.

#![expect(unused_qualifications, reason = "utoipa's macro generates them")]

use axum::{Json, extract::State};
use garage_decode::{CatalogEntry, Decode, Detail};
use garage_domain::{FieldError, json_integer};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::User,
    error::ApiError,
    http::{JsonObject, Parameters},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(decode_vin))
        .routes(routes!(years))
        .routes(routes!(makes))
        .routes(routes!(models))
        .routes(routes!(trims))
        .routes(routes!(engines))
        .routes(routes!(transmissions))
}

/// A VIN to decode.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only the OpenAPI document uses it; a body is read field by field, to report all that are invalid"
)]
struct VinText {
    /// A VIN, a part of one, or text that contains one; `*` stands for an unknown character
    vin: String,
    /// The model year, for a VIN that encodes two
    model_year: Option<i32>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DecodeParameters {
    /// Whether the response has all of vPIC's facts
    #[param(value_type = Option<bool>)]
    full: Option<String>,
}

/// Decodes a VIN.
#[utoipa::path(
    post,
    path = "/api/vehicles/decode-vin",
    tag = "decode",
    operation_id = "decodeVin",
    params(DecodeParameters),
    request_body = VinText,
    responses((status = OK, description = "The decode", body = Decode<'static>))
)]
async fn decode_vin(
    State(app): State<App>,
    _user: User,
    Parameters(DecodeParameters { full }): Parameters<DecodeParameters>,
    JsonObject(body): JsonObject,
) -> Result<Json<Decode<'static>>, ApiError> {
    let mut errors = Vec::new();
    let mut add_error = |field: &str, message: String| {
        errors.push(FieldError { field: field.to_owned(), message });
    };
    let vin_text = match body.get("vin") {
        Some(Value::String(text)) => text.as_str(),
        _ => {
            add_error("vin", "vin must be a string".to_owned());
            ""
        }
    };
    let model_year = match body.get("modelYear") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let year = json_integer(value).and_then(|year| i32::try_from(year).ok());
            if year.is_none() {
                add_error("modelYear", "modelYear must be an integer".to_owned());
            }
            year
        }
    };
    let detail = match full.as_deref() {
        Some("true") => Detail::Full,
        None | Some("false") => Detail::Fields,
        Some(_) => {
            add_error("full", "full must be a boolean".to_owned());
            Detail::Fields
        }
    };
    if !errors.is_empty() {
        return Err(ApiError::Fields(errors));
    }
    Ok(Json(app.decode(vin_text, model_year, detail, Timestamp::now()).await?))
}

/// The filters of a list. Values that are not numbers are ignored.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct Filters {
    /// Only entries of this model year
    year: Option<String>,
    /// Only models of the make with this id
    make_id: Option<String>,
}

impl Filters {
    fn year(&self) -> Option<i32> {
        self.year.as_ref()?.parse().ok()
    }

    fn make_id(&self) -> Option<i32> {
        self.make_id.as_ref()?.parse().ok()
    }
}

/// The model years, descending.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/years",
    tag = "decode",
    operation_id = "listYears",
    responses((status = OK, description = "The list", body = Vec<i32>))
)]
async fn years(State(app): State<App>, _user: User) -> Result<Json<Vec<i32>>, ApiError> {
    Ok(Json(app.catalog().await?.years(Timestamp::now())))
}

/// The makes, of all model years or of one.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/makes",
    tag = "decode",
    operation_id = "listMakes",
    params(Filters),
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn makes(
    State(app): State<App>,
    _user: User,
    Parameters(filters): Parameters<Filters>,
) -> Result<Json<Vec<CatalogEntry>>, ApiError> {
    Ok(Json(app.catalog().await?.makes(filters.year())))
}

/// The models of a make, of all model years or of one.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/models",
    tag = "decode",
    operation_id = "listModels",
    params(Filters),
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn models(
    State(app): State<App>,
    _user: User,
    Parameters(filters): Parameters<Filters>,
) -> Result<Json<Vec<CatalogEntry>>, ApiError> {
    let catalog = app.catalog().await?;
    Ok(Json(filters.make_id().map_or_else(Vec::new, |make_id| catalog.models(make_id, filters.year()))))
}

/// Always empty: vPIC has trims of VINs, not of models.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/trims",
    tag = "decode",
    operation_id = "listTrims",
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn trims(_user: User) -> Json<Vec<CatalogEntry>> {
    Json(Vec::new())
}

/// Always empty: vPIC has engines of VINs, not of models.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/engines",
    tag = "decode",
    operation_id = "listEngines",
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn engines(_user: User) -> Json<Vec<CatalogEntry>> {
    Json(Vec::new())
}

/// Automatic and manual.
#[utoipa::path(
    get,
    path = "/api/vehicles/dropdown/transmissions",
    tag = "decode",
    operation_id = "listTransmissions",
    responses((status = OK, description = "The list", body = Vec<CatalogEntry>))
)]
async fn transmissions(_user: User) -> Json<Vec<CatalogEntry>> {
    let entry = |id, name: &str| CatalogEntry { id, name: name.to_owned() };
    Json(vec![entry(1, "Automatic"), entry(2, "Manual")])
}
