//! The servers and the proxy that other tests rely on.

use std::time::Duration;

use sqlx::{Connection, Executor, MySqlConnection, PgConnection};
use tests::Seed;
use tests::proxy::{Chance, Lost, Moment, Proxy};
use tests::servers::{Server, mariadb_url, postgres_url, rabbitmq_url};

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
    ask_rabbitmq(&rabbitmq_url()).await.unwrap();
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

async fn ask_rabbitmq(url: &str) -> lapin::Result<()> {
    let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default());
    connection.await?.create_channel().await.map(drop)
}

#[tokio::test]
async fn a_rabbitmq_broker_stops_freezes_and_answers_again() {
    let server = Server::rabbitmq().await;
    ask_rabbitmq(server.url()).await.unwrap();
    assert!(server.control(&["list_vhosts"]).await.contains('/'));
    server.freeze().await;
    let answer = tokio::time::timeout(PATIENCE, ask_rabbitmq(server.url()));
    answer.await.expect_err("nothing answers");
    server.thaw().await;
    ask_rabbitmq(server.url()).await.unwrap();
    server.stop().await;
    ask_rabbitmq(server.url()).await.expect_err("nobody listens");
    server.start_again().await;
    ask_rabbitmq(server.url()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_is_gone_even_if_it_is_frozen() {
    let server = Server::mariadb().await;
    let url = server.url().to_owned();
    server.freeze().await;
    drop(server);
    ask_mariadb(&url).await.expect_err("nobody listens");
}

/// A table of its own in the shared PostgreSQL, by way of the proxy.
async fn postgres_table(proxy: &Proxy) -> (PgConnection, String) {
    let mut connection = PgConnection::connect(&proxy.url(&postgres_url())).await.unwrap();
    let table = format!("cut_{}", uuid::Uuid::now_v7().simple());
    let schema = format!("create table {table} (id int primary key)");
    connection.execute(sqlx::AssertSqlSafe(schema)).await.unwrap();
    (connection, table)
}

async fn insert_into_postgres(
    connection: &mut PgConnection,
    table: &str,
    id: i32,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    let insert = sqlx::AssertSqlSafe(format!("insert into {table} values ($1)"));
    sqlx::query(insert).bind(id).execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn postgres_ids(table: &str) -> Vec<i32> {
    let mut connection = PgConnection::connect(&postgres_url()).await.unwrap();
    let select = sqlx::AssertSqlSafe(format!("select id from {table} order by id"));
    sqlx::query_scalar(select).fetch_all(&mut connection).await.unwrap()
}

async fn drop_from_postgres(table: &str) {
    let mut connection = PgConnection::connect(&postgres_url()).await.unwrap();
    let drop = sqlx::AssertSqlSafe(format!("drop table {table}"));
    connection.execute(drop).await.unwrap();
}

#[tokio::test]
async fn a_commit_to_postgres_is_cut_after_it_is_done() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let (mut connection, table) = postgres_table(&proxy).await;
    insert_into_postgres(&mut connection, &table, 1).await.unwrap();
    assert_eq!(proxy.cuts(), 0);

    proxy.cut_commits(Chance::Always(Moment::Answered));
    let inserted = insert_into_postgres(&mut connection, &table, 2).await;
    inserted.expect_err("the answer to the commit is lost");
    assert_eq!((proxy.cuts(), postgres_ids(&table).await), (1, vec![1, 2]));

    proxy.cut_nothing();
    let mut connection = PgConnection::connect(&proxy.url(&postgres_url())).await.unwrap();
    insert_into_postgres(&mut connection, &table, 3).await.unwrap();
    assert_eq!(postgres_ids(&table).await, [1, 2, 3]);
    drop_from_postgres(&table).await;
}

/// What the client knows to be committed is there; the rest may be.
#[tokio::test]
async fn commits_to_postgres_are_cut_by_chance() {
    let seed = Seed::from_env();
    println!("{seed}");
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let (mut connection, table) = postgres_table(&proxy).await;
    proxy.cut_commits(Chance::Sometimes { probability: 0.5, seed });
    let mut failed = 0;
    let mut heard = Vec::new();
    for id in 0..60 {
        if insert_into_postgres(&mut connection, &table, id).await.is_ok() {
            heard.push(id);
        } else {
            failed += 1;
            connection = PgConnection::connect(&proxy.url(&postgres_url())).await.unwrap();
        }
    }
    assert_eq!(proxy.cuts(), failed);
    assert!((10..50).contains(&failed), "{failed} of 60");
    let ids = postgres_ids(&table).await;
    assert!(heard.iter().all(|id| ids.contains(id)), "heard of {heard:?}, found {ids:?}");
    drop_from_postgres(&table).await;
}

#[tokio::test]
async fn a_commit_to_mariadb_is_cut_after_it_is_done() {
    let proxy = Proxy::in_front_of(&mariadb_url()).await;
    let database = format!("cut_{}", uuid::Uuid::now_v7().simple());
    let mut direct = MySqlConnection::connect(&mariadb_url()).await.unwrap();
    let schema =
        format!("create database {database}; create table {database}.kept (id int primary key)");
    direct.execute(sqlx::AssertSqlSafe(schema)).await.unwrap();
    let url = format!("{}{database}", proxy.url(&mariadb_url()));

    for id in 1..=2 {
        let mut connection = MySqlConnection::connect(&url).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let insert = sqlx::query("insert into kept values (?)").bind(id);
        insert.execute(&mut *transaction).await.unwrap();
        let committed = transaction.commit().await;
        assert_eq!(committed.is_err(), id == 2, "only the answer to the second is lost");
        proxy.cut_commits(Chance::Always(Moment::Answered));
    }
    let select = sqlx::AssertSqlSafe(format!("select id from {database}.kept order by id"));
    let ids: Vec<i32> = sqlx::query_scalar(select).fetch_all(&mut direct).await.unwrap();
    assert_eq!((proxy.cuts(), ids), (1, vec![1, 2]));
    let drop = sqlx::AssertSqlSafe(format!("drop database {database}"));
    direct.execute(drop).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_cut_after_the_bytes_that_are_meant() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let (mut connection, table) = postgres_table(&proxy).await;
    let is_insert = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"insert");
    proxy.cut_after(is_insert, Chance::Always(Moment::Answered));
    let insert = format!("insert into {table} values (1)");
    let inserted = connection.execute(sqlx::AssertSqlSafe(insert)).await;
    inserted.expect_err("the answer is lost");
    assert_eq!((proxy.cuts(), postgres_ids(&table).await), (1, vec![1]));
    drop_from_postgres(&table).await;
}

#[tokio::test]
async fn a_paused_proxy_forwards_later_what_it_holds() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let mut connection = PgConnection::connect(&proxy.url(&postgres_url())).await.unwrap();
    proxy.pause();
    let answer = connection.execute("select 1");
    tokio::pin!(answer);
    tokio::time::timeout(PATIENCE, &mut answer).await.expect_err("nothing passes");
    proxy.resume();
    answer.await.unwrap();
}

#[tokio::test]
async fn all_connections_are_cut_and_new_ones_are_welcome() {
    let proxy = Proxy::in_front_of(&mariadb_url()).await;
    let url = proxy.url(&mariadb_url());
    let mut first = MySqlConnection::connect(&url).await.unwrap();
    let mut second = MySqlConnection::connect(&url).await.unwrap();
    proxy.cut_all();
    first.execute("select 1").await.expect_err("it is cut");
    second.execute("select 1").await.expect_err("it is cut");
    assert_eq!(ask_mariadb(&url).await.unwrap(), 1);
    assert_eq!(proxy.cuts(), 0, "only cuts by the rule count");
}

#[tokio::test]
async fn a_connection_falls_silent_at_its_commit_and_the_next_does_not() {
    for lost in [Lost::Request, Lost::Answer] {
        let proxy = Proxy::in_front_of(&postgres_url()).await;
        let (mut connection, table) = postgres_table(&proxy).await;
        proxy.swallow_commits(lost, 1);
        let inserted = insert_into_postgres(&mut connection, &table, 1);
        tokio::time::timeout(PATIENCE, inserted).await.expect_err("nothing answers");
        assert_eq!((proxy.swallowed(), proxy.cuts()), (1, 0));
        let expected: &[i32] = if lost == Lost::Answer { &[1] } else { &[] };
        assert_eq!(postgres_ids(&table).await, expected);

        let mut next = PgConnection::connect(&proxy.url(&postgres_url())).await.unwrap();
        insert_into_postgres(&mut next, &table, 2).await.unwrap();
        // The server still holds the locks of a connection that is silent.
        proxy.cut_all();
        drop_from_postgres(&table).await;
    }
}

#[tokio::test]
async fn open_connections_fall_silent_and_new_ones_are_welcome() {
    let proxy = Proxy::in_front_of(&mariadb_url()).await;
    let url = proxy.url(&mariadb_url());
    let mut before = MySqlConnection::connect(&url).await.unwrap();
    proxy.swallow_all();
    let answer = before.execute("select 1");
    tokio::time::timeout(PATIENCE, answer).await.expect_err("nothing answers");
    assert_eq!(ask_mariadb(&url).await.unwrap(), 1);
}

#[tokio::test]
async fn a_slow_network_takes_its_time_both_ways() {
    let proxy = Proxy::in_front_of(&postgres_url()).await;
    let mut connection = PgConnection::connect(&proxy.url(&postgres_url())).await.unwrap();
    let delay = Duration::from_millis(100);
    proxy.delay(delay);
    let start = std::time::Instant::now();
    connection.execute("select 1").await.unwrap();
    assert!(start.elapsed() >= 2 * delay, "{:?}", start.elapsed());
}
