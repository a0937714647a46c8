//! A tracked session waits until all is done that a message has caused, and tells what that was.

#[path = "tracking/causes.rs"]
mod causes;
#[path = "tracking/failures.rs"]
mod failures;
#[path = "tracking/remote.rs"]
mod remote;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::testing::{MessageEvent, Tracked};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use tests::{Fixture, Journal};
use tokio::sync::Semaphore;

#[derive(Command, Serialize, Deserialize)]
#[command(reply = u32)]
struct PlaceOrder {
    id: u32,
}

#[derive(Event, Serialize, Deserialize)]
struct OrderPlaced {
    id: u32,
}

#[derive(Command, Serialize, Deserialize)]
struct SendEmail {
    id: u32,
}

/// Nothing subscribes to it.
#[derive(Event, Serialize, Deserialize)]
struct EmailSent {
    id: u32,
}

#[handler]
async fn place_order(cmd: PlaceOrder) -> (Reply<u32>, OrderPlaced) {
    (Reply(cmd.id * 10), OrderPlaced { id: cmd.id })
}

#[handler(queue = "records")]
async fn record(event: OrderPlaced, journal: State<Journal>) {
    // Others are to have the time to finish first, if nothing waits for this.
    tokio::task::yield_now().await;
    journal.note(format!("recorded {}", event.id));
}

#[handler(queue = "emails")]
async fn confirm(event: OrderPlaced, bus: Bus) -> Result<(), HandlerError> {
    bus.send(SendEmail { id: event.id }).await?;
    Ok(())
}

#[handler(queue = "emails")]
async fn send_email(cmd: SendEmail, journal: State<Journal>) -> EmailSent {
    tokio::task::yield_now().await;
    journal.note(format!("sent {}", cmd.id));
    EmailSent { id: cmd.id }
}

/// Fails as often as its state says.
#[derive(Command, Serialize, Deserialize)]
struct Try;

#[derive(Debug, Default)]
struct Failures(AtomicU32);

#[handler(delays = ["0s", "20ms"], attempts = 3)]
async fn attempt(_cmd: Try, left: State<Failures>) -> anyhow::Result<SendEmail> {
    let fails = left.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    match fails {
        Ok(left) => anyhow::bail!("no luck, {} more to come", left - 1),
        Err(_none) => Ok(SendEmail { id: 0 }),
    }
}

/// Waits for a permit.
#[derive(Command, Serialize, Deserialize)]
struct Wait;

#[handler(queue = "waits")]
async fn wait(_cmd: Wait, gate: State<Semaphore>, journal: State<Journal>) {
    journal.note("waits");
    gate.acquire().await.unwrap().forget();
}

#[derive(Command, Serialize, Deserialize)]
struct Write {
    id: u32,
}

#[handler]
#[durable]
async fn write(cmd: Write, db: &mut SqliteConnection) -> anyhow::Result<Option<SendEmail>> {
    let note = sqlx::query("insert into effects (note) values (?)").bind(cmd.id.to_string());
    note.execute(db).await?;
    anyhow::ensure!(cmd.id > 0, "0 is no order");
    Ok(Some(SendEmail { id: cmd.id }))
}

/// The application, without a store and what needs one.
fn builder(journal: &Journal) -> Builder {
    Jasper::builder()
        .state(journal.clone())
        .state(Failures::default())
        .state(Arc::new(Semaphore::new(0)))
        .handler(place_order)
        .handler(record)
        .handler(confirm)
        .handler(send_email)
        .handler(attempt)
        .handler(wait)
}

async fn with_sqlite(fixture: &Fixture) -> Builder {
    builder(&fixture.journal).store(fixture.store().await).handler(write)
}

/// Which events there were, in order, for one type.
fn events<M: jasper::Message>(tracked: &Tracked) -> Vec<MessageEvent> {
    let of_type = tracked.events().iter().filter(|event| event.envelope.message_type == M::TYPE);
    of_type.map(|event| event.event).collect()
}
