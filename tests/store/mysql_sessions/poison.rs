//! Handlers that harm their own transaction cost their message its attempts, and others nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, MySqlConnection};
use tokio::time::timeout;

use super::database::{Shop, Touch, touch};

const STUCK: Duration = Duration::from_secs(60);

const ATTEMPTS: u64 = 3;

/// How often each poison ran.
type Runs = Arc<Mutex<BTreeMap<String, u64>>>;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sessions.poison")]
struct Poison {
    sql: String,
}

#[handler(queue = "poison", attempts = 3, delays = ["10ms"])]
#[durable]
async fn poison(cmd: Poison, db: &mut MySqlConnection, runs: State<Runs>) -> sqlx::Result<()> {
    *runs.lock().unwrap().entry(cmd.sql.clone()).or_default() += 1;
    sqlx::query("insert into effects values (-1)").execute(&mut *db).await?;
    sqlx::raw_sql(AssertSqlSafe(cmd.sql)).execute(db).await.map(drop)
}

const POISONS: [&str; 5] = [
    "kill connection_id()",
    "kill query connection_id()",
    "signal sqlstate '45000' set message_text = 'not today'",
    "rollback; lock tables effects read",
    "rollback; set session transaction read only; start transaction",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_handlers_own_session_costs_an_attempt() {
    let shop = Shop::open().await;
    let runs = Runs::default();
    let store = shop.store().await;
    let app = Jasper::builder()
        .store(store.clone())
        .state(shop.journal.clone())
        .state(Arc::clone(&runs))
        .handler(poison)
        .handler(touch)
        .start()
        .await
        .unwrap();
    for sql in POISONS {
        app.bus().send(Poison { sql: sql.to_owned() }).await.unwrap();
    }
    for id in 0..50 {
        app.bus().send(Touch { id, millis: 0 }).await.unwrap();
    }
    let idle = async {
        loop {
            app.until_idle().await.unwrap();
            let counts = store.admin().counts().await.unwrap();
            if counts.scheduled + counts.incoming == 0 {
                return;
            }
            // Real time: the delays of the handler.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(STUCK, idle).await.expect("it becomes idle");
    let runs = runs.lock().unwrap().clone();
    for sql in POISONS {
        assert_eq!(runs[sql], ATTEMPTS, "{sql}: {runs:?}");
    }
    assert_eq!(store.admin().counts().await.unwrap().dead_letters, POISONS.len() as u64);
    assert_eq!(shop.effects().await, (0..50).collect::<Vec<_>>());
    app.stop().await.unwrap();
}
