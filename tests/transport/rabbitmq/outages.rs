//! Databases at both ends, a broker in between that goes away, and connections that are cut.

use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::transport::rabbitmq::RabbitMq;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tests::proxy::Proxy;
use tests::servers::{Server, new_postgres_database};
use tests::{Journal, Seed};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "rabbit.book", to = "bookings")]
struct Book {
    number: i32,
}

#[handler(concurrency = 8)]
#[durable]
async fn book(cmd: Book, db: &mut PgConnection, journal: State<Journal>) -> sqlx::Result<()> {
    let insert = sqlx::query("insert into bookings values ($1)").bind(cmd.number);
    insert.execute(db).await?;
    journal.note(format!("{}", cmd.number));
    Ok(())
}

const ADDRESS: &str = "rabbitmq://queue/bookings";

async fn receiver(url: &str, database: &str, journal: &Journal) -> Jasper {
    let store = PostgresStore::connect(database).await.unwrap();
    let schema = "create table if not exists bookings (number int not null)";
    sqlx::query(schema).execute(store.pool()).await.unwrap();
    let builder = Jasper::builder().service("receiver").store(store).state(journal.clone());
    let builder = builder.handler(book).endpoint("bookings", "local://book");
    let builder = builder.transport(RabbitMq::at(url)).listen(ADDRESS);
    builder.lease(Duration::from_secs(2)).start().await.unwrap()
}

async fn sender(url: &str, database: &str) -> Jasper {
    let store = PostgresStore::connect(database).await.unwrap();
    let builder = Jasper::builder().service("sender").store(store).handler(unbook);
    let builder = builder.transport(RabbitMq::at(url)).endpoint("bookings", ADDRESS);
    builder.lease(Duration::from_secs(2)).start().await.unwrap()
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.unbooked")]
struct Unbooked;

#[handler]
async fn unbook(_event: Unbooked) {}

/// Every number once, and none else.
async fn assert_once_each(database: &str, count: i32) {
    let pool = sqlx::PgPool::connect(database).await.unwrap();
    let select = "select count(*), count(distinct number) from bookings";
    let counted: (i64, i64) = sqlx::query_as(select).fetch_one(&pool).await.unwrap();
    assert_eq!(counted, (count.into(), count.into()), "all and different ones");
}

async fn settle(sender: &Jasper, receiver: &Jasper, journal: &Journal, count: i32) {
    let all = async {
        for number in 0..count {
            journal.wait_for(&number.to_string()).await;
        }
        sender.until_idle().await.unwrap();
        receiver.until_idle().await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(100), all).await.expect("all is booked in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_of_all_connections_lose_and_double_nothing() {
    const COUNT: i32 = 2_000;
    let mut seed = Seed::from_env();
    println!("{seed}");
    let server = Server::rabbitmq().await;
    let proxy = Proxy::in_front_of(server.url()).await;
    let url = proxy.url(server.url());
    let [to, from] = [new_postgres_database("to").await, new_postgres_database("from").await];
    let journal = Journal::default();
    let (receiver, sender) = (receiver(&url, &to, &journal).await, sender(&url, &from).await);
    for number in 0..COUNT {
        sender.bus().send(Book { number }).await.unwrap();
        if number % 20 == 0 {
            proxy.cut_all();
            // Real time: the moment of the cut is what is random here.
            tokio::time::sleep(Duration::from_millis(seed.number() % 60)).await;
        }
    }
    settle(&sender, &receiver, &journal, COUNT).await;
    assert_once_each(&to, COUNT).await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_of_the_broker_and_crashes_of_both_ends_lose_and_double_nothing() {
    const ROUNDS: i32 = 4;
    const EACH: i32 = 250;
    let server = Server::rabbitmq().await;
    let url = server.url();
    let [to, from] = [new_postgres_database("to").await, new_postgres_database("from").await];
    let journal = Journal::default();
    let mut receiving = receiver(url, &to, &journal).await;
    let mut sending = sender(url, &from).await;
    for round in 0..ROUNDS {
        let numbers = (round * EACH..(round + 1) * EACH).map(|number| Book { number });
        sending.bus().send_all(numbers.collect::<Vec<_>>()).await.unwrap();
        server.stop().await;
        if round % 2 == 0 {
            drop(std::mem::replace(&mut receiving, receiver(url, &to, &journal).await));
        } else {
            drop(std::mem::replace(&mut sending, sender(url, &from).await));
        }
        server.start_again().await;
    }
    settle(&sending, &receiving, &journal, ROUNDS * EACH).await;
    assert_once_each(&to, ROUNDS * EACH).await;
    sending.stop().await.unwrap();
    receiving.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_work_again_soon_after_the_broker_is_back() {
    let server = Server::rabbitmq().await;
    let url = server.url();
    let [to, from] = [new_postgres_database("to").await, new_postgres_database("from").await];
    let journal = Journal::default();
    let (receiver, sender) = (receiver(url, &to, &journal).await, sender(url, &from).await);
    server.stop().await;
    sender.bus().send(Book { number: 0 }).await.unwrap();
    server.start_again().await;
    let began = Instant::now();
    journal.wait_for("0").await;
    let took = began.elapsed();
    // Two seconds on a machine that has nothing else to do.
    assert!(took < Duration::from_secs(5), "{took:?}");
    println!("back to work after {took:?}");
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}
