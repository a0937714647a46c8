//! What opens the connections of a pool, and says which of them are used again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::error::{self, Error, Result};
use super::server::Server;
use super::session::{Session, SessionPurpose};

/// Between two attempts to connect to a server that starts or is crowded.
const PAUSE: Duration = Duration::from_millis(50);

/// For how long a connection is kept that nothing uses, and for how long any.
const IDLE: Duration = Duration::from_secs(600);
const AGE: Duration = Duration::from_secs(1800);

/// For how long a session is kept that was opened for a caller which has given up.
const LEFT: Duration = Duration::from_secs(30);

/// Opens sessions each in a task of its own: where the server takes longer than a caller waits, the
/// next caller finds the session that was begun, and need not begin anew.
pub(super) struct Opener {
    pub(super) server: Arc<Server>,
    pub(super) purpose: SessionPurpose,
    /// Sessions whose callers have given up, each since when.
    left: Arc<Mutex<Vec<(Instant, Opening)>>>,
}

/// A session on its way.
type Opening = JoinHandle<Result<Session>>;

impl Opener {
    pub(super) fn new(server: Arc<Server>, purpose: SessionPurpose) -> Self {
        Self { server, purpose, left: Arc::default() }
    }

    /// Gives up the sessions that callers have left.
    pub(super) fn forget_left(&self) {
        for (_since, opening) in self.left.lock().drain(..) {
            opening.abort();
        }
    }

    /// The session that another caller has left, if there is one, or a new one.
    fn begin(&self) -> Attended {
        let left = loop {
            match self.left.lock().pop() {
                Some((since, opening)) if since.elapsed() < LEFT => break Some(opening),
                // The end of the task, or what is left of it, closes the connection.
                Some((_, opening)) => opening.abort(),
                None => break None,
            }
        };
        let opening = left.unwrap_or_else(|| {
            let (server, purpose) = (Arc::clone(&self.server), self.purpose);
            tokio::spawn(async move { Session::open(&server, purpose).await })
        });
        Attended { opening: Some(opening), left: Arc::clone(&self.left) }
    }
}

impl managed::Manager for Opener {
    type Type = Session;
    type Error = Error;

    async fn create(&self) -> Result<Session> {
        loop {
            match self.begin().session().await {
                // The caller has a time limit.
                Err(error) if error::is_of_start(&error) => tokio::time::sleep(PAUSE).await,
                opened => return opened,
            }
        }
    }

    async fn recycle(&self, _session: &mut Session, metrics: &Metrics) -> RecycleResult<Error> {
        if metrics.age() > AGE || metrics.last_used() > IDLE {
            return Err(RecycleError::message("it is old"));
        }
        Ok(())
    }
}

/// A session that a caller waits for. Dropped before it is there, it is left to the next caller.
struct Attended {
    opening: Option<Opening>,
    left: Arc<Mutex<Vec<(Instant, Opening)>>>,
}

impl Attended {
    async fn session(mut self) -> Result<Session> {
        let Some(opening) = &mut self.opening else {
            return Err(Error::Closed);
        };
        let opened = opening.await;
        self.opening = None;
        opened.unwrap_or(Err(Error::Closed))
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        if let Some(opening) = self.opening.take() {
            self.left.lock().push((Instant::now(), opening));
        }
    }
}
