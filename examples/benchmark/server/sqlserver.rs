//! SQL Server.

use jasper::prelude::*;
use jasper::runtime::{Builder, Sending};
use jasper::store::sqlserver::{SqlServerConnection, tiberius};
use jasper::store::{Incoming, StoreError};
use serde::{Deserialize, Serialize};
use tiberius::{Config, Query, Row, ToSql};
use uuid::Uuid;

use super::handlers::{
    Application, Arrivals, FollowUp, Handled, NOTE, Runs, application, follow_up, row,
};
use super::raw::{BODY, DESTINATION, FOR_LATER, LEASED, MESSAGE_TYPE, UNOWNED, micros};
use super::{Database, RATES, RATIOS, TIMES};
use crate::Outcome;
use crate::report::Layout;

type DriverError = tiberius::error::Error;

#[derive(Clone)]
pub(crate) struct OnSqlServer(Config);

/// All is in one schema of the database: what is measured begins with it empty.
const SCHEMA: &str = "jasper_benchmark";

const TABLES_THERE: &str =
    "select name from sys.tables where schema_id = schema_id('jasper_benchmark')";

const DROP_SCHEMA: &str =
    "if schema_id('jasper_benchmark') is not null exec ('drop schema jasper_benchmark')";

const CREATE_SCHEMA: &str = "create schema jasper_benchmark";

const TABLES: &str = "\
create table jasper_benchmark.effects (
    n bigint identity(1, 1) not null primary key, note nvarchar(max) not null
);
create table jasper_benchmark.messages (
    id binary(16) not null primary key,
    destination nvarchar(200) not null,
    message_type nvarchar(200) not null,
    owner bigint not null,
    attempts bigint not null,
    sent_at bigint not null,
    body varbinary(max) not null
);
create index messages_unowned on jasper_benchmark.messages (owner, sent_at);";

const INSERT: &str = "\
insert into jasper_benchmark.messages
    (id, destination, message_type, owner, attempts, sent_at, body)
values ";

const EFFECT: &str = "insert into jasper_benchmark.effects (note) values (@P1)";

const TAKE: &str = "\
delete from jasper_benchmark.messages with (rowlock)
output deleted.id, deleted.body
from (
    select top (100) id as oldest from jasper_benchmark.messages with (updlock, readpast, rowlock)
    where owner = 0 order by sent_at
) picked
where jasper_benchmark.messages.id = picked.oldest and jasper_benchmark.messages.owner = 0";

const LEASE: &str = "\
update jasper_benchmark.messages with (rowlock)
set owner = @P1, attempts = attempts + 1
output inserted.id, inserted.body
from (
    select top (100) id as oldest from jasper_benchmark.messages with (updlock, readpast, rowlock)
    where owner = 0 order by sent_at
) picked
where jasper_benchmark.messages.id = picked.oldest and jasper_benchmark.messages.owner = 0";

const LEFT: &str = "select top (1) id from jasper_benchmark.messages where owner = 0";

const DELETE: &str = "delete from jasper_benchmark.messages where id";

impl Database for OnSqlServer {
    type Connection = SqlServerConnection;
    type Error = DriverError;

    const LAYOUT: Layout = Layout {
        conditions: "SQL Server with the durability of the database",
        rates: RATES,
        times: TIMES,
        moments: &[],
        ratios: RATIOS,
    };

    async fn create(url: &str, name: &str) -> Outcome<Self> {
        Self::remove(url, name).await?;
        let config = Config::from_ado_string(url)?;
        batch(&mut SqlServerConnection::connect(&config).await?, CREATE_SCHEMA).await?;
        Ok(Self(config))
    }

    async fn remove(url: &str, _name: &str) -> Outcome<()> {
        let config = Config::from_ado_string(url)?;
        let mut db = SqlServerConnection::connect(&config).await?;
        for row in rows(&mut db, TABLES_THERE, &[]).await? {
            let table: &str = row.get(0).unwrap_or_default();
            batch(&mut db, &format!("drop table {SCHEMA}.[{table}]")).await?;
        }
        Ok(batch(&mut db, DROP_SCHEMA).await?)
    }

    async fn connect(&self) -> Outcome<SqlServerConnection> {
        Ok(SqlServerConnection::connect(&self.0).await?)
    }

    async fn create_tables(db: &mut SqlServerConnection) -> Result<(), DriverError> {
        batch(db, TABLES).await
    }

    /// The server looks by itself, as soon as many rows have changed.
    async fn analyze(_db: &mut SqlServerConnection) -> Result<(), DriverError> {
        Ok(())
    }

    async fn insert(db: &mut SqlServerConnection, messages: &[Uuid]) -> Result<(), DriverError> {
        insert(db, messages, UNOWNED).await
    }

    async fn take(db: &mut SqlServerConnection) -> Result<usize, DriverError> {
        loop {
            let taken = rows(db, TAKE, &[]).await?.len();
            if taken > 0 || rows(db, LEFT, &[]).await?.is_empty() {
                return Ok(taken);
            }
        }
    }

    async fn lease(db: &mut SqlServerConnection) -> Result<Vec<Uuid>, DriverError> {
        let leased = rows(db, LEASE, &[&LEASED]).await?;
        let id = |row: &Row| row.get::<&[u8], _>(0).and_then(|id| Uuid::from_slice(id).ok());
        Ok(leased.iter().filter_map(id).collect())
    }

    async fn delete(db: &mut SqlServerConnection, messages: &[Uuid]) -> Result<(), DriverError> {
        let names: Vec<_> = (1..=messages.len()).map(|number| format!("@P{number}")).collect();
        let mut delete = Query::new(format!("{DELETE} in ({})", names.join(", ")));
        for message in messages {
            delete.bind(&message.as_bytes()[..]);
        }
        delete.execute(db).await.map(drop)
    }

    async fn handle(db: &mut SqlServerConnection, messages: &[Uuid]) -> Result<(), DriverError> {
        batch(db, "begin transaction").await?;
        for message in messages {
            effect(db, NOTE).await?;
            insert(db, &[Uuid::now_v7()], FOR_LATER).await?;
            db.execute(format!("{DELETE} = @P1"), &[&&message.as_bytes()[..]]).await?;
        }
        batch(db, "commit transaction").await
    }
}

async fn effect(db: &mut SqlServerConnection, note: &str) -> Result<(), DriverError> {
    db.execute(EFFECT, &[&note]).await.map(drop)
}

async fn open(database: &OnSqlServer) -> Result<SqlServerStore, StoreError> {
    SqlServerStore::builder().schema(SCHEMA).connect_with(database.0.clone()).await
}

async fn insert(
    db: &mut SqlServerConnection,
    messages: &[Uuid],
    owner: i64,
) -> Result<(), DriverError> {
    const COLUMNS: usize = 6;
    let names = |row: usize| {
        let name = |column| format!("@P{}", row * COLUMNS + column);
        let [id, destination, message_type, owner, sent_at, body] = [1, 2, 3, 4, 5, 6].map(name);
        format!("({id}, {destination}, {message_type}, {owner}, 0, {sent_at}, {body})")
    };
    let values: Vec<_> = (0..messages.len()).map(names).collect();
    let mut insert = Query::new(format!("{INSERT}{}", values.join(", ")));
    for message in messages {
        insert.bind(&message.as_bytes()[..]);
        insert.bind(DESTINATION);
        insert.bind(MESSAGE_TYPE);
        insert.bind(owner);
        insert.bind(micros());
        insert.bind(BODY);
    }
    insert.execute(db).await.map(drop)
}

async fn rows(
    db: &mut SqlServerConnection,
    statement: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<Row>, DriverError> {
    db.query(statement, values).await?.into_first_result().await
}

async fn batch(db: &mut SqlServerConnection, text: &str) -> Result<(), DriverError> {
    db.simple_query(text).await?.into_results().await.map(drop)
}

application! {
    OnSqlServer,
    SqlServerStore,
    SqlServerConnection,
    names: "sqlserver.write", "sqlserver.write-together", "sqlserver.begin",
}
