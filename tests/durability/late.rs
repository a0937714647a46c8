//! Calls of the store that end long after their callers have given up waiting.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::testing::{Fault, Faults, FaultyStore};
use serde::{Deserialize, Serialize};
use tests::Journal;

#[derive(Command, Serialize, Deserialize)]
struct Late;

#[handler]
#[durable]
async fn late(_cmd: Late, journal: State<Journal>) {
    journal.note("handled");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_storing_fails_after_its_caller_gave_up_is_found_again() {
    // Longer than a caller waits, and than a lease beyond that.
    let delay = Fault::Delay(Duration::from_secs(50));
    let faults = Faults::seeded(7).with("store", delay, 1.0).fail_after("store", 1.0);
    let store = FaultyStore::new(MemoryStore::new(), faults);
    let journal = Journal::default();
    let app =
        Jasper::builder().store(store).state(journal.clone()).handler(late).start().await.unwrap();
    let error = app.bus().send(Late).await.unwrap_err();
    assert!(error.to_string().contains("did not answer"), "{error}");
    journal.wait_for("handled").await;
    app.stop().await.unwrap();
}
