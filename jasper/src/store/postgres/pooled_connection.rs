//! A connection of a pool, for one piece of work.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::{PgConnection, Postgres};

/// A connection of a pool for one piece of work. Dropped in the middle of it, it is closed without
/// a word to the server, and its place in the pool is free at once.
#[derive(Debug)]
pub(super) struct PooledConnection(Option<PoolConnection<Postgres>>);

impl PooledConnection {
    pub(super) const fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    /// The connection, for longer than one piece of work.
    pub(super) fn into_pool_connection(mut self) -> Option<PoolConnection<Postgres>> {
        self.0.take()
    }

    /// Gives the connection back after its last statement, where the server has answered it.
    pub(super) fn after<T>(mut self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        if !matches!(&answer, Err(error) if is_lost(error)) {
            self.0 = None;
        }
        answer
    }
}

/// Whether the connection is of no further use after this error.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(said) => {
            let said = said.try_downcast_ref::<PgDatabaseError>();
            said.is_some_and(|said| {
                matches!(said.severity(), PgSeverity::Fatal | PgSeverity::Panic)
            })
        }
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => false,
        _ => true,
    }
}

impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("it is there until `after` takes it")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is there until `after` takes it")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
