//! A database for one test alone, on the MariaDB server that all tests share.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tests::servers::mariadb_url;

/// Dropped on the server when this is dropped.
pub struct Database {
    name: String,
    url: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// A new, empty one.
    pub async fn create() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("jasper_test_{}_{number}", std::process::id());
        let mut connection = MySqlConnection::connect(&mariadb_url()).await.unwrap();
        // One that a test of the same number left when it was killed.
        let create = format!("drop database if exists {name}; create database {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Self { url: format!("{}{name}", mariadb_url()), name }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A transaction that is still open must not keep the test from ending.
        let drop_it =
            format!("set session lock_wait_timeout = 5; drop database if exists {}", self.name);
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut connection = MySqlConnection::connect(&mariadb_url()).await?;
                sqlx::raw_sql(AssertSqlSafe(drop_it)).execute(&mut connection).await
            })
        });
        drop(dropped.join());
    }
}
