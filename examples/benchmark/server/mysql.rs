//! MariaDB and MySQL.

use jasper::prelude::*;
use jasper::runtime::{Builder, Sending};
use jasper::store::{Incoming, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{
    AssertSqlSafe, Connection, MySql, MySqlConnection, QueryBuilder, query, query_as, raw_sql,
};
use uuid::Uuid;

use super::handlers::{
    Application, Arrivals, FollowUp, Handled, NOTE, Runs, application, follow_up, row,
};
use super::raw::{BODY, DESTINATION, FOR_LATER, LEASED, MESSAGE_TYPE, UNOWNED, micros};
use super::{Database, RATES, RATIOS, TIMES};
use crate::Outcome;
use crate::report::Layout;

#[derive(Clone)]
pub(crate) struct OnMysql(MySqlConnectOptions);

const TABLES: &str = "\
create table effects (n bigint auto_increment primary key, note text not null);
create table messages (
    id binary(16) primary key,
    destination varchar(200) not null,
    message_type varchar(200) not null,
    owner bigint not null,
    attempts bigint not null,
    sent_at bigint not null,
    body mediumblob not null,
    key unowned (owner, sent_at)
);";

const INSERT: &str =
    "insert into messages (id, destination, message_type, owner, attempts, sent_at, body) ";

const OLDEST: &str = "\
select id, body from messages where owner = 0 order by sent_at limit 100 for update skip locked";

impl Database for OnMysql {
    type Connection = MySqlConnection;
    type Error = sqlx::Error;

    const LAYOUT: Layout = Layout {
        conditions: "MariaDB or MySQL with the durability of the server",
        rates: RATES,
        times: TIMES,
        moments: &[],
        ratios: RATIOS,
    };

    async fn create(url: &str, name: &str) -> Outcome<Self> {
        Self::remove(url, name).await?;
        let options: MySqlConnectOptions = url.parse()?;
        let mut db = MySqlConnection::connect_with(&options).await?;
        raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut db).await?;
        Ok(Self(options.database(name)))
    }

    async fn remove(url: &str, name: &str) -> Outcome<()> {
        let mut db = MySqlConnection::connect(url).await?;
        let drop = format!("drop database if exists {name}");
        raw_sql(AssertSqlSafe(drop)).execute(&mut db).await?;
        Ok(())
    }

    /// As queues are worked off in this database: no gaps are locked.
    async fn connect(&self) -> Outcome<MySqlConnection> {
        let mut db = MySqlConnection::connect_with(&self.0).await?;
        let isolation = "set session transaction isolation level read committed";
        raw_sql(isolation).execute(&mut db).await?;
        Ok(db)
    }

    async fn create_tables(db: &mut MySqlConnection) -> sqlx::Result<()> {
        raw_sql(TABLES).execute(db).await.map(drop)
    }

    async fn analyze(db: &mut MySqlConnection) -> sqlx::Result<()> {
        raw_sql("analyze table messages").fetch_all(db).await.map(drop)
    }

    async fn insert(db: &mut MySqlConnection, messages: &[Uuid]) -> sqlx::Result<()> {
        insert(db, messages, UNOWNED).await
    }

    async fn take(db: &mut MySqlConnection) -> sqlx::Result<usize> {
        let mut transaction = db.begin().await?;
        let oldest = oldest(&mut transaction).await?;
        if !oldest.is_empty() {
            let mut delete = QueryBuilder::<MySql>::new("delete from messages where id in ");
            push_list(&mut delete, &oldest);
            delete.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(oldest.len())
    }

    async fn lease(db: &mut MySqlConnection) -> sqlx::Result<Vec<Uuid>> {
        let mut transaction = db.begin().await?;
        let oldest = oldest(&mut transaction).await?;
        if !oldest.is_empty() {
            let mut update = QueryBuilder::<MySql>::new("update messages set owner = ");
            update.push_bind(LEASED).push(", attempts = attempts + 1 where id in ");
            push_list(&mut update, &oldest);
            update.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(oldest)
    }

    async fn delete(db: &mut MySqlConnection, messages: &[Uuid]) -> sqlx::Result<()> {
        let mut delete = QueryBuilder::<MySql>::new("delete from messages where id in (");
        let mut ids = delete.separated(", ");
        for message in messages {
            ids.push_bind(message);
        }
        delete.push(")").build().execute(db).await.map(drop)
    }

    async fn handle(db: &mut MySqlConnection, messages: &[Uuid]) -> sqlx::Result<()> {
        let mut transaction = db.begin().await?;
        for message in messages {
            effect(&mut transaction, NOTE).await?;
            insert(&mut transaction, &[Uuid::now_v7()], FOR_LATER).await?;
            let delete = query("delete from messages where id = ?").bind(message);
            delete.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

async fn effect(db: &mut MySqlConnection, note: &str) -> sqlx::Result<()> {
    query("insert into effects (note) values (?)").bind(note).execute(db).await.map(drop)
}

async fn open(database: &OnMysql) -> Result<MysqlStore, StoreError> {
    MysqlStore::connect_with(database.0.clone()).await
}

async fn insert(db: &mut MySqlConnection, messages: &[Uuid], owner: i64) -> sqlx::Result<()> {
    let mut insert = QueryBuilder::<MySql>::new(INSERT);
    insert.push_values(messages, |mut row, message| {
        row.push_bind(*message).push_bind(DESTINATION).push_bind(MESSAGE_TYPE).push_bind(owner);
        row.push_bind(0).push_bind(micros()).push_bind(BODY);
    });
    insert.build().execute(db).await.map(drop)
}

async fn oldest(db: &mut MySqlConnection) -> sqlx::Result<Vec<Uuid>> {
    let rows: Vec<(Uuid, Vec<u8>)> = query_as(OLDEST).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(id, _body)| id).collect())
}

fn push_list(statement: &mut QueryBuilder<MySql>, messages: &[Uuid]) {
    statement.push("(");
    let mut list = statement.separated(", ");
    for message in messages {
        list.push_bind(*message);
    }
    statement.push(")");
}

application! {
    OnMysql,
    MysqlStore,
    MySqlConnection,
    names: "mysql.write", "mysql.write-together", "mysql.begin",
}
