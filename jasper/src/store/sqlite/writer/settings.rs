//! What a handler may leave behind on the connection that it borrowed.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::super::statement_batch::{StatementBatch, StatementResult};

/// Read after each handler: what would harm the next at once.
pub(super) const TRACES: &str = "\
select
    (select schema_version from pragma_schema_version),
    (select defer_foreign_keys from pragma_defer_foreign_keys),
    (select query_only from pragma_query_only),
    (select count(*) from pragma_database_list where name not in ('main', 'temp'))
        + (select count(*) from sqlite_temp_schema)";

/// Read with each commit: what changes how statements work. Each is compared with what it was when
/// the connection was new.
pub(super) const SETTINGS: &str = "\
select (select foreign_keys from pragma_foreign_keys)
    || ' ' || (select ignore_check_constraints from pragma_ignore_check_constraints)
    || ' ' || (select recursive_triggers from pragma_recursive_triggers)
    || ' ' || (select writable_schema from pragma_writable_schema)
    || ' ' || (select reverse_unordered_selects from pragma_reverse_unordered_selects)
    || ' ' || (select read_uncommitted from pragma_read_uncommitted)
    || ' ' || (select legacy_alter_table from pragma_legacy_alter_table)
    || ' ' || (select trusted_schema from pragma_trusted_schema)
    || ' ' || (select locking_mode from pragma_locking_mode)
    || ' ' || (select timeout from pragma_busy_timeout)
    || ' ' || (select max_page_count from pragma_max_page_count)";

/// The tables of this store as they are made.
const TABLES: &str = "\
select coalesce(group_concat(sql, ';'), '') from (
    select sql from sqlite_schema
    where type = 'table' and name in ('jasper_incoming', 'jasper_outgoing',
        'jasper_dead_letters', 'jasper_nodes', 'jasper_migrations')
    order by name
)";

/// The answer to [`TRACES`].
pub(super) struct Traces {
    /// It changes with each change of the schema.
    pub(super) schema: i64,
    /// Foreign keys that are checked at once are checked at the commit, until that.
    pub(super) defers: bool,
    /// Nothing can be written.
    pub(super) read_only: bool,
    /// Databases are attached, or there are temporary tables, views or triggers.
    pub(super) holds: bool,
}

impl Traces {
    pub(super) fn of(results: &StatementResult) -> sqlx::Result<Self> {
        let row = results.rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self {
            schema: row.try_get(0)?,
            defers: flag(row, 1)?,
            read_only: flag(row, 2)?,
            holds: flag(row, 3)?,
        })
    }
}

fn flag(row: &SqliteRow, column: usize) -> sqlx::Result<bool> {
    Ok(row.try_get::<i64, _>(column)? != 0)
}

/// The settings of a new connection. `None`: this SQLite does not tell.
pub(super) async fn settings(connection: &mut SqliteConnection) -> Option<String> {
    let results = StatementBatch::of(SETTINGS).run(connection).await.ok()?;
    settings_of(results.first()?)
}

/// The answer to [`SETTINGS`].
pub(super) fn settings_of(results: &StatementResult) -> Option<String> {
    results.rows.first()?.try_get(0).ok()?
}

pub(super) async fn tables(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    let results = StatementBatch::of(TABLES).run(connection).await?;
    let row = results.first().and_then(|results| results.rows.first());
    row.ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}
