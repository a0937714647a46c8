//! Dead letters that a database does not take as they are, or not now.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::mysql::MysqlStore;
use jasper::store::postgres::PostgresStore;
use jasper::store::{DeadLetter, DeadLetterQuery, DeadLetterReason, MessageStore, StoreError};
use jasper::testing::{Faults, FaultyStore};
use mariadb_database::Database;
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::Journal;
use tests::servers::postgres_url;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "dead-letters.fail")]
struct Fail {
    error: String,
    ballast: String,
}

#[handler(queue = "fails", concurrency = 1)]
async fn fail(cmd: Fail, journal: State<Journal>) -> Result<(), HandlerError> {
    journal.note(cmd.error.clone());
    Err(HandlerError::terminal(HandlerError::new(cmd.error)))
}

fn fails_with(error: &str, ballast: usize) -> Fail {
    Fail { error: error.to_owned(), ballast: "x".repeat(ballast) }
}

async fn letters(store: &dyn MessageStore) -> Vec<DeadLetter> {
    store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
}

/// Runs the handler over these, on a queue of one kind.
async fn letters_of(
    store: impl MessageStore + Clone,
    queue: QueueOptions,
    messages: Vec<Fail>,
) -> Vec<DeadLetter> {
    let app = Jasper::builder()
        .store(store.clone())
        .state(Journal::default())
        .queue("fails", queue)
        .handler(fail)
        .start()
        .await
        .unwrap();
    for message in messages {
        app.bus().send(message).await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(30), app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
    letters(&store).await
}

#[tokio::test]
async fn a_letter_that_is_too_large_for_the_server_is_kept_without_its_body() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    let buffered = QueueOptions::new().buffered();
    let messages = vec![fails_with("as told", 20_000_000), fails_with("as told", 1)];
    let letters = letters_of(store, buffered, messages).await;
    assert_eq!(letters.len(), 2);
    let reduced = letters.iter().find(|letter| letter.body.is_empty()).expect("one has no body");
    assert_eq!(reduced.reason, DeadLetterReason::Terminal);
    assert!(reduced.error_message.contains("its body of 20000"), "{}", reduced.error_message);
    assert!(reduced.error_message.contains("max_allowed_packet"), "{}", reduced.error_message);
    assert!(reduced.error_message.ends_with(" as told"), "{}", reduced.error_message);
    let whole = letters.iter().find(|letter| !letter.body.is_empty()).expect("one has a body");
    assert_eq!(whole.error_message, "as told");
}

#[tokio::test]
async fn a_letter_whose_text_the_database_refuses_is_kept_without_it() {
    for queue in [QueueOptions::new().durable(), QueueOptions::new().buffered()] {
        let (store, schema) = Schema::open().await;
        let check = "check (error_message not like '%secret%')";
        let alter = format!("alter table jasper_dead_letters add constraint discreet {check}");
        sqlx::query(AssertSqlSafe(alter)).execute(store.pool()).await.unwrap();
        let messages = vec![fails_with("a secret", 1), fails_with("as told", 1)];
        let letters = letters_of(store, queue, messages).await;
        drop(schema);
        assert_eq!(letters.len(), 2);
        let reduced = letters.iter().find(|letter| letter.error_message != "as told").unwrap();
        assert!(reduced.error_message.contains("8 bytes is left out"), "{reduced:?}");
        assert!(reduced.error_message.contains("discreet"), "{reduced:?}");
        assert!(!reduced.body.is_empty(), "{reduced:?}");
    }
}

#[tokio::test]
async fn a_database_of_another_character_set_keeps_all_characters_of_an_error() {
    let database = Database::create().await;
    let mut connection = sqlx::MySqlConnection::connect(database.url()).await.unwrap();
    let latin = sqlx::raw_sql("alter database character set latin1 collate latin1_swedish_ci");
    latin.execute(&mut connection).await.unwrap();
    for queue in [QueueOptions::new().durable(), QueueOptions::new().buffered()] {
        let store = MysqlStore::connect(database.url()).await.unwrap();
        let letters = letters_of(store, queue, vec![fails_with("10 € and \u{1F980}", 1)]).await;
        assert_eq!(letters[0].error_message, "10 € and \u{1F980}");
    }
}

#[tokio::test]
async fn a_database_without_all_characters_is_refused_in_words() {
    let name = format!("jasper_latin_{}", std::process::id());
    let mut server = PgConnection::connect(&postgres_url()).await.unwrap();
    let drop = format!("drop database if exists {name}");
    let create = format!(
        "create database {name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0"
    );
    for statement in [&drop, &create] {
        sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut server).await.unwrap();
    }
    let options: sqlx::postgres::PgConnectOptions = postgres_url().parse().unwrap();
    let opened = PostgresStore::builder().connect_with(options.database(&name)).await;
    sqlx::query(AssertSqlSafe(drop)).execute(&mut server).await.unwrap();
    let refused = opened.map(|_store| ()).unwrap_err();
    assert!(matches!(refused, StoreError::Unsuitable { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("LATIN1") && text.contains("encoding 'UTF8'"), "{text}");
}

#[tokio::test]
async fn a_letter_that_waits_for_the_store_keeps_no_other_message_from_running() {
    for (queue, operation) in [
        (QueueOptions::new().buffered(), "dead_letter_store"),
        (QueueOptions::new().durable(), "settle"),
    ] {
        let faults = Faults::seeded(1).fail(operation, 1.0);
        let (store, journal) = (FaultyStore::new(MemoryStore::new(), faults), Journal::default());
        let app = Jasper::builder()
            .store(store.clone())
            .state(journal.clone())
            .queue("fails", queue)
            .handler(fail)
            .start()
            .await
            .unwrap();
        app.bus().send(fails_with("first", 1)).await.unwrap();
        app.bus().send(fails_with("second", 1)).await.unwrap();
        journal.wait_for("second").await;
        store.calm();
        app.until_idle().await.unwrap();
        assert_eq!(letters(store.inner()).await.len(), 2);
        assert_eq!(journal.notes(), ["first", "second"]);
        app.stop().await.unwrap();
    }
}
