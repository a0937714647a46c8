//! A transaction of the user's own, which messages may join.

use std::fmt;
use std::ops::{Deref, DerefMut};

use tiberius::error::Error as DriverError;

use super::connection::SqlServerConnection;
use super::pool::PooledConnection;
use crate::store::TransactionScope;

const BEGIN: &str = "set implicit_transactions off; begin transaction";
const COMMIT: &str = "commit transaction";
const ROLLBACK: &str = "if @@trancount > 0 rollback transaction";

#[cfg(test)]
pub(super) const TEXTS: [&str; 3] = [BEGIN, COMMIT, ROLLBACK];

/// An open transaction, for `bus.enlist(&mut transaction)`.
///
/// Dropped without an end it is rolled back where its connection came from the store: that
/// connection is closed. On a connection of your own it stays open until that is closed; end it by
/// [`commit`](Self::commit) or [`rollback`](Self::rollback).
#[must_use = "a transaction that is dropped is not committed"]
pub struct Transaction<'c> {
    connection: Held<'c>,
}

enum Held<'c> {
    Pooled(Box<PooledConnection>),
    Borrowed(&'c mut SqlServerConnection),
}

impl<'c> Transaction<'c> {
    /// Begins one on a connection of your own, on which none is open.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost.
    ///
    /// # Cancel safety
    /// Dropped, the transaction may be open on the connection, which is then of no further use.
    pub async fn begin(connection: &'c mut SqlServerConnection) -> Result<Self, DriverError> {
        execute(connection, BEGIN).await?;
        Ok(Self { connection: Held::Borrowed(connection) })
    }
}

impl Transaction<'static> {
    pub(super) async fn begin_pooled(
        mut connection: PooledConnection,
    ) -> Result<Self, DriverError> {
        execute(&mut connection.connection, BEGIN).await?;
        Ok(Self { connection: Held::Pooled(Box::new(connection)) })
    }
}

impl Transaction<'_> {
    /// Commits.
    ///
    /// # Errors
    /// The server refuses, or the connection is lost; then the transaction may or may not be
    /// committed.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be committed.
    pub async fn commit(self) -> Result<(), DriverError> {
        self.end(COMMIT).await
    }

    /// Undoes all that was done in it.
    ///
    /// # Errors
    /// The connection is lost; then the server undoes it.
    ///
    /// # Cancel safety
    /// Dropped, the server undoes it when the connection is closed.
    pub async fn rollback(self) -> Result<(), DriverError> {
        self.end(ROLLBACK).await
    }

    async fn end(mut self, how: &str) -> Result<(), DriverError> {
        execute(&mut self, how).await?;
        if let Held::Pooled(connection) = self.connection {
            connection.give_back();
        }
        Ok(())
    }
}

async fn execute(connection: &mut SqlServerConnection, batch: &str) -> Result<(), DriverError> {
    connection.simple_query(batch).await?.into_results().await.map(drop)
}

impl TransactionScope for Transaction<'_> {
    type Connection = SqlServerConnection;

    fn connection(&mut self) -> &mut SqlServerConnection {
        self
    }
}

impl Deref for Transaction<'_> {
    type Target = SqlServerConnection;

    fn deref(&self) -> &SqlServerConnection {
        match &self.connection {
            Held::Pooled(pooled) => &pooled.connection,
            Held::Borrowed(connection) => connection,
        }
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut SqlServerConnection {
        match &mut self.connection {
            Held::Pooled(pooled) => &mut pooled.connection,
            Held::Borrowed(connection) => connection,
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
