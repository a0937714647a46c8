//! A process that only sends, and a queue that does not run here: others on the same store do the
//! work.

use std::time::Duration;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::postgres::PostgresStore;
use jasper::store::{DeadLetterQuery, Incoming, MessageStore, Placement};
use jasper::{Config, Problem};
use serde::{Deserialize, Serialize};
use tests::servers::new_postgres_database;
use tests::{Fixture, Journal};

#[derive(Command, Serialize, Deserialize)]
struct Work;

#[handler(queue = "work")]
#[durable]
async fn work(_cmd: Work, journal: State<Journal>) {
    journal.note("work");
}

/// Elsewhere it would be in memory.
#[derive(Command, Serialize, Deserialize)]
struct Light;

#[handler(queue = "light")]
async fn light(_cmd: Light, journal: State<Journal>) {
    journal.note("light");
}

#[derive(Event, Serialize, Deserialize)]
struct Happened;

#[handler(queue = "work")]
#[durable]
async fn notice(_event: Happened, journal: State<Journal>) {
    journal.note("noticed");
}

#[handler(queue = "light")]
async fn glance(_event: Happened, journal: State<Journal>) {
    journal.note("glanced");
}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "peer")]
struct Away;

#[handler(queue = "away")]
#[durable]
async fn take_away(_cmd: Away, journal: State<Journal>) {
    journal.note("away");
}

fn application(store: impl MessageStore) -> Builder {
    let app = Jasper::builder().store(store).poll_interval(Duration::from_millis(20));
    // As short as it can be: a process to which rows are strays would give them up at once.
    let app = app.unhandled_timeout(Duration::ZERO);
    app.handler(work).handler(light).handler(notice).handler(glance)
}

async fn send_some(bus: &Bus) {
    bus.send(Work).await.unwrap();
    bus.send(Light).await.unwrap();
    bus.send(Light).delay(Duration::from_millis(1)).await.unwrap();
    bus.publish(Happened).await.unwrap();
    assert_eq!(bus.send_all([Work, Work]).await.unwrap(), 2);
}

const SOME: [&str; 7] = ["glanced", "light", "light", "noticed", "work", "work", "work"];

/// One process sends, without the states of any handler; another, started later, does the work, and
/// goes on with what comes while both run.
async fn check_division<S: MessageStore>(ours: S, theirs: S) {
    let journal = Journal::default();
    let sender = application(ours).send_only().start().await.unwrap();
    send_some(sender.bus()).await;
    let counts = sender.store().unwrap().admin().counts().await.unwrap();
    assert_eq!(counts.incoming + counts.scheduled, SOME.len() as u64, "{counts:?}");
    let worker = application(theirs).state(journal.clone()).start().await.unwrap();
    let works_off = async |rounds: usize| {
        sender.until_idle().await.unwrap();
        // The delayed one may be due a little later by the clock of the database.
        while journal.notes().len() < rounds * SOME.len() {
            worker.until_idle().await.unwrap();
        }
    };
    works_off(1).await;
    assert_eq!(journal.sorted(), SOME);
    send_some(sender.bus()).await;
    works_off(2).await;
    sender.stop().await.unwrap();
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn on_sqlite_one_process_sends_and_another_does_the_work() {
    let fixture = Fixture::create();
    check_division(fixture.store().await, fixture.store().await).await;
}

#[tokio::test]
async fn on_postgres_one_process_sends_and_another_does_the_work() {
    let url = new_postgres_database("send_only").await;
    let store = async || PostgresStore::connect(&url).await.unwrap();
    check_division(store().await, store().await).await;
}

#[tokio::test]
async fn a_queue_that_does_not_run_here_is_left_to_others_and_is_no_stray() {
    let (fixture, here, there) = (Fixture::create(), Journal::default(), Journal::default());
    let not_here = QueueOptions::new().send_only();
    let app = application(fixture.store().await)
        .state(here.clone())
        .queue("work", not_here)
        .start()
        .await
        .unwrap();
    app.bus().send(Work).await.unwrap();
    // Both of these have moved: one to a queue that runs here, one to the queue that does not.
    let moved = [moved::<Light>("light"), moved::<Work>("work")];
    app.store().unwrap().inbox().store(moved.into()).await.unwrap();
    here.wait_for("light").await;
    app.bus().send(Light).await.unwrap();
    while here.notes().len() < 2 {
        tokio::task::yield_now().await;
    }
    let letters = app.store().unwrap().dead_letters().list(DeadLetterQuery::default()).await;
    assert!(letters.unwrap().is_empty());
    let owned = "select count(*) from jasper_incoming where owner > 0 and destination like '%work'";
    let store = fixture.store().await;
    let owned: i64 = sqlx::query_scalar(owned).fetch_one(store.pool()).await.unwrap();
    assert_eq!(owned, 0, "they are left in the store");
    let worker = application(fixture.store().await).state(there.clone());
    let not_there = QueueOptions::new().send_only();
    let worker = worker.queue("light", not_there).start().await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(here.notes(), ["light", "light"]);
    assert_eq!(there.notes(), ["work", "work"]);
    app.stop().await.unwrap();
    worker.stop().await.unwrap();
}

/// A row of an earlier version of the application, where this handler was on another queue.
fn moved<M: jasper::message::Message>(handler: &str) -> Incoming {
    let address = Address::local("formerly", handler);
    let body = Bytes::from_static(b"null");
    let envelope = Envelope::new(M::TYPE, "application/json", body, address);
    Incoming { envelope, placement: Placement::Unowned, retention: None }
}

#[tokio::test]
async fn what_a_process_that_only_sends_has_for_other_processes_leaves_from_there() {
    let (ours, theirs, journal) = (Fixture::create(), Fixture::create(), Journal::default());
    let peer = Jasper::builder()
        .store(theirs.store().await)
        .state(journal.clone())
        .handler(take_away)
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let address = peer.addresses()[0].to_string();
    let sender = application(ours.store().await)
        .send_only()
        .endpoint("peer", address)
        .start()
        .await
        .unwrap();
    sender.bus().send(Away).await.unwrap();
    journal.wait_for("away").await;
    sender.stop().await.unwrap();
    peer.stop().await.unwrap();
}

#[tokio::test]
async fn what_could_reach_no_handler_is_a_problem_at_start() {
    let bare = || Jasper::builder().handler(light).state(Journal::default());
    let problems = |app: Builder| app.check().unwrap_err().to_string();
    assert!(problems(bare().send_only()).contains("only sends needs a message store"));
    let send_only = || QueueOptions::new().send_only();
    assert!(problems(bare().queue("light", send_only())).contains("`light`, to which"));
    let config = Config::from_vars([("JASPER_SEND_ONLY".to_owned(), "true".to_owned())]);
    assert!(problems(bare().config(config)).contains("only sends needs a message store"));
    let fixture = Fixture::create();
    let app = bare().store(fixture.store().await).queue("light", send_only().buffered());
    let problems = app.check().unwrap_err();
    assert!(matches!(problems.problems(), [Problem::BufferedElsewhere { queue: "light", .. }]));
}
