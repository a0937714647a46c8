//! The tables of a test, and what came of them.

use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore};
use tests::Journal;

use super::database::{Tables, direct, open};
use super::sqlserver_schema::{Schema, connect, execute};

pub struct Shop {
    pub tables: Tables,
    pub journal: Journal,
    _schema: Schema,
}

impl Shop {
    pub async fn open() -> Self {
        let schema = Schema::new();
        let tables = Tables(schema.name().to_owned());
        let shop = Self { tables, journal: Journal::default(), _schema: schema };
        shop.store().await;
        // No unique key on `effects`: what took effect twice would show.
        shop.execute(
            "create table {schema}.accounts (balance bigint not null);
             insert into {schema}.accounts values (0);
             create table {schema}.gate (balance bigint not null);
             insert into {schema}.gate values (0);
             create table {schema}.effects (id bigint not null)",
        )
        .await;
        shop
    }

    /// As another process would open it.
    pub async fn store(&self) -> SqlServerStore {
        open(&self.tables, direct()).await
    }

    pub async fn execute(&self, text: &str) {
        self.execute_on(&mut connect().await, text).await;
    }

    pub async fn execute_on(&self, connection: &mut SqlServerConnection, text: &str) {
        execute(connection, &self.tables.statement(text)).await;
    }

    /// Waits for a lock on the accounts, and not for long.
    pub async fn reach_accounts(&self) {
        let update = "set lock_timeout 2000; update {schema}.accounts set balance = 7";
        self.execute(update).await;
    }

    pub async fn effects(&self) -> Vec<i64> {
        let select = self.tables.statement("select id from {schema}.effects order by id");
        let mut connection = connect().await;
        let answer = connection.simple_query(select).await.unwrap();
        let rows = answer.into_first_result().await.unwrap();
        rows.iter().map(|row| row.get(0).unwrap()).collect()
    }
}
