//! The driver's count of the transactions that are open on a connection, one within the other.
//!
//! The driver's own guard of a transaction never gives the connection back, so one that does not
//! answer could not be closed. The trait below is what that guard calls.

use sqlx::postgres::PgTransactionManager;
use sqlx::{PgConnection, SqlStr};
use sqlx_core::transaction::TransactionManager;

/// Begins the outermost by this statement.
pub(super) async fn begin(connection: &mut PgConnection, statement: SqlStr) -> sqlx::Result<()> {
    PgTransactionManager::begin(connection, Some(statement)).await
}

/// Commits all that are open.
pub(super) async fn commit(connection: &mut PgConnection) -> sqlx::Result<()> {
    while PgTransactionManager::get_transaction_depth(connection) > 0 {
        PgTransactionManager::commit(connection).await?;
    }
    Ok(())
}

/// Undoes all that are open.
pub(super) async fn roll_back(connection: &mut PgConnection) -> sqlx::Result<()> {
    while PgTransactionManager::get_transaction_depth(connection) > 0 {
        PgTransactionManager::rollback(connection).await?;
    }
    Ok(())
}
