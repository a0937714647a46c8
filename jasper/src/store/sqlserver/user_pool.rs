//! Connections for the application, outside of handlers.

use std::ops::{Deref, DerefMut};

use super::connection::SqlServerConnection;
use super::error::{Error, Place};
use super::pool::{Pool, PooledConnection};
use super::user_transaction::Transaction;
use crate::store::StoreError;
use crate::store::sql::limits::within;

/// Connections for reading and writing of your own outside of handlers. Clones share them.
#[derive(Debug, Clone)]
pub struct SqlServerPool {
    pool: Pool,
    place: Place,
}

impl SqlServerPool {
    pub(super) const fn new(pool: Pool, place: Place) -> Self {
        Self { pool, place }
    }

    /// A connection for the caller alone, one that is open if there is one.
    ///
    /// # Errors
    /// None is free in time, or the server cannot be reached.
    ///
    /// # Cancel safety
    /// Dropped, no connection is taken.
    pub async fn acquire(&self) -> Result<SqlServerPoolConnection, StoreError> {
        let connection = self.pool.acquire().await.map_err(|error| self.place.error(error))?;
        Ok(SqlServerPoolConnection { connection: Some(connection) })
    }

    /// A transaction on a connection of its own, for `bus.enlist(&mut transaction)`.
    ///
    /// # Errors
    /// No connection is free in time, or the server cannot be reached or does not answer.
    ///
    /// # Cancel safety
    /// Dropped, nothing is begun.
    pub async fn begin(&self) -> Result<Transaction<'static>, StoreError> {
        loop {
            let connection = self.pool.acquire().await.map_err(|error| self.place.error(error))?;
            let is_new = connection.is_new;
            let begun = Transaction::begin_pooled(connection);
            match within(self.pool.server().limit(), begun).await? {
                Ok(transaction) => return Ok(transaction),
                // It has ended since it was used; one that is new is asked then.
                Err(_ended) if !is_new => self.pool.forget_idle(),
                Err(error) => return Err(self.place.error(Error::Driver(error))),
            }
        }
    }
}

/// A connection of a [`SqlServerPool`]. Dropped, it goes back once the server has undone what is
/// open on it.
#[derive(Debug)]
pub struct SqlServerPoolConnection {
    connection: Option<PooledConnection>,
}

const OPEN: &str = "it is there until its end";

impl Deref for SqlServerPoolConnection {
    type Target = SqlServerConnection;

    fn deref(&self) -> &SqlServerConnection {
        &self.connection.as_ref().expect(OPEN).connection
    }
}

impl DerefMut for SqlServerPoolConnection {
    fn deref_mut(&mut self) -> &mut SqlServerConnection {
        &mut self.connection.as_mut().expect(OPEN).connection
    }
}

impl Drop for SqlServerPoolConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(connection.clean());
        }
    }
}
