//! The PostgreSQL store keeps every clause.

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};

use jasper::store::MessageStore;
use jasper::store::postgres::PostgresStore;
use jasper::testing::conformance::{Effects, OwnTransaction, StoreFixture};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A schema of its own for each store, in one database.
struct Schema;

struct Guard {
    schema: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Guard {
    fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { schema: format!("conformance_{}_{number}", std::process::id()) }
    }

    /// The user's own table lies in the same schema, and is found on the search path.
    async fn open(&self) -> PostgresStore {
        let options: PgConnectOptions = url().parse().unwrap();
        let options = options.options([("search_path", &self.schema)]);
        let builder = PostgresStore::builder().schema(&self.schema).connections(8);
        builder.connect_with(options).await.unwrap()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let drop_schema = format!("drop schema if exists {} cascade", self.schema);
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut connection = PgConnection::connect(&url()).await?;
                sqlx::raw_sql(AssertSqlSafe(drop_schema)).execute(&mut connection).await
            })
        });
        drop(dropped.join());
    }
}

fn url() -> String {
    std::env::var("JASPER_TEST_POSTGRES").expect("JASPER_TEST_POSTGRES names a database")
}

impl StoreFixture for Schema {
    type Store = PostgresStore;
    type Guard = Guard;

    async fn open(&self) -> (PostgresStore, Guard) {
        let guard = Guard::new();
        let store = guard.open().await;
        store.admin().prepare().await.unwrap();
        sqlx::query("create table effects (number bigint not null)")
            .execute(store.pool())
            .await
            .unwrap();
        (store, guard)
    }

    async fn reopen(&self, store: PostgresStore, guard: &Guard) -> Option<PostgresStore> {
        store.pool().close().await;
        drop(store);
        Some(guard.open().await)
    }

    fn effects(&self) -> Option<&dyn Effects<PostgresStore>> {
        Some(self)
    }
}

impl Effects<PostgresStore> for Schema {
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

jasper::store_conformance!(Schema);
