//! Sends a ping each second and notes the pongs. Run it beside `ponger`, and stop and start, or
//! `kill -9`, either of them as you like: every ping is answered, and every pong noted once.
//!
//! ```sh
//! cargo run -p ping_pong --bin ponger & cargo run -p ping_pong --bin pinger
//! ```
//!
//! The addresses are those of one machine; `JASPER_LISTEN` and `JASPER_ENDPOINT_PONGER` say others.
//! Built with `--features jasper/rabbitmq` both may be queues of a broker:
//!
//! ```sh
//! export JASPER_BROKER_RABBITMQ=amqp://guest:guest@localhost
//! JASPER_LISTEN=rabbitmq://queue/ponger JASPER_ENDPOINT_PINGER=rabbitmq://queue/pinger \
//!     cargo run -p ping_pong --bin ponger --features jasper/rabbitmq &
//! JASPER_LISTEN=rabbitmq://queue/pinger JASPER_ENDPOINT_PONGER=rabbitmq://queue/ponger \
//!     cargo run -p ping_pong --bin pinger --features jasper/rabbitmq
//! ```
//!
//! And with `--features jasper/servicebus`, of Azure Service Bus: of the test broker with the
//! connection string that it prints, or of a namespace of yours, which also needs the roots of TLS.
//!
//! ```sh
//! cargo run -p servicebus_broker -- 5672 pinger ponger &
//! export JASPER_BROKER_SERVICEBUS='Endpoint=sb://127.0.0.1:5672;UseDevelopmentEmulator=true;…'
//! JASPER_LISTEN=asb://queue/ponger JASPER_ENDPOINT_PINGER=asb://queue/pinger \
//!     cargo run -p ping_pong --bin ponger --features jasper/servicebus &
//! JASPER_LISTEN=asb://queue/pinger JASPER_ENDPOINT_PONGER=asb://queue/ponger \
//!     cargo run -p ping_pong --bin pinger --features jasper/servicebus
//! ```

mod messages;

use std::time::Duration;

use jasper::Config;
use jasper::prelude::*;
use sqlx::{SqliteConnection, SqlitePool};

use crate::messages::{Ping, Pong};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const SCHEMA: &str = "\
create table if not exists pings (number integer primary key);
create table if not exists pongs (number integer not null);";

#[handler]
#[durable]
async fn note_pong(pong: Pong, db: &mut SqliteConnection) -> sqlx::Result<()> {
    let note = sqlx::query("insert into pongs (number) values (?)").bind(pong.number);
    note.execute(db).await?;
    println!("pong {}", pong.number);
    Ok(())
}

/// The number and its ping are committed together, so that no number is left without one.
async fn ping(bus: &Bus, pool: &SqlitePool) -> Outcome<()> {
    let mut transaction = pool.begin().await?;
    let next = "insert into pings (number) select 1 + coalesce(max(number), 0) from pings \
                returning number";
    let number = sqlx::query_scalar(next).fetch_one(&mut *transaction).await?;
    bus.enlist(&mut transaction).send(Ping { number }).await?;
    transaction.commit().await?;
    println!("ping {number}");
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let store = SqliteStore::open("pinger.db").await?;
    let pool = store.pool().clone();
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    let app = Jasper::builder()
        .service("pinger")
        .store(store)
        .listen("durable://127.0.0.1:5581")
        .endpoint("ponger", "durable://127.0.0.1:5582")
        .config(Config::from_env())
        .start()
        .await?;
    let bus = app.bus().clone();
    let pinging = tokio::spawn(async move {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            if let Err(error) = ping(&bus, &pool).await {
                eprintln!("no ping: {error}");
            }
        }
    });
    app.run_until_shutdown().await?;
    pinging.abort();
    Ok(())
}
