//! The bank in PostgreSQL.

use std::time::SystemTime;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::MessageStore;
use jasper::{Bus, SendError};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::Outcome;
use crate::bank::{ACCOUNTS, BALANCE, Bank, Node, Order, micros_since};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "postgres.transfer")]
struct Transfer {
    id: i64,
    from: i64,
    to: i64,
    amount: i64,
    sent_at: SystemTime,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "postgres.credit")]
struct Credit {
    id: i64,
    to: i64,
    amount: i64,
}

/// Harms its own transaction.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "postgres.harm")]
struct Harm {
    id: i64,
    from: i64,
    sql: String,
}

// Each handler changes one account, so that two of them never wait for one another in a ring.

#[handler]
#[durable]
async fn debit(cmd: Transfer, db: &mut PgConnection, node: State<Node>) -> sqlx::Result<Credit> {
    let Transfer { id, from, to, amount, sent_at } = cmd;
    book(db, from, -amount).await?;
    note(db, id, "debit", &node, Some(sent_at)).await?;
    Ok(Credit { id, to, amount })
}

#[handler]
#[durable]
async fn credit(cmd: Credit, db: &mut PgConnection, node: State<Node>) -> sqlx::Result<()> {
    book(db, cmd.to, cmd.amount).await?;
    note(db, cmd.id, "credit", &node, None).await
}

#[handler(attempts = 3, delays = ["10ms"])]
#[durable]
async fn harm(
    cmd: Harm,
    db: &mut PgConnection,
    node: State<Node>,
    pool: State<PgPool>,
) -> sqlx::Result<()> {
    // Not in the transaction: each run counts, also one that meets a connection of the pool which
    // was ended while the process was frozen.
    let note_run =
        || sqlx::query("insert into harms (id) values ($1)").bind(cmd.id).execute(&*pool);
    while note_run().await.is_err() {}
    book(db, cmd.from, -1).await?;
    note(db, cmd.id, "harm", &node, None).await?;
    sqlx::raw_sql(AssertSqlSafe(cmd.sql)).execute(db).await.map(drop)
}

/// What a handler may do to its transaction.
const HARMS: &[&str] = &[
    "select 1 / 0",
    "select pg_terminate_backend(pg_backend_pid())",
    "set transaction read only",
    "insert into children values (7)",
    "set local role pg_monitor",
];

async fn book(db: &mut PgConnection, account: i64, amount: i64) -> sqlx::Result<()> {
    let booking = sqlx::query("update accounts set balance = balance + $1 where id = $2");
    booking.bind(amount).bind(account).execute(db).await.map(drop)
}

/// `sent_at`: when the transfer was sent that is taken up here.
async fn note(
    db: &mut PgConnection,
    id: i64,
    leg: &str,
    node: &Node,
    sent_at: Option<SystemTime>,
) -> sqlx::Result<()> {
    let sql = "insert into effects (id, leg, node, waited) values ($1, $2, $3, $4)";
    let effect = sqlx::query(sql).bind(id).bind(leg).bind(&node.0).bind(sent_at.map(micros_since));
    effect.execute(db).await.map(drop)
}

// No unique key on `effects`: what took effect twice would show.
const SCHEMA: &str = "\
create table if not exists accounts (id bigint primary key, balance bigint not null);
create table if not exists effects (
    id bigint not null, leg text not null, node text not null, waited bigint
);
create table if not exists harms (id bigint not null);
create table if not exists parents (id bigint primary key);
create table if not exists children (
    parent bigint references parents deferrable initially deferred
);";

const ACCOUNT: &str = "insert into accounts (id, balance) values ($1, $2) on conflict do nothing";

const OWNED_BY: &str = "\
select uuid_send(id) from jasper.jasper_incoming join jasper.jasper_nodes on node = owner
where name = $1 order by id";

const IS_WAITING: &str = "select exists (
    select from jasper.jasper_incoming
    where id = encode($1, 'hex')::uuid and status <> 'handled'
)";

pub(crate) struct PostgresBank(PostgresStore);

impl PostgresBank {
    pub(crate) async fn connect(url: &str) -> Outcome<Self> {
        Ok(Self(PostgresStore::connect(url).await?))
    }
}

impl Bank for PostgresBank {
    fn store(&self) -> &dyn MessageStore {
        &self.0
    }

    fn application(&self) -> Builder {
        let app = Jasper::builder().store(self.0.clone()).state(self.0.pool().clone());
        app.handler(debit).handler(credit).handler(harm)
    }

    async fn setup(&self) -> Outcome<()> {
        self.0.admin().prepare().await?;
        let mut transaction = self.0.pool().begin().await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        for account in 1..=ACCOUNTS {
            let open = sqlx::query(ACCOUNT).bind(account).bind(BALANCE);
            open.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn send(&self, bus: &Bus, order: Order) -> Result<(), SendError> {
        let Order { id, from, to, amount } = order;
        let sent_at = SystemTime::now();
        let transfer = bus.send(Transfer { id, from, to, amount, sent_at });
        transfer.deduplicate(id.to_string()).await.map(drop)
    }

    async fn harm(&self, bus: &Bus, order: Order) -> Outcome<()> {
        let Order { id, from, .. } = order;
        let sql = HARMS[id as usize % HARMS.len()].to_owned();
        let harm = bus.send(Harm { id, from, sql });
        Ok(harm.deduplicate(id.to_string()).await.map(drop)?)
    }

    async fn harms(&self) -> Outcome<Vec<i64>> {
        Ok(sqlx::query_scalar("select id from harms").fetch_all(self.0.pool()).await?)
    }

    async fn effects(&self) -> Outcome<Vec<(i64, String)>> {
        Ok(sqlx::query_as("select id, leg from effects").fetch_all(self.0.pool()).await?)
    }

    async fn waits(&self) -> Outcome<Vec<i64>> {
        let waits = "select waited from effects where waited is not null order by waited";
        Ok(sqlx::query_scalar(waits).fetch_all(self.0.pool()).await?)
    }

    async fn sum(&self) -> Outcome<i64> {
        let sum = sqlx::query_scalar("select sum(balance)::bigint from accounts");
        Ok(sum.fetch_one(self.0.pool()).await?)
    }

    async fn owned_by(&self, node: &str) -> Outcome<Vec<Vec<u8>>> {
        Ok(sqlx::query_scalar(OWNED_BY).bind(node).fetch_all(self.0.pool()).await?)
    }

    async fn is_waiting(&self, id: &[u8]) -> Outcome<bool> {
        Ok(sqlx::query_scalar(IS_WAITING).bind(id).fetch_one(self.0.pool()).await?)
    }
}
