//! A schema for one test alone, on the SQL Server that all tests share.

use jasper::store::sqlserver::tiberius::{self, Config};
use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore};
use tests::servers::sqlserver_connection_string;

/// Dropped on the server when this is dropped, with all that is in it.
#[derive(Debug)]
pub struct Schema {
    name: String,
}

impl Schema {
    /// A name that no other test has, also none that was killed and has left its schema.
    pub fn new() -> Self {
        Self { name: format!("test_{}", uuid::Uuid::now_v7().simple()) }
    }

    /// Its name, which needs no quotes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A store in it.
    pub async fn store(&self) -> SqlServerStore {
        let builder = SqlServerStore::builder().schema(&self.name);
        builder.connect(&sqlserver_connection_string()).await.expect("the server answers")
    }
}

/// A connection to the shared server.
pub async fn connect() -> SqlServerConnection {
    let config = Config::from_ado_string(&sqlserver_connection_string());
    let config = config.expect("`JASPER_TEST_SQLSERVER` is in ADO form");
    SqlServerConnection::connect(&config).await.expect("the server answers")
}

/// Executes a batch.
pub async fn execute(connection: &mut SqlServerConnection, batch: &str) {
    let done = connection.simple_query(batch).await.expect("the server takes it");
    done.into_results().await.unwrap_or_else(|error| panic!("{batch}: {error}"));
}

/// The number that a query answers with.
pub async fn number(connection: &mut SqlServerConnection, query: &str) -> i64 {
    let answer = connection.simple_query(query).await.expect("the server takes it");
    let row = answer.into_row().await.expect("the server answers").expect("there is a row");
    row.get(0).expect("it is a number")
}

/// Its tables, and then the schema itself.
async fn drop_schema(schema: &str) -> tiberius::Result<()> {
    let config = Config::from_ado_string(&sqlserver_connection_string())?;
    let mut connection = SqlServerConnection::connect(&config).await?;
    let tables = format!(
        "set lock_timeout 5000; select name from sys.tables where schema_id = schema_id('{schema}')"
    );
    let tables = connection.simple_query(tables).await?.into_first_result().await?;
    for row in tables {
        let table: &str = row.get(0).unwrap_or_default();
        let drop_table = format!("drop table [{schema}].[{table}]");
        connection.simple_query(drop_table).await?.into_results().await?;
    }
    let drop_schema = format!("drop schema if exists [{schema}]");
    connection.simple_query(drop_schema).await?.into_results().await.map(drop)
}

impl Drop for Schema {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // It harms no other test.
            if let Err(error) = runtime.unwrap().block_on(drop_schema(&name)) {
                eprintln!("the schema `{name}` is left on the server: {error}");
            }
        });
        drop(dropped.join());
    }
}
