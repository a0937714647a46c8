//! One of two branches of a bank, each with a database of its own and TCP or a broker between them:
//! the payer debits and sends, the payee credits and confirms.
//!
//! ```text
//! branch payer|payee URL LISTEN OTHER [ACCEPTED RATE]
//!     LISTEN     where this branch is reached
//!     OTHER      where the other branch is reached
//!     ACCEPTED   a file to which the payer writes the number of each transfer that was accepted
//!     RATE       how many transfers it sends in a second
//! ```
//!
//! It prints `listening ADDRESS`, and runs until it is killed. Where the broker is stands in the
//! environment. With `JASPER_LOG` it writes its log to the standard error.

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use jasper::Config;
use jasper::prelude::*;
use jasper::runtime::Builder;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, query};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "branches.transfer")]
struct Transfer {
    id: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "branches.credit", to = "payee")]
struct Credit {
    id: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "branches.confirm", to = "payer")]
struct Confirm {
    id: i64,
}

#[handler]
#[durable]
async fn debit(cmd: Transfer, db: &mut PgConnection) -> sqlx::Result<Credit> {
    book(db, cmd.id, "debit", -1).await?;
    Ok(Credit { id: cmd.id })
}

#[handler]
#[durable]
async fn credit(cmd: Credit, db: &mut PgConnection) -> sqlx::Result<Confirm> {
    book(db, cmd.id, "credit", 1).await?;
    Ok(Confirm { id: cmd.id })
}

#[handler]
#[durable]
async fn confirm(cmd: Confirm, db: &mut PgConnection) -> sqlx::Result<()> {
    book(db, cmd.id, "confirm", 0).await
}

// No unique key on `effects`: what took effect twice would show.
const SCHEMA: &str = "\
create table if not exists accounts (id bigint primary key, balance bigint not null);
insert into accounts select id, 0 from generate_series(0, 99) id on conflict do nothing;
create table if not exists effects (
    id bigint not null, leg text not null,
    at bigint not null default extract(epoch from clock_timestamp()) * 1000000
);";

async fn book(db: &mut PgConnection, id: i64, leg: &str, amount: i64) -> sqlx::Result<()> {
    let booking = query("update accounts set balance = balance + $1 where id = $2");
    booking.bind(amount).bind(id % 100).execute(&mut *db).await?;
    let effect = query("insert into effects (id, leg) values ($1, $2)");
    effect.bind(id).bind(leg).execute(db).await.map(drop)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    if std::env::var_os("JASPER_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
    }
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["payer", url, listen, other, accepted, rate] => {
            let payer = |app: Builder| app.handler(debit).handler(confirm);
            let app = start(url, payer, listen, ("payee", other)).await?;
            pay(app.bus(), accepted, rate.parse()?).await?;
            Ok(app.run_until_shutdown().await?)
        }
        ["payee", url, listen, other] => {
            let payee = |app: Builder| app.handler(credit);
            let app = start(url, payee, listen, ("payer", other)).await?;
            Ok(app.run_until_shutdown().await?)
        }
        _ => Err("usage: branch payer|payee URL LISTEN OTHER [ACCEPTED RATE]".into()),
    }
}

async fn start(
    url: &str,
    handlers: impl FnOnce(Builder) -> Builder,
    listen: &str,
    (name, other): (&str, &str),
) -> Outcome<Jasper> {
    let store = PostgresStore::connect(url).await?;
    sqlx::raw_sql(SCHEMA).execute(store.pool()).await?;
    let app = handlers(Jasper::builder())
        .store(store)
        .lease(Duration::from_secs(2))
        .listen(listen)
        .endpoint(name, other)
        .config(Config::from_env())
        .start()
        .await?;
    println!("listening {}", app.addresses()[0].rest());
    Ok(app)
}

/// Sends transfers until it is killed, those anew that had no answer; at a rate of 0, none.
async fn pay(bus: &Bus, accepted: &str, rate: u32) -> Outcome<()> {
    if rate == 0 {
        return Ok(());
    }
    let before: HashSet<i64> = fs::read_to_string(accepted)
        .unwrap_or_default()
        .lines()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let mut file = File::options().create(true).append(true).open(accepted)?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    for id in (1..).filter(|id| !before.contains(id)) {
        ticks.tick().await;
        while bus.send(Transfer { id }).deduplicate(id.to_string()).await.is_err() {
            ticks.tick().await;
        }
        // In one call, so that a kill leaves no half of a line.
        file.write_all(format!("{id}\n").as_bytes())?;
    }
    Ok(())
}
