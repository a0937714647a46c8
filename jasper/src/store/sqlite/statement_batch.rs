//! Several statements in one trip to the connection's thread.

use std::borrow::Cow;

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments, AssertSqlSafe, Either, Encode, Executor, SqlSafeStr, SqlStr, Sqlite,
    SqliteConnection, Type,
};

/// How many settlements go in one trip. Each number of them is a text of its own in the cache.
pub(super) const SETTLEMENTS_PER_TRIP: usize = 60;

/// Statements with their arguments, executed in order until one fails.
///
/// The driver hands each query to a thread and waits for it, which costs more than most of our
/// statements do; it runs all statements of one text in one such trip, and keeps them prepared
/// under that text.
#[derive(Default)]
pub(super) struct StatementBatch {
    sql: Cow<'static, str>,
    arguments: SqliteArguments,
}

/// What one statement of a batch did.
#[derive(Default)]
pub(super) struct StatementResult {
    /// How many rows it wrote or deleted.
    pub(super) changes: u64,
    /// The rows that it returned.
    pub(super) rows: Vec<SqliteRow>,
}

impl StatementBatch {
    /// A batch that begins with this statement.
    pub(super) fn of(sql: &'static str) -> Self {
        let mut batch = Self::default();
        batch.push(sql);
        batch
    }

    /// Adds a statement. It may refer to its arguments by `?` only, in the order in which they are
    /// bound.
    pub(super) fn push(&mut self, sql: impl Into<Cow<'static, str>>) {
        if self.sql.is_empty() {
            self.sql = sql.into();
        } else {
            let text = self.sql.to_mut();
            text.push_str(";\n");
            text.push_str(&sql.into());
        }
    }

    /// Whether it has no statement.
    pub(super) fn is_empty(&self) -> bool {
        self.sql.is_empty()
    }

    /// Binds the next argument.
    pub(super) fn bind<'t, T>(&mut self, value: T) -> sqlx::Result<()>
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        self.arguments.add(value).map_err(sqlx::Error::Encode)
    }

    /// Executes all, and says what each did.
    pub(super) async fn run(
        self,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<Vec<StatementResult>> {
        let sql: SqlStr = match self.sql {
            Cow::Borrowed(sql) => sql.into_sql_str(),
            // Only constants of this store are ever pushed; what users give is bound.
            Cow::Owned(sql) => AssertSqlSafe(sql).into_sql_str(),
        };
        let mut answers = connection.fetch_many(sqlx::query_with(sql, self.arguments));
        let mut all = Vec::new();
        let mut running = StatementResult::default();
        while let Some(answer) = answers.try_next().await? {
            match answer {
                Either::Right(row) => running.rows.push(row),
                Either::Left(done) => {
                    running.changes = done.rows_affected();
                    all.push(std::mem::take(&mut running));
                }
            }
        }
        Ok(all)
    }

    /// Executes all, and says how many rows they changed together.
    pub(super) async fn changes(self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let results = self.run(connection).await?;
        Ok(results.iter().map(|results| results.changes).sum())
    }
}
