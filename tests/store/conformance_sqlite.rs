//! The SQLite store keeps every clause.

use std::any::Any;
use std::path::PathBuf;

use jasper::store::MessageStore;
use jasper::store::sqlite::SqliteStore;
use jasper::testing::conformance::{Effects, OwnTransaction, StoreFixture};
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, Transaction};
use tempfile::TempDir;

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

struct File;

impl StoreFixture for File {
    type Store = SqliteStore;
    type Guard = TempDir;

    async fn open(&self) -> (SqliteStore, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(path(&directory)).await.unwrap();
        store.admin().prepare().await.unwrap();
        sqlx::query("create table effects (number integer not null)")
            .execute(store.pool())
            .await
            .unwrap();
        (store, directory)
    }

    async fn open_unprepared(&self) -> Option<(SqliteStore, TempDir)> {
        let directory = tempfile::tempdir().unwrap();
        Some((SqliteStore::open(path(&directory)).await.unwrap(), directory))
    }

    async fn execute(&self, store: &SqliteStore, script: &str) {
        let script = sqlx::raw_sql(AssertSqlSafe(script.to_owned()));
        script.execute(store.pool()).await.unwrap();
    }

    async fn reopen(&self, store: SqliteStore, directory: &TempDir) -> Option<SqliteStore> {
        store.pool().close().await;
        drop(store);
        Some(SqliteStore::open(path(directory)).await.unwrap())
    }

    fn effects(&self) -> Option<&dyn Effects<SqliteStore>> {
        Some(self)
    }
}

impl Effects<SqliteStore> for File {
    fn write<'a>(&'a self, connection: &'a mut (dyn Any + Send), number: i64) -> BoxFuture<'a, ()> {
        let connection: &mut SqliteConnection = connection.downcast_mut().unwrap();
        Box::pin(async move {
            sqlx::query("insert into effects (number) values (?)")
                .bind(number)
                .execute(connection)
                .await
                .unwrap();
        })
    }

    fn count<'a>(&'a self, store: &'a SqliteStore) -> BoxFuture<'a, u64> {
        Box::pin(async {
            sqlx::query_scalar("select count(*) from effects")
                .fetch_one(store.pool())
                .await
                .unwrap()
        })
    }

    fn begin<'a>(&'a self, store: &'a SqliteStore) -> BoxFuture<'a, Box<dyn OwnTransaction>> {
        Box::pin(async {
            let transaction = store.pool().begin().await.unwrap();
            Box::new(Own(transaction)) as Box<dyn OwnTransaction>
        })
    }
}

struct Own(Transaction<'static, Sqlite>);

impl OwnTransaction for Own {
    fn connection(&mut self) -> &mut (dyn Any + Send) {
        let connection: &mut SqliteConnection = &mut self.0;
        connection
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.commit().await.unwrap() })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.rollback().await.unwrap() })
    }
}

fn path(directory: &TempDir) -> PathBuf {
    directory.path().join("conformance.db")
}

jasper::store_conformance!(File);
