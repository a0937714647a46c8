//! Endpoints of other processes: how they are configured, and what the modes of each direction
//! mean.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::memory::MemoryStore;
use jasper::store::{DeadLetterQuery, MessageStore};
use jasper::{Config, SendError};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use tests::{Fixture, Journal};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "endpoints.note", to = "notes")]
struct Note {
    text: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "endpoints.write-down", to = "notes")]
struct WriteDown {
    text: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "endpoints.noted")]
struct Noted;

#[handler]
async fn take_note(cmd: Note, journal: State<Journal>) -> Result<(), HandlerError> {
    journal.note(cmd.text.clone());
    match cmd.text.as_str() {
        "fails" => Err(HandlerError::terminal(HandlerError::new("told to"))),
        _ => Ok(()),
    }
}

#[handler]
#[durable]
async fn write_down(
    cmd: WriteDown,
    db: &mut SqliteConnection,
    journal: State<Journal>,
) -> sqlx::Result<()> {
    sqlx::query("insert into effects (note) values (?)").bind(&cmd.text).execute(db).await?;
    journal.note(cmd.text);
    Ok(())
}

fn note(text: &str) -> Note {
    Note { text: text.into() }
}

/// An application that listens at this address, with its journal.
async fn receiver(address: &str, journal: &Journal, setup: fn(Builder) -> Builder) -> Jasper {
    let builder = Jasper::builder().handler(take_note).state(journal.clone());
    setup(builder.listen(address)).start().await.unwrap()
}

/// An application that sends to this one.
async fn sender(receiver: &Jasper, query: &str, setup: fn(Builder) -> Builder) -> Jasper {
    let address = format!("{}{query}", receiver.addresses()[0]);
    let builder = Jasper::builder().handler(take_note).state(Journal::default());
    setup(builder.endpoint("notes", address)).start().await.unwrap()
}

fn with_memory(builder: Builder) -> Builder {
    builder.store(MemoryStore::new())
}

fn as_it_is(builder: Builder) -> Builder {
    builder
}

#[tokio::test]
async fn neither_side_of_a_buffered_endpoint_needs_a_store() {
    let journal = Journal::default();
    let receiver = receiver("tcp://127.0.0.1:0", &journal, as_it_is).await;
    let sender = sender(&receiver, "", as_it_is).await;
    sender.bus().send(note("hello")).await.unwrap();
    journal.wait_for("hello").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_wait_for_room_do_not_keep_it_from_each_other() {
    const MESSAGES: usize = 2_000;
    let journal = Journal::default();
    let narrow = |builder: Builder| {
        builder.queue("take_note", QueueOptions::new().capacity(3).concurrency(2))
    };
    let receiver = receiver("tcp://127.0.0.1:0", &journal, narrow).await;
    let sender = sender(&receiver, "?batch=50", as_it_is).await;
    for number in 0..MESSAGES {
        sender.bus().send(note(&number.to_string())).await.unwrap();
    }
    sender.until_idle().await.unwrap();
    receiver.until_idle().await.unwrap();
    assert_eq!(journal.notes().len(), MESSAGES);
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn an_inline_send_returns_when_the_receiver_has_it_and_fails_where_there_is_none() {
    let journal = Journal::default();
    let receiver = receiver("tcp://127.0.0.1:0?mode=inline", &journal, as_it_is).await;
    let sender = sender(&receiver, "?mode=inline", as_it_is).await;
    sender.bus().send(note("handled")).await.unwrap();
    // The listener acknowledges when its handler is done.
    assert_eq!(journal.notes(), ["handled"]);
    receiver.stop().await.unwrap();
    let error = sender.bus().send(note("nobody")).await.unwrap_err();
    assert!(matches!(error, SendError::Transport(_) | SendError::NotTaken { .. }), "{error}");
    sender.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "endpoints.impossible", to = "notes")]
struct Impossible;

#[handler(attempts = 1)]
async fn never(_cmd: Impossible) -> Result<(), std::fmt::Error> {
    Err(std::fmt::Error)
}

#[tokio::test]
async fn an_inline_send_fails_in_the_words_of_the_handler_that_gives_it_up() {
    let receiver = Jasper::builder().handler(never).listen("tcp://127.0.0.1:0?mode=inline");
    let receiver = receiver.start().await.unwrap();
    let sender = sender(&receiver, "?mode=inline", as_it_is).await;
    let error = sender.bus().send(Impossible).await.unwrap_err();
    assert!(matches!(error, SendError::NotTaken { .. }), "{error}");
    let expected = "the handler gave it up (exhausted): an error occurred when formatting";
    assert!(error.to_string().contains(expected), "{error}");
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_durable_listener_stores_what_a_buffered_sender_sends() {
    let journal = Journal::default();
    let store = MemoryStore::new();
    let builder = Jasper::builder().handler(take_note).state(journal.clone());
    let receiver = builder
        .store(store.clone())
        .listen("tcp://127.0.0.1:0?mode=durable")
        .start()
        .await
        .unwrap();
    let sender = sender(&receiver, "", as_it_is).await;
    sender.bus().send(note("kept")).await.unwrap();
    journal.wait_for("kept").await;
    sender.until_idle().await.unwrap();
    receiver.until_idle().await.unwrap();
    // Its id stays known, as it does for whatever was stored at a listener.
    assert_eq!(store.admin().counts().await.unwrap().handled, 1);
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn memory_that_is_full_is_an_error_while_the_destination_is_down() {
    let journal = Journal::default();
    let receiver = receiver("tcp://127.0.0.1:0", &journal, as_it_is).await;
    let sender = sender(&receiver, "?capacity=3", as_it_is).await;
    receiver.stop().await.unwrap();
    let mut accepted = 0;
    let error = loop {
        match sender.bus().send(note("waits")).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "there is room for three");
    };
    assert!(matches!(error, SendError::Full { .. }), "{error}");
    assert!(error.to_string().contains("`notes` is down"), "{error}");
    drop(sender);
}

#[tokio::test]
async fn what_joins_a_transaction_leaves_with_its_commit_and_not_with_its_rollback() {
    let journal = Journal::default();
    let receiver = receiver("durable://127.0.0.1:0", &journal, with_memory).await;
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let pool = store.pool().clone();
    let sender = Jasper::builder()
        .handler(take_note)
        .state(Journal::default())
        .store(store)
        .endpoint("notes", receiver.addresses()[0].as_str())
        .start()
        .await
        .unwrap();
    for (text, commits) in [("undone", false), ("done", true)] {
        let mut transaction = pool.begin().await.unwrap();
        sender.bus().enlist(&mut transaction).send(note(text)).await.unwrap();
        if commits {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
    }
    journal.wait_for("done").await;
    sender.until_idle().await.unwrap();
    assert_eq!(journal.notes(), ["done"]);
    let mut transaction = pool.begin().await.unwrap();
    drop(sender.bus().enlist(&mut transaction));
    drop(transaction);
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_buffered_endpoint_takes_no_message_of_a_transaction_that_it_cannot_see() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    let pool = store.pool().clone();
    let sender = Jasper::builder()
        .handler(take_note)
        .state(Journal::default())
        .store(store)
        .endpoint("notes", "tcp://127.0.0.1:1")
        .start()
        .await
        .unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let refused = sender.bus().enlist(&mut transaction).send(note("no")).await.unwrap_err();
    assert!(matches!(refused, SendError::NeedsStore { .. }), "{refused}");
    transaction.rollback().await.unwrap();
    sender.stop().await.unwrap();
}

#[tokio::test]
async fn the_effects_of_a_durable_handler_commit_with_the_mark_that_its_message_is_handled() {
    let (fixture, journal) = (Fixture::create(), Journal::default());
    let store = fixture.store().await;
    let pool = store.pool().clone();
    let receiver = Jasper::builder()
        .handler(write_down)
        .state(journal.clone())
        .store(store)
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let sender = sender(&receiver, "", with_memory).await;
    for text in ["one", "two", "three"] {
        sender.bus().send(WriteDown { text: text.into() }).await.unwrap();
    }
    journal.wait_for("three").await;
    receiver.until_idle().await.unwrap();
    let effects: i64 =
        sqlx::query_scalar("select count(*) from effects").fetch_one(&pool).await.unwrap();
    assert_eq!(effects, 3);
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_that_one_node_does_not_know_is_handled_by_one_that_does() {
    let (store, journal) = (MemoryStore::new(), Journal::default());
    // It listens, and has no handler for notes.
    let ignorant = Jasper::builder()
        .handler(write_elsewhere)
        .store(store.clone())
        .poll_interval(Duration::from_millis(50))
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let sender = sender(&ignorant, "", with_memory).await;
    sender.bus().send(note("for another")).await.unwrap();
    sender.until_idle().await.unwrap();
    let knowing = Jasper::builder()
        .handler(take_note)
        .state(journal.clone())
        .store(store)
        .start()
        .await
        .unwrap();
    journal.wait_for("for another").await;
    for app in [sender, ignorant, knowing] {
        app.stop().await.unwrap();
    }
    assert_eq!(journal.notes(), ["for another"]);
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "endpoints.elsewhere")]
struct Elsewhere;

#[handler]
async fn write_elsewhere(_cmd: Elsewhere) {}

#[tokio::test]
async fn what_its_receiver_refuses_can_be_replayed_from_the_senders_dead_letters() {
    let journal = Journal::default();
    // Without a store it can keep no message for a handler that it does not have.
    let listening = Jasper::builder()
        .handler(write_elsewhere)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let port = listening.addresses()[0].clone();
    let sender = sender(&listening, "", with_memory).await;
    sender.bus().send(note("too early")).await.unwrap();
    sender.until_idle().await.unwrap();
    let letters = sender.store().unwrap().dead_letters();
    let letter = letters.list(DeadLetterQuery::default()).await.unwrap().remove(0);
    assert!(letter.error_message.contains("no handler"), "{}", letter.error_message);
    listening.stop().await.unwrap();
    let receiver = receiver(port.as_str(), &journal, as_it_is).await;
    letters.replay(vec![letter.id]).await.unwrap();
    journal.wait_for("too early").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

fn problems(builder: Builder) -> String {
    builder.check().expect_err("there are problems").to_string()
}

fn plain() -> Builder {
    Jasper::builder().handler(take_note).state(Journal::default())
}

#[test]
fn what_is_wrong_with_endpoints_is_reported_at_start_and_all_at_once() {
    let found = problems(
        plain()
            .endpoint("notes", "durable://127.0.0.1:5580")
            .endpoint("typo", "http://127.0.0.1:80")
            .endpoint("portless", "tcp://127.0.0.1")
            .endpoint("fast", "tcp://127.0.0.1:1?mode=fast")
            .endpoint("option", "tcp://127.0.0.1:1?speed=9")
            .endpoint("public", "tcp://shop.example:5580")
            .listen("durable://127.0.0.1:0")
            .listen("tcp://0.0.0.0:5580")
            .listen("nonsense")
            .publish_to::<Noted>("nowhere"),
    );
    for expected in [
        "10 problems",
        "the durable endpoint `notes` needs a message store",
        "`typo` is at `http://127.0.0.1:80`, and this build has no transport for it; supported: \
         local, asb, durable, rabbitmq, tcp",
        "`portless`",
        "write `durable`, `buffered` or `inline`",
        "`speed`",
        "`public`",
        "listening at `durable://127.0.0.1:0` needs a message store",
        "cannot listen at `tcp://0.0.0.0:5580`",
        "cannot listen at `nonsense`",
        "is published to `nowhere`, which is not configured",
    ] {
        assert!(found.contains(expected), "`{expected}` is not in:\n{found}");
    }
}

#[test]
fn a_deployment_says_where_endpoints_lead() {
    let vars = |address: &str| {
        let name = "JASPER_ENDPOINT_NOTES".to_owned();
        Config::from_vars([(name, address.to_owned())])
    };
    let app = || plain().endpoint("notes", "tcp://127.0.0.1:1");
    app().config(vars("tcp://127.0.0.1:2")).check().unwrap();
    let found = problems(app().config(vars("nonsense")));
    assert!(found.contains("`notes` is configured as `nonsense`"), "{found}");
    let typo = ("JASPER_ENDPOINT_NOTE".to_owned(), "tcp://127.0.0.1:2".to_owned());
    let found = problems(app().config(Config::from_vars([typo])));
    assert!(found.contains("`JASPER_ENDPOINT_NOTE` is for no endpoint"), "{found}");
    assert!(found.contains("those are: notes"), "{found}");
    let file = Config::from_toml("[endpoints]\nnotes = 'tcp://[::1]:1?mode=fast'").unwrap();
    let found = problems(app().config(file.clone()));
    assert!(found.contains("`mode=fast`"), "{found}");
    // What is said last goes first.
    app().config(file).config(vars("tcp://127.0.0.1:2")).check().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_reported_and_nothing_is_left_running() {
    let journal = Journal::default();
    let first = receiver("tcp://127.0.0.1:0", &journal, as_it_is).await;
    let taken = first.addresses()[0].to_string();
    let second = plain().listen("tcp://127.0.0.1:0").listen(taken.clone()).start().await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen at `{taken}`")), "{error}");
    first.stop().await.unwrap();
}
