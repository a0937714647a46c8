//! The runs that wait for a transaction that they share with others of the same handler.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::{PgPool, SqlStr};
use tokio::sync::oneshot;

use super::completion::begin_group;
use super::internal_pool::InternalPool;
use super::run_queue::{RunQueue, WaitingRun};
use super::session::Session;
use super::shared_transaction::SharedTransaction;
use crate::store::error::unless_it_panics;
use crate::store::sql::borrowed_connection::BorrowedConnection;
use crate::store::sql::reply::{receive_reply, send_reply};
use crate::store::{StoreError, TransactionOptions};

/// After this long a transaction takes no more runs, so that the first does not wait for ever for
/// its answer.
const LENGTH: Duration = Duration::from_millis(25);

/// The transactions that runs share, those of each handler apart from those of others.
#[derive(Debug)]
pub(super) struct SharedTransactions {
    handlers: Mutex<HashMap<&'static str, Sharing>>,
    new: Sharing,
}

impl SharedTransactions {
    pub(super) fn new(pool: PgPool, internal: InternalPool) -> Self {
        Self { handlers: Mutex::default(), new: Sharing::new(pool, internal) }
    }

    /// Waits for the turn of a run that at most this many share their transaction with.
    ///
    /// # Cancel safety
    /// Dropped, the turn goes to the next.
    pub(super) async fn borrow(
        &self,
        options: TransactionOptions,
    ) -> Result<BorrowedConnection<Session>, StoreError> {
        let sharing = {
            let mut handlers = self.handlers.lock();
            let new = || Sharing { queue: RunQueue::default(), ..self.new.clone() };
            handlers.entry(options.label).or_insert_with(new).clone()
        };
        sharing.borrow(options).await
    }
}

/// Where the runs of one handler wait for their turn. One that waits when a run ends is the next in
/// its transaction.
#[derive(Clone)]
pub(super) struct Sharing {
    queue: RunQueue,
    pool: PgPool,
    internal: InternalPool,
    begin: SqlStr,
}

impl Sharing {
    fn new(pool: PgPool, internal: InternalPool) -> Self {
        let begin = begin_group(&internal.names);
        Self { queue: RunQueue::default(), pool, internal, begin }
    }

    async fn borrow(
        &self,
        options: TransactionOptions,
    ) -> Result<BorrowedConnection<Session>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let TransactionOptions { share, limit, .. } = options;
        if self.queue.enter(WaitingRun { share, limit, reply }) {
            let sharing = self.clone();
            tokio::spawn(async move { sharing.serve_all().await });
        }
        receive_reply(answer).await
    }

    /// Serves until no caller waits.
    async fn serve_all(&self) {
        // What a run has set on a connection that the application has opened cannot be reset: the
        // application's own settings would be, too.
        let can_share = self.internal.idle_limit.is_some();
        while let Some((first, most, limit)) = self.queue.first(can_share) {
            // Where the driver panics, the runs of this transaction have no answer but its end.
            let served = async {
                self.serve_one(first, most, limit).await;
                Ok(())
            };
            if let Err(error) = unless_it_panics(served).await {
                tracing::error!(%error, "a transaction that runs share is undone");
            }
        }
    }

    async fn serve_one(&self, first: WaitingRun, most: u32, limit: Duration) {
        let begun = Session::begin(&self.pool, &self.internal, self.begin.as_str(), limit);
        match begun.await {
            Ok(session) => {
                let shared =
                    SharedTransaction::new(session, &self.internal, &self.queue, limit, most > 1);
                self.serve(shared, first, most).await;
            }
            Err(error) => send_reply(first.reply, Err(self.internal.error(error))),
        }
    }

    /// Serves one shared transaction.
    async fn serve(&self, mut shared: SharedTransaction, first: WaitingRun, most: u32) {
        let began = Instant::now();
        let mut next = Some(first);
        let mut runs = 0;
        while let Some(WaitingRun { reply, .. }) = next {
            shared = match shared.run_next(reply).await {
                Some(shared) => shared,
                None => return,
            };
            runs += 1;
            let has_room = runs < most && began.elapsed() < LENGTH;
            next = if has_room { self.queue.next() } else { None };
        }
        shared.end().await;
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").finish_non_exhaustive()
    }
}
