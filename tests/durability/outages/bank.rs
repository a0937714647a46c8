//! Transfers between accounts in PostgreSQL, and what must have come of them.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::DeadLetterQuery;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, query, query_as, query_scalar, raw_sql};
use tokio::time::timeout;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.transfer")]
pub struct Transfer {
    pub id: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.credit")]
pub struct Credit {
    id: i64,
}

#[handler(queue = "debits")]
#[durable]
async fn debit(cmd: Transfer, db: &mut PgConnection) -> sqlx::Result<Credit> {
    book(db, cmd.id, -1).await?;
    Ok(Credit { id: cmd.id })
}

#[handler(queue = "credits")]
#[durable]
async fn credit(cmd: Credit, db: &mut PgConnection) -> sqlx::Result<()> {
    book(db, cmd.id + 1, 1).await?;
    query("update effects set credited = credited + 1 where id = $1")
        .bind(cmd.id)
        .execute(db)
        .await
        .map(drop)
}

/// Changes one account; a debit leaves a row, which says when it was.
async fn book(db: &mut PgConnection, id: i64, amount: i64) -> sqlx::Result<()> {
    let booking = query("update accounts set balance = balance + $1 where id = $2 % 100");
    booking.bind(amount).bind(id).execute(&mut *db).await?;
    if amount < 0 {
        query("insert into effects (id) values ($1)").bind(id).execute(db).await?;
    }
    Ok(())
}

// No unique key on `effects`: what took effect twice would show.
const SCHEMA: &str = "\
create table accounts (id bigint primary key, balance bigint not null);
insert into accounts select id, 0 from generate_series(0, 99) id;
create table effects (
    id bigint not null, credited bigint not null default 0,
    at timestamptz not null default clock_timestamp()
);
create index on effects (id);
create index on effects (at)";

/// Nothing takes so long unless something is stuck.
const LIMIT: Duration = Duration::from_secs(120);

pub struct Bank {
    url: String,
}

impl Bank {
    /// Makes tables and accounts in a database that has none.
    pub async fn open(url: &str) -> Self {
        let bank = Self { url: url.to_owned() };
        raw_sql(SCHEMA).execute(&mut bank.connection().await).await.unwrap();
        bank
    }

    /// A node that reaches the database in this way.
    pub async fn application(url: &str) -> Builder {
        let store = PostgresStore::connect(url).await.unwrap();
        Jasper::builder().store(store).handler(debit).handler(credit)
    }

    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// How long after this time the first transfer was booked that is known; waits for it.
    pub async fn goes_on_after(&self, time: SystemTime) -> Duration {
        let sql = "select (extract(epoch from min(at)) * 1000000)::bigint from effects
            where at > to_timestamp($1::float8)";
        let begin = time.duration_since(UNIX_EPOCH).unwrap();
        let look = async {
            let mut connection = self.connection().await;
            loop {
                let first: Option<i64> = query_scalar(sql)
                    .bind(begin.as_secs_f64())
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                if let Some(first) = first {
                    return Duration::from_micros(first as u64).saturating_sub(begin);
                }
                // Real time: there is no signal for the commits of others.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, look).await.expect("the work goes on")
    }

    /// Since when the server runs.
    pub async fn server_start(&self) -> SystemTime {
        let sql = "select extract(epoch from pg_postmaster_start_time())::float8";
        let start = query_scalar(sql).fetch_one(&mut self.connection().await).await.unwrap();
        UNIX_EPOCH + Duration::from_secs_f64(start)
    }

    /// Waits until all is handled, and looks at the books.
    pub async fn check(&self, app: &Jasper, accepted: &BTreeSet<i64>) {
        timeout(LIMIT, app.until_idle()).await.expect("it becomes idle").unwrap();
        let mut connection = self.connection().await;
        let sql = "select id, count(*), sum(credited)::bigint from effects group by id";
        let effects: Vec<(i64, i64, i64)> = query_as(sql).fetch_all(&mut connection).await.unwrap();
        let done: BTreeSet<i64> = effects.iter().map(|(id, ..)| *id).collect();
        let lost = accepted.difference(&done).count();
        let half = effects.iter().filter(|(_, _, credited)| *credited < 1).count();
        let double =
            effects.iter().filter(|(_, debits, credits)| *debits > 1 || *credits > 1).count();
        println!("{} transfers, {lost} lost, {half} half done, {double} double", done.len());
        assert_eq!((lost, half, double), (0, 0, 0));
        let sum: i64 = query_scalar("select sum(balance)::bigint from accounts")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(sum, 0);
        let store = app.store().unwrap();
        let letters = store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
        assert!(letters.is_empty(), "{letters:?}");
    }
}
