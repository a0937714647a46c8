//! What becomes of messages on local queues, with and without a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::{DeadLetterQuery, DeadLetterReason};
use jasper::{InvokeError, QueueOptions, SendError};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::sync::Semaphore;

const HOUR: Duration = Duration::from_secs(3600);

/// How long what needs no room may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Command, Serialize, Deserialize)]
struct Greet {
    name: String,
}

#[derive(Event, Serialize, Deserialize)]
struct Greeted {
    name: String,
}

fn greet_command(name: &str) -> Greet {
    Greet { name: name.into() }
}

#[handler]
async fn greet(cmd: Greet, journal: State<Journal>) -> Greeted {
    journal.note(format!("hello {}", cmd.name));
    Greeted { name: cmd.name }
}

#[handler]
async fn remember(event: Greeted, journal: State<Journal>) {
    journal.note(format!("remember {}", event.name));
}

#[handler(queue = "letters")]
async fn write_letter(event: Greeted, envelope: Envelope, journal: State<Journal>) {
    journal.note(format!("letter {} at {}", event.name, envelope.destination));
}

fn greeting(journal: &Journal) -> jasper::runtime::Builder {
    Jasper::builder().state(journal.clone()).handler(greet).handler(remember).handler(write_letter)
}

#[tokio::test]
async fn a_command_reaches_its_handler_and_its_event_every_subscriber() {
    let journal = Journal::default();
    let app = greeting(&journal).start().await.unwrap();
    app.bus().send(greet_command("Ada")).await.unwrap();
    app.until_idle().await.unwrap();
    let expected = ["hello Ada", "letter Ada at local://letters/write_letter", "remember Ada"];
    assert_eq!(journal.sorted(), expected);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn an_event_without_subscribers_is_accepted_and_goes_nowhere() {
    let app = Jasper::builder()
        .handler(flaky)
        .state(Journal::default())
        .state(Failures::of(0))
        .start()
        .await
        .unwrap();
    app.bus().publish(Greeted { name: "nobody".into() }).await.unwrap();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_whose_handler_was_left_out_is_refused_where_it_is_sent() {
    let app = Jasper::builder().handler(remember).state(Journal::default()).start().await.unwrap();
    let refused = app.bus().send(greet_command("Ada")).await.unwrap_err();
    assert!(
        matches!(refused, SendError::NoHandler { message_type } if message_type == Greet::TYPE)
    );
    app.stop().await.unwrap();
}

#[tokio::test]
async fn messages_of_one_chain_share_the_conversation_and_name_their_cause() {
    let journal = Journal::default();
    let app = Jasper::builder()
        .state(journal.clone())
        .handler(first)
        .handler(second)
        .start()
        .await
        .unwrap();
    let options = DeliveryOptions::new().correlation("request 7").tenant("north");
    app.bus().send(First).with(options).await.unwrap();
    app.until_idle().await.unwrap();
    let notes = journal.notes();
    assert_eq!(notes[0], notes[1], "the second message does not follow from the first");
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct First;

#[derive(Command, Serialize, Deserialize)]
struct Second;

#[handler]
async fn first(_cmd: First, envelope: Envelope, journal: State<Journal>) -> Second {
    let (id, conversation) = (envelope.id, envelope.conversation_id);
    journal
        .note(format!("{conversation} {id} {:?}", (envelope.correlation_id, envelope.tenant_id)));
    Second
}

#[handler]
async fn second(_cmd: Second, envelope: Envelope, journal: State<Journal>) {
    let cause = envelope.causation_id.expect("a cascade has a cause");
    let conversation = envelope.conversation_id;
    journal.note(format!(
        "{conversation} {cause} {:?}",
        (envelope.correlation_id, envelope.tenant_id)
    ));
}

/// How many runs are still to fail.
#[derive(Clone)]
struct Failures(Arc<AtomicUsize>);

impl Failures {
    fn of(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    fn next(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}

#[derive(Command, Serialize, Deserialize)]
struct Flaky;

#[handler(attempts = 3)]
async fn flaky(
    _cmd: Flaky,
    envelope: Envelope,
    failures: State<Failures>,
    journal: State<Journal>,
) -> Result<(), HandlerError> {
    journal.note(format!("attempt {}", envelope.attempts));
    if failures.next() { Err(HandlerError::new("not yet")) } else { Ok(()) }
}

async fn run_flaky(failures: usize) -> (Journal, Vec<DeadLetterReason>) {
    let journal = Journal::default();
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .state(journal.clone())
        .state(Failures::of(failures))
        .handler(flaky)
        .start()
        .await
        .unwrap();
    app.bus().send(Flaky).await.unwrap();
    app.until_idle().await.unwrap();
    let letters = app.store().unwrap().dead_letters().list(DeadLetterQuery::default());
    let reasons = letters.await.unwrap().into_iter().map(|letter| letter.reason).collect();
    app.stop().await.unwrap();
    (journal, reasons)
}

#[tokio::test]
async fn a_failed_handler_runs_again_until_it_succeeds() {
    let (journal, letters) = run_flaky(2).await;
    assert_eq!(journal.notes(), ["attempt 1", "attempt 2", "attempt 3"]);
    assert_eq!(letters, []);
}

#[tokio::test]
async fn a_message_becomes_a_dead_letter_after_exactly_its_attempts() {
    let (journal, letters) = run_flaky(100).await;
    assert_eq!(journal.notes(), ["attempt 1", "attempt 2", "attempt 3"]);
    assert_eq!(letters, [DeadLetterReason::Exhausted]);
}

#[derive(Command, Serialize, Deserialize)]
struct Fail {
    how: String,
}

#[handler(attempts = 2, timeout = "50ms")]
async fn fail(
    cmd: Fail,
    token: CancellationToken,
    journal: State<Journal>,
) -> Result<(), HandlerError> {
    journal.note("run");
    let watcher = journal.clone();
    match cmd.how.as_str() {
        "panic" => panic!("as told"),
        "cancel" => {
            token.cancel();
            Ok(())
        }
        "hang" => {
            tokio::spawn(async move {
                token.cancelled().await;
                watcher.note("told");
            });
            std::future::pending().await
        }
        _ => Err(HandlerError::terminal(HandlerError::new("as told"))),
    }
}

#[tokio::test]
async fn the_token_of_an_invoked_handler_is_its_own_and_is_cancelled_by_its_time_out() {
    let journal = Journal::default();
    let builder = Jasper::builder().store(MemoryStore::new()).state(journal.clone());
    let app = builder.handler(fail).start().await.unwrap();
    let bus = app.bus();
    let fail = |how: &str| Fail { how: how.into() };
    bus.invoke(fail("cancel")).await.unwrap();
    let error = bus.invoke(fail("hang")).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error}");
    journal.wait_for("told").await;
    // What one of them has cancelled is not the application.
    bus.send(fail("cancel")).await.unwrap();
    bus.invoke(fail("cancel")).await.unwrap();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    assert_eq!(journal.notes().iter().filter(|note| *note == "run").count(), 4);
}

async fn letter_of(how: &str) -> (Vec<String>, DeadLetterReason, String) {
    let journal = Journal::default();
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .state(journal.clone())
        .handler(fail)
        .start()
        .await
        .unwrap();
    app.bus().send(Fail { how: how.into() }).await.unwrap();
    app.until_idle().await.unwrap();
    let letters = app.store().unwrap().dead_letters().list(DeadLetterQuery::default());
    let letter = letters.await.unwrap().pop().expect("a dead letter");
    app.stop().await.unwrap();
    (journal.sorted(), letter.reason, letter.error_message)
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other_and_spoils_nothing_else() {
    let (notes, reason, error) = letter_of("panic").await;
    assert_eq!(notes, ["run", "run"]);
    assert_eq!(reason, DeadLetterReason::Exhausted);
    assert_eq!(error, "it panicked: as told");
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_dropped_and_its_token_cancelled() {
    let (notes, reason, error) = letter_of("hang").await;
    assert_eq!(notes, ["run", "run", "told", "told"]);
    assert_eq!(reason, DeadLetterReason::Exhausted);
    assert_eq!(error, "it did not end within 50ms");
}

#[tokio::test]
async fn a_terminal_failure_is_not_tried_again() {
    let (notes, reason, _) = letter_of("terminal").await;
    assert_eq!(notes, ["run"]);
    assert_eq!(reason, DeadLetterReason::Terminal);
}

#[tokio::test]
async fn a_delayed_message_waits_and_an_expired_one_is_not_handled() {
    let journal = Journal::default();
    let app = greeting(&journal).start().await.unwrap();
    let hour = Duration::from_secs(3_600);
    app.bus().send(greet_command("later")).delay(hour).await.unwrap();
    let expired = DeliveryOptions::new().deliver_within(Duration::ZERO);
    app.bus().send(greet_command("too late")).with(expired).await.unwrap();
    app.bus().send(greet_command("soon")).delay(Duration::from_millis(20)).await.unwrap();
    journal.wait_for("remember soon").await;
    app.until_idle().await.unwrap();
    assert!(journal.notes().iter().all(|note| note.contains("soon")), "{:?}", journal.notes());
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Slow {
    number: usize,
}

/// How many runs there are now, and were at most.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

#[handler(queue = "slow", concurrency = 2)]
async fn slow(cmd: Slow, gauge: State<Gauge>, journal: State<Journal>) {
    let (now, most) = &*gauge.0;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    now.fetch_sub(1, Ordering::SeqCst);
    journal.note(cmd.number.to_string());
}

#[tokio::test]
async fn a_queue_runs_no_more_handlers_at_once_than_its_concurrency() {
    let (gauge, journal) = (Gauge::default(), Journal::default());
    let app = Jasper::builder().state(gauge.clone()).state(journal.clone()).handler(slow);
    // A small memory too: senders wait for room instead of failing.
    let app = app.queue("slow", QueueOptions::new().capacity(3)).start().await.unwrap();
    for number in 0..50 {
        app.bus().send(Slow { number }).await.unwrap();
    }
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes().len(), 50);
    assert_eq!(gauge.0.1.load(Ordering::SeqCst), 2);
    app.stop().await.unwrap();
}

#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[derive(Command, Serialize, Deserialize)]
struct Pass;

#[handler(queue = "gated")]
async fn pass(_cmd: Pass, gate: State<Gate>) {
    let _opened = gate.0.acquire().await;
}

#[tokio::test]
async fn a_message_that_is_stored_waits_for_no_room_in_memory() {
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let app = Jasper::builder().store(MemoryStore::new()).state(gate.clone()).handler(pass);
    let options = QueueOptions::new().capacity(1).concurrency(1);
    let app = app.queue("gated", options).start().await.unwrap();
    app.bus().send(Pass).await.unwrap();
    let later = SystemTime::now() + HOUR;
    let stored = async {
        app.bus().send(Pass).deduplicate("a").await.unwrap();
        app.bus().send(Pass).delay(HOUR).await.unwrap();
        app.bus().send(Pass).at(later).await.unwrap();
    };
    tokio::time::timeout(PATIENCE, stored).await.unwrap();
    let counts = app.store().unwrap().admin().counts().await.unwrap();
    assert_eq!((counts.incoming, counts.scheduled), (1, 2));
    gate.0.close();
    app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
struct Countdown {
    left: usize,
}

#[handler(queue = "countdown")]
async fn count_down(cmd: Countdown, journal: State<Journal>) -> Vec<Countdown> {
    journal.note(cmd.left.to_string());
    match cmd.left.checked_sub(1) {
        Some(left) => vec![Countdown { left }, Countdown { left: 0 }],
        None => Vec::new(),
    }
}

#[tokio::test]
async fn a_full_queue_that_feeds_itself_does_not_stand_still() {
    let journal = Journal::default();
    let app = Jasper::builder().state(journal.clone()).handler(count_down);
    let options = QueueOptions::new().capacity(1).concurrency(1);
    let app = app.queue("countdown", options).start().await.unwrap();
    app.bus().send(Countdown { left: 20 }).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes().len(), 41);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_makes_repeats_one_message_and_needs_a_store() {
    let journal = Journal::default();
    let app = greeting(&journal).store(MemoryStore::new()).start().await.unwrap();
    let first = app.bus().send(greet_command("Ada")).deduplicate("a").await.unwrap();
    app.until_idle().await.unwrap();
    let repeat = app.bus().send(greet_command("Ada")).deduplicate("a").await.unwrap();
    let other = app.bus().send(greet_command("Bob")).deduplicate("b").await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!([first.duplicate, repeat.duplicate, other.duplicate], [false, true, false]);
    let hellos = journal.notes().into_iter().filter(|note| note.starts_with("hello"));
    assert_eq!(hellos.collect::<Vec<_>>(), ["hello Ada", "hello Bob"]);
    app.stop().await.unwrap();

    let app = greeting(&journal).start().await.unwrap();
    let refused = app.bus().send(greet_command("Ada")).deduplicate("a").await;
    assert!(matches!(refused, Err(SendError::NeedsStore { .. })));
    app.stop().await.unwrap();
}

#[derive(Clone, Default)]
struct Tally(Arc<AtomicUsize>);

#[derive(Command, Serialize, Deserialize)]
struct Count;

#[handler(queue = "counted")]
async fn count(_cmd: Count, tally: State<Tally>) {
    tally.0.fetch_add(1, Ordering::SeqCst);
}

#[derive(Command, Serialize, Deserialize)]
struct CountStored;

#[handler]
#[durable]
async fn count_stored(_cmd: CountStored, tally: State<Tally>) {
    tally.0.fetch_add(1, Ordering::SeqCst);
}

#[tokio::test]
async fn many_commands_are_sent_in_one_call_whether_stored_or_not() {
    let tally = Tally::default();
    let app = Jasper::builder().store(MemoryStore::new()).state(tally.clone());
    // Less room than messages: those that are not stored have to wait for it.
    let app = app
        .queue("counted", QueueOptions::new().capacity(3))
        .handler(count)
        .handler(count_stored)
        .start()
        .await
        .unwrap();
    assert_eq!(app.bus().send_all((0..50).map(|_| Count)).await.unwrap(), 50);
    assert_eq!(app.bus().send_all((0..2_500).map(|_| CountStored)).await.unwrap(), 2_500);
    assert_eq!(app.bus().send_all([] as [Count; 0]).await.unwrap(), 0);
    app.until_idle().await.unwrap();
    assert_eq!(tally.0.load(Ordering::SeqCst), 2_550);
    let bus = app.bus().clone();
    app.stop().await.unwrap();
    let refused = bus.send_all([Count, Count]).await.unwrap_err();
    assert_eq!(refused.accepted, 0);
    assert!(matches!(refused.source, SendError::Stopping));
}
