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
pub(super) struct SharedConnection<D: Dial> {
    dialler: D,
    state: Mutex<SharedConnectionState<D>>,
}

enum SharedConnectionState<D: Dial> {
    Closed,
    Dialling(Shared<BoxFuture<'static, Dialled<D>>>),
    Open(Arc<D::Link>),
}

impl<D: Dial> SharedConnection<D> {
    pub(super) fn new(dialler: D) -> Arc<Self> {
        Arc::new(Self { dialler, state: Mutex::new(SharedConnectionState::Closed) })
    }

    /// The connection; dials where there is none, and waits where another caller dials.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the dialling to the others.
    pub(super) async fn get_or_connect(self: &Arc<Self>) -> Dialled<D> {
        let dialling = {
            let mut state = self.lock();
            match &*state {
                SharedConnectionState::Open(link) if D::is_usable(link) => {
                    return Ok(Arc::clone(link));
                }
                // A dial that has ended and left the state as it was ended with its task.
                SharedConnectionState::Dialling(dialling) if dialling.peek().is_none() => {
                    dialling.clone()
                }
                _ => {
                    let dialling = self.start();
                    *state = SharedConnectionState::Dialling(dialling.clone());
                    dialling
                }
            }
        };
        dialling.await
    }

    /// Dials in a task of its own, which lasts when the caller does not.
    fn start(self: &Arc<Self>) -> Shared<BoxFuture<'static, Dialled<D>>> {
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let dialled = shared.dialler.dial().await.map(Arc::new);
            *shared.lock() = match &dialled {
                Ok(link) => SharedConnectionState::Open(Arc::clone(link)),
                Err(_error) => SharedConnectionState::Closed,
            };
            dialled
        });
        let dialled = task.map(|joined| joined.unwrap_or_else(|_error| Err(D::given_up())));
        dialled.boxed().shared()
    }

    fn lock(&self) -> MutexGuard<'_, SharedConnectionState<D>> {
        self.state.lock()
    }
}

impl<D: Dial> fmt::Debug for SharedConnectionState<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Dialling(_) => "Dialling",
            Self::Open(_) => "Open",
        })
    }
}
