//! PostgreSQL.

use jasper::prelude::*;
use jasper::runtime::{Builder, Sending};
use jasper::store::{Incoming, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, query, query_scalar, raw_sql};
use uuid::Uuid;

use super::handlers::{
    Application, Arrivals, FollowUp, Handled, NOTE, Runs, application, follow_up, row,
};
use super::raw::{BATCH, BODY, DESTINATION, FOR_LATER, LEASED, MESSAGE_TYPE, UNOWNED, micros};
use super::{Database, GOALS, RATES, TIMES};
use crate::Outcome;
use crate::report::Layout;

#[derive(Clone)]
pub(crate) struct OnPostgres(PgConnectOptions);

const TABLES: &str = "\
create table effects (n bigint generated always as identity primary key, note text not null);
create table messages (
    id uuid primary key,
    destination text not null,
    message_type text not null,
    owner bigint not null,
    attempts bigint not null,
    sent_at bigint not null,
    body bytea not null
);
create index messages_unowned on messages (sent_at) where owner = 0;";

const INSERT: &str = "\
insert into messages (id, destination, message_type, owner, attempts, sent_at, body)
values ($1, $2, $3, $4, 0, $5, $6)";

const INSERT_MANY: &str = "\
insert into messages (id, destination, message_type, owner, attempts, sent_at, body)
select id, destination, message_type, $4, 0, sent_at, body
from unnest($1::uuid[], $2::text[], $3::text[], $5::bigint[], $6::bytea[])
    as message (id, destination, message_type, sent_at, body)";

const TAKE: &str = "\
delete from messages where id = any (array(
    select id from messages where owner = 0 order by sent_at limit 100 for update skip locked
)) returning body";

const LEASE: &str = "\
update messages set owner = $1, attempts = attempts + 1 where id = any (array(
    select id from messages where owner = 0 order by sent_at limit 100 for update skip locked
)) returning id, body";

impl Database for OnPostgres {
    type Connection = PgConnection;
    type Error = sqlx::Error;

    const LAYOUT: Layout = Layout {
        conditions: "PostgreSQL with the durability of the server",
        rates: RATES,
        times: TIMES,
        moments: &[],
        ratios: GOALS,
    };

    async fn create(url: &str, name: &str) -> Outcome<Self> {
        Self::remove(url, name).await?;
        let options: PgConnectOptions = url.parse()?;
        let mut db = PgConnection::connect_with(&options).await?;
        raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut db).await?;
        Ok(Self(options.database(name)))
    }

    async fn remove(url: &str, name: &str) -> Outcome<()> {
        let mut db = PgConnection::connect(url).await?;
        let drop = format!("drop database if exists {name} with (force)");
        raw_sql(AssertSqlSafe(drop)).execute(&mut db).await?;
        Ok(())
    }

    async fn connect(&self) -> Outcome<PgConnection> {
        Ok(PgConnection::connect_with(&self.0).await?)
    }

    async fn create_tables(db: &mut PgConnection) -> sqlx::Result<()> {
        raw_sql(TABLES).execute(db).await.map(drop)
    }

    async fn analyze(db: &mut PgConnection) -> sqlx::Result<()> {
        raw_sql("analyze messages").execute(db).await.map(drop)
    }

    async fn insert(db: &mut PgConnection, messages: &[Uuid]) -> sqlx::Result<()> {
        match messages {
            [message] => insert(db, *message, UNOWNED).await,
            _ => insert_many(db, messages).await,
        }
    }

    async fn take(db: &mut PgConnection) -> sqlx::Result<usize> {
        let bodies: Vec<Vec<u8>> = query_scalar(TAKE).fetch_all(db).await?;
        Ok(bodies.len())
    }

    async fn lease(db: &mut PgConnection) -> sqlx::Result<Vec<Uuid>> {
        query_scalar(LEASE).bind(LEASED).fetch_all(db).await
    }

    async fn delete(db: &mut PgConnection, messages: &[Uuid]) -> sqlx::Result<()> {
        query("delete from messages where id = any ($1)").bind(messages).execute(db).await.map(drop)
    }

    async fn handle(db: &mut PgConnection, messages: &[Uuid]) -> sqlx::Result<()> {
        let mut transaction = db.begin().await?;
        for message in messages {
            effect(&mut transaction, NOTE).await?;
            insert(&mut transaction, Uuid::now_v7(), FOR_LATER).await?;
            let delete = query("delete from messages where id = $1").bind(message);
            delete.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

async fn effect(db: &mut PgConnection, note: &str) -> sqlx::Result<()> {
    query("insert into effects (note) values ($1)").bind(note).execute(db).await.map(drop)
}

async fn open(database: &OnPostgres) -> Result<PostgresStore, StoreError> {
    PostgresStore::connect_with(database.0.clone()).await
}

async fn insert(db: &mut PgConnection, id: Uuid, owner: i64) -> sqlx::Result<()> {
    let insert = query(INSERT).bind(id).bind(DESTINATION).bind(MESSAGE_TYPE).bind(owner);
    insert.bind(micros()).bind(BODY).execute(db).await.map(drop)
}

async fn insert_many(db: &mut PgConnection, messages: &[Uuid]) -> sqlx::Result<()> {
    let insert = query(INSERT_MANY)
        .bind(messages)
        .bind([DESTINATION; BATCH])
        .bind([MESSAGE_TYPE; BATCH])
        .bind(UNOWNED);
    insert.bind([micros(); BATCH]).bind([BODY; BATCH]).execute(db).await.map(drop)
}

application! {
    OnPostgres,
    PostgresStore,
    PgConnection,
    names: "postgres.write", "postgres.write-together", "postgres.begin",
}
