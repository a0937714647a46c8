//! Rows of an owner that is gone, made claimable by anybody.

use sqlx::{Connection, MySqlConnection, SqlStr};

use super::desk::Work;
use super::sql::Sql;
use super::{keys, rows};
use crate::store::Owner;

/// At most so many rows of one table.
///
/// A row that is locked is left for another time: a process that hangs in the middle of a commit
/// must not keep the other rows from being handled.
pub(super) struct Release {
    pub(super) table: Table,
    pub(super) owner: Owner,
    pub(super) limit: usize,
}

/// Which table.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Incoming,
    Outgoing,
}

impl Table {
    /// What finds rows of an owner that nobody has locked, and what makes `{keys}` nobody's.
    fn statements(self, sql: &Sql) -> (&SqlStr, &SqlStr) {
        match self {
            Self::Incoming => (&sql.inbox.find_owned, &sql.inbox.free),
            Self::Outgoing => (&sql.outbox.find_owned, &sql.outbox.free),
        }
    }
}

impl Work for Release {
    type Output = u64;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<u64> {
        let (find, free) = self.table.statements(sql);
        let mut transaction = connection.begin().await?;
        let found = sqlx::query(find.clone())
            .bind(self.owner.number())
            .bind(rows::limit(self.limit))
            .fetch_all(&mut *transaction)
            .await?;
        let found = found.iter().map(keys::read).collect::<sqlx::Result<Vec<_>>>()?;
        let released = keys::execute(&mut transaction, free, &[], &found).await?;
        transaction.commit().await?;
        Ok(released)
    }
}
