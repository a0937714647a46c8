//! What must not happen: a message stranded, lost, doubled, or held for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::{Counts, DeadLetterQuery, MessageStore};
use jasper::{HandlerError, With};
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query, query_scalar};
use tests::{Fixture, Journal};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(60);

async fn effects(store: &SqliteStore, note: &str) -> i64 {
    let count = query_scalar("select count(*) from effects where note = ?").bind(note);
    count.fetch_one(store.pool()).await.unwrap()
}

async fn letters(store: &SqliteStore) -> Vec<String> {
    let letters = store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    letters.into_iter().map(|letter| letter.error_message).collect()
}

async fn idle(app: &Jasper) {
    timeout(LONG, app.until_idle()).await.expect("it becomes idle").unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Note {
    text: String,
}

#[handler(queue = "notes")]
#[durable]
async fn note(cmd: Note, db: &mut SqliteConnection) -> sqlx::Result<()> {
    query("insert into effects values (?)").bind(cmd.text).execute(db).await.map(drop)
}

fn noted(text: impl ToString) -> Note {
    Note { text: text.to_string() }
}

#[derive(Command, Serialize, Deserialize)]
struct Chain;

#[handler]
#[durable]
async fn chain(_cmd: Chain, db: &mut SqliteConnection) -> sqlx::Result<Note> {
    query("insert into effects values ('chain')").execute(db).await?;
    Ok(noted("link"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_gives_up_waiting_strands_nothing() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app =
        Jasper::builder().store(store.clone()).handler(note).handler(chain).start().await.unwrap();
    for n in 0..300 {
        let patience = Duration::from_micros(50 + n * 37 % 3_000);
        let sent = timeout(patience, app.bus().send(noted("sent")).into_future()).await;
        let invoked = timeout(patience, app.bus().invoke(Chain)).await;
        // Given up or not: either is an outcome that must not strand anything.
        drop((sent, invoked));
    }
    // The store does one write after the other: what is given up may still be written, but before
    // this one.
    app.bus().send(noted("last")).await.unwrap();
    idle(&app).await;
    assert_eq!(store.admin().counts().await.unwrap(), Counts::default());
    assert_eq!(effects(&store, "chain").await, effects(&store, "link").await);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct WorkOff;

#[handler(attempts = 3)]
async fn work_off(
    _cmd: WorkOff,
    bus: Bus,
    list: State<Mutex<Vec<u32>>>,
) -> Result<(), HandlerError> {
    loop {
        let Some(n) = list.lock().unwrap().pop() else { return Ok(()) };
        bus.send(noted(n)).await?;
        if n == 4 {
            return Err(HandlerError::new("the line went dead"));
        }
    }
}

#[tokio::test]
async fn a_repeated_run_that_sends_other_messages_loses_none_of_them() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = Jasper::builder()
        .store(store.clone())
        .handler(note)
        .handler(work_off)
        .state(Mutex::new(vec![1u32, 2, 3, 4, 5]))
        .start()
        .await
        .unwrap();
    app.bus().send(WorkOff).await.unwrap();
    idle(&app).await;
    for n in 1..=5 {
        assert_eq!(effects(&store, &n.to_string()).await, 1, "{n}");
    }
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Once {
    n: usize,
}

#[handler(queue = "once", concurrency = 1, attempts = 1)]
async fn once(cmd: Once, gate: State<Semaphore>, journal: State<Journal>) {
    journal.note(format!("begun {}", cmd.n));
    if let Ok(permit) = gate.acquire().await {
        permit.forget();
    }
    journal.note(format!("done {}", cmd.n));
}

#[tokio::test]
async fn a_crash_takes_the_only_attempt_from_no_message_that_never_ran() {
    let fixture = Arc::new(Fixture::create());
    let start = async |fixture: Arc<Fixture>, permits| {
        let app = Jasper::builder()
            .store(fixture.store().await)
            .handler(once)
            .state(Semaphore::new(permits))
            .state(fixture.journal.clone());
        app.queue("once", QueueOptions::new().durable()).start().await.unwrap()
    };
    // A runtime of its own, which ends with all that is on it, as in a crash.
    let crash = tokio::task::spawn_blocking({
        let fixture = Arc::clone(&fixture);
        move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let app = runtime.block_on(async {
                let app = start(Arc::clone(&fixture), 0).await;
                for n in 0..20 {
                    app.bus().send(Once { n }).await.unwrap();
                }
                fixture.journal.wait_for("begun 0").await;
                app
            });
            runtime.shutdown_timeout(Duration::from_secs(10));
            drop(app);
        }
    });
    crash.await.unwrap();
    let app = start(Arc::clone(&fixture), 100).await;
    idle(&app).await;
    let done = fixture.journal.notes().into_iter().filter(|note| note.starts_with("done"));
    assert_eq!(done.count(), 19);
    let letters = letters(&fixture.store().await).await;
    assert_eq!(letters.len(), 1, "the one that had begun: {letters:?}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_run_that_a_stop_cuts_short_costs_no_attempt() {
    let fixture = Fixture::create();
    let start = async |permits| {
        let app = Jasper::builder()
            .store(fixture.store().await)
            .handler(once)
            .state(Semaphore::new(permits))
            .state(fixture.journal.clone())
            .queue("once", QueueOptions::new().durable());
        app.drain_timeout(Duration::ZERO).start().await.unwrap()
    };
    let app = start(0).await;
    app.bus().send(Once { n: 0 }).await.unwrap();
    fixture.journal.wait_for("begun 0").await;
    app.stop().await.unwrap();
    let app = start(1).await;
    idle(&app).await;
    assert_eq!(letters(&fixture.store().await).await, [""; 0]);
    assert_eq!(fixture.journal.notes(), ["begun 0", "begun 0", "done 0"]);
    app.stop().await.unwrap();
}

#[derive(Event, Serialize, Deserialize)]
struct Told;

#[handler]
async fn on_told(_event: Told, journal: State<Journal>) {
    journal.note("told");
}

#[derive(Command, Serialize, Deserialize)]
struct Inner;

#[handler]
async fn inner(_cmd: Inner, bus: Bus) -> Result<Told, HandlerError> {
    bus.publish(Told).await?;
    Ok(Told)
}

#[derive(Command, Serialize, Deserialize)]
struct Outer {
    fails: bool,
}

/// Uses a bus of its own, that of the application, and invokes a handler that is not durable.
#[handler(attempts = 1, timeout = "10s")]
#[durable]
async fn outer(
    cmd: Outer,
    _db: &mut SqliteConnection,
    bus: Bus,
    kept: State<Mutex<Option<Bus>>>,
) -> Result<(), HandlerError> {
    bus.invoke(Inner).await?;
    let kept = kept.lock().unwrap().clone().expect("the test has put it there");
    kept.send(noted("kept")).await?;
    if cmd.fails { Err(HandlerError::new("rolled back")) } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_durable_handler_speaks_through_joins_its_transaction() {
    for (fails, told, kept) in [(true, 0, 0), (false, 2, 1)] {
        let fixture = Fixture::create();
        let store = fixture.store().await;
        let app = Jasper::builder()
            .store(store.clone())
            .state(Mutex::new(None::<Bus>))
            .state(fixture.journal.clone())
            .handler(outer)
            .handler(inner)
            .handler(on_told)
            .handler(note)
            .handler(put_bus)
            .start()
            .await
            .unwrap();
        app.bus().invoke(PutBus).await.unwrap();
        app.bus().send(Outer { fails }).await.unwrap();
        idle(&app).await;
        assert_eq!(fixture.journal.notes().len(), told);
        assert_eq!(effects(&store, "kept").await, kept);
        assert_eq!(letters(&store).await.len(), usize::from(fails));
        app.stop().await.unwrap();
    }
}

#[derive(Command, Serialize, Deserialize)]
struct PutBus;

#[handler]
async fn put_bus(_cmd: PutBus, bus: Bus, kept: State<Mutex<Option<Bus>>>) {
    *kept.lock().unwrap() = Some(bus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_ends_its_transaction_is_given_up_like_any_other() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let trigger = "create trigger no_bad before insert on effects when new.note = 'bad'
        begin select raise(rollback, 'not this one'); end";
    sqlx::raw_sql(trigger).execute(store.pool()).await.unwrap();
    let app =
        Jasper::builder().store(store.clone()).handler(note).handler(bad).start().await.unwrap();
    app.bus().send(Bad).await.unwrap();
    idle(&app).await;
    let letters = letters(&store).await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains("not this one"), "{letters:?}");
    app.bus().send(noted("good")).await.unwrap();
    idle(&app).await;
    assert_eq!(effects(&store, "good").await, 1);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Bad;

#[handler(attempts = 2)]
#[durable]
async fn bad(_cmd: Bad, db: &mut SqliteConnection) -> sqlx::Result<()> {
    query("insert into effects values ('bad')").execute(db).await.map(drop)
}

#[tokio::test]
async fn a_duration_without_end_is_the_latest_moment_and_no_panic() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = Jasper::builder()
        .store(store.clone())
        .handler(note)
        .handler(eternal)
        .start()
        .await
        .unwrap();
    app.bus().send(Eternal).await.unwrap();
    idle(&app).await;
    assert_eq!(effects(&store, "eternal").await, 1);
    app.bus().send(noted("never")).delay(Duration::MAX).await.unwrap();
    idle(&app).await;
    assert_eq!(store.admin().counts().await.unwrap().scheduled, 1);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Eternal;

#[handler]
#[durable]
async fn eternal(_cmd: Eternal) -> With<Note> {
    noted("eternal").with(DeliveryOptions::new().deliver_within(Duration::MAX))
}

#[tokio::test]
async fn two_programs_on_one_database_leave_each_others_messages_alone() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let web = Jasper::builder()
        .store(fixture.store().await)
        .handler(chain)
        .handler(note)
        .poll_interval(Duration::from_millis(10))
        .start()
        .await
        .unwrap();
    let worker = Jasper::builder()
        .store(store.clone())
        .handler(once)
        .state(Semaphore::new(100))
        .state(fixture.journal.clone())
        .start()
        .await
        .unwrap();
    for n in 0..20 {
        let soon = Duration::from_millis(100);
        worker.bus().send(Once { n }).delay(soon).await.unwrap();
    }
    fixture.journal.wait_for("done 19").await;
    idle(&worker).await;
    assert_eq!(letters(&store).await, [""; 0]);
    assert_eq!(fixture.journal.notes().len(), 40);
    worker.stop().await.unwrap();
    web.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Linger;

#[handler]
#[durable]
async fn linger(_cmd: Linger, _db: &mut SqliteConnection) {
    // Real time: the lease, which is counted in the database's time, has to run out meanwhile.
    tokio::time::sleep(Duration::from_millis(1_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_lost_to_a_slow_handler_costs_no_message() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = Jasper::builder()
        .store(store.clone())
        .lease(Duration::from_millis(400))
        .drain_timeout(Duration::from_millis(100))
        .state(Semaphore::new(0))
        .state(fixture.journal.clone())
        .queue("once", QueueOptions::new().durable())
        .handler(once)
        .handler(linger)
        .start()
        .await
        .unwrap();
    for n in 0..50 {
        app.bus().send(Once { n }).await.unwrap();
    }
    app.bus().invoke(Linger).await.unwrap();
    app.stop().await.unwrap();
    assert_eq!(letters(&store).await, [""; 0]);
    let app = Jasper::builder()
        .store(store.clone())
        .handler(once)
        .state(Semaphore::new(100))
        .state(fixture.journal.clone())
        .start()
        .await
        .unwrap();
    idle(&app).await;
    let done = fixture.journal.notes().into_iter().filter(|note| note.starts_with("done"));
    assert!(done.count() >= 49, "{:?}", letters(&store).await);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn senders_of_what_is_not_stored_wait_for_room() {
    let fixture = Fixture::create();
    let gate = Arc::new(Semaphore::new(0));
    let accepted = Arc::new(AtomicUsize::new(0));
    let app = Jasper::builder()
        .state(Arc::clone(&gate))
        .state(fixture.journal.clone())
        .queue("held", QueueOptions::new().capacity(2))
        .handler(hold)
        .start()
        .await
        .unwrap();
    for _ in 0..100 {
        let (bus, accepted) = (app.bus().clone(), Arc::clone(&accepted));
        tokio::spawn(async move {
            bus.send(Hold).await.unwrap();
            accepted.fetch_add(1, Ordering::SeqCst);
        });
    }
    for handled in 0..5 {
        // On one thread, all that can go on has gone on once every task has had many turns.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 2 + handled);
        gate.add_permits(1);
    }
    gate.add_permits(100);
    idle(&app).await;
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Hold;

#[handler(queue = "held", concurrency = 1)]
async fn hold(_cmd: Hold, gate: State<Arc<Semaphore>>, journal: State<Journal>) {
    if let Ok(permit) = gate.acquire().await {
        permit.forget();
    }
    journal.note("held");
}

#[tokio::test]
async fn what_waits_in_memory_for_its_time_leaves_the_rest_of_the_room_to_others() {
    let fixture = Fixture::create();
    let app = Jasper::builder()
        .state(Arc::new(Semaphore::new(9)))
        .handler(hold)
        .state(fixture.journal.clone())
        .queue("held", QueueOptions::new().capacity(6))
        .start()
        .await
        .unwrap();
    for _ in 0..5 {
        app.bus().send(Hold).delay(LONG * 60).await.unwrap();
    }
    timeout(LONG, app.bus().send(Hold).into_future()).await.expect("there is room").unwrap();
    idle(&app).await;
    assert_eq!(fixture.journal.notes(), ["held"]);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
#[command(deliver_within = "500ms")]
struct Fleeting;

#[handler(attempts = 1)]
#[durable]
async fn fleeting(_cmd: Fleeting, runs: State<AtomicUsize>) -> Result<(), HandlerError> {
    match runs.fetch_add(1, Ordering::SeqCst) {
        0 => Err(HandlerError::new("a bug, mended since")),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_does_not_expire() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = Jasper::builder()
        .store(store.clone())
        .state(AtomicUsize::new(0))
        .handler(fleeting)
        .handler(runs)
        .start()
        .await
        .unwrap();
    app.bus().send(Fleeting).await.unwrap();
    idle(&app).await;
    let letters = store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    // Real time: what the message says of its expiry has to be over.
    tokio::time::sleep(Duration::from_millis(510)).await;
    store.dead_letters().replay(vec![letters[0].id.clone()]).await.unwrap();
    idle(&app).await;
    assert_eq!(app.bus().invoke(Runs).await.unwrap(), 2);
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
#[command(reply = usize)]
struct Runs;

#[handler]
async fn runs(_cmd: Runs, runs: State<AtomicUsize>) -> Reply<usize> {
    Reply(runs.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_signal_stops_the_application_in_order() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let app = Jasper::builder().store(store.clone()).handler(note).start().await.unwrap();
    let bus = app.bus().clone();
    let running = tokio::spawn(app.run_until_shutdown());
    for n in 0..20 {
        bus.send(noted(n)).await.unwrap();
    }
    let this = std::process::id().to_string();
    let kill = tokio::process::Command::new("kill").args(["-TERM", &this]).status();
    assert!(kill.await.unwrap().success());
    timeout(LONG, running).await.expect("it stops").unwrap().unwrap();
    let refused = bus.send(noted("late")).await.unwrap_err();
    assert_eq!(refused.to_string(), "the application is stopping and takes no more messages");
    let owned = query_scalar("select count(*) from jasper_incoming where owner <> 0");
    assert_eq!(owned.fetch_one(store.pool()).await.unwrap_or(-1i64), 0);
}
