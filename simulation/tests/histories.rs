//! Histories of the simulation in the test command. `cargo xtask simulate` runs more of them.

use garage_simulation::{Settings, Template, run, run_on_both};

/// How many histories each test runs: the tests run beside each other.
const HISTORIES: u64 = 500;
/// How many histories are run once for one that runs twice.
const ONCE_FOR_TWICE: u64 = 100;

async fn run_from(first: u64) {
    let template = Template::new().await.expect("a template");
    for seed in first..first + HISTORIES {
        let trace = trace(&template, seed).await;
        if seed % ONCE_FOR_TWICE == 0 {
            assert_eq!(self::trace(&template, seed).await, trace, "seed {seed} has had two histories");
        }
    }
}

async fn trace(template: &Template, seed: u64) -> u64 {
    match run(template, seed, Settings::default()).await {
        Ok(history) => history.trace,
        Err(failure) => panic!("{}\nto see it: cargo xtask simulate -- --seed {seed}", failure.what),
    }
}

#[tokio::test]
async fn nothing_is_lost_in_the_first_500_histories() {
    run_from(0).await;
}

#[tokio::test]
async fn nothing_is_lost_in_the_second_500_histories() {
    run_from(HISTORIES).await;
}

#[tokio::test]
async fn nothing_is_lost_in_the_third_500_histories() {
    run_from(2 * HISTORIES).await;
}

#[tokio::test]
async fn nothing_is_lost_in_the_fourth_500_histories() {
    run_from(3 * HISTORIES).await;
}

/// Every hundredth of the histories above.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn histories_on_postgres_end_with_the_same_garage_as_on_sqlite() {
    let url = std::env::var("GARAGE_TEST_POSTGRES").expect("GARAGE_TEST_POSTGRES");
    let sqlite = Template::new().await.expect("a template");
    let postgres = Template::on_postgres(&url).await.expect("a template");
    for seed in (0..4 * HISTORIES).step_by(100) {
        if let Err(failure) = run_on_both(&sqlite, &postgres, seed).await {
            panic!("{}\nto see it: cargo xtask simulate --postgres -- --seed {seed}", failure.what);
        }
    }
}
