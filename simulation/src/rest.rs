//! A client of plain REST, which writes in between.

use anyhow::bail;
use axum::http::Method;
use garage_core::domain::RecordId;
use rand::{Rng, seq::IndexedRandom};
use serde_json::{Value, json};
use uuid::Builder;

use crate::{
    oracle::{Field, REST, Shown},
    world::World,
};

/// The status of a response to a VIN that another vehicle has.
const DUPLICATE_VIN: u16 = 409;

impl World<'_> {
    /// A client of plain REST adds a vehicle, or changes one that it has just read.
    pub async fn rest(&mut self, most_records: usize) -> anyhow::Result<()> {
        let server = self.devices.len();
        let (_, body) = self.server.send_beside(Method::GET, "/api/vehicles", &Value::Null).await?;
        let vehicles: Vec<Value> = serde_json::from_slice(&body)?;
        let value = self.value();
        let Some(vehicle) = vehicles.choose(&mut self.random).filter(|_| self.random.random_bool(0.7)) else {
            if vehicles.len() >= most_records {
                return Ok(());
            }
            let id = Builder::from_random_bytes(self.random.random()).into_uuid();
            let mut draft = json!({ "id": id, "nickname": value, "licensePlate": "R" });
            if self.has_one_vin() && self.random.random_bool(0.5) {
                draft["vin"] = self.vin().into();
            }
            let (status, body) = self.server.send_beside(Method::POST, "/api/vehicles", &draft).await?;
            if status == DUPLICATE_VIN {
                return Ok(());
            }
            if status != 201 {
                bail!("{status} {}", String::from_utf8_lossy(&body));
            }
            for (field, value) in draft.as_object().into_iter().flatten().filter(|(name, _)| *name != "id") {
                self.oracle.write(REST, RecordId(id), field, &value.to_string(), None);
            }
            self.note(server, format_args!("has a new vehicle of a REST client: {draft}"));
            return Ok(());
        };
        let id: RecordId = vehicle["id"].as_str().unwrap_or_default().parse()?;
        let fields = if self.has_one_vin() { ["nickname", "vin", "vin"] } else { ["nickname", "color", "notes"] };
        let field = *fields.choose(&mut self.random).unwrap_or(&"nickname");
        let value = match field {
            "vin" if self.random.random_bool(0.5) => Value::Null,
            "vin" => self.vin().into(),
            _ => value.into(),
        };
        let before = vehicle.get(field).map_or_else(|| "null".to_owned(), Value::to_string);
        let shown = Shown::from([(field.to_owned(), Field { value: before, ..Field::default() })]);
        let path = format!("/api/vehicles/{id}");
        let (status, body) = self.server.send_beside(Method::PUT, &path, &json!({ field: value })).await?;
        if status == DUPLICATE_VIN {
            return Ok(());
        }
        if status != 200 {
            bail!("{status} {}", String::from_utf8_lossy(&body));
        }
        let text = value.to_string();
        if shown[field].value != text {
            self.oracle.write(REST, id, field, &text, Some(&shown));
        }
        self.note(server, format_args!("has a change of a REST client: {id}.{field} to {value}"));
        Ok(())
    }
}
