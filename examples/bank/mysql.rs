//! The bank in MySQL and MariaDB.

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::MessageStore;
use jasper::{Bus, SendError};
use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;

use crate::Outcome;
use crate::bank::{ACCOUNTS, BALANCE, Bank, Node, Order};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "mysql.transfer")]
struct Transfer {
    id: i64,
    from: i64,
    to: i64,
    amount: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "mysql.credit")]
struct Credit {
    id: i64,
    to: i64,
    amount: i64,
}

// Each handler changes one account, so that two of them never wait for one another in a ring.

#[handler]
#[durable]
async fn debit(cmd: Transfer, db: &mut MySqlConnection, node: State<Node>) -> sqlx::Result<Credit> {
    let Transfer { id, from, to, amount } = cmd;
    book(db, from, -amount).await?;
    note(db, id, "debit", &node).await?;
    Ok(Credit { id, to, amount })
}

#[handler]
#[durable]
async fn credit(cmd: Credit, db: &mut MySqlConnection, node: State<Node>) -> sqlx::Result<()> {
    book(db, cmd.to, cmd.amount).await?;
    note(db, cmd.id, "credit", &node).await
}

async fn book(db: &mut MySqlConnection, account: i64, amount: i64) -> sqlx::Result<()> {
    let booking = sqlx::query("update accounts set balance = balance + ? where id = ?");
    booking.bind(amount).bind(account).execute(db).await.map(drop)
}

async fn note(db: &mut MySqlConnection, id: i64, leg: &str, node: &Node) -> sqlx::Result<()> {
    let effect = sqlx::query("insert into effects (id, leg, node) values (?, ?, ?)");
    effect.bind(id).bind(leg).bind(&node.0).execute(db).await.map(drop)
}

// No unique key on `effects`: what took effect twice would show.
const SCHEMA: &str = "\
create table if not exists accounts (id bigint primary key, balance bigint not null);
create table if not exists effects (id bigint not null, leg text not null, node text not null);";

const ACCOUNT: &str = "insert ignore into accounts (id, balance) values (?, ?)";

const OWNED_BY: &str = "\
select id from jasper_incoming join jasper_nodes on node = owner
where name = ? order by id";

const IS_WAITING: &str =
    "select exists (select 1 from jasper_incoming where id = ? and status <> 'handled')";

pub(crate) struct MysqlBank(MysqlStore);

impl MysqlBank {
    pub(crate) async fn connect(url: &str) -> Outcome<Self> {
        Ok(Self(MysqlStore::connect(url).await?))
    }
}

impl Bank for MysqlBank {
    fn store(&self) -> &dyn MessageStore {
        &self.0
    }

    fn application(&self) -> Builder {
        Jasper::builder().store(self.0.clone()).handler::<debit>().handler::<credit>()
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
        let transfer = bus.send(Transfer { id, from, to, amount });
        transfer.deduplicate(id.to_string()).await.map(drop)
    }

    async fn effects(&self) -> Outcome<Vec<(i64, String)>> {
        Ok(sqlx::query_as("select id, leg from effects").fetch_all(self.0.pool()).await?)
    }

    async fn sum(&self) -> Outcome<i64> {
        let sum = sqlx::query_scalar("select cast(sum(balance) as signed) from accounts");
        Ok(sum.fetch_one(self.0.pool()).await?)
    }

    async fn owned_by(&self, node: &str) -> Outcome<Vec<Vec<u8>>> {
        Ok(sqlx::query_scalar(OWNED_BY).bind(node).fetch_all(self.0.pool()).await?)
    }

    async fn is_waiting(&self, id: &[u8]) -> Outcome<bool> {
        Ok(sqlx::query_scalar(IS_WAITING).bind(id).fetch_one(self.0.pool()).await?)
    }
}
