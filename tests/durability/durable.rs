//! What `#[durable]` promises, on SQLite: rows, messages and the mark that a message is handled are
//! one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::{DeadLetterQuery, DeadLetterReason, MessageStore};
use jasper::{InvokeError, QueueOptions, SendError};
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query, query_as, query_scalar};
use tests::{Fixture, Journal};
use tokio::sync::Semaphore;

#[derive(Command, Serialize, Deserialize)]
#[command(reply = i64)]
struct Write {
    note: String,
    then: Then,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
enum Then {
    Succeed,
    Fail,
    Panic,
    Hang,
}

#[derive(Event, Serialize, Deserialize)]
struct Written {
    note: String,
}

#[derive(Event, Serialize, Deserialize)]
struct Announced {
    note: String,
}

#[handler(attempts = 2, timeout = "200ms")]
#[durable]
async fn write(
    cmd: Write,
    db: &mut SqliteConnection,
    bus: Bus,
) -> Result<(Reply<i64>, Written), HandlerError> {
    query("insert into effects (note) values (?)").bind(&cmd.note).execute(&mut *db).await?;
    bus.publish(Announced { note: cmd.note.clone() }).await?;
    match cmd.then {
        Then::Succeed => {}
        Then::Fail => return Err(HandlerError::new("as told")),
        Then::Panic => panic!("as told"),
        Then::Hang => std::future::pending().await,
    }
    let count = query_scalar("select count(*) from effects").fetch_one(db).await?;
    Ok((Reply(count), Written { note: cmd.note }))
}

#[handler]
async fn on_written(event: Written, journal: State<Journal>) {
    journal.note(format!("written {}", event.note));
}

#[handler]
#[durable]
async fn on_announced(event: Announced, journal: State<Journal>) {
    journal.note(format!("announced {}", event.note));
}

/// Everything but a store.
fn builder(fixture: &Fixture) -> Builder {
    Jasper::builder()
        .state(fixture.journal.clone())
        .handler(write)
        .handler(on_written)
        .handler(on_announced)
}

async fn start(fixture: &Fixture) -> (Jasper, SqliteStore) {
    let store = fixture.store().await;
    (builder(fixture).store(store.clone()).start().await.unwrap(), store)
}

async fn effects(store: &SqliteStore) -> Vec<String> {
    let notes = query_scalar("select note from effects order by note");
    notes.fetch_all(store.pool()).await.unwrap()
}

async fn letters(store: &SqliteStore) -> Vec<DeadLetterReason> {
    let letters = store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    letters.into_iter().map(|letter| letter.reason).collect()
}

fn command(note: &str, then: Then) -> Write {
    Write { note: note.into(), then }
}

#[tokio::test]
async fn rows_and_messages_commit_together_and_nothing_is_left_behind() {
    let fixture = Fixture::create();
    let (app, store) = start(&fixture).await;
    app.bus().send(command("a", Then::Succeed)).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, ["a"]);
    assert_eq!(fixture.journal.sorted(), ["announced a", "written a"]);
    assert_eq!(store.admin().counts().await.unwrap(), jasper::store::Counts::default());
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_run_leaves_neither_rows_nor_messages() {
    for then in [Then::Fail, Then::Panic, Then::Hang] {
        let fixture = Fixture::create();
        let (app, store) = start(&fixture).await;
        app.bus().send(command("a", then)).await.unwrap();
        app.until_idle().await.unwrap();
        assert_eq!(effects(&store).await, [""; 0]);
        assert_eq!(fixture.journal.notes(), [""; 0]);
        assert_eq!(letters(&store).await, [DeadLetterReason::Exhausted]);
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn one_failure_spoils_only_its_own_message() {
    let fixture = Fixture::create();
    let (app, store) = start(&fixture).await;
    let bus = app.bus();
    let sent = (0..90).map(|n| {
        let then = if n % 3 == 0 { Then::Fail } else { Then::Succeed };
        bus.send(command(&format!("{n:02}"), then)).into_future()
    });
    for sent in futures_util::future::join_all(sent).await {
        sent.unwrap();
    }
    app.until_idle().await.unwrap();
    let expected: Vec<_> = (0..90).filter(|n| n % 3 != 0).map(|n| format!("{n:02}")).collect();
    assert_eq!(effects(&store).await, expected);
    assert_eq!(letters(&store).await.len(), 30);
    assert_eq!(fixture.journal.notes().len(), 2 * expected.len());
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_crash_leaves_is_handled_at_the_next_start() {
    let fixture = Fixture::create();
    let (app, store) = start(&fixture).await;
    for n in 0..40 {
        app.bus().send(command(&format!("{n:02}"), Then::Succeed)).await.unwrap();
    }
    // Dropped, not stopped: nothing is given back, as if the process had been killed.
    drop((app, store));
    let (app, store) = start(&fixture).await;
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, (0..40).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    let mut notes = fixture.journal.notes();
    notes.sort();
    notes.dedup();
    assert_eq!(notes.len(), 80, "each event reached its subscriber at least once");
    assert_eq!(letters(&store).await, []);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_stopped_in_order_is_handed_on_without_a_lost_attempt() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let gate = Arc::new(Semaphore::new(0));
    let app = Jasper::builder()
        .store(store.clone())
        .handler(wait)
        .state(fixture.journal.clone())
        .state(Arc::clone(&gate))
        .queue("wait", QueueOptions::new().durable())
        .start()
        .await
        .unwrap();
    for number in 0..20 {
        app.bus().send(Wait { number }).await.unwrap();
    }
    fixture.journal.wait_for("begun").await;
    // The stop begins before the only running handler can end, and waits for it.
    let (stopped, ()) = tokio::join!(app.stop(), async { gate.add_permits(20) });
    stopped.unwrap();
    assert_eq!(fixture.journal.notes(), ["begun", "done 0"]);
    let rows: Vec<(i64, i64, i64)> =
        query_as("select owner, attempts, count(*) from jasper_incoming group by 1, 2")
            .fetch_all(store.pool())
            .await
            .unwrap();
    assert_eq!(rows, [(0, 0, 19)]);
}

#[derive(Command, Serialize, Deserialize)]
struct Wait {
    number: usize,
}

#[handler(queue = "wait", concurrency = 1)]
async fn wait(cmd: Wait, gate: State<Arc<Semaphore>>, journal: State<Journal>) {
    journal.note("begun");
    if let Ok(permit) = gate.acquire().await {
        permit.forget();
        journal.note(format!("done {}", cmd.number));
    }
}

#[tokio::test]
async fn invoke_gives_the_reply_and_commits_and_shows_a_failure_without_retrying() {
    let fixture = Fixture::create();
    let (app, store) = start(&fixture).await;
    assert_eq!(app.bus().invoke(command("a", Then::Succeed)).await.unwrap(), 1);
    assert_eq!(app.bus().invoke(command("b", Then::Succeed)).await.unwrap(), 2);
    let failed = app.bus().invoke(command("c", Then::Fail)).await.unwrap_err();
    assert!(matches!(failed, InvokeError::Failed(error) if error.to_string() == "as told"));
    let failed = app.bus().invoke(command("c", Then::Panic)).await.unwrap_err();
    assert!(matches!(failed, InvokeError::Panicked { message } if message == "as told"));
    let failed = app.bus().invoke(command("c", Then::Hang)).await.unwrap_err();
    assert!(matches!(failed, InvokeError::TimedOut { .. }));
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, ["a", "b"]);
    assert_eq!(fixture.journal.sorted(), ["announced a", "announced b", "written a", "written b"]);
    assert_eq!(letters(&store).await, []);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Nested;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<Bus>>>);

#[handler(attempts = 1)]
#[durable]
async fn nest(
    _cmd: Nested,
    db: &mut SqliteConnection,
    bus: Bus,
    kept: State<Kept>,
    journal: State<Journal>,
) -> sqlx::Result<()> {
    query("insert into effects (note) values ('nested')").execute(db).await?;
    if let Err(refused) = bus.invoke(command("inner", Then::Succeed)).await {
        journal.note(refused.to_string());
    }
    *kept.0.lock().unwrap() = Some(bus);
    Ok(())
}

#[tokio::test]
async fn a_bus_of_a_transaction_neither_waits_for_itself_nor_outlives_it() {
    let fixture = Fixture::create();
    let kept = Kept::default();
    let store = fixture.store().await;
    let app = builder(&fixture)
        .store(store.clone())
        .state(kept.clone())
        .handler(nest)
        .start()
        .await
        .unwrap();
    app.bus().send(Nested).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, ["nested"]);
    assert!(fixture.journal.notes()[0].contains("cannot be invoked inside"));
    let bus = kept.0.lock().unwrap().take().unwrap();
    let late = bus.publish(Announced { note: "late".into() }).await;
    assert!(matches!(late, Err(SendError::RunEnded)));
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct SpeakAgain {
    note: String,
    fails: bool,
}

/// Speaks through a bus that an earlier run was given.
#[handler(attempts = 1)]
#[durable]
async fn speak_again(
    cmd: SpeakAgain,
    db: &mut SqliteConnection,
    kept: State<Kept>,
) -> Result<(), HandlerError> {
    query("insert into effects (note) values (?)").bind(&cmd.note).execute(db).await?;
    let bus = kept.0.lock().unwrap().clone().unwrap();
    bus.publish(Announced { note: cmd.note }).await?;
    if cmd.fails { Err(HandlerError::new("as told")) } else { Ok(()) }
}

#[tokio::test]
async fn a_bus_that_outlived_its_transaction_joins_that_of_the_handler_that_uses_it() {
    let fixture = Fixture::create();
    let kept = Kept::default();
    let store = fixture.store().await;
    let app = builder(&fixture).store(store.clone()).state(kept.clone()).handler(nest);
    let app = app.handler(speak_again).start().await.unwrap();
    app.bus().send(Nested).await.unwrap();
    app.until_idle().await.unwrap();
    app.bus().send(SpeakAgain { note: "undone".into(), fails: true }).await.unwrap();
    app.bus().send(SpeakAgain { note: "done".into(), fails: false }).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, ["done", "nested"]);
    let announced =
        fixture.journal.notes().into_iter().filter(|note| note.starts_with("announced"));
    assert_eq!(announced.collect::<Vec<_>>(), ["announced done"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_in_a_transaction_of_the_users_own_takes_the_options_of_any_other() {
    let fixture = Fixture::create();
    let (app, store) = start(&fixture).await;
    let mut tx = store.pool().begin().await.unwrap();
    let mut enlisted = app.bus().enlist(&mut tx);
    let first = enlisted.send(command("once", Then::Succeed)).deduplicate("key").tenant("north");
    assert!(!first.await.unwrap().duplicate);
    let second = enlisted.send(command("twice", Then::Succeed)).deduplicate("key").await;
    assert!(second.unwrap().duplicate);
    let hour = Duration::from_secs(3_600);
    enlisted.publish(Announced { note: "too early".into() }).delay(hour).await.unwrap();
    tx.commit().await.unwrap();
    fixture.journal.wait_for("written once").await;
    app.stop().await.unwrap();
    assert_eq!(effects(&store).await, ["once"]);
    let rows: Vec<(String, String, Option<String>)> =
        query_as("select message_type, status, tenant_id from jasper_incoming order by 1")
            .fetch_all(store.pool())
            .await
            .unwrap();
    let (scheduled, handled) = (&rows[0], &rows[1]);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(*scheduled, ("announced@1".into(), "scheduled".into(), None));
    assert_eq!(*handled, ("write@1".into(), "handled".into(), Some("north".into())));
}

#[tokio::test]
async fn a_message_joins_a_transaction_of_the_users_own() {
    let fixture = Fixture::create();
    let (app, store) = start(&fixture).await;
    let mut tx = store.pool().begin().await.unwrap();
    query("insert into effects (note) values ('by hand')").execute(&mut *tx).await.unwrap();
    app.bus().enlist(&mut tx).publish(Announced { note: "rolled back".into() }).await.unwrap();
    tx.rollback().await.unwrap();

    let mut tx = store.pool().begin().await.unwrap();
    query("insert into effects (note) values ('by hand')").execute(&mut *tx).await.unwrap();
    let mut enlisted = app.bus().enlist(&mut tx);
    enlisted.publish(Announced { note: "committed".into() }).await.unwrap();
    enlisted.send(command("from a transaction", Then::Succeed)).await.unwrap();
    tx.commit().await.unwrap();
    fixture.journal.wait_for("written from a transaction").await;
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, ["by hand", "from a transaction"]);
    let notes =
        ["announced committed", "announced from a transaction", "written from a transaction"];
    assert_eq!(fixture.journal.sorted(), notes);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_nested_transaction_of_the_users_own_is_a_savepoint() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = Jasper::builder().store(store.clone()).handler(halves).start().await.unwrap();
    app.bus().send(Halves).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(effects(&store).await, ["kept"]);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Halves;

#[handler]
#[durable]
async fn halves(_cmd: Halves, db: &mut SqliteConnection) -> sqlx::Result<()> {
    use sqlx::Connection;
    let mut undone = db.begin().await?;
    query("insert into effects (note) values ('undone')").execute(&mut *undone).await?;
    undone.rollback().await?;
    let mut kept = db.begin().await?;
    query("insert into effects (note) values ('kept')").execute(&mut *kept).await?;
    kept.commit().await
}
