//! A schema of one test alone, in the database that all share. It goes with the test.

use jasper::store::MessageStore;
use jasper::store::postgres::PostgresStore;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::servers::postgres_url;

pub struct Schema {
    pub name: String,
}

impl Schema {
    pub fn new() -> Self {
        // A test that is killed leaves its schema, so no number of a process will do.
        Self { name: format!("test_{}", uuid::Uuid::now_v7().simple()) }
    }

    /// A store with the tables in it, and the schema that has to live as long.
    pub async fn open() -> (PostgresStore, Self) {
        let schema = Self::new();
        let store = schema.connect().await;
        store.admin().prepare().await.unwrap();
        (store, schema)
    }

    pub async fn connect(&self) -> PostgresStore {
        self.connect_to(&postgres_url()).await
    }

    /// Tables of the user's own lie in the same schema, and are found on the search path.
    pub async fn connect_to(&self, url: &str) -> PostgresStore {
        let options: PgConnectOptions = url.parse().unwrap();
        let options = options.options([("search_path", &self.name)]);
        let builder = PostgresStore::builder().schema(&self.name).connections(8);
        builder.connect_with(options).await.unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop_schema = format!("drop schema if exists {} cascade", self.name);
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut connection = PgConnection::connect(&postgres_url()).await?;
                sqlx::raw_sql(AssertSqlSafe(drop_schema)).execute(&mut connection).await
            })
        });
        // What is left of a test that failed hurts no other.
        drop(dropped.join());
    }
}
