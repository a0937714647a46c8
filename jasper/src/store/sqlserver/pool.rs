//! Connections, each for one piece of work at a time.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Object, Timeouts};
use tokio::runtime;

use super::error::{Error, Result};
use super::opener::Opener;
use super::server::Server;
use super::session::{Session, SessionPurpose};

/// For how long a caller waits for a connection, and no longer than for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connections of one purpose.
#[derive(Clone)]
pub(super) struct Pool {
    shared: managed::Pool<Opener>,
    /// The runtime that serves its connections.
    home: runtime::Id,
}

impl Pool {
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn new(server: Arc<Server>, purpose: SessionPurpose, connections: u32) -> Self {
        let places = usize::try_from(connections).unwrap_or(usize::MAX);
        let pool = managed::Pool::builder(Opener::new(server, purpose))
            .max_size(places)
            .runtime(Runtime::Tokio1)
            .build();
        // It can fail only where there are time-outs and no runtime for them.
        let shared = pool.expect("the pool has a runtime");
        Self { shared, home: runtime::Handle::current().id() }
    }

    /// This pool, or a new one where this runs in another runtime: a connection is served by the
    /// one in which it was opened, which may be blocked or at its end.
    pub(super) fn here(&self) -> Self {
        if runtime::Handle::current().id() == self.home {
            return self.clone();
        }
        let opener = self.shared.manager();
        Self::new(Arc::clone(&opener.server), opener.purpose, 1)
    }

    pub(super) fn server(&self) -> &Arc<Server> {
        &self.shared.manager().server
    }

    /// A connection for the caller alone, one that is open if there is one.
    pub(super) async fn acquire(&self) -> Result<PooledConnection> {
        let limit = PATIENCE.min(self.server().limit());
        let timeouts = Timeouts { wait: Some(limit), create: Some(limit), recycle: Some(limit) };
        let object = self.shared.timeout_get(&timeouts).await;
        let object = object.map_err(|error| Error::of_pool(error, limit))?;
        let is_new = Object::metrics(&object).recycle_count == 0;
        Ok(PooledConnection { object: Some(object), is_new, server: Arc::clone(self.server()) })
    }

    /// Gives up those that nothing uses. What has ended one of them has mostly ended all.
    pub(super) fn forget_idle(&self) {
        self.shared.retain(|_session, _metrics| false);
        self.shared.manager().forget_left();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("status", &self.shared.status()).finish_non_exhaustive()
    }
}

/// A connection in use. Dropped, it is given up: closed at once, which frees its place, and ended
/// at the server.
pub(super) struct PooledConnection {
    object: Option<Object<Opener>>,
    /// Whether it was opened for this work; any other may have ended since it was used.
    pub(super) is_new: bool,
    server: Arc<Server>,
}

const OPEN: &str = "it is there until its end";

impl PooledConnection {
    /// Lets others have it. Nothing is open on it, and all answers are read.
    pub(super) fn give_back(mut self) {
        drop(self.object.take());
    }

    /// Closes it; the server undoes what is open.
    pub(super) fn close(mut self) {
        self.take();
    }

    /// Undoes what is open on it, and lets others have it.
    pub(super) async fn clean(mut self) {
        let limit = self.server.limit();
        if let Ok(Ok(())) = tokio::time::timeout(limit, self.roll_back()).await {
            self.give_back();
        }
    }

    /// Lets others have it after an answer that did not come in time. The server may be slow, and a
    /// session that it knows is worth more than one that begins anew and is slow again: it is asked
    /// to give up what it does. Where it does not answer that while the lease still lasts, the
    /// connection is closed, and its session ended.
    pub(super) fn calm_later(mut self) {
        let limit = self.server.limit() / 4;
        tokio::spawn(async move {
            if let Ok(Ok(true)) = tokio::time::timeout(limit, self.calm()).await {
                self.give_back();
            }
        });
    }

    fn take(&mut self) -> Option<Session> {
        self.object.take().map(Object::take)
    }
}

impl Deref for PooledConnection {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.object.as_ref().expect(OPEN)
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Session {
        self.object.as_mut().expect(OPEN)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(session) = self.take() {
            let name = session.name.clone();
            // The server is to find the socket closed first.
            drop(session);
            self.server.end_later(name);
        }
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").field("is_new", &self.is_new).finish_non_exhaustive()
    }
}
