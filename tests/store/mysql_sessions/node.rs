//! A node for tests that freeze it: handles one message, says when it has written, and ends when
//! nothing is left to do.
//!
//! ```text
//! session-node URL     prints `touched 1`
//! ```

#[path = "database.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod database;

use database::{LEASE, Touch, touch};
use jasper::prelude::*;
use tests::Journal;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let url = std::env::args().nth(1).expect("URL");
    let store = MysqlStore::connect(&url).await.unwrap();
    let journal = Journal::default();
    let app = Jasper::builder()
        .store(store)
        .service("frozen")
        .lease(LEASE)
        .state(journal.clone())
        .handler(touch)
        .start()
        .await
        .unwrap();
    app.bus().send(Touch { id: 1, millis: 1_000 }).await.unwrap();
    journal.wait_for("touched 1").await;
    println!("touched 1");
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}
