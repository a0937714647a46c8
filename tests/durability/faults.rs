//! Stores that fail by chance, also after they have done what they were asked for: no message is
//! lost, none takes effect twice, and none stays with a node that does not know of it.

#[path = "faults/books.rs"]
mod books;
#[path = "faults/calm.rs"]
mod calm;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/storm.rs"]
mod storm;
#[path = "faults/work.rs"]
mod work;

use std::time::Duration;

use jasper::Jasper;
use jasper::testing::Faults;

use storm::Storm;

const OFTEN: f64 = 0.3;

/// Every operation that a running application asks for.
const ALL: [&str; 14] = [
    "store",
    "claim",
    "settle",
    "release",
    "owned",
    "claimable",
    "begin",
    "commit",
    "rollback",
    "renew",
    "join",
    "expired",
    "alive",
    "forget",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_to_storing_lose_and_double_nothing() {
    Storm::of(|faults| faults.fail_after("store", OFTEN)).run("store").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_to_claims_lose_and_double_nothing() {
    // A row that is found after a claim whose answer was lost does not say whether its one attempt
    // was counted by that claim; it is taken back, and may run once more than its policy says.
    let storm = Storm::of(|faults| faults.fail_after("claim", OFTEN));
    storm.that_repeats_runs().run("claim").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_to_commits_lose_and_double_nothing() {
    let storm = Storm::of(|faults| faults.fail_after("commit", OFTEN));
    storm.that_repeats_runs().run("commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_to_settlements_lose_and_double_nothing() {
    Storm::of(|faults| faults.fail_after("settle", OFTEN)).run("settle").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_in_every_way_loses_and_doubles_nothing() {
    Storm::of(everything).that_repeats_runs().run("commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_are_lost_again_and_again_lose_and_double_nothing() {
    let storm = Storm::of(|faults| {
        everything(faults).fail("renew", 0.7).fail_after("renew", 0.5).fail_after("join", OFTEN)
    });
    storm.that_ends_leases(Duration::from_millis(300)).run("renew").await;
}

fn everything(faults: Faults) -> Faults {
    ALL.iter().fold(faults, |faults, operation| {
        let delay = Duration::from_millis(3);
        faults.fail(operation, 0.1).fail_after(operation, 0.1).delay(operation, 0.1, delay)
    })
}

/// Waits until nothing is in memory, and nothing in the store: neither to be handled now nor later.
/// A run for which the store has failed too often costs an attempt, and the next one is scheduled.
async fn until_done(app: &Jasper) {
    loop {
        app.until_idle().await.unwrap();
        let counts = app.store().unwrap().admin().counts().await.unwrap();
        if counts.incoming + counts.scheduled == 0 {
            return;
        }
        // Real time: what is scheduled has to become due.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
