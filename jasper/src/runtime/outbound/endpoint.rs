//! An endpoint of another process, as messages are sent to it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;

use super::circuit::Circuit;
use super::options::SendOptions;
use super::send_queue::SendQueue;
use crate::envelope::{Address, Envelope};
use crate::error::SendError;
use crate::runtime::endpoint_state::EndpointState;
use crate::runtime::memory::budget::Budget;
use crate::runtime::memory::room::{MemorySlot, Room};
use crate::runtime::own::rows_in_memory::RowsInMemory;
use crate::transport::{Batch, Direction, Guarantee, Mode, Receipt, Sender};

/// An endpoint of another process, as messages are sent to it.
///
/// A destination that is down costs nothing but its own backlog: each endpoint has memory, a
/// circuit and a relay of its own.
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) options: SendOptions,
    pub(crate) sender: Arc<dyn Sender>,
    pub(crate) room: Arc<Room>,
    pub(crate) queue: SendQueue,
    pub(crate) circuit: Circuit,
    /// The rows of the outbox that are in memory here.
    pub(crate) rows: Arc<RowsInMemory>,
    /// Wakes its relay.
    pub(crate) wake: Arc<Notify>,
}

/// What an endpoint is called.
pub(crate) struct EndpointId {
    /// Its name in the configuration, or the address that stands in place of one.
    pub(crate) name: Arc<str>,
    /// What stands as the destination in rows and envelopes. For a named endpoint it is the name,
    /// so that what waits in the outbox follows where its configuration leads.
    pub(crate) destination: Address,
    /// Where it is, for people.
    pub(crate) address: Address,
}

impl Endpoint {
    pub(crate) fn new(
        name: String,
        address: Address,
        options: SendOptions,
        sender: Arc<dyn Sender>,
        budget: &Arc<Budget>,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        Self {
            id: EndpointId {
                destination: destination(&name, &address),
                name: name.into(),
                address,
            },
            sender,
            room: Room::new(options.capacity, budget, Arc::clone(&wake)),
            queue: SendQueue::new(Arc::clone(&wake)),
            circuit: Circuit::default(),
            rows: Arc::default(),
            wake,
            options,
        }
    }

    /// How it is, for people.
    pub(crate) fn state(&self) -> EndpointState {
        EndpointState {
            name: self.id.name.to_string(),
            address: self.id.address.clone(),
            direction: Direction::Send,
            problem: self.circuit.problem().or_else(|| self.sender.problem()),
            is_paused: false,
        }
    }

    /// Whether a message to it is stored, given whether it is part of a transaction.
    pub(crate) fn is_stored(&self, in_transaction: bool) -> bool {
        match self.options.mode {
            Mode::Durable => true,
            Mode::Buffered => false,
            // A message of a transaction leaves after the commit, when its sender waits no more.
            Mode::Inline => in_transaction,
        }
    }

    /// A place for a message that is only in memory, as soon as there is one; it has no bytes yet.
    ///
    /// # Errors
    /// There is none, and none is to be expected while the destination is down.
    pub(crate) async fn reserve(&self) -> Result<MemorySlot, SendError> {
        self.unless_down(self.room.reserve()).await
    }

    /// Waits for what is given back as messages leave.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub(crate) async fn unless_down<T>(
        &self,
        waits: impl Future<Output = T>,
    ) -> Result<T, SendError> {
        tokio::select! {
            biased;
            got = waits => Ok(got),
            () = self.circuit.opened() => Err(self.full()),
        }
    }

    /// Room for a message that is only in memory, for a caller that must not wait.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub(crate) fn reserve_beyond(&self, bytes: usize) -> Result<MemorySlot, SendError> {
        match self.room.try_reserve(bytes) {
            Some(slot) => Ok(slot),
            None if self.circuit.is_open() || self.queue.len() >= 2 * self.options.capacity => {
                Err(self.full())
            }
            None => Ok(self.room.reserve_beyond(bytes)),
        }
    }

    /// Sends a message and waits for its receipt.
    pub(crate) async fn send_inline(&self, envelope: Envelope) -> Result<(), SendError> {
        let batch = Batch { envelopes: vec![Arc::new(envelope)], guarantee: Guarantee::InMemory };
        let receipts = self.sender.send(batch).await?;
        match receipts.into_iter().next() {
            Some(Receipt::Accepted) => Ok(()),
            Some(
                Receipt::Deferred { why } | Receipt::Refused { why } | Receipt::Unknown { why },
            ) => Err(self.not_taken(&why)),
            None => Err(self.not_taken("there was no receipt")),
        }
    }

    fn not_taken(&self, why: &str) -> SendError {
        SendError::NotTaken { endpoint: self.id.name.to_string(), why: why.to_owned() }
    }

    fn full(&self) -> SendError {
        SendError::Full { endpoint: self.id.name.to_string(), waiting: self.options.capacity }
    }
}

/// What stands in rows for an endpoint of this name.
pub(crate) fn destination(name: &str, address: &Address) -> Address {
    if name.contains("://") { address.clone() } else { Address::endpoint(name) }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.id.name)
            .field("address", &self.id.address)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
