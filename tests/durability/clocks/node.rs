//! A node whose machine's clock is off: sends a message for a moment later, whose handler fails
//! once.
//!
//! It prints `sent`, `tried` and `handled`. With `send` it only sends it, and with `handle` it only
//! handles it and prints `ready` before that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jasper::handler::HandlerError;
use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "clocks.later", deliver_within = "30m")]
struct Later;

#[derive(Default)]
struct HasFailed {
    once: AtomicBool,
}

#[handler(attempts = 2, delays = ["1s"])]
#[durable]
async fn later(
    _cmd: Later,
    has_failed: State<HasFailed>,
    done: State<Arc<Notify>>,
) -> Result<(), HandlerError> {
    if !has_failed.once.swap(true, Ordering::SeqCst) {
        println!("tried");
        return Err(HandlerError::new("not yet"));
    }
    println!("handled");
    done.notify_one();
    Ok(())
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("the URL of a database");
    let done = Arc::new(Notify::new());
    let app = Jasper::builder().state(Arc::clone(&done)).state(HasFailed::default());
    let app = if url.starts_with("mysql") {
        app.store(MysqlStore::connect(&url).await.unwrap())
    } else {
        app.store(PostgresStore::connect(&url).await.unwrap())
    };
    let task = std::env::args().nth(2);
    let app = match task.as_deref() {
        Some("send") => app.send_only(),
        _ => app,
    };
    let app = app.handler(later).start().await.unwrap();
    if task.as_deref() == Some("handle") {
        println!("ready");
    } else {
        app.bus().send(Later).delay(Duration::from_secs(1)).await.unwrap();
        println!("sent");
    }
    if task.as_deref() != Some("send") {
        done.notified().await;
    }
    app.stop().await.unwrap();
}
