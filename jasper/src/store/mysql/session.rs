//! One connection of the store, and what is set for its session at the server.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row, SqlSafeStr, SqlStr};
use tokio::time::Instant;

use super::marks::Mark;
use super::server::Server;

/// Read committed, as the locks on gaps that repeatable read sets make queues lock each other out.
pub(super) const READ_COMMITTED: &str = "set session transaction isolation level read committed";

/// The order of the store's own columns. With another one, texts in a statement are compared by
/// that, and MariaDB gathers all groups of a look before it gives the first of them.
const BY_BYTES: &str = "set names utf8mb4 collate utf8mb4_bin";

/// Without autocommit. What a handler does after a `commit` of its own is then still in a
/// transaction, and undone when that is found out.
const NO_AUTOCOMMIT: &str = "set session autocommit = 0";

// The savepoint is there for one purpose: what ends the transaction takes it away, so that the
// commit finds out that a statement of the handler has ended it. As the connection has no
// autocommit, all since then is undone. It costs no trip of its own. The transaction may write
// whatever an earlier handler has set.
const BEGIN: &str = "start transaction read write; savepoint jasper_run";

/// What handlers are known to change, as one number. What they leave besides, such as variables and
/// temporary tables of their own, is seen by whatever runs on the connection later.
const SETTINGS: &str = "cast(crc32(concat_ws('|',
    @@autocommit, @@sql_mode, @@time_zone, @@character_set_client, @@character_set_connection,
    @@character_set_results, @@collation_connection, @@foreign_key_checks, @@unique_checks,
    @@sql_safe_updates, @@sql_select_limit, @@lock_wait_timeout, @@innodb_lock_wait_timeout,
    @@completion_type, database(), current_role(), {more})) as signed)";

const MARIADB: &str = "@@tx_isolation, @@tx_read_only, @@max_statement_time";
const MYSQL: &str = "@@transaction_isolation, @@transaction_read_only, @@max_execution_time";

/// The longest that MariaDB takes for a transaction in which nothing happens, in seconds.
const LONGEST_IDLE: u64 = 31_536_000;

/// For what a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPurpose {
    /// For runs of handlers: never with autocommit.
    Runs,
    /// For the store's own statements.
    InternalPool,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: MySqlConnection,
    pub(super) mark: Option<Mark>,
    pub(super) opened: Instant,
    settings: i64,
    commit: SqlStr,
    /// The limit for a transaction in which nothing happens, in seconds.
    idle: u64,
}

impl Session {
    pub(super) async fn open(server: &Server, kind: SessionPurpose) -> sqlx::Result<Self> {
        let options = server.credentials.current();
        let mut connection = MySqlConnection::connect_with(&options).await?;
        let idle = idle_seconds(Duration::ZERO, server);
        let mut set_up = match kind {
            SessionPurpose::Runs => format!("{READ_COMMITTED}; {NO_AUTOCOMMIT}; "),
            // A lock is waited for less long than the answer.
            SessionPurpose::InternalPool => format!(
                "{READ_COMMITTED}; {BY_BYTES}; set session innodb_lock_wait_timeout = {}; ",
                server.limit().as_secs().saturating_sub(1).max(1)
            ),
        };
        if server.is_mariadb {
            set_up += &format!("set session idle_transaction_timeout = {idle}; ");
        }
        let set_up = format!("{set_up}select {}", settings(server));
        let settings = number(&mut connection, AssertSqlSafe(set_up).into_sql_str()).await?;
        let mark = server.marks.put_on(&mut connection).await?;
        if kind == SessionPurpose::Runs {
            // The driver is to think that a transaction is open, whatever else happens: then a
            // `begin` within a handler is a savepoint. Its end would count it as over.
            std::mem::forget(connection.begin().await?);
        }
        // Nothing may fail after the commit.
        let commit =
            format!("release savepoint jasper_run; select {}; commit", self::settings(server));
        let commit = AssertSqlSafe(Arc::<str>::from(commit)).into_sql_str();
        Ok(Self { connection, mark, opened: Instant::now(), settings, commit, idle })
    }

    /// Begins the transaction of a handler that may take so long. The server ends it where nothing
    /// happens in it for longer than that and some reserve.
    pub(super) async fn begin(&mut self, limit: Duration, server: &Server) -> sqlx::Result<()> {
        let idle = idle_seconds(limit, server);
        let begin = if server.is_mariadb && idle != self.idle {
            AssertSqlSafe(format!("set session idle_transaction_timeout = {idle}; {BEGIN}"))
                .into_sql_str()
        } else {
            BEGIN.into_sql_str()
        };
        sqlx::raw_sql(begin).execute(&mut self.connection).await?;
        self.idle = idle;
        Ok(())
    }

    /// Commits; `false` where the handler has left settings that no other is to meet.
    pub(super) async fn commit(&mut self) -> sqlx::Result<bool> {
        let left = number(&mut self.connection, self.commit.clone()).await?;
        Ok(left == self.settings)
    }
}

/// How many seconds the server leaves a transaction open in which nothing happens.
fn idle_seconds(limit: Duration, server: &Server) -> u64 {
    let reserve = 2 * server.limit();
    limit.saturating_add(reserve).as_secs().saturating_add(1).min(LONGEST_IDLE)
}

fn settings(server: &Server) -> String {
    SETTINGS.replace("{more}", if server.is_mariadb { MARIADB } else { MYSQL })
}

/// The number with which one of these statements answers.
async fn number(connection: &mut MySqlConnection, statements: SqlStr) -> sqlx::Result<i64> {
    // All of them, so that every answer is read.
    let rows = sqlx::raw_sql(statements).fetch_all(connection).await?;
    rows.last().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}
