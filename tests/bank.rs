//! The bank of the examples while its nodes are killed, again and again, at random moments.

#[path = "bank/crashes.rs"]
mod crashes;
#[path = "bank/program.rs"]
mod program;
#[path = "bank/recovery.rs"]
mod recovery;

use std::time::Duration;

use crashes::Crashes;
use program::Bank;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, query};
use tempfile::TempDir;
use tests::Seed;

fn sqlite(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("bank.db").display())
}

#[tokio::test]
async fn on_sqlite_fifty_kills_lose_no_transfer_and_do_none_twice() {
    let folder = TempDir::new().unwrap();
    let lease = Duration::from_secs(2);
    let crashes = Crashes { url: sqlite(&folder), nodes: 1, kills: 50, lease };
    crashes.run(Seed::from_env()).await;
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
        assert!(bank.send(100).output().await.unwrap().status.success());
        bank.check().await.unwrap();
        let file = SqliteConnectOptions::new().filename(folder.path().join("bank.db"));
        query(tampering).execute(&mut file.connect().await.unwrap()).await.unwrap();
        let complaints = bank.check().await.unwrap_err();
        assert!(complaints.contains(complaint), "{tampering}: {complaints}");
    }
}
