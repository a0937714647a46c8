//! Where a message is sent from.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::error::SendError;
use crate::handler::{Causation, RunScope};
use crate::store::MessageStore;

/// For how long a message waits for the run in which its bus was cloned, where the store has a
/// single writing connection and that run holds it.
///
/// Short, as the run may itself wait for the task that sends; not zero, as the bus may have been
/// cloned into something that is shared, and then its user waits for a run like any other.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// What a message follows from, and the run in which the bus was cloned that sends it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    scope: Option<Arc<RunScope>>,
    cloned_in: Weak<RunScope>,
}

impl Origin {
    pub(crate) const fn new(scope: Option<Arc<RunScope>>, cloned_in: Weak<RunScope>) -> Self {
        Self { scope, cloned_in }
    }

    pub(crate) const fn of(scope: Arc<RunScope>) -> Self {
        Self { scope: Some(scope), cloned_in: Weak::new() }
    }

    /// The same for what follows from this.
    pub(crate) fn following(&self, scope: Arc<RunScope>) -> Self {
        Self { scope: Some(scope), cloned_in: Weak::clone(&self.cloned_in) }
    }

    pub(crate) const fn scope(&self) -> Option<&Arc<RunScope>> {
        self.scope.as_ref()
    }

    pub(crate) fn causation(&self) -> Option<&Causation> {
        self.scope.as_ref().map(|scope| scope.causation())
    }

    /// Whether what is sent waits for the commit of a run.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.is_transaction())
    }

    /// Waits until the run has ended in which the bus was cloned, where the store would else wait
    /// for it.
    ///
    /// # Errors
    /// The run has not ended in time. Nothing was stored.
    pub(crate) async fn wait_for_run(&self, store: &dyn MessageStore) -> Result<(), SendError> {
        let Some(run) = self.cloned_in.upgrade().filter(|_| store.info().single_writer) else {
            return Ok(());
        };
        let ended = tokio::time::timeout(LONGEST_WAIT, run.closed()).await;
        ended.map_err(|_elapsed| SendError::HeldByHandler { handler: run.causation().handler() })
    }
}
