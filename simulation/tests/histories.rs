//! Histories of the simulation in the test command. `cargo xtask simulate` runs more of them.

use garage_simulation::{Settings, Template, run};

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
    match run(template, seed, Settings { is_logged: false }).await {
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
