//! How often a message in memory asks for memory of its own.

use std::future::Future;

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct Count {
    number: u64,
}

#[handler(concurrency = 1)]
async fn count(_cmd: Count) {}

/// As many as there are, and then room for what a change of a dependency brings.
const MOST: u64 = 12;

const MESSAGES: u64 = 1_000;

/// Sends messages one after the other, and waits until all are handled.
async fn send_all(app: &Jasper) {
    for number in 0..MESSAGES {
        app.bus().send(Count { number }).await.unwrap();
    }
    app.until_idle().await.unwrap();
}

fn allocations(runtime: &tokio::runtime::Runtime, work: impl Future<Output = ()>) -> u64 {
    allocation_counter::measure(|| runtime.block_on(work)).count_total
}

#[test]
fn a_message_in_memory_takes_few_allocations() {
    // On one thread, so that all of them are counted.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(Jasper::builder().handler(count).start()).unwrap();
    runtime.block_on(send_all(&app));
    let each = allocations(&runtime, send_all(&app)) / MESSAGES;
    println!("{each} allocations for each message from `send` to the end of its handler");
    assert!(each <= MOST, "{each}");
    assert!(each > 1, "its bytes alone are one: {each}");
    runtime.block_on(app.stop()).unwrap();
}
