//! The store in memory, which has no transactions of the user's: the same faults, and what handlers
//! count.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use jasper::store::memory::MemoryStore;
use jasper::testing::{Faults, FaultyStore};
use serde::{Deserialize, Serialize};
use tests::{Journal, Seed};
use tokio::time::timeout;

use crate::{everything, until_done};

#[derive(Command, Serialize, Deserialize)]
struct Pass {
    n: u64,
}

#[derive(Command, Serialize, Deserialize)]
struct Arrive {
    n: u64,
}

#[handler(queue = "pass")]
#[durable]
async fn pass(cmd: Pass) -> Arrive {
    Arrive { n: cmd.n }
}

/// The end of the way: with nothing to commit but the mark, no fault has it run again.
#[handler(queue = "arrive")]
#[durable]
async fn arrive(cmd: Arrive, journal: State<Journal>) {
    journal.note(format!("{:03}", cmd.n));
}

const MESSAGES: u64 = 200;
/// For how long the store fails after all is sent.
const STORM: Duration = Duration::from_secs(1);

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_too_every_fault_loses_and_doubles_nothing() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    for _ in 0..10 {
        let faults = everything(Faults::seeded(seed.number()));
        let store = FaultyStore::new(MemoryStore::new(), faults);
        let journal = Journal::default();
        store.calm();
        let app = Jasper::builder()
            .store(store.clone())
            .state(journal.clone())
            .queue("arrive", QueueOptions::new().capacity(6))
            .poll_interval(Duration::from_millis(20))
            .handler(pass)
            .handler(arrive)
            .start()
            .await
            .unwrap();
        store.resume();
        for n in 0..MESSAGES {
            while app.bus().send(Pass { n }).deduplicate(n.to_string()).await.is_err() {}
        }
        drop(timeout(STORM, app.until_idle()).await);
        store.calm();
        let done = timeout(LIMIT, until_done(&app)).await;
        done.unwrap_or_else(|_| panic!("{seed}: it is not done"));
        let all: Vec<String> = (0..MESSAGES).map(|n| format!("{n:03}")).collect();
        assert_eq!(journal.sorted(), all, "{seed}");
        assert_eq!(store.admin().counts().await.unwrap().dead_letters, 0, "{seed}");
        assert!(store.count("commit") > 0 && store.count("claim") > 0, "{seed}");
        app.stop().await.unwrap();
    }
}
