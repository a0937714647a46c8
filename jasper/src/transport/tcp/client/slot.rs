//! The one connection to a place: dialled when it is first used, by one caller for all.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::{Mutex, MutexGuard};

use super::super::handshake::ClientError;
use super::dial::Dialler;
use super::link::PeerLink;

type Dialled = Result<Arc<PeerLink>, ClientError>;

/// A place, and the connection to it if there is one.
#[derive(Debug)]
pub(in super::super) struct LinkSlot {
    dialler: Dialler,
    state: Mutex<SlotState>,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Closed,
    Dialling(Shared<BoxFuture<'static, Dialled>>),
    Open(Arc<PeerLink>),
}

impl LinkSlot {
    pub(in super::super) fn new(dialler: Dialler) -> Arc<Self> {
        Arc::new(Self { dialler, state: Mutex::default() })
    }

    /// The connection; dials where there is none, and waits where another caller dials.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the dialling to the others.
    pub(super) async fn link(self: &Arc<Self>) -> Dialled {
        let dialling = {
            let mut state = self.lock();
            match &*state {
                SlotState::Open(link) if link.is_usable() => return Ok(Arc::clone(link)),
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
    fn start(self: &Arc<Self>) -> Shared<BoxFuture<'static, Dialled>> {
        let slot = Arc::clone(self);
        let task = tokio::spawn(async move {
            let dialled = slot.dialler.dial().await.map(Arc::new);
            *slot.lock() = match &dialled {
                Ok(link) => SlotState::Open(Arc::clone(link)),
                Err(_error) => SlotState::Closed,
            };
            dialled
        });
        let dialled = task.map(|joined| {
            let ended = |_error| Err(ClientError::Gone("dialling was given up".to_owned()));
            joined.unwrap_or_else(ended)
        });
        dialled.boxed().shared()
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock()
    }
}

impl std::fmt::Debug for SlotState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "Closed",
            Self::Dialling(_) => "Dialling",
            Self::Open(_) => "Open",
        })
    }
}
