//! What the tasks send that a durable handler on SQLite starts and waits for: it goes through at
//! once, or fails with a reason, and never waits for its own handler.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::store::{DeadLetterQuery, MessageStore};
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query};
use tests::{Fixture, Journal};
use tokio::sync::Notify;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

/// The bus of the application, as its other parts have it.
#[derive(Clone, Default)]
struct Shared(Arc<OnceLock<Bus>>);

impl Shared {
    fn bus(&self) -> &Bus {
        self.0.get().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum By {
    /// A task that the handler waits for.
    Send,
    SendAll,
    Publish,
    Invoke,
    /// As `Send`, and then the handler fails.
    FailedRun,
    /// A task that sends once the run is over.
    Later,
    /// A task that takes the bus by itself.
    Unseen,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.start")]
struct Start(By);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.inner")]
struct Inner(String);

#[derive(Event, Serialize, Deserialize)]
#[event(name = "spawned.happened")]
struct Happened;

#[handler(queue = "start", attempts = 1)]
#[durable]
async fn start(
    cmd: Start,
    db: &mut SqliteConnection,
    shared: State<Shared>,
    journal: State<Journal>,
    over: State<Arc<Notify>>,
) -> Result<(), HandlerError> {
    query("insert into effects (note) values ('started')").execute(db).await?;
    let (bus, inner) = (shared.bus().clone(), Inner("inner".to_owned()));
    let (unseen, noted) = (shared.clone(), journal.clone());
    let task = tokio::spawn(async move {
        let sent = match cmd.0 {
            By::Send | By::FailedRun => bus.send(inner).await.map(drop),
            By::SendAll => bus.send_all([inner]).await.map(drop).map_err(|error| error.source),
            By::Publish => bus.publish(Happened).await.map(drop),
            By::Invoke => {
                let refused = bus.invoke(inner).await.unwrap_err().to_string();
                return noted.note(refused);
            }
            By::Later => {
                over.notified().await;
                bus.send(inner).await.map(drop)
            }
            By::Unseen => unseen.bus().send(inner).await.map(drop),
        };
        if let Err(error) = sent {
            noted.note(error.to_string());
        }
        if cmd.0 == By::Later {
            noted.note("sent later");
        }
    });
    if cmd.0 != By::Later {
        task.await?;
    }
    journal.note("the handler goes on");
    match cmd.0 {
        By::FailedRun => Err(HandlerError::new("it fails")),
        _ => Ok(()),
    }
}

#[handler(queue = "inner")]
#[durable]
async fn inner(cmd: Inner, db: &mut SqliteConnection, journal: State<Journal>) -> sqlx::Result<()> {
    query("insert into effects (note) values ('inner')").execute(db).await?;
    journal.note(cmd.0);
    Ok(())
}

#[handler(queue = "happened")]
#[durable]
async fn happened(_event: Happened, journal: State<Journal>) {
    journal.note("happened");
}

struct Stage {
    app: Jasper,
    store: SqliteStore,
    fixture: Fixture,
    over: Arc<Notify>,
}

impl Stage {
    async fn start() -> Self {
        let fixture = Fixture::create();
        let (shared, over) = (Shared::default(), Arc::new(Notify::new()));
        let store = fixture.store().await;
        let builder = Jasper::builder().store(store.clone()).state(shared.clone());
        let builder = builder.state(fixture.journal.clone()).state(Arc::clone(&over));
        let app = builder.start().await.unwrap();
        assert!(shared.0.set(app.bus().clone()).is_ok());
        Self { app, store, fixture, over }
    }

    /// The notes once this is handled, and for how long it was.
    async fn run(&self, by: By) -> (Vec<String>, Duration) {
        let started = Instant::now();
        self.app.bus().send(Start(by)).await.unwrap();
        assert!(timeout(LIMIT, self.app.until_idle()).await.unwrap().is_ok());
        (self.fixture.journal.notes(), started.elapsed())
    }
}

// Real time: how long a call waits is what is tested.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_sends_that_a_handler_waits_for_leaves_with_the_commit() {
    for (by, note) in [(By::Send, "inner"), (By::SendAll, "inner"), (By::Publish, "happened")] {
        let stage = Stage::start().await;
        let (notes, took) = stage.run(by).await;
        assert_eq!(notes, ["the handler goes on", note]);
        assert!(took < Duration::from_secs(5), "{took:?}");
        stage.app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_sends_that_a_handler_waits_for_vanishes_with_a_rollback() {
    let stage = Stage::start().await;
    let (notes, took) = stage.run(By::FailedRun).await;
    assert_eq!(notes, ["the handler goes on"]);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let letters = stage.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_a_handler_waits_for_is_told_at_once_that_it_cannot_invoke() {
    let stage = Stage::start().await;
    let (notes, took) = stage.run(By::Invoke).await;
    assert!(notes[0].contains("cannot be invoked inside"), "{notes:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_sends_after_the_run_is_a_message_like_any_other() {
    let stage = Stage::start().await;
    let (notes, _took) = stage.run(By::Later).await;
    assert_eq!(notes, ["the handler goes on"]);
    stage.over.notify_one();
    stage.fixture.journal.wait_for("sent later").await;
    stage.fixture.journal.wait_for("inner").await;
    assert_eq!(stage.fixture.journal.sorted(), ["inner", "sent later", "the handler goes on"]);
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_with_a_bus_of_its_own_is_told_which_handler_it_waits_for() {
    let stage = Stage::start().await;
    let (notes, took) = stage.run(By::Unseen).await;
    assert!(notes[0].contains("`start` holds the only writing connection"), "{notes:?}");
    assert_eq!(notes[1..], ["the handler goes on"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
    stage.app.stop().await.unwrap();
}
