//! What a crowd leans on: an application that listens and answers, until it is killed.
//!
//! It prints `listening ADDRESS`.

use jasper::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "crowd.echo", to = "crowd", reply = String)]
struct Echo {
    text: String,
}

#[handler]
async fn echo(cmd: Echo) -> Reply<String> {
    Reply(cmd.text)
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "crowd.held")]
struct Held {
    text: String,
}

/// Keeps what has come in memory.
#[handler(concurrency = 1, timeout = "1h")]
async fn hold(_event: Held) {
    std::future::pending::<()>().await;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "crowd.inflate", to = "crowd", reply = String)]
struct Inflate;

#[handler]
async fn inflate(_cmd: Inflate) -> Reply<String> {
    Reply("x".repeat(2 << 20))
}

#[tokio::main]
async fn main() -> Result<(), jasper::Error> {
    let app = Jasper::builder().handler(echo).handler(hold).handler(inflate);
    let app = app.queue("hold", QueueOptions::new().capacity(1_000_000));
    let app = app.memory_budget(64 << 20).listen("tcp://127.0.0.1:0").start().await?;
    println!("listening {}", app.addresses()[0].rest());
    app.run_until_shutdown().await
}
