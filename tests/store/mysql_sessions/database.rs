//! A database of one test alone, with what handlers change and what the server can say of it.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tests::Journal;
use tests::servers::{Server, new_mariadb_database};

/// Short, so that what takes some leases is over soon.
pub const LEASE: Duration = Duration::from_secs(2);

/// Adds one to a balance that all share, and says so while it still runs.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "sessions.touch")]
pub struct Touch {
    pub id: i64,
    /// For how long it goes on.
    pub millis: u64,
}

#[handler(queue = "touch", timeout = "2s")]
#[durable]
pub async fn touch(
    cmd: Touch,
    db: &mut MySqlConnection,
    journal: State<Journal>,
) -> sqlx::Result<()> {
    sqlx::query("update accounts set balance = balance + 1").execute(&mut *db).await?;
    let effect = sqlx::query("insert into effects values (?)").bind(cmd.id);
    effect.execute(&mut *db).await?;
    journal.note(format!("touched {}", cmd.id));
    // Real time: it is a transaction that takes long.
    tokio::time::sleep(Duration::from_millis(cmd.millis)).await;
    sqlx::query("update accounts set balance = balance + 0").execute(db).await.map(drop)
}

pub struct Shop {
    pub url: String,
    pub journal: Journal,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_at(new_mariadb_database("sessions").await).await
    }

    /// On a server that a test may crash.
    pub async fn open_on(server: &Server) -> Self {
        let mut connection = MySqlConnection::connect(server.url()).await.unwrap();
        sqlx::raw_sql("create database sessions").execute(&mut connection).await.unwrap();
        Self::open_at(format!("{}sessions", server.url())).await
    }

    async fn open_at(url: String) -> Self {
        let shop = Self { url, journal: Journal::default() };
        shop.store().await;
        // No unique key on `effects`: what took effect twice would show.
        shop.execute(
            "create table accounts (balance bigint not null);
             insert into accounts values (0);
             create table effects (id bigint not null)",
        )
        .await;
        shop
    }

    /// As another process would open it.
    pub async fn store(&self) -> MysqlStore {
        let store = MysqlStore::connect(&self.url).await.unwrap();
        store.admin().prepare().await.unwrap();
        store
    }

    /// Apart from any store.
    pub async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url).await.unwrap()
    }

    pub async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut self.connect().await).await.unwrap();
    }

    pub async fn effects(&self) -> Vec<i64> {
        let select = sqlx::query_scalar("select id from effects order by id");
        select.fetch_all(&mut self.connect().await).await.unwrap()
    }

    /// How many sessions of this database execute a statement with this in it right now.
    pub async fn executing(&self, part: &str) -> i64 {
        let count = "select count(*) from information_schema.processlist
            where db = database() and id <> connection_id() and info like concat('%', ?, '%')";
        let count = sqlx::query_scalar(count).bind(part);
        count.fetch_one(&mut self.connect().await).await.unwrap()
    }
}

/// Waits until it is so.
pub async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waits = async {
        while !is_so().await {
            // Real time: the server gives no sign of it.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waits).await;
    assert!(waited.is_ok(), "not within half a minute: {what}");
}
