//! The one connection to a place: dialled when it is first used, by one caller for all.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::{Mutex, MutexGuard};

/// How a transport dials one place.
pub(super) trait Dial: fmt::Debug + Send + Sync + 'static {
    /// An open connection.
    type Link: Send + Sync + 'static;
    /// Why there is none.
    type Error: Clone + Send + Sync + 'static;

    /// Opens a connection, within a time of its own.
    fn dial(&self) -> BoxFuture<'_, Result<Self::Link, Self::Error>>;

    /// Whether something can be sent over it now.
    fn is_usable(link: &Self::Link) -> bool;

    /// The task that dialled has ended before it had an answer.
    fn given_up() -> Self::Error;
}

type Dialled<D> = Result<Arc<<D as Dial>::Link>, <D as Dial>::Error>;

/// A place, and the connection to it if there is one.
#[derive(Debug)]
pub(super) struct Slot<D: Dial> {
    dialler: D,
    state: Mutex<SlotState<D>>,
}

enum SlotState<D: Dial> {
    Closed,
    Dialling(Shared<BoxFuture<'static, Dialled<D>>>),
    Open(Arc<D::Link>),
}

impl<D: Dial> Slot<D> {
    pub(super) fn new(dialler: D) -> Arc<Self> {
        Arc::new(Self { dialler, state: Mutex::new(SlotState::Closed) })
    }

    /// The connection; dials where there is none, and waits where another caller dials.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the dialling to the others.
    pub(super) async fn link(self: &Arc<Self>) -> Dialled<D> {
        let dialling = {
            let mut state = self.lock();
            match &*state {
                SlotState::Open(link) if D::is_usable(link) => return Ok(Arc::clone(link)),
                // One that has ended without changing the state was cut off with its task.
                SlotState::Dialling(dialling) if dialling.peek().is_none() => dialling.clone(),
                _ => {
                    let dialling = self.start();
                    *state = SlotState::Dialling(dialling.clone());
                    dialling
                }
            }
        };
        dialling.await
    }

    /// Dials in a task of its own, which lasts when the caller does not.
    fn start(self: &Arc<Self>) -> Shared<BoxFuture<'static, Dialled<D>>> {
        let slot = Arc::clone(self);
        let task = tokio::spawn(async move {
            let dialled = slot.dialler.dial().await.map(Arc::new);
            *slot.lock() = match &dialled {
                Ok(link) => SlotState::Open(Arc::clone(link)),
                Err(_error) => SlotState::Closed,
            };
            dialled
        });
        let dialled = task.map(|joined| joined.unwrap_or_else(|_error| Err(D::given_up())));
        dialled.boxed().shared()
    }

    fn lock(&self) -> MutexGuard<'_, SlotState<D>> {
        self.state.lock()
    }
}

impl<D: Dial> fmt::Debug for SlotState<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Dialling(_) => "Dialling",
            Self::Open(_) => "Open",
        })
    }
}
