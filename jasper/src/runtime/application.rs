//! A running application.

use std::fmt;
use std::sync::Arc;

use super::broker_backlog::BrokerBacklog;
use super::core::Core;
use super::endpoint_state::EndpointState;
use super::inbound::listeners::Listeners;
use super::own::renewal;
use super::send::bus::Bus;
use super::shutdown;
use super::storage::health::Retries;
use crate::envelope::Address;
use crate::error::Error;
use crate::store::{Counts, MessageStore, StoreError, StoreOperation};

/// A running application.
///
/// Dropping it ends it without draining, as a crash would: what is stored is recovered at the next
/// start. Use [`run_until_shutdown`](Self::run_until_shutdown) or [`stop`](Self::stop) for an
/// orderly end.
pub struct Jasper {
    core: Arc<Core>,
    bus: Bus,
    listeners: Listeners,
}

impl Jasper {
    pub(crate) fn new(core: Arc<Core>, listeners: Listeners) -> Self {
        let bus = Bus::new(Arc::clone(&core));
        Self { core, bus, listeners }
    }

    /// What all its parts share.
    #[cfg(feature = "testing")]
    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The bus of the application.
    pub const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The application's message store, if it has one.
    pub fn store(&self) -> Option<&dyn MessageStore> {
        self.core.store().get()
    }

    /// Where the application listens, in the order of the calls of `listen`. A port that was
    /// left to the system has its number here.
    pub fn addresses(&self) -> Vec<Address> {
        self.listeners.addresses()
    }

    /// The endpoints of other processes and the listeners, each with what keeps messages from going
    /// that way at present. For a page of a program that shows how it is, and for its health check.
    pub fn endpoints(&self) -> Vec<EndpointState> {
        let endpoints = self.core.routes().endpoints().remote().map(|endpoint| endpoint.state());
        endpoints.chain(self.listeners.states()).collect()
    }

    /// What waits at the brokers from which the application receives, asked of them now. Listeners
    /// whose transport has no broker, or one that does not say it, are left out; the page of a
    /// transport says what it takes. For people and for what scales a deployment, not once a
    /// second.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is changed by it.
    pub async fn broker_backlogs(&self) -> Vec<BrokerBacklog> {
        self.listeners.backlogs().await
    }

    /// Receives nothing new, and returns when all that was received is answered. Senders keep what
    /// they have, and go on when the application [listens again](Self::resume_listeners).
    ///
    /// # Cancel safety
    /// Dropped before it returns, some listeners may have stopped.
    pub async fn pause_listeners(&self) {
        self.listeners.stop().await;
    }

    /// Listens again at the same addresses.
    ///
    /// # Errors
    /// An address cannot be bound ([`Error::Transport`]); those before it are listened at.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some of the addresses may be listened at; call it again.
    pub async fn resume_listeners(&self) -> Result<(), Error> {
        Ok(self.listeners.resume().await?)
    }

    /// Waits until there is nothing to handle or send now: nothing in memory, and nothing in the
    /// store but what is scheduled for later. For programs that work off a batch, and for tests.
    ///
    /// A send that was dropped before it returned may still be stored after that.
    ///
    /// It waits for other processes on the same store too, for destinations that are down and for a
    /// store that cannot be reached, and has no limit of its own: put it under a time-out where
    /// that matters.
    ///
    /// # Errors
    /// [`Error::Store`]: the store refuses to be read, or the application stops while it cannot be
    /// reached.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is changed by it.
    pub async fn until_idle(&self) -> Result<(), Error> {
        let mut rounds = self.core.wakeups().rounds().subscribe();
        let activity = self.core.lifecycle().activity();
        loop {
            activity.idle().await;
            let Some(store) = self.core.store().get() else {
                return Ok(());
            };
            let counts = self.counts(store).await?;
            if counts.incoming == 0 && counts.outgoing == 0 && activity.count() == 0 {
                return Ok(());
            }
            // What the store still holds comes into memory with the pager's next round; what does
            // not is with another node, and is looked for as seldom as anything else.
            self.core.wakeups().wake_all();
            if rounds.changed().await.is_err() {
                return Ok(());
            }
            if activity.count() == 0 {
                let poll = tokio::time::sleep(self.core.settings().poll);
                tokio::select! {
                    () = poll => {}
                    () = activity.busy() => {}
                }
            }
        }
    }

    /// What the store holds, once it can be read.
    async fn counts(&self, store: &dyn MessageStore) -> Result<Counts, StoreError> {
        let mut retries = Retries::new();
        loop {
            match self.core.store().call(StoreOperation::Counts, store.admin().counts()).await {
                Err(error) if error.is_transient() => {
                    if retries
                        .wait(self.core.store().health(), StoreOperation::Counts, &error)
                        .await
                        .is_none()
                    {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Drops all tables of the message store and makes them anew, and nothing else: a table of the
    /// application's own in the same schema stays as it is. For tests, before each or before all of
    /// them. Without a store there is nothing to do.
    ///
    /// This application goes on as a new node. So does every other one on the same tables, when it
    /// next renews its lease; until then it is as after a lost lease: what it stores in the new
    /// tables is handled, and may be by two nodes, of which a durable handler lets one commit. No
    /// message of before is left. One that a handler has at the moment, in any of
    /// the processes, is neither counted nor repeated: what a durable handler does is undone, what
    /// another one does stands. So call it while nothing is under way, after
    /// [`until_idle`](Self::until_idle) where something may be.
    ///
    /// # Errors
    /// The role of this process may not drop or make the tables
    /// ([`StoreError::Forbidden`]), something of the application's depends on them in PostgreSQL,
    /// or the store fails. Then all is as before.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the tables are the old or the new ones.
    pub async fn rebuild_message_schema(&self) -> Result<(), Error> {
        let Some(store) = self.core.store().get() else {
            return Ok(());
        };
        let rebuild = store.admin().rebuild();
        self.core.store().call_without_deadline(StoreOperation::Rebuild, rebuild).await?;
        Ok(renewal::join_anew(&self.core, store).await?)
    }

    /// Deletes all messages and dead letters of the message store; the tables stay, and so do the
    /// nodes. For tests, where it is faster than
    /// [`rebuild_message_schema`](Self::rebuild_message_schema) and leaves other processes alone.
    /// Without a store there is nothing to do.
    ///
    /// What is in memory at the moment may still run, as it is said there.
    ///
    /// # Errors
    /// The role of this process may not delete rows ([`StoreError::Forbidden`]), or the store
    /// fails.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the messages are there or not, and none is half deleted.
    pub async fn clear_messages(&self) -> Result<(), Error> {
        let Some(store) = self.core.store().get() else {
            return Ok(());
        };
        let clear = store.admin().clear();
        Ok(self.core.store().call_without_deadline(StoreOperation::Clear, clear).await?)
    }

    /// Runs until SIGTERM or Ctrl-C, then stops in an orderly way. A second signal ends it at once.
    ///
    /// # Errors
    /// Signals cannot be received ([`Error::Signal`]), or the store failed while stopping
    /// ([`Error::Store`]).
    ///
    /// # Cancel safety
    /// Dropped before it returns, the application ends as in a crash: what is stored is recovered
    /// when its lease has run out.
    pub async fn run_until_shutdown(self) -> Result<(), Error> {
        shutdown::signal().await.map_err(Error::Signal)?;
        tracing::info!("stopping; a second signal ends at once");
        tokio::select! {
            stopped = self.stop() => stopped,
            signal = shutdown::signal() => signal.map_err(Error::Signal),
        }
    }

    /// Stops in an orderly way: no new work begins, running handlers have the drain time-out to
    /// end, and what is stored is given back for the next start or another node. It returns at most
    /// five seconds after the drain time-out, whatever the store and the network do.
    ///
    /// A run that is cut short by the stop costs its message no attempt.
    ///
    /// # Errors
    /// [`Error::Store`]: the store failed or did not answer in time; what was not given back is
    /// recovered when the lease runs out.
    ///
    /// # Cancel safety
    /// Dropped before it returns, what still runs is ended as in a crash, and recovered in the same
    /// way.
    pub async fn stop(self) -> Result<(), Error> {
        shutdown::stop(&self.core, &self.listeners).await
    }
}

impl Drop for Jasper {
    fn drop(&mut self) {
        self.core.lifecycle().end();
    }
}

impl fmt::Debug for Jasper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jasper").finish_non_exhaustive()
    }
}
