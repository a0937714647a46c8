//! The PostgreSQL store keeps every clause.

#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::any::Any;

use jasper::store::postgres::PostgresStore;
use jasper::testing::conformance::{Effects, OwnTransaction, StoreFixture};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use postgres_schema::Schema;

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A schema of its own for each store, in one database.
struct Database {
    /// How many runs may share a transaction.
    share: u32,
}

impl StoreFixture for Database {
    type Store = PostgresStore;
    type Guard = Schema;

    async fn open(&self) -> (PostgresStore, Schema) {
        let (store, schema) = Schema::open().await;
        sqlx::query("create table effects (number bigint not null)")
            .execute(store.pool())
            .await
            .unwrap();
        (store, schema)
    }

    async fn open_unprepared(&self) -> Option<(PostgresStore, Schema)> {
        let schema = Schema::new();
        Some((schema.connect().await, schema))
    }

    async fn execute(&self, store: &PostgresStore, script: &str) {
        let script = sqlx::raw_sql(AssertSqlSafe(script.to_owned()));
        script.execute(store.pool()).await.unwrap();
    }

    async fn reopen(&self, store: PostgresStore, schema: &Schema) -> Option<PostgresStore> {
        store.pool().close().await;
        drop(store);
        Some(schema.connect().await)
    }

    fn share(&self) -> u32 {
        self.share
    }

    fn locks_rows(&self) -> bool {
        true
    }

    fn effects(&self) -> Option<&dyn Effects<PostgresStore>> {
        Some(self)
    }
}

impl Effects<PostgresStore> for Database {
    fn write<'a>(&'a self, connection: &'a mut (dyn Any + Send), number: i64) -> BoxFuture<'a, ()> {
        let connection: &mut PgConnection = connection.downcast_mut().unwrap();
        Box::pin(async move {
            sqlx::query("insert into effects (number) values ($1)")
                .bind(number)
                .execute(connection)
                .await
                .unwrap();
        })
    }

    fn count<'a>(&'a self, store: &'a PostgresStore) -> BoxFuture<'a, u64> {
        Box::pin(async {
            let count: i64 = sqlx::query_scalar("select count(*) from effects")
                .fetch_one(store.pool())
                .await
                .unwrap();
            count.try_into().unwrap()
        })
    }

    fn begin<'a>(&'a self, store: &'a PostgresStore) -> BoxFuture<'a, Box<dyn OwnTransaction>> {
        Box::pin(async {
            let transaction = store.pool().begin().await.unwrap();
            Box::new(Own(transaction)) as Box<dyn OwnTransaction>
        })
    }
}

struct Own(Transaction<'static, Postgres>);

impl OwnTransaction for Own {
    fn connection(&mut self) -> &mut (dyn Any + Send) {
        let connection: &mut PgConnection = &mut self.0;
        connection
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.commit().await.unwrap() })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.rollback().await.unwrap() })
    }
}

jasper::store_conformance!(Database { share: 1 });

mod shared {
    use super::*;

    jasper::store_conformance!(Database { share: 50 });
}
