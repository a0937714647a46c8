//! The MySQL store keeps every clause, on MariaDB.

#[path = "../mariadb_database.rs"]
mod mariadb_database;

use std::any::Any;

use jasper::store::MessageStore;
use jasper::store::mysql::MysqlStore;
use jasper::testing::conformance::{Effects, OwnTransaction, StoreFixture};
use sqlx::{AssertSqlSafe, MySql, MySqlConnection, Transaction};

use mariadb_database::Database;

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

struct Server;

impl StoreFixture for Server {
    type Store = MysqlStore;
    type Guard = Database;

    async fn open(&self) -> (MysqlStore, Database) {
        let database = Database::create().await;
        let store = MysqlStore::connect(database.url()).await.unwrap();
        store.admin().prepare().await.unwrap();
        sqlx::query("create table effects (number bigint not null)")
            .execute(store.pool())
            .await
            .unwrap();
        (store, database)
    }

    async fn open_unprepared(&self) -> Option<(MysqlStore, Database)> {
        let database = Database::create().await;
        Some((MysqlStore::connect(database.url()).await.unwrap(), database))
    }

    async fn execute(&self, store: &MysqlStore, script: &str) {
        let script = sqlx::raw_sql(AssertSqlSafe(script.to_owned()));
        script.execute(store.pool()).await.unwrap();
    }

    async fn reopen(&self, store: MysqlStore, database: &Database) -> Option<MysqlStore> {
        store.pool().close().await;
        drop(store);
        Some(MysqlStore::connect(database.url()).await.unwrap())
    }

    fn locks_rows(&self) -> bool {
        true
    }

    fn effects(&self) -> Option<&dyn Effects<MysqlStore>> {
        Some(self)
    }
}

impl Effects<MysqlStore> for Server {
    fn write<'a>(&'a self, connection: &'a mut (dyn Any + Send), number: i64) -> BoxFuture<'a, ()> {
        let connection: &mut MySqlConnection = connection.downcast_mut().unwrap();
        Box::pin(async move {
            sqlx::query("insert into effects (number) values (?)")
                .bind(number)
                .execute(connection)
                .await
                .unwrap();
        })
    }

    fn count<'a>(&'a self, store: &'a MysqlStore) -> BoxFuture<'a, u64> {
        Box::pin(async {
            let count: i64 = sqlx::query_scalar("select count(*) from effects")
                .fetch_one(store.pool())
                .await
                .unwrap();
            count.try_into().unwrap()
        })
    }

    fn begin<'a>(&'a self, store: &'a MysqlStore) -> BoxFuture<'a, Box<dyn OwnTransaction>> {
        Box::pin(async {
            let transaction = store.pool().begin().await.unwrap();
            Box::new(Own(transaction)) as Box<dyn OwnTransaction>
        })
    }
}

struct Own(Transaction<'static, MySql>);

impl OwnTransaction for Own {
    fn connection(&mut self) -> &mut (dyn Any + Send) {
        let connection: &mut MySqlConnection = &mut self.0;
        connection
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.commit().await.unwrap() })
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async { self.0.rollback().await.unwrap() })
    }
}

jasper::store_conformance!(Server);
