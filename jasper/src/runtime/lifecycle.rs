//! From the start of an application to its end: what is under way, and what is to begin no more.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::memory::activity::Activity;
use super::observation::Observers;

/// How far an application is between its start and its end.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    draining: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
    activity: Activity,
    observers: Observers,
}

impl Lifecycle {
    /// Cancelled when no new work is to begin.
    pub(crate) const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when the time to drain is over and running handlers are to end.
    pub(crate) const fn aborting(&self) -> &CancellationToken {
        &self.aborting
    }

    /// The tasks that end before a stop returns.
    pub(crate) const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// What is accepted and not yet done with.
    pub(crate) const fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Those that observe what happens to messages.
    pub(crate) const fn observers(&self) -> &Observers {
        &self.observers
    }

    /// Whether no new work is to begin.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Starts a task that ends before a stop returns.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Lets no new work begin.
    pub(crate) fn stop(&self) {
        self.draining.cancel();
    }

    /// Ends what still runs.
    pub(crate) fn end(&self) {
        self.draining.cancel();
        self.aborting.cancel();
    }
}
