//! The vPIC client with recorded answers and with a server that fails, and merging answers.

use std::{collections::BTreeMap, time::Duration};

use garage_decode::{
    Decode, DecodedFields, Detail, Source, VinQuery,
    vpic::{LARGEST_BATCH, VpicAnswer, VpicClient, VpicError},
};
use garage_domain::Vin;
use garage_testkit::{
    fake_vpic::{Behavior, FakeVpic, recorded},
    now, snapshot,
};
use serde_json::json;

const ACCORD: &str = "1HGCM82633A004352";

fn vin(text: &str) -> Vin {
    Vin::parse(text).expect("a VIN")
}

fn client(fake: &FakeVpic) -> VpicClient {
    VpicClient::new(&fake.base_url).expect("a client")
}

fn from_snapshot(text: &str, detail: Detail) -> Decode<'static> {
    let query = VinQuery::parse(text).expect("a query");
    snapshot().decode(text, &query, None, detail, now()).into_owned()
}

#[tokio::test]
async fn reads_recorded_answers() {
    let body = recorded("DecodeVinValues-1FTMW1T88MFA00001-modelyear-2021");
    let fake = FakeVpic::start(Behavior::Replays(body)).await;
    let answer = client(&fake).decode(&vin("1FTMW1T88MFA00001"), Some(2021)).await.expect("an answer");
    assert!(answer.knows_the_vehicle());
    insta::assert_json_snapshot!("recorded_answer", answer);
    let refined = from_snapshot("1FTMW1T88MFA00001", Detail::Fields).refined(&answer, Source::Vpic);
    insta::assert_json_snapshot!("recorded_fields", refined.fields);
}

#[tokio::test]
async fn a_recorded_batch_keeps_its_order() {
    let mut body = recorded("DecodeVINValuesBatch-5UXWX7C5xBA-2011-and-5YJSA3DSxEF");
    let vins = [(vin("5UXWX7C50BA000000"), Some(2011)), (vin("5YJSA3DS0EF000000"), None)];
    // Recorded with unknown characters; vPIC repeats a whole VIN in the same way.
    for (answer, (vin, _)) in body["Results"].as_array_mut().expect("answers").iter_mut().zip(&vins) {
        answer["VIN"] = vin.as_str().into();
    }
    let fake = FakeVpic::start(Behavior::Replays(body.clone())).await;
    let client = client(&fake);
    let answers = client.decode_batch(&vins).await.expect("answers");
    let make = |answer: &VpicAnswer| serde_json::to_value(answer).expect("JSON")["Make"].clone();
    assert_eq!(answers.iter().map(make).collect::<Vec<_>>(), ["BMW", "TESLA"]);
    let one = client.decode_batch(&vins[..1]).await;
    assert!(one.is_err(), "an answer for another number of VINs belongs to another question");
    body["Results"].as_array_mut().expect("answers").reverse();
    fake.set(Behavior::Replays(body));
    let reversed = client.decode_batch(&vins).await;
    assert_eq!(reversed, Err(VpicError::Malformed), "no vehicle gets the answer about another");
}

#[tokio::test]
async fn the_fake_answers_as_the_snapshot_does() {
    let fake = FakeVpic::start(Behavior::Answers).await;
    let answer = client(&fake).decode(&vin(ACCORD), None).await.expect("an answer");
    for detail in [Detail::Fields, Detail::Full] {
        let ours = from_snapshot(ACCORD, detail);
        assert_eq!(ours.clone().refined(&answer, Source::Vpic), ours, "where they agree the snapshot stays");
    }
    let vins: Vec<_> = std::iter::repeat_n((vin(ACCORD), None), LARGEST_BATCH).collect();
    assert_eq!(client(&fake).decode_batch(&vins).await.map(|answers| answers.len()), Ok(LARGEST_BATCH));
}

#[tokio::test]
async fn values_of_vpic_replace_different_ones_of_the_snapshot() {
    let corrections = BTreeMap::from([
        ("Trim".to_owned(), "EX-V6 6MT".to_owned()),
        ("DriveType".to_owned(), "FWD/Front-Wheel Drive".to_owned()),
        ("NewThing".to_owned(), "42".to_owned()),
    ]);
    let fake = FakeVpic::start(Behavior::Corrects(corrections)).await;
    let answer = client(&fake).decode(&vin(ACCORD), None).await.expect("an answer");
    let refined = from_snapshot(ACCORD, Detail::Full).refined(&answer, Source::Cache);
    let trim = refined.fields.trim_level.expect("a trim");
    assert_eq!((trim.value.as_ref(), trim.source, trim.month), ("EX-V6 6MT", Source::Cache, None));
    assert_eq!(refined.fields.drive_type.map(|it| it.source), Some(Source::Cache));
    assert_eq!(refined.fields.make.map(|it| it.source), Some(Source::Snapshot));
    let facts = refined.facts.expect("facts");
    let fact = |code: &str| facts.iter().find(|fact| fact.code == code).map(|fact| (fact.value.as_ref(), fact.source));
    assert_eq!(fact("NewThing"), Some(("42", Source::Cache)));
    assert_eq!(fact("VIN"), None);
}

#[tokio::test]
async fn an_answer_about_no_vehicle_changes_nothing() {
    let fake = FakeVpic::start(Behavior::AnswersNothing).await;
    let answer = client(&fake).decode(&vin(ACCORD), None).await.expect("an answer");
    assert!(!answer.knows_the_vehicle());
    let ours = from_snapshot(ACCORD, Detail::Full);
    assert_eq!(ours.clone().refined(&answer, Source::Vpic), ours);
}

#[tokio::test]
async fn maps_failures_to_errors_and_retries_temporary_ones() {
    for (behavior, error, questions) in [
        (Behavior::Fails, VpicError::Status(500), 3),
        (Behavior::AnswersHtml, VpicError::Malformed, 3),
        (Behavior::BreaksOff, VpicError::Unreachable, 3),
        (Behavior::LimitsRate(1000), VpicError::RateLimited(Some(Duration::from_secs(1000))), 1),
    ] {
        let fake = FakeVpic::start(behavior.clone()).await;
        assert_eq!(client(&fake).decode(&vin(ACCORD), None).await, Err(error), "{behavior:?}");
        assert_eq!(fake.questions(), questions, "{behavior:?}");
    }
    let nobody = VpicClient::new("http://127.0.0.1:9").expect("a client");
    assert_eq!(nobody.decode(&vin(ACCORD), None).await, Err(VpicError::Unreachable));
}

#[tokio::test]
async fn retries_a_short_outage_and_stops_during_a_long_one() {
    let fake = FakeVpic::start(Behavior::Fails).await;
    let client = client(&fake);
    let asked = vin(ACCORD);
    let asking = client.decode(&asked, None);
    let mending = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fake.set(Behavior::Answers);
    };
    let (answer, ()) = tokio::join!(asking, mending);
    assert!(answer.is_ok_and(|answer| answer.knows_the_vehicle()));

    fake.set(Behavior::LimitsRate(1000));
    for _ in 0..5 {
        assert!(client.decode(&asked, None).await.is_err());
    }
    let questions = fake.questions();
    assert_eq!(client.decode(&asked, None).await, Err(VpicError::Resting));
    assert_eq!(fake.questions(), questions, "it was not asked");
}

/// With a paused clock, so that the test does not wait.
#[tokio::test(start_paused = true)]
async fn a_slow_response_times_out() {
    let fake = FakeVpic::start(Behavior::IsSlow(Duration::from_secs(600))).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(client(&fake).decode(&vin(ACCORD), None).await, Err(VpicError::TimedOut));
    let waited = asked.elapsed();
    assert!(waited < Duration::from_secs(30), "three times five seconds, and what lies between: {waited:?}");
}

/// An answer of vPIC's with these values.
fn answer(values: serde_json::Value) -> VpicAnswer {
    serde_json::from_value(values).expect("an answer")
}

fn recorded_answer() -> VpicAnswer {
    let body = recorded("DecodeVinValues-1FTMW1T88MFA00001");
    let values = body["Results"][0].as_object().expect("an object").clone();
    let is_value = |value: &serde_json::Value| value.as_str().is_some_and(|text| !text.is_empty());
    answer(values.into_iter().filter(|(_, value)| is_value(value)).collect())
}

fn text_fact<'a>(decode: &'a Decode<'_>, code: &str) -> Option<(&'a str, Source)> {
    let fact = decode.facts.iter().flatten().find(|fact| fact.code == code)?;
    Some((fact.value.as_ref(), fact.source))
}

fn codes(decode: &Decode<'_>) -> Vec<i32> {
    decode.errors.iter().map(|error| error.code).collect()
}

const TRAILER: &str = "1UYVS2535CU123456";

#[test]
fn a_merged_year_follows_the_same_rules_as_a_decoded_one() {
    let trailer = from_snapshot(TRAILER, Detail::Full);
    assert_eq!(trailer.years, [2012, 1982]);
    let refined = trailer.clone().refined(&answer(json!({"Make": "UTILITY", "ModelYear": "1982"})), Source::Vpic);
    assert_eq!((refined.model_year, &*refined.years), (Some(1982), [1982, 2012].as_slice()));
    assert_eq!(refined.fields.year.as_ref().map(|it| (it.value, it.source)), Some((1982, Source::Vpic)));
    assert_eq!(text_fact(&refined, "ModelYear"), Some(("1982", Source::Vpic)));

    let unbacked = trailer.clone().refined(&answer(json!({"Make": "UTILITY", "ModelYear": "1999"})), Source::Vpic);
    assert_eq!((unbacked.model_year, &unbacked.years), (trailer.model_year, &trailer.years));
    assert_eq!(unbacked.fields.year, trailer.fields.year);
    assert_eq!(text_fact(&unbacked, "ModelYear"), Some(("2012", Source::Snapshot)));

    let car = answer(json!({"Make": "UTILITY", "ModelYear": "2012", "VehicleType": "PASSENGER CAR"}));
    assert_eq!(trailer.refined(&car, Source::Vpic).years, [2012], "position 7 decides the year of a car");
}

#[test]
fn a_maker_that_only_vpic_knows_backs_the_year() {
    let unregistered = from_snapshot("11111111111111111", Detail::Full);
    assert_eq!((unregistered.model_year, codes(&unregistered)), (None, vec![7]));
    let known = json!({"Make": "NEW", "ModelYear": "2001", "ErrorCode": "0"});
    let refined = unregistered.clone().refined(&answer(known), Source::Vpic);
    assert_eq!((refined.model_year, &*refined.years, codes(&refined)), (Some(2001), [2001].as_slice(), vec![]));
    let still_unknown = json!({"Make": "NEW", "ModelYear": "2001", "ErrorCode": "1, 7"});
    let refined = unregistered.refined(&answer(still_unknown), Source::Vpic);
    assert_eq!((refined.model_year, refined.years.len(), codes(&refined)), (None, 0, vec![7]));
    assert_eq!((refined.fields.year.is_none(), text_fact(&refined, "ModelYear")), (true, None));
}

#[test]
fn an_answer_about_another_year_than_the_requested_one_changes_nothing() {
    let query = VinQuery::parse(TRAILER).expect("a query");
    let chosen = snapshot().decode(TRAILER, &query, Some(1982), Detail::Full, now());
    let other = answer(json!({"Make": "UTILITY", "ModelYear": "2012", "Model": "Other"}));
    assert_eq!(chosen.clone().refined(&other, Source::Cache), chosen);
    let contradicted = snapshot().decode(TRAILER, &query, Some(1999), Detail::Full, now());
    let refined = contradicted.refined(&other, Source::Cache);
    assert_eq!(refined.fields.model.as_ref().map(|it| it.value.as_ref()), Some("Other"), "1999 is not in question");
    assert!(codes(&refined).contains(&12));
}

#[test]
fn model_trim_and_engine_come_from_one_source() {
    let values = |decode: &Decode<'_>| {
        let DecodedFields { model, trim_level, engine, .. } = &decode.fields;
        [model, trim_level, engine].map(|it| it.as_ref().map(|it| (it.value.to_string(), it.source)))
    };
    let own = |text: &str, source| Some((text.to_owned(), source));
    let ours = from_snapshot(ACCORD, Detail::Full);
    let refined = |values| ours.clone().refined(&answer(values), Source::Vpic);

    let other_model = refined(json!({"Make": "HONDA", "Model": "Accord Coupe", "EngineCylinders": "4"}));
    let engine = own("4-cylinder", Source::Vpic);
    assert_eq!(values(&other_model), [own("Accord Coupe", Source::Vpic), None, engine]);
    assert_eq!(text_fact(&other_model, "EngineCylinders"), Some(("4", Source::Vpic)));
    for gone in ["Trim", "DisplacementL", "EngineConfiguration", "EngineModel"] {
        assert_eq!(text_fact(&other_model, gone), None, "{gone}");
    }
    assert_eq!(other_model.fields.transmission, ours.fields.transmission);

    let other_make = refined(json!({"Make": "ACURA", "Trim": "Type S"}));
    assert_eq!(values(&other_make), [None, own("Type S", Source::Vpic), None]);

    let same_model = refined(json!({"Make": "HONDA", "Model": "Accord", "Trim": "LX"}));
    let engine = own("3.0L V6", Source::Snapshot);
    assert_eq!(values(&same_model), [own("Accord", Source::Snapshot), own("LX", Source::Vpic), engine]);
}

#[test]
fn equal_numbers_are_no_refinement() {
    let ours = from_snapshot(ACCORD, Detail::Full);
    let same = json!({
        "Make": "HONDA", "Model": "Accord", "ModelYear": "2003.0", "DisplacementL": "2.998832712",
        "DisplacementCI": "183.0", "EngineCylinders": "6.0", "EngineConfiguration": "V-Shaped", "Doors": "2.00",
    });
    assert_eq!(ours.clone().refined(&answer(same), Source::Vpic), ours);
    assert!(!ours.fields.is_refined());

    let recorded = recorded_answer();
    let ours = from_snapshot("1FTMW1T88MFA00001", Detail::Full);
    let refined = ours.clone().refined(&recorded, Source::Vpic);
    assert_eq!((refined.model_year, &refined.years), (ours.model_year, &ours.years));
    for code in ["ModelYear", "DisplacementL", "DisplacementCC", "DisplacementCI", "EngineCylinders", "Doors"] {
        assert_eq!(text_fact(&refined, code), text_fact(&ours, code), "{code}");
    }
}
