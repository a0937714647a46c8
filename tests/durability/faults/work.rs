//! What is done while the store fails: payments that lead to further messages of every kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query};

/// A payment: its handler's row and what it returns are one commit.
#[derive(Command, Serialize, Deserialize)]
pub struct Pay {
    pub n: u64,
}

#[derive(Command, Serialize, Deserialize)]
pub struct Book {
    n: u64,
}

#[derive(Event, Serialize, Deserialize)]
pub struct Paid {
    n: u64,
}

#[derive(Command, Serialize, Deserialize)]
pub struct Remind {
    n: u64,
}

/// Succeeds with the last of its attempts: an attempt that the store's faults cost would show.
#[derive(Command, Serialize, Deserialize)]
pub struct Struggle {
    pub n: u64,
}

/// Never succeeds.
#[derive(Command, Serialize, Deserialize)]
pub struct Fail {
    pub n: u64,
}

pub const ATTEMPTS: u32 = 3;

/// What handlers have seen, in no transaction: the attempts of each of their runs.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<String, Vec<u32>>>>);

impl Seen {
    fn run(&self, what: &str, n: u64, attempt: u32) {
        self.0.lock().unwrap().entry(format!("{what} {n}")).or_default().push(attempt);
    }

    pub fn runs(&self, note: &str) -> Vec<u32> {
        self.0.lock().unwrap().get(note).cloned().unwrap_or_default()
    }
}

#[handler(queue = "pay")]
#[durable]
async fn pay(cmd: Pay, db: &mut SqliteConnection) -> sqlx::Result<(Book, Paid)> {
    effect(db, "pay", cmd.n).await?;
    Ok((Book { n: cmd.n }, Paid { n: cmd.n }))
}

#[handler(queue = "book")]
#[durable]
async fn book(cmd: Book, db: &mut SqliteConnection) -> sqlx::Result<()> {
    effect(db, "book", cmd.n).await
}

#[handler(queue = "archive")]
#[durable]
async fn archive(event: Paid, db: &mut SqliteConnection) -> sqlx::Result<Delayed<Remind>> {
    effect(db, "archive", event.n).await?;
    Ok(Remind { n: event.n }.delayed(Duration::from_millis(20)))
}

#[handler(queue = "remind")]
#[durable]
async fn remind(cmd: Remind, db: &mut SqliteConnection) -> sqlx::Result<()> {
    effect(db, "remind", cmd.n).await
}

/// Writes nothing: its message is marked by a settlement.
#[handler(queue = "tally")]
async fn tally(event: Paid, envelope: Envelope, seen: State<Seen>) {
    seen.run("tally", event.n, envelope.attempts);
}

#[handler(queue = "struggle", attempts = 3, delays = ["5ms", "5ms"])]
#[durable]
async fn struggle(
    cmd: Struggle,
    db: &mut SqliteConnection,
    envelope: Envelope,
    seen: State<Seen>,
) -> Result<(), HandlerError> {
    seen.run("struggle", cmd.n, envelope.attempts);
    effect(db, "struggle", cmd.n).await?;
    match envelope.attempts {
        ATTEMPTS.. => Ok(()),
        attempt => Err(HandlerError::new(format!("as told, attempt {attempt}"))),
    }
}

#[handler(queue = "fail", attempts = 3, delays = ["5ms", "5ms"])]
#[durable]
async fn fail(
    cmd: Fail,
    db: &mut SqliteConnection,
    envelope: Envelope,
    seen: State<Seen>,
) -> Result<(), HandlerError> {
    seen.run("fail", cmd.n, envelope.attempts);
    effect(db, "fail", cmd.n).await?;
    Err(HandlerError::new("as told"))
}

async fn effect(db: &mut SqliteConnection, what: &str, n: u64) -> sqlx::Result<()> {
    let effect = query("insert into effects (note) values (?)").bind(format!("{what} {n}"));
    effect.execute(db).await.map(drop)
}

/// An application with all of these handlers, and with so little memory that most messages wait in
/// the store.
pub fn application() -> Builder {
    let queues = ["pay", "book", "archive", "remind", "tally", "struggle", "fail"];
    let application = Jasper::builder()
        .handler(pay)
        .handler(book)
        .handler(archive)
        .handler(remind)
        .handler(tally)
        .handler(struggle)
        .handler(fail);
    queues.into_iter().fold(application, |application, queue| {
        application.queue(queue, QueueOptions::new().durable().capacity(6))
    })
}
