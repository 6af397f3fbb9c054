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
            let draft = json!({ "id": id, "nickname": value, "licensePlate": "R" });
            let (status, body) = self.server.send_beside(Method::POST, "/api/vehicles", &draft).await?;
            if status != 201 {
                bail!("{status} {}", String::from_utf8_lossy(&body));
            }
            self.oracle.write(REST, RecordId(id), "nickname", &Value::from(value).to_string(), None);
            self.note(server, format_args!("has a new vehicle of a REST client: {id}"));
            return Ok(());
        };
        let id: RecordId = vehicle["id"].as_str().unwrap_or_default().parse()?;
        let field = *["nickname", "color", "notes"].choose(&mut self.random).unwrap_or(&"color");
        let before = vehicle.get(field).map_or_else(|| "null".to_owned(), Value::to_string);
        let shown = Shown::from([(field.to_owned(), Field { value: before, ..Field::default() })]);
        let (path, value) = (format!("/api/vehicles/{id}"), Value::from(value));
        let (status, body) = self.server.send_beside(Method::PUT, &path, &json!({ field: value })).await?;
        if status != 200 {
            bail!("{status} {}", String::from_utf8_lossy(&body));
        }
        self.oracle.write(REST, id, field, &value.to_string(), Some(&shown));
        self.note(server, format_args!("has a change of a REST client: {id}.{field} to {value}"));
        Ok(())
    }
}
