//! Hand-written loops over the driver: the limits that jasper is held against.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use super::Database;
use crate::Outcome;
use crate::report::percentile;

/// About what an order takes as JSON, with what an envelope says of it.
pub(super) const BODY: &[u8] = &[b'x'; 250];

pub(super) const DESTINATION: &str = "local://place_order/place_order";
pub(super) const MESSAGE_TYPE: &str = "orders.place-order";

/// Rows of one statement, and messages of one lease.
pub(super) const BATCH: usize = 100;

/// Any worker may take the message; none may yet; one has.
pub(super) const UNOWNED: i64 = 0;
pub(super) const FOR_LATER: i64 = -1;
pub(super) const LEASED: i64 = 1;

pub(super) fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A database with hand-made tables.
pub(super) struct Raw<D>(D);

impl<D: Database> Raw<D> {
    pub(super) async fn create(database: D) -> Outcome<Self> {
        D::create_tables(&mut database.connect().await?).await?;
        Ok(Self(database))
    }

    /// Seconds of one commit that writes one row, on one idle connection, p50; one after the other,
    /// or so far apart that the machine rests meanwhile.
    pub(super) async fn commit_latency(&self, n: usize, apart: Option<Duration>) -> Outcome<f64> {
        let mut db = self.0.connect().await?;
        let mut ticks = apart.map(tokio::time::interval);
        let mut seconds = Vec::new();
        for _ in 0..n {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            let started = Instant::now();
            D::insert(&mut db, &[Uuid::now_v7()]).await?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok(percentile(seconds, 50))
    }

    /// Messages per second that are stored by a statement and a commit each.
    pub(super) async fn inserts(&self, n: usize, connections: usize) -> Outcome<f64> {
        let each = n / connections;
        let work = |mut db: D::Connection| async move {
            for _ in 0..each {
                D::insert(&mut db, &[Uuid::now_v7()]).await?;
            }
            Ok(each)
        };
        self.rate(connections, work).await
    }

    /// Messages per second that are stored this many to a statement.
    pub(super) async fn batches(&self, n: usize) -> Outcome<f64> {
        self.rate(1, |db| insert_all::<D>(db, n)).await
    }

    /// Messages per second that are taken out of a backlog, this many to a statement.
    pub(super) async fn taken(&self, n: usize, connections: usize) -> Outcome<f64> {
        self.fill(n).await?;
        let work = |mut db: D::Connection| async move {
            let mut all = 0;
            loop {
                match D::take(&mut db).await? {
                    0 => return Ok(all),
                    taken => all += taken,
                }
            }
        };
        self.rate(connections, work).await
    }

    /// Messages per second of a backlog that each connection leases and then deletes, by hundreds.
    pub(super) async fn leased_and_deleted(&self, n: usize, connections: usize) -> Outcome<f64> {
        self.fill(n).await?;
        let work = |mut db: D::Connection| async move {
            let mut all = 0;
            loop {
                let leased = D::lease(&mut db).await?;
                if leased.is_empty() {
                    return Ok(all);
                }
                D::delete(&mut db, &leased).await?;
                all += leased.len();
            }
        };
        self.rate(connections, work).await
    }

    /// Messages per second of a backlog that one connection leases and others handle, `each` to a
    /// transaction.
    pub(super) async fn handled(&self, n: usize, connections: usize, each: usize) -> Outcome<f64> {
        self.fill(n).await?;
        // So that there is always a lease in store.
        let (leases, leased) = mpsc::channel(2 * BATCH / each);
        let leased = Arc::new(Mutex::new(leased));
        let lease = tokio::spawn(lease_all::<D>(self.0.connect().await?, leases, each));
        let work = |db| handle_leased::<D>(db, Arc::clone(&leased));
        let rate = self.rate(connections, work).await?;
        lease.await??;
        Ok(rate)
    }

    /// Messages per second that are stored by a commit each and handled by another one.
    pub(super) async fn inserted_and_handled(&self, n: usize, connections: usize) -> Outcome<f64> {
        let each = n / connections;
        let work = |mut db: D::Connection| async move {
            for _ in 0..each {
                let message = Uuid::now_v7();
                D::insert(&mut db, &[message]).await?;
                D::handle(&mut db, &[message]).await?;
            }
            Ok(each)
        };
        self.rate(connections, work).await
    }

    async fn fill(&self, n: usize) -> Outcome<()> {
        insert_all::<D>(self.0.connect().await?, n).await?;
        Ok(D::analyze(&mut self.0.connect().await?).await?)
    }

    /// Messages per second that tasks with a connection each work off.
    async fn rate<F>(&self, connections: usize, work: impl Fn(D::Connection) -> F) -> Outcome<f64>
    where
        F: Future<Output = Outcome<usize>> + Send + 'static,
    {
        let mut parts = Vec::new();
        for _ in 0..connections {
            parts.push(work(self.0.connect().await?));
        }
        let started = Instant::now();
        let tasks: Vec<_> = parts.into_iter().map(tokio::spawn).collect();
        let mut done = 0;
        for task in tasks {
            done += task.await??;
        }
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }
}

async fn insert_all<D: Database>(mut db: D::Connection, n: usize) -> Outcome<usize> {
    let batches = n / BATCH;
    for _ in 0..batches {
        let messages: [Uuid; BATCH] = std::array::from_fn(|_| Uuid::now_v7());
        D::insert(&mut db, &messages).await?;
    }
    Ok(batches * BATCH)
}

async fn lease_all<D: Database>(
    mut db: D::Connection,
    leases: mpsc::Sender<Vec<Uuid>>,
    each: usize,
) -> Outcome<()> {
    loop {
        let leased = D::lease(&mut db).await?;
        if leased.is_empty() {
            return Ok(());
        }
        for messages in leased.chunks(each) {
            leases.send(messages.to_vec()).await?;
        }
    }
}

async fn handle_leased<D: Database>(
    mut db: D::Connection,
    leased: Arc<Mutex<mpsc::Receiver<Vec<Uuid>>>>,
) -> Outcome<usize> {
    let mut handled = 0;
    loop {
        let messages = leased.lock().await.recv().await;
        let Some(messages) = messages else {
            return Ok(handled);
        };
        D::handle(&mut db, &messages).await?;
        handled += messages.len();
    }
}
