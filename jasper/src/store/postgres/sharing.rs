//! The runs that wait for a transaction that they share with others of the same handler.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use sqlx::{PgPool, SqlStr};
use tokio::sync::oneshot;

use super::completion::begin_group;
use super::group::Group;
use super::internal_pool::InternalPool;
use super::session::Session;
use crate::store::sql::loan::Loan;
use crate::store::sql::reply::{Reply, answer, answered};
use crate::store::{StoreError, TransactionOptions};

/// How many shared transactions of one handler may be open at once. Each has a connection.
const GROUPS: usize = 4;

/// After this long a transaction takes no more runs, so that the first does not wait for ever for
/// its answer.
const LENGTH: Duration = Duration::from_millis(25);

/// The transactions that runs share, those of each handler apart from those of others.
#[derive(Debug)]
pub(super) struct Handlers {
    handlers: Mutex<HashMap<&'static str, Sharing>>,
    new: Sharing,
}

impl Handlers {
    pub(super) fn new(pool: PgPool, desk: InternalPool) -> Self {
        Self { handlers: Mutex::default(), new: Sharing::new(pool, desk) }
    }

    /// Waits for the turn of a run that at most so many share their transaction with.
    ///
    /// # Cancel safety
    /// Dropped, the turn goes to the next.
    pub(super) async fn borrow(
        &self,
        begin: TransactionOptions,
    ) -> Result<Loan<Session>, StoreError> {
        let sharing = {
            let mut handlers = self.handlers.lock();
            let new = || Sharing { line: Arc::default(), ..self.new.clone() };
            handlers.entry(begin.label).or_insert_with(new).clone()
        };
        sharing.borrow(begin).await
    }
}

/// Where the runs of one handler wait for their turn. One that waits when a run ends is the next in
/// its transaction.
#[derive(Clone)]
pub(super) struct Sharing {
    line: Arc<Mutex<Line>>,
    pool: PgPool,
    pub(super) desk: InternalPool,
    begin: SqlStr,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Borrower>,
    groups: usize,
    /// How many of the next runs are to share with none: among them is one that the database
    /// refuses to commit.
    alone: usize,
    /// How long a run may take at the most, of all that have waited here.
    longest: Duration,
}

/// A run that waits.
struct Borrower {
    share: u32,
    /// How long its handler may take.
    limit: Duration,
    reply: Reply<Loan<Session>>,
}

impl Sharing {
    fn new(pool: PgPool, desk: InternalPool) -> Self {
        let begin = begin_group(&desk.names);
        Self { line: Arc::default(), pool, desk, begin }
    }

    async fn borrow(&self, begin: TransactionOptions) -> Result<Loan<Session>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let TransactionOptions { share, limit, .. } = begin;
        if self.enter(Borrower { share, limit, reply }) {
            let sharing = self.clone();
            tokio::spawn(async move { sharing.serve_all().await });
        }
        answered(answer).await
    }

    /// The next `runs` runs share with none, so that the one at fault fails alone.
    pub(super) fn set_apart(&self, runs: usize) {
        let mut line = self.line();
        line.alone = line.alone.max(runs);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock()
    }

    /// `true`: the caller is to start a task that serves.
    fn enter(&self, borrower: Borrower) -> bool {
        let mut line = self.line();
        line.longest = line.longest.max(borrower.limit);
        line.waiting.push_back(borrower);
        let starts = line.groups < GROUPS;
        line.groups += usize::from(starts);
        starts
    }

    /// The first run of a group, how many runs that may have, and how long one may take. `None`: no
    /// run waits, and the task that asked ends.
    fn first(&self) -> Option<(Borrower, u32, Duration)> {
        let mut line = self.line();
        let Some(first) = line.next() else {
            line.groups -= 1;
            return None;
        };
        // What a run has set on a connection that the application has opened cannot be reset: the
        // application's own settings would be, too.
        let is_alone = line.alone > 0 || self.desk.idle_limit.is_none();
        let most = if is_alone { 1 } else { first.share };
        line.alone = line.alone.saturating_sub(1);
        Some((first, most, line.longest))
    }

    /// Serves until nobody waits.
    async fn serve_all(&self) {
        while let Some((first, most, limit)) = self.first() {
            let begun = Session::begin(&self.pool, &self.desk, self.begin.as_str(), limit);
            match begun.await {
                Ok(session) => {
                    let group = Group::new(session, self, limit, most > 1);
                    self.serve(group, first, most).await;
                }
                Err(error) => answer(first.reply, Err(self.desk.error(error))),
            }
        }
    }

    /// Serves one group.
    async fn serve(&self, mut group: Group, first: Borrower, most: u32) {
        let began = Instant::now();
        let mut next = Some(first);
        let mut runs = 0;
        while let Some(Borrower { reply, .. }) = next {
            group = match group.lend(reply).await {
                Some(group) => group,
                None => return,
            };
            runs += 1;
            let has_room = runs < most && began.elapsed() < LENGTH;
            next = if has_room { self.line().next() } else { None };
        }
        group.end().await;
    }
}

impl Line {
    /// The next run that somebody still waits for.
    fn next(&mut self) -> Option<Borrower> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|next| !next.reply.is_closed())
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").finish_non_exhaustive()
    }
}
