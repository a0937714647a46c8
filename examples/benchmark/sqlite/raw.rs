//! Hand-written loops on one thread: the least that the database costs, without a driver's thread
//! in between. They are the limits that jasper is held against.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, Transaction, params};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::Outcome;
use crate::report::percentile;

/// About what an order takes as JSON.
pub(super) const BODY: &[u8] = &[b'x'; 250];

pub(super) const DESTINATION: &str = "local://place_order/place_order";

/// Rows of one claim.
const BATCH: i64 = 100;

pub(crate) struct Database {
    file: PathBuf,
}

impl Database {
    pub(crate) fn create(file: &Path) -> Outcome<Self> {
        let database = Self { file: file.to_owned() };
        database.connect()?.execute_batch(
            "create table effects (n integer primary key, note text not null);
            create table messages
                (id blob primary key, destination text not null, body blob not null,
                 owner integer not null default 0)",
        )?;
        Ok(database)
    }

    fn connect(&self) -> Outcome<Connection> {
        let db = Connection::open(&self.file)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", "full")?;
        Ok(db)
    }

    /// Seconds of one commit that writes one row, p50.
    pub(crate) fn commit_latency(&self, n: usize) -> Outcome<f64> {
        let db = self.connect()?;
        let mut seconds = Vec::new();
        for _ in 0..n {
            let started = Instant::now();
            effect(&db)?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok(percentile(seconds, 50))
    }

    /// Messages per second when each is written, handled with one business row and one follow-up,
    /// and both are deleted, this many to a transaction.
    pub(crate) fn same_writes(&self, n: usize, each: usize) -> Outcome<f64> {
        let mut db = self.connect()?;
        let started = Instant::now();
        for _ in 0..n / each {
            let tx = db.transaction()?;
            for _ in 0..each {
                let (message, follow_up) = (Uuid::now_v7(), Uuid::now_v7());
                insert(&tx, message)?;
                effect(&tx)?;
                insert(&tx, follow_up)?;
                delete(&tx, message.as_bytes())?;
                delete(&tx, follow_up.as_bytes())?;
            }
            tx.commit()?;
        }
        Ok((n / each * each) as f64 / started.elapsed().as_secs_f64())
    }

    /// Messages per second of a backlog that is made its own and then deleted, by hundreds, with a
    /// transaction for each of the two.
    pub(crate) fn claimed_and_deleted(&self, n: usize) -> Outcome<f64> {
        let mut db = self.connect()?;
        let tx = db.transaction()?;
        for _ in 0..n {
            insert(&tx, Uuid::now_v7())?;
        }
        tx.commit()?;
        let (started, mut all) = (Instant::now(), 0);
        loop {
            let claimed = claim(&db)?;
            if claimed.is_empty() {
                return Ok(all as f64 / started.elapsed().as_secs_f64());
            }
            let tx = db.transaction()?;
            for (id, _destination, _body) in &claimed {
                delete(&tx, id)?;
            }
            tx.commit()?;
            all += claimed.len();
        }
    }

    /// Messages per second that many tasks store through one thread that writes, which commits
    /// whatever waits.
    pub(crate) async fn group_commit(&self, n: usize, senders: usize) -> Outcome<f64> {
        let (to_writer, requests) = mpsc::channel::<Request>(1_024);
        let db = self.connect()?;
        let writer = tokio::task::spawn_blocking(move || write(db, requests));
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

/// A message to store, and who waits until it is.
type Request = (Uuid, oneshot::Sender<()>);

fn write(mut db: Connection, mut requests: mpsc::Receiver<Request>) -> Outcome<()> {
    let mut group = Vec::new();
    while requests.blocking_recv_many(&mut group, 256) > 0 {
        let tx = db.transaction()?;
        for (id, _) in &group {
            insert(&tx, *id)?;
        }
        tx.commit()?;
        for (_, done) in group.drain(..) {
            done.send(()).map_err(|()| "a sender has gone")?;
        }
    }
    Ok(())
}

/// Its id, destination and body.
type Message = (Vec<u8>, String, Vec<u8>);

fn claim(db: &Connection) -> Outcome<Vec<Message>> {
    let mut claim = db.prepare_cached(
        "update messages set owner = 1 where id in
            (select id from messages where owner = 0 order by id limit ?)
        returning id, destination, body",
    )?;
    let rows = claim.query_map([BATCH], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn insert(db: &Transaction<'_>, id: Uuid) -> Outcome<()> {
    let insert = "insert into messages (id, destination, body) values (?, ?, ?)";
    let values = params![id.as_bytes(), DESTINATION, BODY];
    db.prepare_cached(insert)?.execute(values)?;
    Ok(())
}

fn delete(db: &Transaction<'_>, id: &[u8]) -> Outcome<()> {
    db.prepare_cached("delete from messages where id = ?")?.execute([id])?;
    Ok(())
}

fn effect(db: &Connection) -> Outcome<()> {
    db.prepare_cached("insert into effects (note) values (?)")?.execute(["an order"])?;
    Ok(())
}
