//! The bank in SQL Server.

use std::time::SystemTime;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::sqlserver::{
    SqlServerConnection, SqlServerPool, SqlServerPoolConnection, tiberius,
};
use jasper::store::{MessageStore, StoreError};
use jasper::{Bus, SendError};
use serde::{Deserialize, Serialize};
use tiberius::{Row, ToSql};

use crate::Outcome;
use crate::bank::{ACCOUNTS, BALANCE, Bank, Node, Order, micros_since};

type DriverError = tiberius::error::Error;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.transfer")]
struct Transfer {
    id: i64,
    from: i64,
    to: i64,
    amount: i64,
    sent_at: SystemTime,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.credit")]
struct Credit {
    id: i64,
    to: i64,
    amount: i64,
}

/// Harms its own transaction.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.harm")]
struct Harm {
    id: i64,
    from: i64,
    sql: String,
}

/// In which schema the tables are, those of the messages too.
#[derive(Clone)]
struct Schema(String);

impl Schema {
    /// A statement in which `{schema}` is its name.
    fn statement(&self, text: &str) -> String {
        text.replace("{schema}", &format!("[{}]", self.0))
    }
}

// Each handler changes one account, so that two of them never wait for one another in a ring.

#[handler]
#[durable]
async fn debit(
    cmd: Transfer,
    db: &mut SqlServerConnection,
    schema: State<Schema>,
    node: State<Node>,
) -> Result<Credit, DriverError> {
    let Transfer { id, from, to, amount, sent_at } = cmd;
    book(db, &schema, from, -amount).await?;
    note(db, &schema, (id, "debit", Some(sent_at)), &node).await?;
    Ok(Credit { id, to, amount })
}

#[handler]
#[durable]
async fn credit(
    cmd: Credit,
    db: &mut SqlServerConnection,
    schema: State<Schema>,
    node: State<Node>,
) -> Result<(), DriverError> {
    book(db, &schema, cmd.to, cmd.amount).await?;
    note(db, &schema, (cmd.id, "credit", None), &node).await
}

#[handler(attempts = 3, delays = ["10ms"])]
#[durable]
async fn harm(
    cmd: Harm,
    db: &mut SqlServerConnection,
    schema: State<Schema>,
    node: State<Node>,
    pool: State<SqlServerPool>,
) -> Result<(), DriverError> {
    // Not in the transaction: each run counts, also one that meets a connection of the pool which
    // was ended while the process was frozen.
    while note_run(&pool, &schema, cmd.id).await.is_err() {}
    book(db, &schema, cmd.from, -1).await?;
    note(db, &schema, (cmd.id, "harm", None), &node).await?;
    db.simple_query(cmd.sql).await?.into_results().await.map(drop)
}

async fn note_run(pool: &SqlServerPool, schema: &Schema, id: i64) -> Outcome<()> {
    let run = schema.statement("insert into {schema}.harms (id) values (@P1)");
    pool.acquire().await?.execute(run, &[&id]).await?;
    Ok(())
}

/// What a handler may do to its transaction.
const HARMS: &[&str] = &[
    "select * from nothing",
    "throw 50001, 'it fails', 1",
    "commit transaction",
    "rollback transaction",
    "rollback transaction; begin transaction; begin transaction",
];

async fn book(
    db: &mut SqlServerConnection,
    schema: &Schema,
    account: i64,
    amount: i64,
) -> Result<(), DriverError> {
    let booking =
        schema.statement("update {schema}.accounts set balance = balance + @P1 where id = @P2");
    db.execute(booking, &[&amount, &account]).await.map(drop)
}

/// The id of a transfer, which of its two effects this is, and when the transfer was sent that is
/// taken up here.
type Effect<'a> = (i64, &'a str, Option<SystemTime>);

async fn note(
    db: &mut SqlServerConnection,
    schema: &Schema,
    (id, leg, sent_at): Effect<'_>,
    node: &Node,
) -> Result<(), DriverError> {
    let effect = "insert into {schema}.effects (id, leg, node, waited) values (@P1, @P2, @P3, @P4)";
    let waited = sent_at.map(micros_since);
    let values: [&dyn ToSql; 4] = [&id, &leg, &node.0, &waited];
    db.execute(schema.statement(effect), &values).await.map(drop)
}

// No unique key on `effects`: what took effect twice would show.
const SCHEMA: &str = "\
if object_id('{schema}.accounts') is null
    create table {schema}.accounts (id bigint not null primary key, balance bigint not null);
if object_id('{schema}.effects') is null
    create table {schema}.effects (
        id bigint not null, leg nvarchar(10) not null, node nvarchar(100) not null, waited bigint
    );
if object_id('{schema}.harms') is null
    create table {schema}.harms (id bigint not null);";

const ACCOUNT: &str = "\
insert into {schema}.accounts (id, balance)
select @P1, @P2 where not exists (select 1 from {schema}.accounts where id = @P1)";

const OWNED_BY: &str = "\
select id from {schema}.jasper_incoming join {schema}.jasper_nodes on node = owner
where name = @P1 order by id";

const IS_WAITING: &str =
    "select count_big(*) from {schema}.jasper_incoming where id = @P1 and status <> 'handled'";

const WAITS: &str = "select waited from {schema}.effects where waited is not null order by waited";

pub(crate) struct SqlServerBank {
    store: SqlServerStore,
    schema: Schema,
}

impl SqlServerBank {
    /// Of a schema and the connection string of a database, with a `;` between them.
    pub(crate) async fn connect(place: &str) -> Outcome<Self> {
        let (schema, database) = place.split_once(';').ok_or("no `;` ends the schema's name")?;
        // Several nodes share the server.
        let builder = SqlServerStore::builder().schema(schema).connections(4);
        let store = builder.connect(database).await?;
        Ok(Self { store, schema: Schema(schema.to_owned()) })
    }

    async fn connection(&self) -> Result<SqlServerPoolConnection, StoreError> {
        self.store.pool().acquire().await
    }

    async fn rows(&self, query: &str, values: &[&dyn ToSql]) -> Outcome<Vec<Row>> {
        let mut connection = self.connection().await?;
        let rows = connection.query(self.schema.statement(query), values).await?;
        Ok(rows.into_first_result().await?)
    }

    async fn numbers(&self, query: &str, values: &[&dyn ToSql]) -> Outcome<Vec<i64>> {
        let rows = self.rows(query, values).await?;
        rows.iter().map(|row| row.get(0).ok_or_else(|| "a number is missing".into())).collect()
    }

    async fn number(&self, query: &str, values: &[&dyn ToSql]) -> Outcome<i64> {
        let numbers = self.numbers(query, values).await?;
        numbers.first().copied().ok_or_else(|| "there is no row".into())
    }
}

impl Bank for SqlServerBank {
    fn store(&self) -> &dyn MessageStore {
        &self.store
    }

    fn application(&self) -> Builder {
        let app = Jasper::builder().store(self.store.clone()).state(self.schema.clone());
        app.state(self.store.pool().clone()).handler(debit).handler(credit).handler(harm)
    }

    async fn setup(&self) -> Outcome<()> {
        self.store.admin().prepare().await?;
        let mut transaction = self.store.pool().begin().await?;
        let tables = self.schema.statement(SCHEMA);
        transaction.simple_query(tables).await?.into_results().await?;
        for account in 1..=ACCOUNTS {
            let open = self.schema.statement(ACCOUNT);
            transaction.execute(open, &[&account, &BALANCE]).await?;
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
        self.numbers("select id from {schema}.harms", &[]).await
    }

    async fn effects(&self) -> Outcome<Vec<(i64, String)>> {
        let rows = self.rows("select id, leg from {schema}.effects", &[]).await?;
        let effect = |row: &Row| Some((row.get(0)?, row.get::<&str, _>(1)?.to_owned()));
        Ok(rows.iter().filter_map(effect).collect())
    }

    async fn waits(&self) -> Outcome<Vec<i64>> {
        self.numbers(WAITS, &[]).await
    }

    async fn sum(&self) -> Outcome<i64> {
        let sum = "select cast(sum(balance) as bigint) from {schema}.accounts";
        self.number(sum, &[]).await
    }

    async fn owned_by(&self, node: &str) -> Outcome<Vec<Vec<u8>>> {
        let rows = self.rows(OWNED_BY, &[&node]).await?;
        Ok(rows.iter().filter_map(|row| Some(row.get::<&[u8], _>(0)?.to_vec())).collect())
    }

    async fn is_waiting(&self, id: &[u8]) -> Outcome<bool> {
        Ok(self.number(IS_WAITING, &[&id]).await? > 0)
    }
}
