//! vPIC in the background, its cache, and what it offers.

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

/// A garage with a vPIC, a clock in days, and a listener.
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

    /// Waits until vPIC has been asked this often.
    pub async fn asked(&self, times: u32) {
        for _ in 0..500 {
            if self.fake.questions() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("vPIC was asked {} times and not {times}", self.fake.questions());
    }

    /// Waits until vPIC's answer has been kept.
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
async fn the_snapshot_answers_at_once_and_vpic_refines_the_next_answer() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    assert_eq!(trim(&online.decode().await), ("EX-V6".to_owned(), Source::Snapshot));
    online.refined().await;
    assert_eq!(trim(&online.decode().await), ("EX-V6 6MT".to_owned(), Source::Cache));
    assert_eq!(online.fake.questions(), 1, "what is fresh is not asked for again");
    online.garage.decode_vin("1HGCM8", None, Detail::Fields).await.expect("a decode");
    assert_eq!(online.fake.questions(), 1, "a part of a VIN is not asked about");
}

#[tokio::test]
async fn no_command_waits_and_one_question_is_asked_once() {
    let online = Online::start(Behavior::IsSlow(Duration::from_secs(600))).await;
    online.decode().await;
    online.asked(1).await;
    for _ in 0..20 {
        online.decode().await;
    }
    let added = add(&online.garage, json!({"vin": ACCORD})).await;
    assert_eq!(added.fields.trim_level.as_deref(), Some("EX-V6"));
    // Time for a second question to arrive, if there were one.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(online.fake.questions(), 1);
}

#[tokio::test]
async fn an_old_answer_is_used_while_it_is_asked_for_again_and_when_vpic_is_away() {
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
async fn vpic_can_be_switched_off() {
    let online = Online::start(Behavior::Answers).await;
    online.garage.set_vpic(false);
    online.decode().await;
    add(&online.garage, json!({"vin": ACCORD})).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(online.fake.questions(), 0);
}

#[tokio::test]
async fn a_better_decode_is_offered_and_never_imposed() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    let added = add(&online.garage, json!({"vin": ACCORD, "engine": "J30A4"})).await;
    online.refined().await;
    let stays = online.garage.vehicle(added.id).await.expect("the vehicle");
    assert_eq!(stays.fields.trim_level.as_deref(), Some("EX-V6"));

    let offers = online.garage.decode_offers(added.id).await.expect("offers");
    let told: Vec<_> = offers.iter().map(|offer| (offer.field.name, offer.offered.clone())).collect();
    assert_eq!(told, [("trimLevel", FieldValue::Text("EX-V6 6MT".to_owned()))], "the typed engine is not in it");
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

/// vPIC's values obey the rules that typed ones obey, or a garage could not read its own export again.
#[tokio::test]
async fn what_vpic_says_is_made_to_fit() {
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
    assert_eq!(added.fields.year, Some(2003), "in 1500 there were no automobiles");
    assert_eq!(online.garage.decode_offers(added.id).await.expect("offers"), []);
    let export = serde_json::to_string(&online.garage.export(Progress::none()).await.expect("an export"));
    let folder = Folder::new();
    let other = Garage::open(config(&folder.garage_file()), ChangeListener::none()).await.expect("open");
    let report =
        other.import_json(&export.expect("JSON"), ImportMode::Write, Progress::none()).await.expect("imported");
    assert_eq!((report.added, report.refused), (1, vec![]));
}

#[tokio::test]
async fn however_vpic_fails_the_snapshot_answers_and_everything_is_saved() {
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
            // Time for the failure to arrive.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let added = add(&online.garage, json!({"vin": ACCORD})).await;
        assert_eq!(added.fields.make.as_deref(), Some("HONDA"), "{behavior:?}");
        assert_eq!(online.garage.decode_offers(added.id).await.expect("offers"), [], "{behavior:?}");
    }
}

#[tokio::test]
async fn vpic_is_asked_about_many_at_once_where_that_is_wanted() {
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
    assert_eq!((online.fake.questions(), told.load(Ordering::SeqCst)), (3, 122), "fifty at a time");
    assert_eq!(trim(&online.decode().await), ("EX-V6 6MT".to_owned(), Source::Cache));
    online.garage.ask_vpic(&queries, progress).await.expect("answers");
    assert_eq!(online.fake.questions(), 3, "they are fresh");

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
async fn answers_that_nobody_asked_for_in_years_are_forgotten() {
    let online = Online::start(corrected("EX-V6 6MT")).await;
    online.decode().await;
    online.refined().await;
    online.fake.set(Behavior::Fails);
    for (day, source) in [(700, Source::Cache), (800, Source::Snapshot)] {
        online.days.store(day, Ordering::SeqCst);
        online.garage.forget_old_answers().await.expect("forgotten");
        assert_eq!(trim(&online.decode().await).1, source, "after {day} days");
    }
}
