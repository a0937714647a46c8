//! What all sessions of a store share: how they are opened, for how long the server is waited for,
//! and how one that hangs is ended from another connection.

use std::sync::{Arc, Once};
use std::time::Duration;

use sqlx::{Connection, MySqlConnection};
use tokio::sync::Semaphore;

use super::credentials::Credentials;
use super::error::{self, Place};
use super::marks::{self, Kill, Mark, Marks};
use crate::store::StoreError;
use crate::store::sql::limits::{StatementLimits, within};

/// The bounds of how long an answer is waited for.
const SHORTEST: Duration = Duration::from_secs(1);
pub(super) const LONGEST: Duration = Duration::from_secs(20);

/// Connections that end sessions at once.
const ENDING: usize = 4;

/// Between two looks whether a session is gone that was to end.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Server {
    pub(super) credentials: Credentials,
    pub(super) marks: Arc<Marks>,
    pub(super) place: Place,
    /// MariaDB has a limit for transactions in which nothing happens, and MySQL has none.
    pub(super) is_mariadb: bool,
    /// What takes longer is given up while the lease lasts.
    pub(super) limits: StatementLimits,
    ending: Semaphore,
    forbidden: Once,
}

impl Server {
    pub(super) fn new(
        credentials: Credentials,
        marks: Arc<Marks>,
        place: Place,
        is_mariadb: bool,
    ) -> Self {
        Self {
            credentials,
            marks,
            place,
            is_mariadb,
            limits: StatementLimits::between(SHORTEST, LONGEST),
            ending: Semaphore::new(ENDING),
            forbidden: Once::new(),
        }
    }

    /// For how long an answer is waited for.
    pub(super) fn limit(&self) -> Duration {
        self.limits.statement()
    }

    async fn connect(&self) -> sqlx::Result<MySqlConnection> {
        MySqlConnection::connect_with(&self.credentials.current()).await
    }

    /// Ends the statement that a session executes. Its answer says so, if there still is one.
    pub(super) async fn cancel(&self, mark: &Mark) -> sqlx::Result<()> {
        let mut connection = self.connect().await?;
        if marks::holder(&mut connection, &mark.name).await? == Some(mark.session) {
            marks::kill(&mut connection, Kill::Query, mark.session).await?;
        }
        connection.close().await
    }

    /// Ends a session, and waits until it is gone, for this long at most.
    ///
    /// # Errors
    /// It may be there still.
    pub(super) async fn end(&self, mark: Option<&Mark>, limit: Duration) -> Result<(), StoreError> {
        let Some(mark) = mark else {
            let detail = "a connection is lost, and its session cannot be found".to_owned();
            return Err(StoreError::Unreachable { place: self.place.name(), detail, source: None });
        };
        let ended = within(limit, self.end_marked(mark)).await?;
        ended.map_err(|error| self.place.error(error))
    }

    async fn end_marked(&self, mark: &Mark) -> sqlx::Result<()> {
        let _place = self.ending.acquire().await.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let mut connection = self.connect().await?;
        // The lock goes after the transaction is rolled back.
        while marks::holder(&mut connection, &mark.name).await? == Some(mark.session) {
            self.kill(&mut connection, mark.session).await?;
            tokio::time::sleep(PAUSE).await;
        }
        connection.close().await
    }

    /// Ends a session without waiting, in the background and for as long as an answer may take.
    pub(super) fn end_later(self: &Arc<Self>, mark: Option<Mark>) {
        // Without a runtime the process is about to end, and its sessions with it.
        let (Some(mark), Ok(runtime)) = (mark, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let server = Arc::clone(self);
        runtime.spawn(async move {
            if let Err(error) = server.end(Some(&mark), server.limit()).await {
                tracing::warn!(%error, "a session was left at the server, and may hold locks");
            }
        });
    }

    /// Ends a session, by this process or another.
    pub(super) async fn kill(
        &self,
        connection: &mut MySqlConnection,
        session: i64,
    ) -> sqlx::Result<()> {
        let killed = marks::kill(connection, Kill::Connection, session).await;
        if let Err(refused) = &killed
            && error::is_of_statement(refused)
        {
            self.forbidden.call_once(|| {
                tracing::warn!(
                    error = %refused,
                    "sessions of another user cannot be ended, so that they keep what they have \
                     locked; let all processes connect as one user, or grant the right to it"
                );
            });
        }
        killed
    }
}
