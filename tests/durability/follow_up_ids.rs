//! The ids of what follows from a message with a deduplication key: the same for every run over
//! that message, others for the next message with the key.

use jasper::prelude::*;
use jasper::store::DeadLetterQuery;
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, SqlitePool};
use tests::{Fixture, Journal};

/// Given to the application itself, or to the one in the middle.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "ids.start", to = "middle")]
struct Start;

/// The same with one more handler between.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "ids.begin", to = "middle")]
struct TransactionOptions;

/// Fails until it is set not to.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "ids.try", to = "middle")]
struct Try;

/// For the application at the end.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "ids.finish", to = "end")]
struct Finish;

#[handler]
#[durable]
async fn start(_: Start, _db: &mut SqliteConnection) -> Finish {
    Finish
}

#[handler]
#[durable]
async fn begin(_: TransactionOptions, _db: &mut SqliteConnection) -> Start {
    Start
}

#[handler]
#[durable]
async fn attempt(
    _: Try,
    db: &mut SqliteConnection,
    envelope: Envelope,
    journal: State<Journal>,
) -> Result<Finish, HandlerError> {
    journal.note(envelope.id.derived(envelope.sent_at, "attempt", 0).to_string());
    let allowed = "select count(*) from effects";
    let allowed: i64 = sqlx::query_scalar(allowed).fetch_one(db).await?;
    match allowed {
        0 => Err(HandlerError::terminal(HandlerError::new("not yet"))),
        _ => Ok(Finish),
    }
}

#[handler]
#[durable]
async fn finish(
    _: Finish,
    _db: &mut SqliteConnection,
    envelope: Envelope,
    journal: State<Journal>,
) {
    journal.note(envelope.id.to_string());
}

/// The application in the middle and the one at the end, which remembers ids for seven days.
struct Chain {
    middle: Jasper,
    middles: Fixture,
    end: Jasper,
    ends: Fixture,
}

impl Chain {
    async fn start() -> Self {
        let (middles, ends) = (Fixture::create(), Fixture::create());
        let end = Jasper::builder()
            .store(ends.store().await)
            .state(ends.journal.clone())
            .handler(finish)
            .listen("durable://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let middle = Jasper::builder()
            .store(middles.store().await)
            .state(middles.journal.clone())
            .endpoint("end", end.addresses()[0].to_string())
            .handler(start)
            .handler(begin)
            .handler(attempt)
            .listen("durable://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        Self { middle, middles, end, ends }
    }

    async fn until_idle(&self) {
        self.middle.until_idle().await.unwrap();
        self.end.until_idle().await.unwrap();
    }

    /// As after seven days, for what the one in the middle has handled; the one at the end has
    /// handled it later.
    async fn forget_what_the_middle_has_handled(&self) {
        let store = self.middles.store().await;
        let ended = "update jasper_incoming set retained_until = 1 where status = 'handled'";
        sqlx::query(ended).execute(store.pool()).await.unwrap();
        let purged = self.middle.store().unwrap().admin().purge(100).await.unwrap();
        assert!(purged > 0, "nothing was kept");
    }

    async fn stop(self) {
        self.middle.stop().await.unwrap();
        self.end.stop().await.unwrap();
    }
}

async fn send_keyed<M>(bus: &Bus, message: M) -> bool
where
    M: jasper::Message<Kind = jasper::message::kind::Routed>,
{
    !bus.send(message).deduplicate("key").await.unwrap().duplicate
}

#[tokio::test]
async fn a_key_that_is_used_again_after_its_window_loses_no_follow_up() {
    let chain = Chain::start().await;
    let bus = chain.middle.bus();
    assert!(send_keyed(bus, Start).await);
    chain.until_idle().await;
    assert!(!send_keyed(bus, Start).await, "within its window it is a repeat");
    chain.forget_what_the_middle_has_handled().await;
    assert!(send_keyed(bus, Start).await);
    chain.until_idle().await;
    assert_eq!(chain.ends.journal.notes().len(), 2);
    chain.stop().await;
}

#[tokio::test]
async fn nor_does_it_lose_what_follows_from_a_follow_up() {
    let chain = Chain::start().await;
    let bus = chain.middle.bus();
    for _ in 0..2 {
        assert!(send_keyed(bus, TransactionOptions).await);
        chain.until_idle().await;
        chain.forget_what_the_middle_has_handled().await;
    }
    assert_eq!(chain.ends.journal.notes().len(), 2);
    chain.stop().await;
}

#[tokio::test]
async fn nor_where_the_message_with_the_key_has_come_from_another_process() {
    let chain = Chain::start().await;
    let senders = Fixture::create();
    let sender = Jasper::builder().store(senders.store().await);
    let middle = chain.middle.addresses()[0].to_string();
    let sender = sender
        .handler(finish)
        .state(senders.journal.clone())
        .endpoint("middle", middle)
        .start()
        .await
        .unwrap();
    for round in 1..=2 {
        assert!(send_keyed(sender.bus(), Start).await);
        sender.until_idle().await.unwrap();
        chain.until_idle().await;
        // The receiver drops the repeat.
        assert!(send_keyed(sender.bus(), Start).await);
        sender.until_idle().await.unwrap();
        chain.until_idle().await;
        assert_eq!(chain.ends.journal.notes().len(), round);
        chain.forget_what_the_middle_has_handled().await;
    }
    sender.stop().await.unwrap();
    chain.stop().await;
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_sends_the_ids_that_its_first_run_would_have_sent() {
    let chain = Chain::start().await;
    let bus = chain.middle.bus();
    assert!(send_keyed(bus, Try).await);
    chain.until_idle().await;
    allow(chain.middles.store().await.pool()).await;
    let letters = chain.middle.store().unwrap().dead_letters();
    let found = letters.list(DeadLetterQuery::default()).await.unwrap();
    letters.replay(found.into_iter().map(|letter| letter.id).collect()).await.unwrap();
    chain.until_idle().await;
    let (tried, sent) = (chain.middles.journal.notes(), chain.ends.journal.notes());
    assert_eq!((tried.len(), &tried[0]), (2, &tried[1]), "{tried:?}");
    assert_eq!(sent, tried[..1]);
    chain.stop().await;
}

#[tokio::test]
async fn the_next_message_with_the_key_of_a_dead_letter_sends_ids_of_its_own() {
    let chain = Chain::start().await;
    let bus = chain.middle.bus();
    assert!(send_keyed(bus, Try).await);
    chain.until_idle().await;
    allow(chain.middles.store().await.pool()).await;
    assert!(send_keyed(bus, Try).await, "the key of a dead letter is free");
    chain.until_idle().await;
    let tried = chain.middles.journal.notes();
    assert_ne!(tried[0], tried[1]);
    assert_eq!(chain.ends.journal.notes(), tried[1..]);
    chain.stop().await;
}

async fn allow(pool: &SqlitePool) {
    sqlx::query("insert into effects values ('allowed')").execute(pool).await.unwrap();
}
