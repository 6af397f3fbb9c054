//! A server without `sync.v1`: a model of the contract's routes of vehicles, whose responses a test can lose or replace.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Map, Value, json};

use crate::fake_server::{FakeServer, Request, json as answer, response};

pub const OWNER: &str = "ada";

/// What happens to the next request of a route.
pub enum Fault {
    /// It is performed, and its response is broken off.
    Lost,
    /// It is not performed, and this is the response.
    Answered(Vec<u8>),
}

#[derive(Default)]
pub struct Model {
    version: i64,
    /// All vehicles by id, removed ones included.
    pub vehicles: BTreeMap<String, Value>,
    /// The bodies of their creates.
    created_with: BTreeMap<String, Value>,
    /// Vehicles that lists lack.
    pub hidden: BTreeSet<String>,
    /// A field that it does not have.
    pub lacks: Option<&'static str>,
    /// Faults by the beginning of the request's route; each happens once.
    pub faults: Vec<(&'static str, Fault)>,
}

pub struct PlainServer {
    pub fake: FakeServer,
    model: Arc<Mutex<Model>>,
}

impl PlainServer {
    pub fn start() -> PlainServer {
        let model = Arc::<Mutex<Model>>::default();
        let shared = model.clone();
        let fake = FakeServer::start(move |request| shared.lock().expect("no panic").answer(request));
        PlainServer { fake, model }
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no panic")
    }

    /// Lets the next request of a route fail.
    pub fn fail(&self, route: &'static str, fault: Fault) {
        self.model().faults.push((route, fault));
    }
}

impl Model {
    fn answer(&mut self, request: &Request) -> Vec<u8> {
        let fault = self.faults.iter().position(|(route, _)| request.route.starts_with(route));
        match fault.map(|index| self.faults.remove(index).1) {
            None => self.perform(request),
            Some(Fault::Answered(bytes)) => bytes,
            Some(Fault::Lost) => {
                let mut bytes = self.perform(request);
                bytes.truncate(bytes.len() / 2);
                bytes
            }
        }
    }

    fn perform(&mut self, request: &Request) -> Vec<u8> {
        let (method, path) = request.route.split_once(' ').expect("a route");
        let id = path.strip_prefix("/api/vehicles/").map(str::to_owned);
        let body = || serde_json::from_str::<Map<String, Value>>(&request.body).expect("an object");
        match (method, path, id) {
            ("GET", "/api/auth/me", _) => {
                let account = json!({ "id": OWNER, "email": "a@b.c", "createdAt": time(0), "disabledAt": null });
                answer("200 OK", &account)
            }
            ("GET", "/api/health", _) => answer("200 OK", &json!({ "capabilities": ["vehicles", "decode"] })),
            ("GET", "/api/vehicles", _) => self.list(request),
            ("POST", "/api/vehicles", _) => self.create(body()),
            ("GET", _, Some(id)) => self.live(&id).map_or_else(not_found, |vehicle| answer("200 OK", vehicle)),
            ("PUT", _, Some(id)) => self.update(&id, request, body()),
            ("DELETE", _, Some(id)) => self.change(&id, request, |vehicle, at| vehicle["deletedAt"] = at.into()),
            _ => error("404 Not Found", "Not Found", &Value::Null),
        }
    }

    fn live(&self, id: &str) -> Option<&Value> {
        self.vehicles.get(id).filter(|vehicle| vehicle["deletedAt"].is_null())
    }

    fn has_vin(&self, vin: &Value, except: &str) -> bool {
        let live = self.vehicles.iter().filter(|(id, it)| it["deletedAt"].is_null() && id.as_str() != except);
        !vin.is_null() && live.into_iter().any(|(_, vehicle)| vehicle["vin"] == *vin)
    }

    fn list(&self, request: &Request) -> Vec<u8> {
        let tag = format!("\"all-{}\"", self.version);
        if request.headers.contains(&format!("if-none-match: {tag}")) {
            return response("304 Not Modified", "", b"");
        }
        let live = self.vehicles.iter().filter(|(id, it)| it["deletedAt"].is_null() && !self.hidden.contains(*id));
        let list = Value::from(live.map(|(_, vehicle)| vehicle.clone()).collect::<Vec<_>>());
        let headers = format!("content-type: application/json\r\netag: {tag}\r\n");
        response("200 OK", &headers, list.to_string().as_bytes())
    }

    fn create(&mut self, body: Map<String, Value>) -> Vec<u8> {
        let id = body["id"].as_str().expect("the client's id").to_owned();
        let sent = Value::from(body.clone());
        if self.created_with.contains_key(&id) {
            return match self.live(&id) {
                Some(vehicle) if self.created_with[&id] == sent => answer("200 OK", vehicle),
                _ => error("409 Conflict", "This id is already used by another vehicle", &Value::Null),
            };
        }
        let vin = body.get("vin").cloned().unwrap_or_default();
        if self.has_vin(&vin, &id) {
            return error("409 Conflict", "Vehicle with this VIN already exists", &Value::Null);
        }
        let mut vehicle = json!({ "userId": OWNER, "imageUrl": null, "createdAt": time(0), "deletedAt": null });
        for field in garage_core::VEHICLES.fields {
            vehicle[field.name] = Value::Null;
        }
        self.set(&mut vehicle, body);
        if !vin.is_null() && vehicle["vehicleType"].is_null() {
            vehicle["vehicleType"] = "DECODED THERE".into();
        }
        self.created_with.insert(id.clone(), sent);
        self.vehicles.insert(id.clone(), vehicle);
        answer("201 Created", &self.vehicles[&id])
    }

    fn set(&mut self, vehicle: &mut Value, body: Map<String, Value>) {
        let members = vehicle.as_object_mut().expect("an object");
        members.extend(body);
        if let Some(name) = self.lacks {
            members.remove(name);
        }
        self.version += 1;
        members.insert("version".to_owned(), self.version.into());
        members.insert("updatedAt".to_owned(), time(self.version).into());
    }

    fn update(&mut self, id: &str, request: &Request, body: Map<String, Value>) -> Vec<u8> {
        if let Some(vin) = body.get("vin")
            && self.has_vin(vin, id)
        {
            return error("409 Conflict", "Vehicle with this VIN already exists", &Value::Null);
        }
        if body.get("year").is_some_and(|year| *year == 2027) {
            let details = json!({ "details": [{ "field": "year", "message": "year must be between 1886 and 2026" }] });
            return error("400 Bad Request", "year must be between 1886 and 2026", &details);
        }
        self.change(id, request, |vehicle, _| vehicle.as_object_mut().expect("an object").extend(body))
    }

    /// Changes a live vehicle that has the version of `If-Match`.
    fn change(&mut self, id: &str, request: &Request, change: impl FnOnce(&mut Value, &str)) -> Vec<u8> {
        let Some(vehicle) = self.live(id) else { return not_found() };
        if !request.headers.contains(&format!("if-match: \"{}\"", vehicle["version"])) {
            let current = json!({ "current": vehicle });
            return error("412 Precondition Failed", "The vehicle has changed", &current);
        }
        let mut vehicle = vehicle.clone();
        let at = time(self.version);
        change(&mut vehicle, &at);
        self.set(&mut vehicle, Map::new());
        self.vehicles.insert(id.to_owned(), vehicle.clone());
        if vehicle["deletedAt"].is_null() { answer("200 OK", &vehicle) } else { response("204 No Content", "", b"") }
    }
}

fn time(second: i64) -> String {
    jiff::Timestamp::from_second(1_800_000_000 + second).expect("a time").to_string()
}

fn not_found() -> Vec<u8> {
    error("404 Not Found", "Vehicle not found", &Value::Null)
}

pub fn error(status: &str, message: &str, more: &Value) -> Vec<u8> {
    let code: u16 = status[..3].parse().expect("a status");
    let mut body = json!({ "statusCode": code, "error": &status[4..], "message": message });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    answer(status, &body)
}
