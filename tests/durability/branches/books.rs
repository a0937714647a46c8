//! The databases of both branches, and what stands in them.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sqlx::{Connection, PgConnection, query_as, query_scalar};
use tempfile::TempDir;
use tests::servers::new_postgres_database;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{LIMIT, Side};

/// Two databases, and what the payer was told.
pub struct Books {
    folder: TempDir,
    urls: [String; 2],
}

impl Books {
    pub async fn open() -> Self {
        let urls = [new_postgres_database("payer").await, new_postgres_database("payee").await];
        Self { folder: TempDir::new().unwrap(), urls }
    }

    fn accepted(&self) -> PathBuf {
        self.folder.path().join("accepted")
    }

    /// The program of a branch that listens there and reaches the other here.
    pub fn command(&self, side: Side, listen: &str, other: &str, rate: u32) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_branch"));
        command.arg(["payer", "payee"][side as usize]).arg(&self.urls[side as usize]);
        command.args([listen, other]);
        if side == Side::Payer {
            command.arg(self.accepted()).arg(rate.to_string());
        }
        command
    }

    /// When such an effect was first there after this time.
    pub async fn first_after(&self, leg: &str, time: SystemTime) -> SystemTime {
        const FIRST: &str = "select min(at) from effects where leg = $1 and at > $2";
        let side = if leg == "credit" { Side::Payee } else { Side::Payer };
        let mut db = PgConnection::connect(&self.urls[side as usize]).await.unwrap();
        let micros = |time: SystemTime| {
            i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()).unwrap()
        };
        let first = async {
            loop {
                let first = query_scalar::<_, Option<i64>>(FIRST).bind(leg).bind(micros(time));
                if let Some(at) = first.fetch_one(&mut db).await.unwrap() {
                    return SystemTime::UNIX_EPOCH + Duration::from_micros(at.unsigned_abs());
                }
                // Real time: another process does the work.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, first).await.expect("messages flow in time")
    }

    /// How many rows wait in inboxes and outboxes.
    async fn waiting(&self) -> i64 {
        const WAITING: &str = "select (select count(*) from jasper.jasper_incoming \
                               where status <> 'handled') \
                               + (select count(*) from jasper.jasper_outgoing)";
        let mut sum = 0;
        for url in &self.urls {
            let mut db = PgConnection::connect(url).await.unwrap();
            sum += query_scalar::<_, i64>(WAITING).fetch_one(&mut db).await.unwrap();
        }
        sum
    }

    /// Waits until all is done.
    pub async fn settle(&self) {
        let done = async {
            // Between the two databases there is no moment for both.
            let mut quiet = 0;
            while quiet < 3 {
                // Real time: other processes do the work.
                tokio::time::sleep(Duration::from_millis(100)).await;
                quiet = if self.waiting().await == 0 { quiet + 1 } else { 0 };
            }
        };
        timeout(LIMIT, done).await.expect("all is done in time");
    }

    /// Looks at the books; says how many transfers there were.
    pub async fn check(&self) -> Result<usize, String> {
        let (mut legs, mut sum) = (HashMap::<i64, [u32; 3]>::new(), 0);
        for url in &self.urls {
            let mut db = PgConnection::connect(url).await.unwrap();
            let effects: Vec<(i64, String)> =
                query_as("select id, leg from effects").fetch_all(&mut db).await.unwrap();
            for (id, leg) in effects {
                let leg = ["debit", "credit", "confirm"].iter().position(|name| *name == leg);
                legs.entry(id).or_default()[leg.unwrap()] += 1;
            }
            let balance = query_scalar::<_, i64>("select sum(balance)::bigint from accounts");
            sum += balance.fetch_one(&mut db).await.unwrap();
            let letters: i64 = query_scalar("select count(*) from jasper.jasper_dead_letters")
                .fetch_one(&mut db)
                .await
                .unwrap();
            if letters > 0 {
                return Err(format!("{letters} dead letters"));
            }
        }
        let accepted: Vec<i64> = fs::read_to_string(self.accepted())
            .unwrap()
            .lines()
            .map(|id| id.parse().unwrap())
            .collect();
        let lost = accepted.iter().filter(|id| !legs.contains_key(id)).count();
        let wrong: Vec<_> = legs.iter().filter(|(_, legs)| **legs != [1, 1, 1]).take(5).collect();
        match (lost, wrong.is_empty(), sum) {
            (0, true, 0) => Ok(accepted.len()),
            _ => Err(format!("{lost} lost, sum {sum}, and these are wrong: {wrong:?}")),
        }
    }
}
