//! Rows of which only those are taken that are not locked.

use sqlx::{Connection, MySqlConnection, SqlStr};

use super::internal_pool::Work;
use super::keys;
use super::sql::Sql;
use crate::store::Owner;
use crate::store::sql::columns;
use crate::store::sql::number::limit;

/// Finds rows, and does the same to each.
///
/// A row that is locked is left for another time: a process that hangs in the middle of a commit,
/// or a handler that takes its time, must not keep the others from being handled.
pub(super) struct Sweep {
    kind: SweepKind,
    limit: usize,
}

#[derive(Clone, Copy)]
enum SweepKind {
    Release(Table, Owner),
    Due,
    Purge,
}

#[derive(Clone, Copy)]
pub(super) enum Table {
    Incoming,
    Outgoing,
}

impl Sweep {
    /// Takes the owner from at most `limit` rows of a node that is gone, so that any node may claim
    /// them.
    pub(super) const fn release(table: Table, owner: Owner, limit: usize) -> Self {
        Self { kind: SweepKind::Release(table, owner), limit }
    }

    /// Makes at most `limit` rows claimable whose time has come.
    pub(super) const fn due(limit: usize) -> Self {
        Self { kind: SweepKind::Due, limit }
    }

    /// Deletes at most this many handled rows whose time of keeping is over.
    pub(super) const fn purge(limit: usize) -> Self {
        Self { kind: SweepKind::Purge, limit }
    }

    /// What finds the rows, and what is done to `{keys}`.
    const fn statements<'s>(&self, sql: &'s Sql) -> (&'s SqlStr, &'s SqlStr) {
        match self.kind {
            SweepKind::Release(Table::Incoming, _) => (&sql.inbox.find_owned, &sql.inbox.free),
            SweepKind::Release(Table::Outgoing, _) => (&sql.outbox.find_owned, &sql.outbox.free),
            SweepKind::Due => (&sql.inbox.find_due, &sql.inbox.become_due),
            SweepKind::Purge => (&sql.admin.find_over, &sql.settlement.delete),
        }
    }
}

impl Work for Sweep {
    type Output = u64;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<u64> {
        let (find, write) = self.statements(sql);
        let mut transaction = connection.begin().await?;
        let mut query = sqlx::query(find.clone());
        if let SweepKind::Release(_table, owner) = self.kind {
            query = query.bind(owner.number());
        }
        let found = query.bind(limit(self.limit)).fetch_all(&mut *transaction).await?;
        let found = columns::all(&found, |row| columns::key(row, 0))?;
        let swept = keys::execute(&mut transaction, write, &[], &found).await?;
        transaction.commit().await?;
        Ok(swept)
    }
}
