//! Answers pings; see `pinger`.

mod messages;

use jasper::Config;
use jasper::prelude::*;

use crate::messages::{Ping, Pong};

#[handler]
#[durable]
async fn answer(ping: Ping) -> Pong {
    println!("ping {}", ping.number);
    Pong { number: ping.number }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Jasper::builder()
        .service("ponger")
        .store(SqliteStore::open("ponger.db").await?)
        .listen("durable://127.0.0.1:5582")
        .endpoint("pinger", "durable://127.0.0.1:5581")
        .config(Config::from_env())
        .start()
        .await?;
    Ok(app.run_until_shutdown().await?)
}
