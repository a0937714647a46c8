//! What all sessions of a store share: how they are opened, for how long the server is waited for,
//! and how one that hangs is ended from another connection.

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tiberius::Config;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::{LONGEST, SqlServerConnection};
use super::error::{Error, Place, Result};
use super::mark::Mark;
use super::sessions;
use crate::store::StoreError;
use crate::store::sql::limits::{StatementLimits, within};
use crate::store::sql::sessions_left::SessionsLeft;

/// The shortest time for which an answer is waited for.
const SHORTEST: Duration = Duration::from_secs(1);

/// Connections that end sessions at once.
const ENDING: usize = 4;

/// Between two attempts to end a session, and for how long it is attempted. A server finds out by
/// itself within about as long that a connection is broken.
const ENDING_PAUSE: Duration = Duration::from_millis(100);
const ENDING_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Server {
    config: Mutex<Arc<Config>>,
    pub(super) mark: Mark,
    pub(super) place: Place,
    /// What takes longer is given up while the lease lasts.
    pub(super) limits: StatementLimits,
    ending: Semaphore,
    forbidden: Once,
    pub(super) sessions_left: SessionsLeft,
}

impl Server {
    pub(super) fn new(config: Config, mark: Mark, place: Place) -> Self {
        Self {
            config: Mutex::new(Arc::new(config)),
            mark,
            place,
            limits: StatementLimits::between(SHORTEST, LONGEST),
            ending: Semaphore::new(ENDING),
            forbidden: Once::new(),
            sessions_left: SessionsLeft::default(),
        }
    }

    /// For how long an answer is waited for.
    pub(super) fn limit(&self) -> Duration {
        self.limits.statement()
    }

    /// What connections are opened with from now on.
    pub(super) fn set_config(&self, config: Config) {
        *self.config.lock() = Arc::new(config);
    }

    /// A new session, with a name of its own.
    pub(super) async fn connect(&self) -> Result<(SqlServerConnection, String)> {
        self.connect_within(self.limit()).await
    }

    /// The same, if the server takes no longer than this.
    pub(super) async fn connect_within(
        &self,
        limit: Duration,
    ) -> Result<(SqlServerConnection, String)> {
        let mut config = Config::clone(&self.config.lock());
        let name = self.mark.next();
        config.application_name(&name);
        let connected = connect_within(limit, config).await?;
        Ok((connected, name))
    }

    /// Ends a session without waiting, in the background.
    pub(super) fn end_later(self: &Arc<Self>, name: String) {
        // Without a runtime the process is about to end, and its sessions with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let ending = Arc::clone(self).end_until_seen(name);
        runtime.spawn(async move {
            if let Err(error) = ending.await {
                tracing::debug!(%error, "a session was left to the server to end");
            }
        });
    }

    /// Ends the session of this name, and waits until it is seen to be over, for this long at most.
    /// The ending goes on after that.
    ///
    /// # Errors
    /// It may be there still.
    pub(super) async fn end(
        self: &Arc<Self>,
        name: String,
        limit: Duration,
    ) -> Result<(), StoreError> {
        let ending = tokio::spawn(Arc::clone(self).end_until_seen(name));
        within(limit, ending).await?.unwrap_or(Err(StoreError::Closed))
    }

    /// Tries it again while the server cannot be reached or does not answer: nothing else ends the
    /// sessions of a process that lives, and what they have locked keeps others waiting.
    async fn end_until_seen(self: Arc<Self>, name: String) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            let limit = self.limit();
            let error = match within(limit, self.try_to_end(&name)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => self.place.error(error),
                Err(late) => late,
            };
            if !error.is_transient() || begun.elapsed() > ENDING_FOR {
                return Err(error);
            }
            tokio::time::sleep(ENDING_PAUSE).await;
        }
    }

    async fn try_to_end(&self, name: &str) -> Result<()> {
        let _place = self.ending.acquire().await.map_err(|_closed| Error::Closed)?;
        let (mut connection, _name) = self.connect().await?;
        sessions::end(&mut connection, name).await
    }

    /// Notes what came of a try to end the sessions of nodes that are gone.
    pub(super) fn note_sessions_left(&self, ended: Result<()>) {
        let ended = ended.map_err(|error| self.place.error(error));
        match &ended {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "sessions of nodes that are gone were not ended yet");
            }
            Err(error) => self.warn_of_missing_right(error),
        }
        self.sessions_left.note(ended);
    }

    /// Says once that sessions of others cannot be ended.
    fn warn_of_missing_right(&self, error: &StoreError) {
        self.forbidden.call_once(|| {
            tracing::warn!(
                %error,
                "sessions of nodes that are gone could not be ended, so that they keep what they \
                 have locked until the server ends them; grant VIEW SERVER STATE and ALTER ANY \
                 CONNECTION"
            );
        });
    }
}

/// Connects, and gives up after this time.
pub(super) async fn connect_within(
    limit: Duration,
    mut config: Config,
) -> Result<SqlServerConnection> {
    // Each call has a limit of its own, around all of it.
    config.handshake_timeout(None);
    config.command_timeout(None);
    config.lossy_utf16_decoding(true);
    match timeout(limit, SqlServerConnection::connect(&config)).await {
        Ok(connected) => Ok(connected?),
        Err(_elapsed) => Err(Error::Silent(limit)),
    }
}
