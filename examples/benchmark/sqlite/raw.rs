//! Hand-written loops over sqlx: the limits that jasper is held against.

use std::path::Path;
use std::time::Instant;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, query, raw_sql};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::Outcome;
use crate::report::percentile;

/// About what an order takes as JSON.
const BODY: &[u8] = &[b'x'; 250];

pub(crate) struct Database {
    options: SqliteConnectOptions,
}

impl Database {
    pub(crate) async fn create(file: &Path) -> Outcome<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut db = options.connect().await?;
        let schema = "create table effects (n integer primary key, note text not null);
            create table messages
                (id blob primary key, destination text not null, body blob not null)";
        raw_sql(schema).execute(&mut db).await?;
        Ok(Self { options })
    }

    /// Seconds of one commit that writes one row, p50.
    pub(crate) async fn commit_latency(&self, n: usize) -> Outcome<f64> {
        let mut db = self.options.connect().await?;
        let mut seconds = Vec::new();
        for _ in 0..n {
            let started = Instant::now();
            effect(&mut db).await?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok(percentile(seconds, 50))
    }

    /// Messages per second when each is written, handled with one business row and one follow-up,
    /// and both are deleted, this many to a transaction.
    pub(crate) async fn same_writes(&self, n: usize, each: usize) -> Outcome<f64> {
        let mut db = self.options.connect().await?;
        let started = Instant::now();
        for _ in 0..n / each {
            let mut tx = db.begin().await?;
            for _ in 0..each {
                let (message, follow_up) = (Uuid::now_v7(), Uuid::now_v7());
                insert(&mut tx, message).await?;
                effect(&mut tx).await?;
                insert(&mut tx, follow_up).await?;
                delete(&mut tx, message).await?;
                delete(&mut tx, follow_up).await?;
            }
            tx.commit().await?;
        }
        Ok((n / each * each) as f64 / started.elapsed().as_secs_f64())
    }

    /// Messages per second that many tasks store through one writer, which commits whatever waits.
    pub(crate) async fn group_commit(&self, n: usize, senders: usize) -> Outcome<f64> {
        let (to_writer, mut requests) = mpsc::channel::<(Uuid, oneshot::Sender<()>)>(1_024);
        let mut db = self.options.connect().await?;
        let writer = tokio::spawn(async move {
            let mut group = Vec::new();
            while requests.recv_many(&mut group, 256).await > 0 {
                let mut tx = db.begin().await?;
                for (id, _) in &group {
                    insert(&mut tx, *id).await?;
                }
                tx.commit().await?;
                for (_, done) in group.drain(..) {
                    done.send(()).map_err(|()| "a sender has gone")?;
                }
            }
            Outcome::Ok(())
        });
        let started = Instant::now();
        let tasks = (0..senders).map(|_| {
            let to_writer = to_writer.clone();
            tokio::spawn(async move {
                for _ in 0..n / senders {
                    let (done, stored) = oneshot::channel();
                    to_writer.send((Uuid::now_v7(), done)).await?;
                    stored.await?;
                }
                Outcome::Ok(())
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await??;
        }
        let rate = (n / senders * senders) as f64 / started.elapsed().as_secs_f64();
        drop(to_writer);
        writer.await??;
        Ok(rate)
    }
}

async fn insert(db: &mut SqliteConnection, id: Uuid) -> sqlx::Result<()> {
    let insert = query("insert into messages (id, destination, body) values (?, ?, ?)")
        .bind(&id.as_bytes()[..])
        .bind("local://place_order/place_order")
        .bind(BODY);
    insert.execute(db).await.map(drop)
}

async fn delete(db: &mut SqliteConnection, id: Uuid) -> sqlx::Result<()> {
    query("delete from messages where id = ?").bind(&id.as_bytes()[..]).execute(db).await.map(drop)
}

async fn effect(db: &mut SqliteConnection) -> sqlx::Result<()> {
    query("insert into effects (note) values (?)").bind("an order").execute(db).await.map(drop)
}
