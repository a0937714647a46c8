//! The bank in SQLite.

use std::time::SystemTime;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::MessageStore;
use jasper::{Bus, SendError};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use crate::Outcome;
use crate::bank::{ACCOUNTS, BALANCE, Bank, Node, Order, micros_since};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlite.transfer")]
struct Transfer {
    id: i64,
    from: i64,
    to: i64,
    amount: i64,
    sent_at: SystemTime,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlite.credit")]
struct Credit {
    id: i64,
    to: i64,
    amount: i64,
}

// Each handler changes one account, so that two of them never wait for one another in a ring.

#[handler]
#[durable]
async fn debit(
    cmd: Transfer,
    db: &mut SqliteConnection,
    node: State<Node>,
) -> sqlx::Result<Credit> {
    let Transfer { id, from, to, amount, sent_at } = cmd;
    book(db, from, -amount).await?;
    note(db, id, "debit", &node, Some(sent_at)).await?;
    Ok(Credit { id, to, amount })
}

#[handler]
#[durable]
async fn credit(cmd: Credit, db: &mut SqliteConnection, node: State<Node>) -> sqlx::Result<()> {
    book(db, cmd.to, cmd.amount).await?;
    note(db, cmd.id, "credit", &node, None).await
}

async fn book(db: &mut SqliteConnection, account: i64, amount: i64) -> sqlx::Result<()> {
    let booking = sqlx::query("update accounts set balance = balance + ? where id = ?");
    booking.bind(amount).bind(account).execute(db).await.map(drop)
}

/// `sent_at`: when the transfer was sent that is taken up here.
async fn note(
    db: &mut SqliteConnection,
    id: i64,
    leg: &str,
    node: &Node,
    sent_at: Option<SystemTime>,
) -> sqlx::Result<()> {
    let sql = "insert into effects (id, leg, node, waited) values (?, ?, ?, ?)";
    let effect = sqlx::query(sql).bind(id).bind(leg).bind(&node.0).bind(sent_at.map(micros_since));
    effect.execute(db).await.map(drop)
}

// No unique key on `effects`: what took effect twice would show.
const SCHEMA: &str = "\
create table if not exists accounts (id integer primary key, balance integer not null);
create table if not exists effects (
    id integer not null, leg text not null, node text not null, waited integer
);";

const ACCOUNT: &str = "insert or ignore into accounts (id, balance) values (?, ?)";

const OWNED_BY: &str = "\
select id from jasper_incoming join jasper_nodes on node = owner
where name = ? order by seq";

const IS_WAITING: &str =
    "select exists (select 1 from jasper_incoming where id = ? and status <> 'handled')";

pub(crate) struct SqliteBank(SqliteStore);

impl SqliteBank {
    pub(crate) async fn open(file: &str) -> Outcome<Self> {
        Ok(Self(SqliteStore::open(file).await?))
    }
}

impl Bank for SqliteBank {
    fn store(&self) -> &dyn MessageStore {
        &self.0
    }

    fn application(&self) -> Builder {
        Jasper::builder().store(self.0.clone()).handler(debit).handler(credit)
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

    async fn effects(&self) -> Outcome<Vec<(i64, String)>> {
        Ok(sqlx::query_as("select id, leg from effects").fetch_all(self.0.pool()).await?)
    }

    async fn waits(&self) -> Outcome<Vec<i64>> {
        let waits = "select waited from effects where waited is not null order by waited";
        Ok(sqlx::query_scalar(waits).fetch_all(self.0.pool()).await?)
    }

    async fn sum(&self) -> Outcome<i64> {
        let sum = sqlx::query_scalar("select sum(balance) from accounts");
        Ok(sum.fetch_one(self.0.pool()).await?)
    }

    async fn owned_by(&self, node: &str) -> Outcome<Vec<Vec<u8>>> {
        Ok(sqlx::query_scalar(OWNED_BY).bind(node).fetch_all(self.0.pool()).await?)
    }

    async fn is_waiting(&self, id: &[u8]) -> Outcome<bool> {
        Ok(sqlx::query_scalar(IS_WAITING).bind(id).fetch_one(self.0.pool()).await?)
    }
}
