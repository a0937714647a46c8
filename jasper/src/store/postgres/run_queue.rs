//! The runs of one handler that wait for a transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::session::Session;
use crate::store::sql::borrowed_connection::BorrowedConnection;
use crate::store::sql::reply::ReplySender;

/// How many shared transactions of one handler may be open at once. Each has a connection.
const TRANSACTIONS: usize = 4;

/// Where the runs of one handler wait for their turn. Clones share it.
#[derive(Clone, Default)]
pub(super) struct RunQueue(Arc<Mutex<WaitingRuns>>);

#[derive(Default)]
struct WaitingRuns {
    waiting: VecDeque<WaitingRun>,
    open: usize,
    /// How many of the next runs are to share with none: among them is one that the database
    /// refuses to commit.
    isolated: usize,
    /// How long a run may take at the most, of all that have waited here.
    longest: Duration,
}

/// A run that waits.
pub(super) struct WaitingRun {
    pub(super) share: u32,
    /// How long its handler may take.
    pub(super) limit: Duration,
    pub(super) reply: ReplySender<BorrowedConnection<Session>>,
}

impl RunQueue {
    /// The next `runs` runs share with none, so that the one at fault fails isolated.
    pub(super) fn set_apart(&self, runs: usize) {
        let mut waiting = self.runs();
        waiting.isolated = waiting.isolated.max(runs);
    }

    /// `true`: the caller is to start a task that serves.
    pub(super) fn enter(&self, run: WaitingRun) -> bool {
        let mut runs = self.runs();
        runs.longest = runs.longest.max(run.limit);
        runs.waiting.push_back(run);
        let starts = runs.open < TRANSACTIONS;
        runs.open += usize::from(starts);
        starts
    }

    /// The first run of a shared transaction, how many runs that may have, and how long one may
    /// take. `None`: no run waits, and the task that asked ends.
    pub(super) fn first(&self, can_share: bool) -> Option<(WaitingRun, u32, Duration)> {
        let mut runs = self.runs();
        let Some(first) = runs.next() else {
            runs.open -= 1;
            return None;
        };
        let is_isolated = runs.isolated > 0 || !can_share;
        let most = if is_isolated { 1 } else { first.share };
        runs.isolated = runs.isolated.saturating_sub(1);
        Some((first, most, runs.longest))
    }

    /// The next run whose caller still waits.
    pub(super) fn next(&self) -> Option<WaitingRun> {
        self.runs().next()
    }

    fn runs(&self) -> MutexGuard<'_, WaitingRuns> {
        self.0.lock()
    }
}

impl WaitingRuns {
    /// The next run whose caller still waits.
    fn next(&mut self) -> Option<WaitingRun> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|next| !next.reply.is_closed())
    }
}
