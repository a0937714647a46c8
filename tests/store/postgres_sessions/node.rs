//! A node for tests that freeze it: books once, stays in that transaction, and stops when its input
//! ends.
//!
//! ```text
//! frozen-node URL LEASE_MILLIS     prints `holds 1`, and `stopped`
//! ```

#[path = "hold.rs"]
mod hold;

use std::time::Duration;

use hold::{Book, Manner, book};
use jasper::prelude::*;
use tokio::io::AsyncReadExt;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("URL LEASE_MILLIS");
    let (url, lease) = (word(), word().parse().expect("a number"));
    let store = PostgresStore::connect(&url).await.expect("the database answers");
    let app = Jasper::builder()
        .store(store)
        .state(Manner { stays: true })
        .handler(book)
        .lease(Duration::from_millis(lease))
        .drain_timeout(Duration::from_millis(100))
        .start()
        .await
        .expect("it starts");
    app.bus().send(Book { id: 1 }).await.expect("it is sent");
    tokio::io::stdin().read_to_end(&mut Vec::new()).await.expect("an input");
    // Its sessions were ended from outside: whatever it stops with, it stops.
    drop(app.stop().await);
    println!("stopped");
}
