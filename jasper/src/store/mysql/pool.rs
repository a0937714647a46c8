//! Connections, each for one piece of work at a time.
//!
//! Unlike the driver's pool it never waits for a connection that it takes back, has the session
//! of each at the server, and ends that where a connection is given up.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use sqlx::Connection;
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::error;
use super::server::Server;
use super::session::{Session, SessionPurpose};

/// For how long a caller waits for a connection, and no longer than for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts to connect to a server that starts or is crowded.
const PAUSE: Duration = Duration::from_millis(50);

/// For how long a connection is kept that nothing uses, and for how long any.
const IDLE: Duration = Duration::from_secs(600);
const AGE: Duration = Duration::from_secs(1800);

/// For how long the end of a connection may take that says so to the server.
const PARTING: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub(super) struct Pool {
    shared: Arc<PoolInner>,
}

#[derive(Debug)]
struct PoolInner {
    server: Arc<Server>,
    kind: SessionPurpose,
    /// The runtime that serves its connections.
    home: runtime::Id,
    places: Arc<Semaphore>,
    /// The one that was used last is at the end.
    idle: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    session: Session,
    since: Instant,
}

impl Pool {
    pub(super) fn new(server: Arc<Server>, kind: SessionPurpose, connections: u32) -> Self {
        let places = Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(usize::MAX)));
        let home = runtime::Handle::current().id();
        Self { shared: Arc::new(PoolInner { server, kind, home, places, idle: Mutex::default() }) }
    }

    /// This pool, or a new one where this runs in another runtime: a connection is served by the
    /// one in which it was opened, which may be blocked or at its end.
    pub(super) fn here(&self) -> Self {
        let PoolInner { server, kind, home, .. } = &*self.shared;
        if runtime::Handle::current().id() == *home {
            self.clone()
        } else {
            Self::new(Arc::clone(server), *kind, 1)
        }
    }

    pub(super) fn server(&self) -> &Arc<Server> {
        &self.shared.server
    }

    /// A connection for the caller alone, one that is open if there is one.
    pub(super) async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        let limit = PATIENCE.min(self.server().limit());
        timeout(limit, self.wait()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn wait(&self) -> sqlx::Result<PooledConnection> {
        let places = Arc::clone(&self.shared.places);
        let place = places.acquire_owned().await.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let (session, is_new) = match self.shared.take() {
            Some(session) => (session, false),
            None => (self.open().await?, true),
        };
        Ok(PooledConnection {
            session: Some(session),
            is_new,
            shared: Arc::clone(&self.shared),
            _place: place,
        })
    }

    async fn open(&self) -> sqlx::Result<Session> {
        loop {
            match Session::open(self.server(), self.shared.kind).await {
                Err(error) if error::is_of_start(&error) => tokio::time::sleep(PAUSE).await,
                opened => return opened,
            }
        }
    }

    /// Gives up those that nothing uses. What has ended one of them has mostly ended all.
    pub(super) fn forget_idle(&self) {
        self.shared.idle().clear();
    }
}

impl PoolInner {
    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock()
    }

    fn take(&self) -> Option<Session> {
        let mut idle = self.idle();
        while idle.front().is_some_and(|idle| idle.since.elapsed() > IDLE) {
            idle.pop_front();
        }
        idle.pop_back().map(|idle| idle.session)
    }
}

/// A connection in use. Dropped, it is given up: closed at once, and ended at the server.
#[derive(Debug)]
pub(super) struct PooledConnection {
    session: Option<Session>,
    /// Whether it was opened for this work; any other may have ended since it was used.
    pub(super) is_new: bool,
    shared: Arc<PoolInner>,
    _place: OwnedSemaphorePermit,
}

const OPEN: &str = "it is there until its end";

impl PooledConnection {
    /// Lets others have it. Nothing is open on it, and all answers are read.
    pub(super) fn give_back(mut self) {
        match self.session.take() {
            Some(session) if session.opened.elapsed() < AGE => {
                self.shared.idle().push_back(Idle { session, since: Instant::now() });
            }
            Some(session) => part(session),
            None => {}
        }
    }

    /// Closes it; the server is notified, and undoes what is open.
    pub(super) fn part(mut self) {
        if let Some(session) = self.session.take() {
            part(session);
        }
    }

    /// Closes it at once, and leaves it to the caller to end its session.
    pub(super) fn forget(mut self) {
        self.session = None;
    }
}

fn part(session: Session) {
    tokio::spawn(async move {
        // Where that fails, the server finds out by itself.
        let _ = timeout(PARTING, session.connection.close()).await;
    });
}

impl Deref for PooledConnection {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect(OPEN)
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect(OPEN)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.shared.server.end_later(session.mark);
        }
    }
}
