//! The runtime's side of a listener.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::{BoxFuture, FutureExt};

use super::unknown::UnknownTypes;
use crate::caught::Caught;
use crate::envelope::Address;
use crate::runtime::core::Core;
use crate::transport::{
    Answer, FailureKind, Mode, Receipt, Received, ReceivedDeadLetter, ReceivedRequest, Receiver,
    RemoteFailure,
};

/// The runtime's side of one listener.
pub(crate) struct InboundReceiver {
    pub(super) core: Arc<Core>,
    /// The destination of a message whose type no handler here takes.
    pub(super) address: Address,
    pub(super) mode: Mode,
    /// How many of the next messages are stored one by one. The store has refused several at once,
    /// and the one at fault must not keep the others from being stored.
    pub(super) isolate_next: AtomicUsize,
    /// Shared by all listeners.
    pub(super) unknown: Arc<UnknownTypes>,
}

impl Receiver for InboundReceiver {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn receive(&self, received: Received) -> BoxFuture<'_, Vec<Receipt>> {
        let count = received.envelopes.len();
        self.receipts(count, "taking messages in", || self.take_in(received).boxed()).boxed()
    }

    fn store_dead_letters(&self, letters: Vec<ReceivedDeadLetter>) -> BoxFuture<'_, Vec<Receipt>> {
        let count = letters.len();
        self.receipts(count, "keeping dead letters", || self.store_dead_letters(letters).boxed())
            .boxed()
    }

    fn answer(&self, request: ReceivedRequest) -> BoxFuture<'_, Answer> {
        let answer = Caught::of(|| self.answer_request(request).boxed());
        async {
            answer.await.unwrap_or_else(|panic| {
                let why = format!("the receiver panicked: {panic}");
                Err(RemoteFailure::new(FailureKind::Failed, why))
            })
        }
        .boxed()
    }
}

impl InboundReceiver {
    /// The receipts of `count` messages; where the work panics, nothing is known of them.
    fn receipts<'a>(
        &'a self,
        count: usize,
        work: &'static str,
        receive: impl FnOnce() -> BoxFuture<'a, Vec<Receipt>>,
    ) -> impl Future<Output = Vec<Receipt>> + Send + 'a {
        let receipts = Caught::of(receive);
        async move {
            receipts.await.unwrap_or_else(|panic| {
                tracing::error!(address = %self.address, %panic, "{work} panicked");
                vec![Receipt::unknown("the receiver panicked"); count]
            })
        }
    }
}

impl fmt::Debug for InboundReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundReceiver").field("address", &self.address).finish_non_exhaustive()
    }
}
