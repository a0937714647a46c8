//! The way in: listeners, and what becomes of what they receive.

mod answer;
mod receive;
mod unknown;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, join_all};

use self::unknown::UnknownTypes;
use crate::envelope::Address;
use crate::handler::caught::Caught;
use crate::runtime::core::Core;
use crate::runtime::guarded::GuardedListener;
use crate::runtime::start::outside::Ear;
use crate::transport::{
    Answer, EndpointUri, FailureKind, Listener, Mode, Receipt, Received, ReceivedRequest, Receiver,
    RemoteFailure, TransportError,
};

/// The listeners of an application.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<Post>);

/// One address at which the application listens, unless it pauses.
struct Post {
    ear: Ear,
    inlet: Arc<Inlet>,
    listener: Mutex<Option<Arc<dyn Listener>>>,
    /// Where it listens for certain, also while it pauses.
    address: Address,
}

impl Listeners {
    /// Begins to listen at all addresses.
    ///
    /// # Errors
    /// One of them cannot be used; none is listened at then.
    pub(crate) async fn start(core: &Arc<Core>, ears: Vec<Ear>) -> Result<Self, TransportError> {
        let (mut posts, unknown) = (Self::default(), Arc::default());
        for ear in ears {
            let address = Address::received(&ear.uri.address);
            let (core, mode) = (Arc::clone(core), ear.mode);
            let (careful, unknown) = (AtomicUsize::new(0), Arc::clone(&unknown));
            let inlet = Arc::new(Inlet { core, address, mode, careful, unknown });
            match Post::open(ear, inlet).await {
                Ok(post) => posts.0.push(post),
                Err(error) => {
                    posts.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(posts)
    }

    /// Where the application listens; a port that was left to the system has its number.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.0.iter().map(|post| post.address.clone()).collect()
    }

    /// Receives nothing new, and returns when all that was received is answered.
    pub(crate) async fn stop(&self) {
        join_all(self.0.iter().map(Post::stop)).await;
    }

    /// Listens again where it was stopped, at the same ports.
    pub(crate) async fn resume(&self) -> Result<(), TransportError> {
        for post in &self.0 {
            post.resume().await?;
        }
        Ok(())
    }
}

impl Post {
    async fn open(ear: Ear, inlet: Arc<Inlet>) -> Result<Self, TransportError> {
        let receiver: Arc<dyn Receiver> = Arc::<Inlet>::clone(&inlet);
        let listener = GuardedListener::open(&*ear.transport, ear.uri.clone(), receiver).await?;
        let address = listener.address();
        tracing::info!(%address, mode = %ear.mode, "listening");
        Ok(Self { ear, inlet, listener: Mutex::new(Some(listener)), address })
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
        let options = self.ear.uri.options.clone();
        let uri = EndpointUri { address: self.address.clone(), options };
        let receiver: Arc<dyn Receiver> = Arc::<Inlet>::clone(&self.inlet);
        let listener = GuardedListener::open(&*self.ear.transport, uri, receiver).await?;
        let second = self.listener().replace(listener);
        match second {
            // Somebody else has resumed it meanwhile; of two listeners one is enough.
            Some(second) => {
                second.stop().await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn listener(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn Listener>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The runtime's side of one listener.
pub(crate) struct Inlet {
    core: Arc<Core>,
    /// What stands as the destination of a message that nobody here knows.
    address: Address,
    mode: Mode,
    /// A message has come that the store will not take: so many of the next are each stored by
    /// themselves, so that it keeps no other from being stored.
    careful: AtomicUsize,
    /// Shared by all listeners.
    unknown: Arc<UnknownTypes>,
}

impl Receiver for Inlet {
    fn receive(&self, received: Received) -> BoxFuture<'_, Vec<Receipt>> {
        let count = received.envelopes.len();
        let receipts = Caught::of(|| self.take_in(received).boxed());
        async move {
            receipts.await.unwrap_or_else(|panic| {
                tracing::error!(address = %self.address, %panic, "taking messages in panicked");
                vec![Receipt::unknown("the receiver panicked"); count]
            })
        }
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

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("address", &self.address).finish_non_exhaustive()
    }
}
