//! Decides what a write of a vehicle does, as a pure function of facts. The stores read the facts and apply the decision,
//! each with its own SQL and in one transaction.

use garage_domain::{Field, FieldAccess, FieldValue, Invalid, Patch, VehicleFields, VehicleId, vehicle};
use garage_protocol::WireVehicle;
use jiff::Timestamp;

/// A write that a client requests.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: VehicleId,
    pub kind: Kind,
    pub at: Timestamp,
}

/// The kind of a write, and its input.
#[derive(Debug, Clone)]
pub enum Kind {
    Create {
        fields: Box<VehicleFields>,
        /// A digest of the request. Another request with the same id and digest is a retry of the first one.
        sent: String,
    },
    Update {
        patch: Patch,
        /// The values decoded from the new VIN, for fields that are empty after the change.
        decoded: Vec<(&'static Field, FieldValue)>,
        base: Base,
    },
    Remove {
        base: Base,
    },
}

/// The versions that a change is based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Any,
    OneOf(Vec<i64>),
}

impl Base {
    fn allows(&self, version: i64) -> bool {
        match self {
            Base::Any => true,
            Base::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// The stored state that an operation depends on, read in its transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The row with the operation's id, of any user, removed or not.
    pub row: Option<Row>,
    /// Whether another live vehicle of the user has [`Operation::vin`].
    pub has_twin: bool,
    /// How many rows and tombstones the user has.
    pub records: i64,
}

/// A row of the table `vehicles`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub vehicle: WireVehicle,
    /// The digest of the request that created it.
    pub created_with: Option<String>,
}

/// What the store must do.
#[derive(Debug, PartialEq)]
pub enum Decision<'o> {
    /// Write nothing, and return this vehicle.
    Keep(WireVehicle),
    Insert {
        fields: &'o VehicleFields,
        sent: &'o str,
    },
    Update(VehicleFields),
    Remove,
    Refuse(Refusal),
}

/// What a write did.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The vehicle was added, changed or removed, and is in this state.
    Written(WireVehicle),
    /// Nothing was written, because the operation would not change the vehicle.
    Kept(WireVehicle),
    Refused(Refusal),
}

/// Why a write is refused.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// The user has no such live vehicle.
    NotFound,
    /// Another vehicle, or another request, has the id.
    UsedId,
    /// Another live vehicle of the user has the VIN.
    DuplicateVin,
    /// The vehicle has another version than the change is based on. Contains its current state.
    Changed(Box<WireVehicle>),
    /// The vehicle would break rules.
    Invalid(Invalid),
    /// The user has reached this quota of rows and tombstones.
    QuotaReached(i64),
}

impl Operation {
    /// The VIN that the operation sets.
    pub fn vin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Create { fields, .. } => fields.vin.as_ref().map(|vin| vin.as_str()),
            Kind::Update { patch, .. } => match patch.value(&vehicle::VIN) {
                Some(Some(FieldValue::Text(vin))) => Some(vin),
                _ => None,
            },
            Kind::Remove { .. } => None,
        }
    }

    /// Decides what the operation does for this user, who may have `quota` rows and tombstones.
    pub fn decide(&self, user: &str, facts: Facts, quota: i64) -> Decision<'_> {
        match &self.kind {
            Kind::Create { fields, sent } => create(user, fields, sent, facts, quota),
            Kind::Update { patch, decoded, base } => match live(user, facts.row, base) {
                Ok(before) => update(patch, decoded, before, facts.has_twin),
                Err(refusal) => Decision::Refuse(refusal),
            },
            Kind::Remove { base } => match live(user, facts.row, base) {
                Ok(_) => Decision::Remove,
                Err(refusal) => Decision::Refuse(refusal),
            },
        }
    }
}

fn create<'o>(user: &str, fields: &'o VehicleFields, sent: &'o str, facts: Facts, quota: i64) -> Decision<'o> {
    match facts.row {
        Some(row) if is_live_of(user, &row.vehicle) && row.created_with.as_deref() == Some(sent) => {
            Decision::Keep(row.vehicle)
        }
        Some(_) => Decision::Refuse(Refusal::UsedId),
        None if facts.has_twin => Decision::Refuse(Refusal::DuplicateVin),
        None if facts.records >= quota => Decision::Refuse(Refusal::QuotaReached(quota)),
        None => Decision::Insert { fields, sent },
    }
}

fn update<'o>(
    patch: &Patch,
    decoded: &[(&'static Field, FieldValue)],
    before: WireVehicle,
    has_twin: bool,
) -> Decision<'o> {
    let mut fields = match patch.apply(before.fields.clone()) {
        Ok(fields) => fields,
        Err(invalid) => return Decision::Refuse(Refusal::Invalid(invalid)),
    };
    let is_other_vin = fields.vin != before.fields.vin;
    if is_other_vin {
        if has_twin {
            return Decision::Refuse(Refusal::DuplicateVin);
        }
        for (field, value) in decoded {
            fields.fill(field, value.clone());
        }
    }
    if fields == before.fields { Decision::Keep(before) } else { Decision::Update(fields) }
}

/// Returns the vehicle if it is live, belongs to the user, and has a version that the change is based on.
fn live(user: &str, row: Option<Row>, base: &Base) -> Result<WireVehicle, Refusal> {
    let vehicle = row.map(|row| row.vehicle).filter(|vehicle| is_live_of(user, vehicle)).ok_or(Refusal::NotFound)?;
    if base.allows(vehicle.version) { Ok(vehicle) } else { Err(Refusal::Changed(Box::new(vehicle))) }
}

fn is_live_of(user: &str, vehicle: &WireVehicle) -> bool {
    vehicle.user_id == user && vehicle.deleted_at.is_none()
}

#[cfg(test)]
mod tests {
    use garage_domain::{RecordId, VEHICLES};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::*;

    const VINS: [&str; 2] = ["1HGCM82633A004352", "1M8GDM9AXKP042788"];

    fn at() -> Timestamp {
        "2026-11-25T00:00:00Z".parse().expect("a time")
    }

    fn patch(draft: Value) -> Patch {
        let draft: Map<String, Value> = serde_json::from_value(draft).expect("an object");
        Patch::parse(&VEHICLES, &draft, at()).expect("a patch")
    }

    fn fields(draft: Value) -> VehicleFields {
        patch(draft).apply(VehicleFields::default()).expect("fields")
    }

    fn operation(kind: Kind) -> Operation {
        Operation { id: RecordId(Uuid::nil()), kind, at: at() }
    }

    fn any_row() -> impl Strategy<Value = Option<Row>> {
        let vin = proptest::option::of(proptest::sample::select(&VINS[..]));
        let row = (vin, any::<bool>(), any::<bool>(), 1..4_i64, any::<bool>()).prop_map(
            |(vin, is_own, is_removed, version, is_sent)| Row {
                vehicle: WireVehicle {
                    id: RecordId(Uuid::nil()),
                    user_id: if is_own { "ada" } else { "eve" }.to_owned(),
                    fields: fields(json!({"nickname": "Blue", "vin": vin})),
                    image_url: None,
                    created_at: at(),
                    updated_at: at(),
                    deleted_at: is_removed.then(at),
                    version,
                },
                created_with: is_sent.then(|| "sent".to_owned()),
            },
        );
        proptest::option::of(row)
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        (any_row(), any::<bool>(), 0..4_i64).prop_map(|(row, has_twin, records)| Facts { row, has_twin, records })
    }

    fn any_base() -> impl Strategy<Value = Base> {
        prop_oneof![Just(Base::Any), proptest::collection::vec(1..4_i64, 0..3).prop_map(Base::OneOf)]
    }

    fn any_operation() -> impl Strategy<Value = Operation> {
        let draft = || {
            let vin = proptest::option::of(proptest::sample::select(&VINS[..]));
            (vin, any::<bool>()).prop_map(|(vin, is_named)| match is_named {
                true => json!({"vin": vin, "nickname": "Red"}),
                false => json!({"nickname": "Red"}),
            })
        };
        let create =
            draft().prop_map(|draft| Kind::Create { fields: Box::new(fields(draft)), sent: "sent".to_owned() });
        let update = (draft(), any_base()).prop_map(|(draft, base)| Kind::Update {
            patch: patch(draft),
            decoded: vec![(&vehicle::MAKE, FieldValue::Text("HONDA".to_owned()))],
            base,
        });
        prop_oneof![create, update, any_base().prop_map(|base| Kind::Remove { base })].prop_map(operation)
    }

    proptest! {
        #[test]
        fn vehicles_that_are_removed_or_of_other_users_are_neither_returned_nor_written(operation in any_operation(), facts in any_facts()) {
            let is_reachable = facts.row.as_ref().is_some_and(|row| is_live_of("ada", &row.vehicle));
            let is_taken = facts.row.is_some();
            match operation.decide("ada", facts, 3) {
                Decision::Keep(vehicle) => prop_assert!(is_live_of("ada", &vehicle)),
                Decision::Refuse(Refusal::Changed(vehicle)) => prop_assert!(is_live_of("ada", &vehicle)),
                Decision::Update(_) | Decision::Remove => prop_assert!(is_reachable),
                Decision::Insert { .. } => prop_assert!(!is_taken),
                Decision::Refuse(Refusal::NotFound | Refusal::UsedId) => prop_assert!(true),
                Decision::Refuse(_) => prop_assert!(is_reachable || !is_taken),
            }
        }

        #[test]
        fn no_write_duplicates_a_vin_or_ignores_its_base_or_the_quota(operation in any_operation(), facts in any_facts()) {
            let version = facts.row.as_ref().map(|row| row.vehicle.version);
            let vin_before = facts.row.as_ref().and_then(|row| row.vehicle.fields.vin.clone());
            let (has_twin, records) = (facts.has_twin, facts.records);
            let decision = operation.decide("ada", facts, 3);
            let is_allowed = match (&operation.kind, version) {
                (Kind::Update { base, .. } | Kind::Remove { base }, Some(version)) => base.allows(version),
                _ => true,
            };
            match decision {
                Decision::Insert { .. } => prop_assert!(records < 3 && !has_twin),
                Decision::Update(fields) => prop_assert!(is_allowed && (!has_twin || fields.vin == vin_before)),
                Decision::Remove => prop_assert!(is_allowed),
                Decision::Keep(_) | Decision::Refuse(_) => {}
            }
        }

        #[test]
        fn a_repeated_operation_changes_nothing(operation in any_operation(), facts in any_facts()) {
            let mut again = facts.clone();
            let row = match operation.decide("ada", facts, 100) {
                Decision::Insert { fields, sent } => Row {
                    vehicle: WireVehicle {
                        id: operation.id, user_id: "ada".to_owned(), fields: fields.clone(), image_url: None,
                        created_at: at(), updated_at: at(), deleted_at: None, version: 9,
                    },
                    created_with: Some(sent.to_owned()),
                },
                Decision::Update(fields) => {
                    let row = again.row.take().expect("a row");
                    Row { vehicle: WireVehicle { fields, ..row.vehicle }, ..row }
                }
                _ => return Ok(()),
            };
            let expected = row.vehicle.clone();
            again.row = Some(row);
            prop_assert_eq!(operation.decide("ada", again, 100), Decision::Keep(expected));
        }
    }

    #[test]
    fn a_new_vin_fills_empty_fields_and_the_same_vin_does_not() {
        let decoded = vec![(&vehicle::MAKE, FieldValue::Text("HONDA".to_owned()))];
        let change = |draft| operation(Kind::Update { patch: patch(draft), decoded: decoded.clone(), base: Base::Any });
        let row = Row {
            vehicle: WireVehicle {
                id: RecordId(Uuid::nil()),
                user_id: "ada".to_owned(),
                fields: fields(json!({"vin": VINS[0]})),
                image_url: None,
                created_at: at(),
                updated_at: at(),
                deleted_at: None,
                version: 1,
            },
            created_with: None,
        };
        let facts = Facts { row: Some(row), has_twin: false, records: 1 };
        let with_make = |draft| match change(draft).decide("ada", facts.clone(), 3) {
            Decision::Update(fields) => fields.make,
            other => panic!("{other:?}"),
        };
        assert_eq!(with_make(json!({"vin": VINS[1]})).as_deref(), Some("HONDA"));
        assert_eq!(with_make(json!({"vin": VINS[1], "make": "Mine"})).as_deref(), Some("Mine"));
        assert_eq!(with_make(json!({"vin": VINS[0], "color": "red"})), None);
    }
}
