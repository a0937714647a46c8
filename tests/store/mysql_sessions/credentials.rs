//! Credentials that are renewed while the store works.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, MySqlConnection};

use super::database::{LEASE, Shop, Touch, touch};

/// Ends all sessions of this user.
async fn end_sessions(db: &mut MySqlConnection, user: &str) {
    let select = "select cast(id as signed) from information_schema.processlist where user = ?";
    let sessions: Vec<i64> =
        sqlx::query_scalar(select).bind(user).fetch_all(&mut *db).await.unwrap();
    for session in sessions {
        let kill = AssertSqlSafe(format!("kill connection {session}"));
        // One that has ended by itself is not there.
        let _ = sqlx::raw_sql(kill).execute(&mut *db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_renewed_in_one_place_reach_every_connection() {
    let shop = Shop::open().await;
    let name = shop.url.rsplit('/').next().unwrap();
    let user = format!("c{}", std::process::id());
    shop.execute(&format!(
        "create user {user} identified by 'first'; grant all on {name}.* to {user}"
    ))
    .await;
    let url = shop.url.replace("root@", &format!("{user}:first@"));
    let store = MysqlStore::connect(&url).await.unwrap();
    let app = Jasper::builder()
        .store(store.clone())
        .lease(LEASE)
        .state(shop.journal.clone())
        .handler(touch)
        .start()
        .await
        .unwrap();
    app.bus().send(Touch { id: 1, millis: 0 }).await.unwrap();
    app.until_idle().await.unwrap();

    shop.execute(&format!("alter user {user} identified by 'second'")).await;
    end_sessions(&mut shop.connect().await, &user).await;
    let renewed: MySqlConnectOptions = url.replace(":first@", ":second@").parse().unwrap();
    store.pool().set_connect_options(renewed.charset("latin1"));

    // Of what was reported before, nothing may come again: connections that have ended are found
    // out.
    let sends = async {
        while app.bus().send(Touch { id: 2, millis: 0 }).deduplicate("2").await.is_err() {
            // Real time: there is no signal for when all of them are found out.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), sends).await.expect("new connections are opened");
    app.until_idle().await.unwrap();
    assert_eq!(shop.effects().await, [1, 2]);
    store.admin().prepare().await.unwrap();
    // Once one is asked for after that, the user's own have what the store relies on, too.
    let charset: String = sqlx::query_scalar("select @@character_set_connection")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(charset, "utf8mb4");
    // Real time: it is to last for more than a lease, which the database counts.
    tokio::time::sleep(2 * LEASE).await;
    assert_eq!(store.nodes().alive().await.unwrap().len(), 1);
    app.stop().await.unwrap();
    shop.execute(&format!("drop user {user}")).await;
}
