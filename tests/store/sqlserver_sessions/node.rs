//! A node for tests that freeze it: handles one message, says when it has written, and ends when
//! nothing is left to do.
//!
//! ```text
//! sqlserver-session-node SCHEMA     prints `touched 1`
//! ```

#[path = "database.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod database;

use database::{Tables, Touch, application, direct, open};
use tests::Journal;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let tables = Tables(std::env::args().nth(1).expect("SCHEMA"));
    let store = open(&tables, direct()).await;
    let journal = Journal::default();
    let app = application(store, &tables, &journal).service("frozen").start().await.unwrap();
    app.bus().send(Touch { id: 1, millis: 2_000 }).await.unwrap();
    journal.wait_for("touched 1").await;
    println!("touched 1");
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}
