//! Background requests to vPIC, the cache, and offers.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};

use garage_core::{
    Change, ChangeListener, Decode, Detail, Environment, ErrorCode, FieldValue, Garage, GarageConfig, ImportMode,
    Progress, VinQuery, decoding::Source,
};
use garage_testkit::fake_vpic::{Behavior, FakeVpic};
use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

use crate::support::{ACCORD, Folder, add, config, draft};

/// A garage with a fake vPIC, a clock that counts days, and a listener.
pub struct Online {
    pub garage: Garage,
    pub fake: FakeVpic,
    days: Arc<AtomicI64>,
    heard: mpsc::Receiver<Change>,
    pub folder: Folder,
}

impl Online {
    pub async fn start(behavior: Behavior) -> Online {
        Online::start_in(Folder::new(), behavior).await
    }

    pub async fn start_in(folder: Folder, behavior: Behavior) -> Online {
        let fake = FakeVpic::start(behavior).await;
        let days = Arc::new(AtomicI64::new(0));
        let clock = days.clone();
        let now = move || garage_testkit::now() + SignedDuration::from_hours(24 * clock.load(Ordering::SeqCst));
        let (sender, heard) = mpsc::channel();
        let listener = ChangeListener::new(move |change| drop(sender.send(change.clone())));
        let config = GarageConfig {
            vpic_url: Some(fake.base_url.clone()),
            environment: Environment::new(now, Uuid::now_v7),
            ..config(&folder.garage_file())
        };
        let garage = Garage::open(config, listener).await.expect("open");
        Online { garage, fake, days, heard, folder }
    }

    pub async fn decode(&self) -> Decode<'static> {
        self.garage.decode_vin(ACCORD, None, Detail::Fields).await.expect("a decode")
    }

    /// Waits until the fake has received this many requests.
    pub async fn asked(&self, times: u32) {
        for _ in 0..500 {
            if self.fake.questions() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("vPIC was asked {} times and not {times}", self.fake.questions());
    }

    /// Waits until vPIC's answer has been stored.
    pub async fn refined(&self) {
        for _ in 0..500 {
            if self.heard.try_iter().any(|change| matches!(change, Change::Decode(_))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("vPIC's answer never came");
    }
}

pub fn corrected(trim: &str) -> Behavior {
    Behavior::Corrects(BTreeMap::from([("Trim".to_owned(), trim.to_owned())]))
}

pub fn trim(decode: &Decode<'_>) -> (String, Source) {
    let trim = decode.fields.trim_level.clone().expect("a trim");
    (trim.value.into_owned(), trim.source)
}

#[tokio::test]
async fn the_first_decode_uses_the_snapshot_and_the_next_one_vpics_answer() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    assert_eq!(trim(&online.decode().await), ("EX-V6".to_owned(), Source::Snapshot));
    online.refined().await;
    assert_eq!(trim(&online.decode().await), ("EX-V6 6MT".to_owned(), Source::Cache));
    assert_eq!(online.fake.questions(), 1, "a fresh answer is not requested again");
    online.garage.decode_vin("1HGCM8", None, Detail::Fields).await.expect("a decode");
    assert_eq!(online.fake.questions(), 1, "a partial VIN is not sent");
}

#[tokio::test]
async fn no_command_waits_for_vpic_and_concurrent_decodes_send_one_request() {
    let online = Online::start(Behavior::IsSlow(Duration::from_secs(600))).await;
    online.decode().await;
    online.asked(1).await;
    for _ in 0..20 {
        online.decode().await;
    }
    let added = add(&online.garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.trim_level.as_deref(), Some("EX-V6"));
    // Leaves time for a wrong second request to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(online.fake.questions(), 1);
}

#[tokio::test]
async fn an_old_answer_is_used_while_it_is_requested_again_and_if_vpic_fails() {
    let online = Online::start(corrected("first")).await;
    online.decode().await;
    online.refined().await;
    online.days.store(29, Ordering::SeqCst);
    online.decode().await;
    assert_eq!(online.fake.questions(), 1);

    online.fake.set(corrected("second"));
    online.days.store(31, Ordering::SeqCst);
    assert_eq!(trim(&online.decode().await).0, "first");
    online.refined().await;
    assert_eq!(trim(&online.decode().await).0, "second");

    online.fake.set(Behavior::LimitsRate(1000));
    online.days.store(90, Ordering::SeqCst);
    let asked_before = online.fake.questions();
    assert_eq!(trim(&online.decode().await).0, "second");
    online.asked(asked_before + 1).await;
    for _ in 0..3 {
        assert_eq!(trim(&online.decode().await).0, "second");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn no_request_is_sent_while_vpic_is_switched_off() {
    let online = Online::start(Behavior::Answers).await;
    online.garage.set_vpic(false);
    online.decode().await;
    add(&online.garage, json!({"vin": ACCORD})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(online.fake.questions(), 0);
}

#[tokio::test]
async fn a_newer_decoded_value_is_offered_and_applied_only_when_accepted() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    let added = add(&online.garage, json!({"vin": ACCORD, "engine": "J30A4"})).await;
    online.refined().await;
    let stays = online.garage.vehicle(added.id).await.expect("the vehicle");
    assert_eq!(stays.fields.trim_level.as_deref(), Some("EX-V6"));

    let offers = online.garage.decode_offers(added.id).await.expect("offers");
    let told: Vec<_> = offers.iter().map(|offer| (offer.field.name, offer.offered.clone())).collect();
    assert_eq!(told, [("trimLevel", FieldValue::Text("EX-V6 6MT".to_owned()))], "the typed engine is not offered");
    let taken =
        online.garage.accept_offers(added.id, vec!["trimLevel".to_owned(), "engine".to_owned()]).await.expect("taken");
    assert_eq!(taken.fields.trim_level.as_deref(), Some("EX-V6 6MT"));
    assert_eq!(taken.fields.engine.as_deref(), Some("J30A4"));
    assert_eq!(online.garage.decode_offers(added.id).await.expect("offers"), []);

    let typed = draft(json!({"trimLevel": "mine", "make": null}));
    online.garage.edit_vehicle(added.id, &typed).await.expect("edited");
    let offers = online.garage.decode_offers(added.id).await.expect("offers");
    assert_eq!(
        offers.iter().map(|offer| offer.field.name).collect::<Vec<_>>(),
        ["make"],
        "what is empty, not what was typed"
    );
}

/// Without this, a garage could not import its own export.
#[tokio::test]
async fn values_from_vpic_are_adjusted_to_the_field_rules() {
    let said = [("Trim", "a\u{1b}[2Jb".to_owned()), ("Series", "x".to_owned()), ("Model", "m".repeat(150))];
    let said = said
        .into_iter()
        .map(|(code, value)| (code.to_owned(), value))
        .chain([("ModelYear".to_owned(), "1500".to_owned())]);
    let online = Online::start(Behavior::Corrects(said.collect())).await;
    online.decode().await;
    online.refined().await;
    let added = add(&online.garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.trim_level.as_deref(), Some("a [2Jb"));
    assert_eq!(added.fields.model, Some("m".repeat(100)));
    assert_eq!(added.fields.year, Some(2003), "the year 1500 is out of range");
    assert_eq!(online.garage.decode_offers(added.id).await.expect("offers"), []);
    let export = serde_json::to_string(&online.garage.export(Progress::none()).await.expect("an export"));
    let folder = Folder::new();
    let other = Garage::open(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    let report =
        other.import_json(&export.expect("JSON"), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!((report.added, report.refused), (1, vec![]));
}

#[tokio::test]
async fn every_failure_of_vpic_leaves_the_snapshots_decode_and_saving_unaffected() {
    for behavior in [
        Behavior::IsSlow(Duration::from_secs(600)),
        Behavior::LimitsRate(1000),
        Behavior::Fails,
        Behavior::AnswersHtml,
        Behavior::BreaksOff,
        Behavior::AnswersNothing,
        Behavior::Replays(json!({"Results": [{"Make": "x".repeat(5_000), "Model": {"not": "text"}, "Trim": null}]})),
        Behavior::Replays(json!([])),
    ] {
        let online = Online::start(behavior.clone()).await;
        for _ in 0..2 {
            let decode = online.decode().await;
            assert_eq!(trim(&decode), ("EX-V6".to_owned(), Source::Snapshot), "{behavior:?}");
            online.asked(1).await;
            // Leaves time for the failure to arrive.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let added = add(&online.garage, json!({"vin": ACCORD})).await;
        assert_eq!(added.fields.make.as_deref(), Some("HONDA"), "{behavior:?}");
        assert_eq!(online.garage.decode_offers(added.id).await.expect("offers"), [], "{behavior:?}");
    }
}

#[tokio::test]
async fn ask_vpic_requests_many_vins_in_batches_and_skips_fresh_answers() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    let queries: Vec<_> = (0..120)
        .map(|index| format!("1HGCM82633A{index:06}"))
        .chain([ACCORD.to_owned(), "1HG".to_owned()])
        .map(|vin_text| (VinQuery::parse(&vin_text).expect("a query"), None))
        .collect();
    let told = Arc::new(AtomicI64::new(0));
    let hear = told.clone();
    let progress = Progress::new(move |done, total| {
        assert!(done <= total);
        hear.store(done.try_into().expect("fits"), Ordering::SeqCst);
        ControlFlow::Continue(())
    });
    online.garage.ask_vpic(&queries, progress.clone()).await.expect("answers");
    assert_eq!((online.fake.questions(), told.load(Ordering::SeqCst)), (3, 122), "batches of fifty");
    assert_eq!(trim(&online.decode().await), ("EX-V6 6MT".to_owned(), Source::Cache));
    online.garage.ask_vpic(&queries, progress).await.expect("answers");
    assert_eq!(online.fake.questions(), 3, "fresh answers are not requested");

    let stopped = online.garage.ask_vpic(&queries[..1], Progress::new(|_, _| ControlFlow::Break(()))).await;
    assert_eq!(crate::support::code(stopped), ErrorCode::Canceled);
    online.days.store(31, Ordering::SeqCst);
    online.fake.set(Behavior::LimitsRate(1000));
    let away = online.garage.ask_vpic(&queries, Progress::none()).await;
    assert_eq!(crate::support::code(away), ErrorCode::VpicAway);
    online.garage.set_vpic(false);
    let off = online.garage.ask_vpic(&queries, Progress::none()).await.expect_err("refused");
    assert_eq!(off.to_string(), "vPIC is switched off");
}

#[tokio::test]
async fn answers_older_than_two_years_are_deleted() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    online.decode().await;
    online.refined().await;
    online.fake.set(Behavior::Fails);
    for (day, source) in [(700, Source::Cache), (800, Source::Snapshot)] {
        online.days.store(day, Ordering::SeqCst);
        online.garage.forget_old_answers().await.expect("deleted");
        assert_eq!(trim(&online.decode().await).1, source, "after {day} days");
    }
}
