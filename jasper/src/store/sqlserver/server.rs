//! What all sessions of a store share: how they are opened, for how long the server is waited for,
//! and how one that hangs is ended from another connection.

use std::sync::{Arc, Once};
use std::time::Duration;

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

/// The shortest time for which an answer is waited for.
const SHORTEST: Duration = Duration::from_secs(1);

/// Connections that end sessions at once.
const ENDING: usize = 4;

#[derive(Debug)]
pub(super) struct Server {
    config: Mutex<Arc<Config>>,
    pub(super) mark: Mark,
    pub(super) place: Place,
    /// What takes longer is given up while the lease lasts.
    pub(super) limits: StatementLimits,
    ending: Semaphore,
    forbidden: Once,
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

    /// Ends a session without waiting, in the background and for as long as an answer may take.
    pub(super) fn end_later(self: &Arc<Self>, name: String) {
        // Without a runtime the process is about to end, and its sessions with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let server = Arc::clone(self);
        runtime.spawn(async move {
            if let Err(error) = server.end(&name, server.limit()).await {
                tracing::debug!(%error, "a session was left to the server to end");
            }
        });
    }

    /// Ends the session of this name, and waits until it is gone, for this long at most.
    ///
    /// # Errors
    /// It may be there still.
    pub(super) async fn end(&self, name: &str, limit: Duration) -> Result<(), StoreError> {
        let end = async {
            let _place = self.ending.acquire().await.map_err(|_closed| Error::Closed)?;
            let (mut connection, _name) = self.connect().await?;
            sessions::end(&mut connection, name).await
        };
        within(limit, end).await?.map_err(|error| self.place.error(error))
    }

    /// Says once that sessions of others cannot be ended.
    pub(super) fn warn_of_missing_right(&self, error: &Error) {
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
