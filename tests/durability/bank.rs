//! The bank of the examples while its nodes are killed or frozen, again and again, at random
//! moments.

#[path = "bank/crashes.rs"]
mod crashes;
#[path = "bank/program.rs"]
mod program;
#[path = "bank/recovery.rs"]
mod recovery;
#[expect(dead_code, reason = "the bank makes its own tables")]
#[path = "../sqlserver_schema.rs"]
mod sqlserver_schema;

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use crashes::{Crashes, Mishap};
use program::Bank;
use sqlserver_schema::Schema;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, query};
use tempfile::TempDir;
use tests::Seed;
use tests::servers::{new_mariadb_database, new_postgres_database, sqlserver_connection_string};

fn sqlite(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("bank.db").display())
}

/// What is the same for all databases.
fn crashes(url: String, nodes: usize, kills: usize) -> Crashes {
    let lease = Duration::from_secs(2);
    let apart = Duration::from_millis(100);
    let mishap = Mishap::Kill;
    // How many transfers each node sends in a second.
    let rate = from_env("JASPER_RATE", 100);
    Crashes { url, nodes, kills, lease, apart, jitter: 0.9, rate, mishap, harms: 0 }
}

/// The same, frozen instead of killed: as often as `JASPER_FREEZES` says, each node with as many
/// messages as `JASPER_HARMS` says whose handler harms its own transaction.
fn freezes(url: String) -> Crashes {
    let lease = Duration::from_millis(from_env("JASPER_LEASE", 2_000));
    let crashes = crashes(url, 3, from_env("JASPER_FREEZES", 3));
    // Of every kind, beside the transfers.
    let harms = from_env("JASPER_HARMS", 10);
    Crashes { lease, mishap: Mishap::Freeze, harms, ..crashes }
}

#[tokio::test]
async fn on_sqlite_kills_lose_no_transfer_and_do_none_twice() {
    let folder = TempDir::new().unwrap();
    let crashes = Crashes { rate: 2_000, ..crashes(sqlite(&folder), 1, kills(25)) };
    crashes.run(Seed::from_env()).await;
}

#[tokio::test]
async fn on_postgres_kills_of_three_nodes_lose_no_transfer_and_do_none_twice() {
    let url = new_postgres_database("bank").await;
    crashes(url, 3, kills(40)).run(Seed::from_env()).await;
}

#[tokio::test]
async fn on_mariadb_kills_of_three_nodes_lose_no_transfer_and_do_none_twice() {
    let url = new_mariadb_database("bank").await;
    crashes(url, 3, kills(25)).run(Seed::from_env()).await;
}

/// `tests/run` leaves it out by this name where there is no server.
mod on_sqlserver {
    use super::*;

    #[tokio::test]
    async fn ten_kills_lose_no_transfer_and_do_none_twice() {
        let schema = Schema::new();
        let url = format!("sqlserver:{};{}", schema.name(), sqlserver_connection_string());
        let crashes = crashes(url, 2, kills(10));
        let (lease, apart) = (Duration::from_secs(6), Duration::from_secs(2));
        Crashes { lease, apart, rate: 20, ..crashes }.run(Seed::from_env()).await;
    }

    #[tokio::test]
    async fn nodes_that_freeze_until_others_have_done_their_work_double_nothing() {
        let schema = Schema::new();
        let url = format!("sqlserver:{};{}", schema.name(), sqlserver_connection_string());
        let lease = Duration::from_millis(from_env("JASPER_LEASE", 6_000));
        let crashes = Crashes { lease, nodes: 2, ..freezes(url) };
        let apart = Duration::from_secs(2);
        Crashes { apart, rate: 5, ..crashes }.run(Seed::from_env()).await;
    }
}

/// With so much time between the kills that no process is killed that has just taken the work over,
/// what is printed is how long it takes. `JASPER_LEASE` gives another lease, in milliseconds.
#[tokio::test]
async fn the_work_of_a_killed_node_goes_on_after_its_lease() {
    let url = new_postgres_database("bank").await;
    let lease = Duration::from_millis(from_env("JASPER_LEASE", 2_000));
    let apart = lease * 2;
    let crashes = crashes(url, 3, kills(4));
    let crashes = Crashes { lease, apart, jitter: 0.25, rate: 200, ..crashes };
    crashes.run(Seed::from_env()).await;
}

#[tokio::test]
async fn on_postgres_nodes_that_freeze_until_others_have_done_their_work_double_nothing() {
    freezes(new_postgres_database("bank").await).run(Seed::from_env()).await;
}

#[tokio::test]
async fn on_mariadb_nodes_that_freeze_until_others_have_done_their_work_double_nothing() {
    freezes(new_mariadb_database("bank").await).run(Seed::from_env()).await;
}

/// As many as `JASPER_KILLS` says, for longer runs.
fn kills(usual: usize) -> usize {
    from_env("JASPER_KILLS", usual)
}

fn from_env<N: FromStr<Err: Debug>>(variable: &str, usual: N) -> N {
    std::env::var(variable).map_or(usual, |number| number.parse().expect("a number"))
}

#[tokio::test]
async fn what_is_lost_or_done_twice_does_show() {
    for (tampering, complaint) in [
        ("delete from effects where id = 7 and leg = 'credit'", "lost                 1"),
        ("delete from effects where id = 7", "lost                 1"),
        ("insert into effects select * from effects where id = 7", "double               1"),
        ("update accounts set balance = balance + 1 where id = 7", "100001, of 100000"),
    ] {
        let folder = TempDir::new().unwrap();
        let bank = Bank::new(&sqlite(&folder), folder.path());
        bank.setup().await;
        assert!(bank.send(0, 100).output().await.unwrap().status.success());
        bank.check().await.unwrap();
        let file = SqliteConnectOptions::new().filename(folder.path().join("bank.db"));
        query(tampering).execute(&mut file.connect().await.unwrap()).await.unwrap();
        let complaints = bank.check().await.unwrap_err();
        assert!(complaints.contains(complaint), "{tampering}: {complaints}");
    }
}
