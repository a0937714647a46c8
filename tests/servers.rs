//! The servers and the proxy that other tests rely on.

use std::time::Duration;

use sqlx::{Connection, MySqlConnection, PgConnection};
use tests::servers::{Server, mariadb_url, postgres_url};

async fn ask_postgres(url: &str) -> sqlx::Result<i32> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query_scalar("select 1").fetch_one(&mut connection).await
}

async fn ask_mariadb(url: &str) -> sqlx::Result<i32> {
    let mut connection = MySqlConnection::connect(url).await?;
    sqlx::query_scalar("select 1").fetch_one(&mut connection).await
}

/// Long enough for an answer that comes, short enough to wait for one that does not.
const PATIENCE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn the_shared_servers_answer() {
    assert_eq!(ask_postgres(&postgres_url()).await.unwrap(), 1);
    assert_eq!(ask_mariadb(&mariadb_url()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_postgres_server_crashes_freezes_and_answers_again() {
    let server = Server::postgres().await;
    let mut before = PgConnection::connect(server.url()).await.unwrap();
    sqlx::query("create table kept (id int)").execute(&mut before).await.unwrap();

    server.restart_immediately().await;
    sqlx::query("select 1").execute(&mut before).await.expect_err("that server is gone");
    let mut after = PgConnection::connect(server.url()).await.unwrap();
    sqlx::query("insert into kept values (1)").execute(&mut after).await.unwrap();

    server.freeze().await;
    let answer = sqlx::query("select 1").execute(&mut after);
    tokio::time::timeout(PATIENCE, answer).await.expect_err("nothing answers");
    tokio::time::timeout(PATIENCE, ask_postgres(server.url())).await.expect_err("nobody listens");
    server.thaw().await;
    assert_eq!(ask_postgres(server.url()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_mariadb_server_crashes_freezes_and_answers_again() {
    let server = Server::mariadb().await;
    let mut before = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::query("create database kept").execute(&mut before).await.unwrap();

    server.restart_immediately().await;
    sqlx::query("select 1").execute(&mut before).await.expect_err("that server is gone");
    let mut after = MySqlConnection::connect(&format!("{}kept", server.url())).await.unwrap();

    server.freeze().await;
    let answer = sqlx::query("select 1").execute(&mut after);
    tokio::time::timeout(PATIENCE, answer).await.expect_err("nothing answers");
    tokio::time::timeout(PATIENCE, ask_mariadb(server.url())).await.expect_err("nobody listens");
    server.thaw().await;
    assert_eq!(ask_mariadb(server.url()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_dropped_server_is_gone_even_if_it_is_frozen() {
    let server = Server::mariadb().await;
    let url = server.url().to_owned();
    server.freeze().await;
    drop(server);
    ask_mariadb(&url).await.expect_err("nobody listens");
}
