//! The addresses at which an application listens.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};

use super::receiver::InboundReceiver;
use crate::envelope::Address;
use crate::runtime::broker_backlog::BrokerBacklog;
use crate::runtime::core::Core;
use crate::runtime::endpoint_state::EndpointState;
use crate::runtime::start::endpoint_config::ListenerSpec;
use crate::transport::{Direction, EndpointUri, Listener, Receiver, TransportError};

/// The listeners of an application.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<ListenerSlot>);

/// One address at which the application listens, unless it pauses.
struct ListenerSlot {
    spec: ListenerSpec,
    receiver: Arc<InboundReceiver>,
    listener: Mutex<Option<Arc<dyn Listener>>>,
    /// Where it listens for certain, also while it pauses.
    address: Address,
}

impl Listeners {
    /// Begins to listen at all addresses.
    ///
    /// # Errors
    /// One of them cannot be used; none is listened at then.
    pub(crate) async fn start(
        core: &Arc<Core>,
        specs: Vec<ListenerSpec>,
    ) -> Result<Self, TransportError> {
        let (mut slots, unknown) = (Self::default(), Arc::default());
        for spec in specs {
            let address = Address::received(&spec.uri.address);
            let (core, mode) = (Arc::clone(core), spec.mode);
            let (isolate_next, unknown) = (AtomicUsize::new(0), Arc::clone(&unknown));
            let receiver = Arc::new(InboundReceiver { core, address, mode, isolate_next, unknown });
            match ListenerSlot::open(spec, receiver).await {
                Ok(slot) => slots.0.push(slot),
                Err(error) => {
                    slots.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(slots)
    }

    /// Where the application listens; a port that was left to the system has its number.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.0.iter().map(|slot| slot.address.clone()).collect()
    }

    /// How they are, for people.
    pub(crate) fn states(&self) -> impl Iterator<Item = EndpointState> {
        self.0.iter().map(ListenerSlot::state)
    }

    /// What waits at the broker of each, where there is one that says it.
    pub(crate) async fn backlogs(&self) -> Vec<BrokerBacklog> {
        let all = join_all(self.0.iter().map(ListenerSlot::backlog)).await;
        all.into_iter().flatten().collect()
    }

    /// Receives nothing new, and returns when all that was received is answered.
    pub(crate) async fn stop(&self) {
        join_all(self.0.iter().map(ListenerSlot::stop)).await;
    }

    /// Listens again where it was stopped, at the same ports.
    pub(crate) async fn resume(&self) -> Result<(), TransportError> {
        for slot in &self.0 {
            slot.resume().await?;
        }
        Ok(())
    }
}

impl ListenerSlot {
    async fn open(
        spec: ListenerSpec,
        receiver: Arc<InboundReceiver>,
    ) -> Result<Self, TransportError> {
        let port: Arc<dyn Receiver> = Arc::<InboundReceiver>::clone(&receiver);
        let listener = spec.transport.listen(spec.uri.clone(), port).await?;
        let address = listener.address();
        tracing::info!(%address, mode = %spec.mode, "listening");
        Ok(Self { spec, receiver, listener: Mutex::new(Some(listener)), address })
    }

    fn state(&self) -> EndpointState {
        let listener = self.listener().clone();
        EndpointState {
            name: self.address.to_string(),
            address: self.address.clone(),
            direction: Direction::Listen,
            problem: listener.as_ref().and_then(|listener| listener.problem()),
            is_paused: listener.is_none(),
        }
    }

    async fn backlog(&self) -> Option<BrokerBacklog> {
        let counts = self.spec.transport.counts(&self.spec.uri).await.transpose()?;
        Some(BrokerBacklog { address: self.address.clone(), counts })
    }

    async fn stop(&self) {
        let listener = self.listener().take();
        if let Some(listener) = listener {
            listener.stop().await;
        }
    }

    async fn resume(&self) -> Result<(), TransportError> {
        if self.listener().is_some() {
            return Ok(());
        }
        let options = self.spec.uri.options.clone();
        let uri = EndpointUri { address: self.address.clone(), options };
        let receiver: Arc<dyn Receiver> = Arc::<InboundReceiver>::clone(&self.receiver);
        let listener = self.spec.transport.listen(uri, receiver).await?;
        let second = self.listener().replace(listener);
        match second {
            // Another call has resumed it meanwhile: one of the two listeners is stopped.
            Some(second) => {
                second.stop().await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn listener(&self) -> MutexGuard<'_, Option<Arc<dyn Listener>>> {
        self.listener.lock()
    }
}

impl fmt::Debug for ListenerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerSlot").field("address", &self.address).finish_non_exhaustive()
    }
}
