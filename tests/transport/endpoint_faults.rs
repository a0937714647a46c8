//! Durable endpoints whose stores fail by chance at both ends: calls that fail, and calls that are
//! carried out and answer with an error all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use jasper::store::memory::MemoryStore;
use jasper::testing::{Faults, FaultyStore};
use serde::{Deserialize, Serialize};
use tests::{Journal, Seed};
use tokio::time::timeout;

const RUNS: usize = 20;
const MESSAGES: usize = 100;

/// No run takes so long to become idle in calm stores, unless something is stuck.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "endpoint-faults.note", to = "notes")]
struct Note {
    text: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "endpoint-faults.order")]
struct Order {
    text: String,
}

#[handler]
async fn take_note(cmd: Note, journal: State<Journal>) {
    journal.note(cmd.text);
}

/// What it returns stands in the outbox with its commit.
#[handler(attempts = 1000, delays = [])]
#[durable]
async fn take_order(cmd: Order) -> Note {
    Note { text: cmd.text }
}

fn sending(faults: Faults) -> Faults {
    let faults = faults
        .fail("commit", 0.1)
        .fail_after("commit", 0.2)
        .fail("outbox_claim", 0.2)
        .fail_after("outbox_claim", 0.3)
        .fail("outbox_settle", 0.2)
        .fail_after("outbox_settle", 0.2)
        .fail("outbox_store", 0.2)
        .fail_after("outbox_store", 0.3);
    faults.fail("destinations", 0.3).fail("outbox_owned", 0.3)
}

fn receiving(faults: Faults) -> Faults {
    faults.fail("store", 0.2).fail_after("store", 0.3)
}

/// Says how often each operation failed.
async fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let journal = Journal::default();
    let stores = [
        FaultyStore::new(MemoryStore::new(), sending(Faults::seeded(seed))),
        FaultyStore::new(MemoryStore::new(), receiving(Faults::seeded(seed))),
    ];
    let poll = Duration::from_millis(20);
    let receiver = Jasper::builder()
        .handler(take_note)
        .state(journal.clone())
        .store(stores[1].clone())
        .poll_interval(poll)
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let sender = Jasper::builder().handler(take_order).store(stores[0].clone());
    // With so little memory most have to be claimed again.
    let address = format!("{}?capacity=4", receiver.addresses()[0]);
    let sender = sender.poll_interval(poll).endpoint("notes", address).start().await.unwrap();
    for number in 0..MESSAGES {
        let text = format!("{number:03}");
        // One of which nothing is known may have been accepted: sent again, it is the same one.
        let sent = async {
            match number % 2 {
                0 => {
                    let note = || Note { text: text.clone() };
                    while sender.bus().send(note()).deduplicate(&*text).await.is_err() {}
                }
                _ => {
                    let order = || Order { text: text.clone() };
                    while sender.bus().send(order()).deduplicate(&*text).await.is_err() {}
                }
            }
        };
        timeout(LIMIT, sent).await.unwrap_or_else(|_| panic!("{seed}: {text} is not accepted"));
    }
    stores.iter().for_each(FaultyStore::calm);
    let idle = async {
        sender.until_idle().await.unwrap();
        receiver.until_idle().await.unwrap();
    };
    timeout(LIMIT, idle).await.unwrap_or_else(|_| panic!("{seed}: something is stuck"));
    let mut times = BTreeMap::<String, usize>::new();
    for text in journal.notes() {
        *times.entry(text).or_default() += 1;
    }
    let wrong: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty() && times.len() == MESSAGES, "{seed}: {} and {wrong:?}", times.len());
    let counts = stores[0].inner().admin().counts().await.unwrap();
    assert_eq!((counts.outgoing, counts.dead_letters), (0, 0), "{seed}");
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
    stores.iter().flat_map(FaultyStore::injected).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_fail_at_both_ends_lose_and_double_nothing() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let mut failed = BTreeMap::<_, u64>::new();
    for _ in 0..RUNS {
        for (operation, times) in run(seed.number()).await {
            *failed.entry(operation).or_default() += times;
        }
    }
    println!("{failed:?}");
    for operation in ["commit", "outbox_settle", "outbox_store", "store"] {
        assert!(failed[operation] > 0, "{operation} never failed");
    }
}
