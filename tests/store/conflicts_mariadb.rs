//! A handler's transaction that meets another one runs again and costs no attempt, in bounds: on
//! MariaDB.

#[path = "conflicts/stage.rs"]
mod stage;

use std::sync::Arc;

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, MySqlConnection, raw_sql};
use tests::servers::new_mariadb_database;

use stage::{AppError, Runs, Stage, UNCOUNTED, Wrap};

/// Fails with this statement in its first runs.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.meet")]
struct Meet {
    sql: String,
    times: u64,
    wrap: Wrap,
}

#[handler(queue = "mariadb", attempts = 1)]
#[durable]
async fn on_mariadb(
    cmd: Meet,
    db: &mut MySqlConnection,
    runs: State<Arc<Runs>>,
) -> Result<(), AppError<sqlx::Error>> {
    let Meet { sql, times, wrap } = cmd;
    let of = format!("{sql}{}", wrap as u8);
    let sql = if runs.count(&of) <= times { sql } else { "select 1".to_owned() };
    let done = raw_sql(AssertSqlSafe(sql)).execute(db).await;
    done.map(drop).map_err(|error| wrap.around(error))
}

async fn mariadb() -> Stage<MysqlStore> {
    let url = new_mariadb_database("conflicts").await;
    Stage::start(MysqlStore::connect(&url).await.unwrap(), |app| app).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_costs_no_attempt_within_bounds() {
    let stage = mariadb().await;
    let signal = |number| {
        format!("signal sqlstate '40001' set mysql_errno = {number}, message_text = 'met another'")
    };
    for number in [1213, 1205, 1020] {
        for wrap in [Wrap::Transparent, Wrap::Within, Wrap::Shared] {
            let meet = Meet { sql: signal(number), times: 2, wrap };
            stage.app.bus().send(meet).await.unwrap();
        }
    }
    assert_eq!(stage.letters().await, []);
    for number in [1213, 1062] {
        let meet = Meet { sql: signal(number), times: u64::MAX, wrap: Wrap::Within };
        stage.app.bus().send(meet).await.unwrap();
    }
    assert_eq!(stage.letters().await.len(), 2);
    // Of the first of these there were three runs before.
    assert_eq!(stage.runs.of(&format!("{}1", signal(1213))), 3 + UNCOUNTED + 1);
    assert_eq!(stage.runs.of(&format!("{}1", signal(1062))), 1, "no other error is a conflict");
    stage.app.stop().await.unwrap();
}
