//! What the tasks send that a durable handler on SQLite starts and waits for: it joins the
//! transaction by the handler's own bus, or is independent of it, and never waits for the handler
//! that waits for it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use jasper::SendError;
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

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
enum By {
    Send,
    SendAll,
    Publish,
    Invoke,
    /// To a queue that is not stored.
    Buffered,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Via {
    /// A clone of the bus that the handler takes as an argument.
    Own,
    /// A clone of the application's bus, made in the handler.
    Cloned,
    /// The application's bus, which the task takes by itself.
    Unseen,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.start")]
struct Start {
    by: By,
    via: Via,
    fails: bool,
}

impl Start {
    const fn sending(by: By, via: Via) -> Self {
        Self { by, via, fails: false }
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.inner")]
struct Inner(String);

#[derive(Event, Serialize, Deserialize)]
#[event(name = "spawned.happened")]
struct Happened;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.buffered")]
struct Buffered;

#[handler(queue = "start", attempts = 1)]
#[durable]
async fn start(
    cmd: Start,
    db: &mut SqliteConnection,
    shared: State<Shared>,
    journal: State<Journal>,
    bus: Bus,
) -> Result<(), HandlerError> {
    query("insert into effects (note) values ('started')").execute(db).await?;
    let bus = match cmd.via {
        Via::Own => Some(bus.clone()),
        Via::Cloned => Some(shared.bus().clone()),
        Via::Unseen => None,
    };
    let (shared, noted) = (shared.clone(), journal.clone());
    tokio::spawn(async move {
        let bus = bus.as_ref().unwrap_or_else(|| shared.bus());
        if let Err(error) = send(bus, cmd.by).await {
            noted.note(error);
        }
    })
    .await?;
    journal.note("the handler goes on");
    if cmd.fails { Err(HandlerError::new("it fails")) } else { Ok(()) }
}

async fn send(bus: &Bus, by: By) -> Result<(), String> {
    let inner = Inner("inner".to_owned());
    let text = |error: SendError| error.to_string();
    match by {
        By::Send => bus.send(inner).await.map(drop).map_err(text),
        By::SendAll => bus.send_all([inner]).await.map(drop).map_err(|error| text(error.source)),
        By::Publish => bus.publish(Happened).await.map(drop).map_err(text),
        By::Invoke => bus.invoke(inner).await.map_err(|error| error.to_string()),
        By::Buffered => bus.send(Buffered).await.map(drop).map_err(text),
    }
}

/// A handler without a connection.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.light")]
struct Light;

#[handler(queue = "light")]
#[durable]
async fn light(
    _cmd: Light,
    shared: State<Shared>,
    journal: State<Journal>,
) -> Result<(), HandlerError> {
    let bus = shared.bus().clone();
    tokio::spawn(async move { send(&bus, By::Send).await.unwrap() }).await?;
    journal.note("the handler goes on");
    Ok(())
}

/// Puts a clone of the application's bus where others use it, and fails.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "spawned.share")]
struct Share;

#[derive(Clone, Default)]
struct Service {
    bus: Arc<OnceLock<Bus>>,
    made: Arc<Notify>,
    used: Arc<Notify>,
}

#[handler(queue = "share", attempts = 1)]
#[durable]
async fn share(
    _cmd: Share,
    _db: &mut SqliteConnection,
    shared: State<Shared>,
    service: State<Service>,
) -> Result<(), HandlerError> {
    assert!(service.bus.set(shared.bus().clone()).is_ok());
    service.made.notify_one();
    service.used.notified().await;
    Err(HandlerError::new("it fails"))
}

#[handler(queue = "buffered")]
async fn buffered(_cmd: Buffered, journal: State<Journal>) {
    journal.note("buffered");
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
    service: Service,
}

impl Stage {
    async fn start() -> Self {
        let fixture = Fixture::create();
        let (shared, service) = (Shared::default(), Service::default());
        let store = fixture.store().await;
        let builder = Jasper::builder()
            .store(store.clone())
            .state(shared.clone())
            .state(fixture.journal.clone())
            .state(service.clone());
        let app = builder.start().await.unwrap();
        assert!(shared.0.set(app.bus().clone()).is_ok());
        Self { app, store, fixture, service }
    }

    /// The notes once this is handled, and for how long it was.
    async fn run<M>(
        &self,
        sent: impl IntoFuture<Output = Result<M, SendError>>,
    ) -> (Vec<String>, Duration) {
        let started = Instant::now();
        sent.await.unwrap();
        assert!(timeout(LIMIT, self.app.until_idle()).await.unwrap().is_ok());
        (self.fixture.journal.notes(), started.elapsed())
    }

    async fn start_sending(&self, by: By, via: Via) -> (Vec<String>, Duration) {
        self.run(self.app.bus().send(Start::sending(by, via))).await
    }
}

// Real time: how long a call waits is what is tested.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_sends_with_the_bus_of_its_handler_leaves_with_the_commit() {
    for (by, note) in [(By::Send, "inner"), (By::SendAll, "inner"), (By::Publish, "happened")] {
        let stage = Stage::start().await;
        let (notes, took) = stage.start_sending(by, Via::Own).await;
        assert_eq!(notes, ["the handler goes on", note]);
        assert!(took < Duration::from_secs(5), "{took:?}");
        stage.app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_sends_with_the_bus_of_its_handler_vanishes_with_a_rollback() {
    let stage = Stage::start().await;
    let start = Start { fails: true, ..Start::sending(By::Send, Via::Own) };
    let (notes, took) = stage.run(stage.app.bus().send(start)).await;
    assert_eq!(notes, ["the handler goes on"]);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let letters = stage.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_with_another_bus_does_not_wait_for_the_handler_that_waits_for_it() {
    for by in [By::Send, By::SendAll, By::Publish, By::Invoke] {
        let stage = Stage::start().await;
        let (notes, took) = stage.start_sending(by, Via::Cloned).await;
        assert!(notes[0].contains("`start` is still running"), "{by:?}: {notes:?}");
        assert_eq!(notes[1..], ["the handler goes on"], "{by:?}");
        assert!(took < Duration::from_secs(4), "{by:?}: {took:?}");
        stage.app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_sends_with_any_bus_what_does_not_need_the_connection_of_its_handler() {
    let stage = Stage::start().await;
    let (mut notes, _took) = stage.start_sending(By::Buffered, Via::Cloned).await;
    notes.sort();
    assert_eq!(notes, ["buffered", "the handler goes on"]);
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_a_handler_without_a_connection_sends_with_any_bus() {
    let stage = Stage::start().await;
    let (mut notes, _took) = stage.run(stage.app.bus().send(Light)).await;
    notes.sort();
    assert_eq!(notes, ["inner", "the handler goes on"]);
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_send_with_a_bus_that_a_failed_handler_has_cloned_is_not_lost() {
    let stage = Stage::start().await;
    let Service { bus, made, used } = &stage.service;
    stage.app.bus().send(Share).await.unwrap();
    made.notified().await;
    let bus = bus.get().unwrap();
    // The task that sends has nothing to do with the run, and may have a clone of its own.
    let own = bus.clone();
    let mut sends = [bus, &own].map(|bus| bus.send(Inner("inner".into())).into_future());
    for send in &mut sends {
        assert!(send.now_or_never().is_none(), "the run is not over");
    }
    used.notify_one();
    for send in sends {
        send.await.unwrap();
    }
    assert!(timeout(LIMIT, stage.app.until_idle()).await.unwrap().is_ok());
    assert_eq!(stage.fixture.journal.sorted(), ["inner"; 2]);
    bus.send_all([Inner("three".into())]).await.unwrap();
    stage.fixture.journal.wait_for("three").await;
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_with_a_bus_of_its_own_gets_the_name_of_the_handler_that_it_waits_for() {
    let stage = Stage::start().await;
    let (notes, took) = stage.start_sending(By::Send, Via::Unseen).await;
    assert!(notes[0].contains("`start` holds the only writing connection"), "{notes:?}");
    assert_eq!(notes[1..], ["the handler goes on"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
    stage.app.stop().await.unwrap();
}
