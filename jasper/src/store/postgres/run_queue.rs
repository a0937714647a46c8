//! The runs of one handler that wait for a transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::session::Session;
use crate::store::sql::loan::Loan;
use crate::store::sql::reply::Reply;

/// How many shared transactions of one handler may be open at once. Each has a connection.
const GROUPS: usize = 4;

/// Where the runs of one handler wait for their turn. Clones share it.
#[derive(Clone, Default)]
pub(super) struct RunQueue(Arc<Mutex<Queued>>);

#[derive(Default)]
struct Queued {
    waiting: VecDeque<WaitingRun>,
    groups: usize,
    /// How many of the next runs are to share with none: among them is one that the database
    /// refuses to commit.
    alone: usize,
    /// How long a run may take at the most, of all that have waited here.
    longest: Duration,
}

/// A run that waits.
pub(super) struct WaitingRun {
    pub(super) share: u32,
    /// How long its handler may take.
    pub(super) limit: Duration,
    pub(super) reply: Reply<Loan<Session>>,
}

impl RunQueue {
    /// The next `runs` runs share with none, so that the one at fault fails alone.
    pub(super) fn set_apart(&self, runs: usize) {
        let mut queued = self.queued();
        queued.alone = queued.alone.max(runs);
    }

    /// `true`: the caller is to start a task that serves.
    pub(super) fn enter(&self, run: WaitingRun) -> bool {
        let mut queued = self.queued();
        queued.longest = queued.longest.max(run.limit);
        queued.waiting.push_back(run);
        let starts = queued.groups < GROUPS;
        queued.groups += usize::from(starts);
        starts
    }

    /// The first run of a group, how many runs that may have, and how long one may take. `None`: no
    /// run waits, and the task that asked ends.
    pub(super) fn first(&self, can_share: bool) -> Option<(WaitingRun, u32, Duration)> {
        let mut queued = self.queued();
        let Some(first) = queued.next() else {
            queued.groups -= 1;
            return None;
        };
        let is_alone = queued.alone > 0 || !can_share;
        let most = if is_alone { 1 } else { first.share };
        queued.alone = queued.alone.saturating_sub(1);
        Some((first, most, queued.longest))
    }

    /// The next run whose caller still waits.
    pub(super) fn next(&self) -> Option<WaitingRun> {
        self.queued().next()
    }

    fn queued(&self) -> MutexGuard<'_, Queued> {
        self.0.lock()
    }
}

impl Queued {
    /// The next run whose caller still waits.
    fn next(&mut self) -> Option<WaitingRun> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|next| !next.reply.is_closed())
    }
}
