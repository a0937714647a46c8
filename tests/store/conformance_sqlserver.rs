//! The SQL Server store keeps every clause.

#[path = "../sqlserver_schema.rs"]
mod sqlserver_schema;

use std::any::Any;
use std::sync::Mutex;

use jasper::store::MessageStore;
use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore, Transaction};
use jasper::testing::conformance::{Effects, OwnTransaction, StoreFixture};

use sqlserver_schema::{Schema, connect, execute, number};

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// With the table of effects of its test.
#[derive(Default)]
struct Server {
    effects: Mutex<String>,
}

impl Server {
    fn table(&self) -> String {
        self.effects.lock().unwrap().clone()
    }
}

impl StoreFixture for Server {
    type Store = SqlServerStore;
    type Guard = Schema;

    async fn open(&self) -> (SqlServerStore, Schema) {
        let schema = Schema::new();
        let store = schema.store().await;
        store.admin().prepare().await.unwrap();
        let effects = format!("[{}].effects", schema.name());
        let create = format!("create table {effects} (number bigint not null)");
        execute(&mut connect().await, &create).await;
        *self.effects.lock().unwrap() = effects;
        (store, schema)
    }

    async fn open_unprepared(&self) -> Option<(SqlServerStore, Schema)> {
        let schema = Schema::new();
        Some((schema.store().await, schema))
    }

    async fn execute(&self, store: &SqlServerStore, script: &str) {
        execute(&mut store.pool().acquire().await.unwrap(), script).await;
    }

    async fn reopen(&self, store: SqlServerStore, schema: &Schema) -> Option<SqlServerStore> {
        drop(store);
        Some(schema.store().await)
    }

    fn locks_rows(&self) -> bool {
        true
    }

    fn effects(&self) -> Option<&dyn Effects<SqlServerStore>> {
        Some(self)
    }
}

impl Effects<SqlServerStore> for Server {
    fn write<'a>(&'a self, connection: &'a mut (dyn Any + Send), number: i64) -> BoxFuture<'a, ()> {
        let connection: &mut SqlServerConnection = connection.downcast_mut().unwrap();
        Box::pin(async move {
            let insert = format!("insert into {} (number) values (@P1)", self.table());
            connection.execute(insert, &[&number]).await.unwrap();
        })
    }

    fn count<'a>(&'a self, store: &'a SqlServerStore) -> BoxFuture<'a, u64> {
        Box::pin(async {
            let mut connection = store.pool().acquire().await.unwrap();
            let count = format!("select count_big(*) from {}", self.table());
            number(&mut connection, &count).await.try_into().unwrap()
        })
    }

    fn begin<'a>(&'a self, store: &'a SqlServerStore) -> BoxFuture<'a, Box<dyn OwnTransaction>> {
        Box::pin(async {
            let transaction = store.pool().begin().await.unwrap();
            Box::new(Own(transaction)) as Box<dyn OwnTransaction>
        })
    }
}

struct Own(Transaction<'static>);

impl OwnTransaction for Own {
    fn connection(&mut self) -> &mut (dyn Any + Send) {
        let connection: &mut SqlServerConnection = &mut self.0;
        connection
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.commit().await.unwrap() })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.rollback().await.unwrap() })
    }
}

/// `tests/run` leaves them out by this name where there is no server.
mod on_sqlserver {
    use super::*;

    jasper::store_conformance!(Server::default());
}
