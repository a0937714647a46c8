//! The connection that handlers take and that the store itself works on.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tiberius::error::Error as DriverError;
use tiberius::{Client, Config, Row, SqlBrowser, ToSql};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::error::{Error, Result};
use crate::store::Connection;

/// The longest time for which an answer to the store itself is waited for.
pub(super) const LONGEST: Duration = Duration::from_secs(20);

/// How often a server may name another one to connect to.
const REDIRECTIONS: usize = 3;

/// A connection to a SQL Server: what a durable handler takes as `&mut`.
///
/// It is the client of [`tiberius`] with all of its methods, over a socket of tokio:
///
/// ```
/// use jasper::store::sqlserver::SqlServerConnection;
///
/// async fn ship(order: i64, db: &mut SqlServerConnection) -> Result<(), tiberius::error::Error> {
///     db.execute("update orders set shipped = 1 where id = @P1", &[&order]).await?;
///     Ok(())
/// }
/// ```
pub struct SqlServerConnection {
    client: Client<Compat<TcpStream>>,
    /// For how long each answer to the store itself is waited for. A handler's statement may take
    /// as long as the handler.
    limit: Option<Duration>,
}

impl Connection for SqlServerConnection {}

impl SqlServerConnection {
    /// Opens a connection of your own.
    ///
    /// A redirection by the server, as in Azure SQL, is followed; a named instance is asked for by
    /// the SQL Browser.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    ///
    /// # Cancel safety
    /// Dropped, the connection is closed.
    pub async fn connect(config: &Config) -> Result<Self, DriverError> {
        let mut config = config.clone();
        for _redirection in 0..REDIRECTIONS {
            let socket = TcpStream::connect_named(&config).await?;
            socket.set_nodelay(true)?;
            // It is large, and whatever waits for it would hold it on its stack.
            let connecting = Box::pin(Client::connect(config.clone(), socket.compat_write()));
            match connecting.await {
                Err(DriverError::Routing { host, port }) => {
                    config.host(host);
                    config.port(port);
                }
                connected => return connected.map(Self::new),
            }
        }
        Err(DriverError::Protocol("the server names one other server after another".into()))
    }

    /// A client that you have connected by yourself.
    pub const fn new(client: Client<Compat<TcpStream>>) -> Self {
        Self { client, limit: None }
    }

    /// The client alone.
    pub fn into_client(self) -> Client<Compat<TcpStream>> {
        self.client
    }

    /// From now on each answer to the store itself is waited for so long: what takes several trips
    /// is not given up as long as the server answers.
    pub(super) const fn answer_within(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    /// For how long a statement of the store itself waits for a lock.
    pub(super) fn lock_patience(&self) -> Duration {
        lock_patience(self.limit.unwrap_or(LONGEST))
    }

    /// The rows of all results of a statement.
    pub(super) async fn rows(
        &mut self,
        statement: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<Row>> {
        Ok(self.results(statement, parameters).await?.into_iter().flatten().collect())
    }

    /// The rows of each result of a statement.
    pub(super) async fn results(
        &mut self,
        statement: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<Vec<Vec<Row>>> {
        let answer = async { self.client.query(statement, parameters).await?.into_results().await };
        in_time(self.limit, answer).await
    }

    /// The rows of all results of a batch without parameters. What it sets stays set.
    pub(super) async fn batch(&mut self, batch: &str) -> Result<Vec<Row>> {
        let answer = async { self.client.simple_query(batch).await?.into_results().await };
        Ok(in_time(self.limit, answer).await?.into_iter().flatten().collect())
    }

    /// How many rows a statement has written.
    pub(super) async fn write(
        &mut self,
        statement: &str,
        parameters: &[&dyn ToSql],
    ) -> Result<u64> {
        let answer = self.client.execute(statement, parameters);
        Ok(in_time(self.limit, answer).await?.total())
    }
}

/// A lock is waited for less long than the answer.
pub(super) fn lock_patience(limit: Duration) -> Duration {
    limit.saturating_sub(Duration::from_millis(500))
}

async fn in_time<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, DriverError>>,
) -> Result<T> {
    let Some(limit) = limit else {
        return Ok(answer.await?);
    };
    match timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(Error::Silent(limit)),
    }
}

impl From<Client<Compat<TcpStream>>> for SqlServerConnection {
    fn from(client: Client<Compat<TcpStream>>) -> Self {
        Self::new(client)
    }
}

impl Deref for SqlServerConnection {
    type Target = Client<Compat<TcpStream>>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl DerefMut for SqlServerConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.client
    }
}

// The driver's own shows what was read last, which may be a message.
impl fmt::Debug for SqlServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlServerConnection").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each caller of a caller holds it, on its stack as long as nothing moves it to the heap.
    #[test]
    fn the_futures_of_a_connection_are_small() {
        const SMALL: usize = 4096;
        let config = Config::new();
        let connecting = size_of_val(&SqlServerConnection::connect(&config));
        assert!(connecting < SMALL, "{connecting}");
    }
}
