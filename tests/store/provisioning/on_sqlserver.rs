//! The same on SQL Server. `tests/run` leaves it out by this name where there is no server.

use std::time::Duration;

use jasper::store::sqlserver::tiberius::{AuthMethod, Config};
use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore};
use jasper::store::{MessageStore, StoreError};
use tests::servers::sqlserver_connection_string;

use super::sqlserver_schema::{Schema, connect, execute, number};
use super::{
    an_application_clears_its_messages, an_empty_database_is_refused, nodes_go_on_after_a_rebuild,
    nodes_that_start_at_once_all_work,
};

#[tokio::test]
async fn nodes_start_at_once() {
    let schema = Schema::new();
    nodes_that_start_at_once_all_work(async || schema.store().await).await;
}

#[tokio::test]
async fn nodes_go_on_after_a_rebuild_and_an_application_clears_its_messages() {
    let schema = Schema::new();
    nodes_go_on_after_a_rebuild(async || schema.store().await).await;
    an_application_clears_its_messages(schema.store().await).await;
}

#[tokio::test]
async fn a_start_that_only_checks_leaves_all_as_it_is() {
    let schema = Schema::new();
    an_empty_database_is_refused(schema.store().await).await;
    let schemas = format!("select count_big(*) from sys.schemas where name = '{}'", schema.name());
    assert_eq!(number(&mut connect().await, &schemas).await, 0);
}

#[tokio::test]
async fn what_the_user_has_beside_the_tables_outlives_a_rebuild() {
    let schema = Schema::new();
    let store = schema.store().await;
    store.admin().prepare().await.unwrap();
    let mut connection = connect().await;
    let table = format!("[{}].orders", schema.name());
    let create =
        format!("create table {table} (id bigint not null); insert into {table} (id) values (7)");
    execute(&mut connection, &create).await;
    store.admin().rebuild().await.unwrap();
    store.admin().clear().await.unwrap();
    assert_eq!(number(&mut connection, &format!("select max(id) from {table}")).await, 7);
}

/// A login that may use the schema with these rights, and no more. It goes with the test.
struct Login {
    name: String,
    rights: &'static str,
    connection: SqlServerConnection,
}

const PASSWORD: &str = "Only-4-this-test";

impl Login {
    async fn create(schema: &Schema, rights: &'static str) -> Self {
        let name = format!("worker_{}", schema.name());
        let mut connection = connect().await;
        for batch in [
            format!("create login {name} with password = '{PASSWORD}'"),
            format!("create user {name} for login {name}"),
            format!("grant {rights} on schema::[{}] to {name}", schema.name()),
        ] {
            execute(&mut connection, &batch).await;
        }
        Self { name, rights, connection }
    }

    async fn store(&self, schema: &Schema) -> SqlServerStore {
        let config = Config::from_ado_string(&sqlserver_connection_string());
        let mut config = config.expect("`JASPER_TEST_SQLSERVER` is in ADO form");
        config.authentication(AuthMethod::sql_server(&self.name, PASSWORD));
        SqlServerStore::builder().schema(schema.name()).connect_with(config).await.unwrap()
    }

    async fn drop(mut self, schema: &Schema) {
        let Self { name, rights, connection } = &mut self;
        let revoke = format!("revoke {rights} on schema::[{}] from {name}", schema.name());
        execute(connection, &revoke).await;
        execute(connection, &format!("drop user {name}")).await;
        execute(connection, &format!("drop login {name}")).await;
    }
}

fn assert_refused(done: Result<(), StoreError>) {
    let error = done.unwrap_err();
    assert!(error.to_string().contains("permission"), "{error}");
    assert!(!error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_login_without_the_right_is_refused_and_nothing_is_done() {
    let schema = Schema::new();
    let store = schema.store().await;
    store.admin().prepare().await.unwrap();
    store.nodes().join("before", Duration::from_secs(60), &[]).await.unwrap();
    let login = Login::create(&schema, "select").await;
    let worker = login.store(&schema).await;
    worker.admin().check().await.unwrap();
    assert_refused(worker.admin().rebuild().await);
    assert_refused(worker.admin().clear().await);
    let older = format!("delete from [{}].jasper_migrations", schema.name());
    execute(&mut connect().await, &older).await;
    assert_refused(worker.admin().prepare().await);
    assert_eq!(store.nodes().alive().await.unwrap().len(), 1, "all is as before");
    drop(worker);
    login.drop(&schema).await;
}
