//! The texts of the statements, with the names of this store's schema in them.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::store::StoreError;
use crate::store::sql::names::{checked, with_tables};
use crate::store::sql::statements::all_statements;
pub(super) use crate::store::sql::statements::statements;

/// A statement as the driver takes it.
pub(super) type Text = SqlStr;

/// The longest name, so that names made of it are still names for PostgreSQL.
const LONGEST: usize = 48;

/// Microseconds since 1970, by the clock of the database.
const NOW: &str = "(extract(epoch from clock_timestamp()) * 1000000)::bigint";

/// How soon a row has to be due of which others are notified at once, in microseconds: sooner than
/// they look by themselves.
const SOON: &str = "15000000";

/// How long before a row is due others have to know it, and how long a settlement may take that
/// relies on what they know.
pub(super) const NOTIFIED_EARLY: Duration = Duration::from_millis(200);

/// Whether the transaction in which a handler was begun is still open.
const RUNNING: &str = "coalesce(current_setting('jasper.run', true), '') = 'on'";

/// The key of a guard: another one for each transaction, as a lookup by a key that was used before
/// reads all dead rows with it. Below zero, where no older build has its keys.
const COMMIT_GUARD_KEY: &str = "(-1 - txid_current() % 2147483648)::integer";

/// Lets the commit of a claim return before it is on disk. A crash of the database can undo a claim
/// only together with all that was committed after it, and what was claimed is unowned then: what
/// its node still commits finds that it is fenced.
const WITHOUT_FLUSH: &str = "(select set_config('synchronous_commit', 'off', true)) without_flush";

/// How a letter takes the place of one with its key.
const OR_REPLACE: &str = "\
on conflict (id, destination) do update set
    (reason, message_type, error_type, error_message, attempts, body, dead_lettered_at, group_id,
        tenant_id, correlation_id, sent_at, retention) =
    (excluded.reason, excluded.message_type, excluded.error_type, excluded.error_message,
        excluded.attempts, excluded.body, excluded.dead_lettered_at, excluded.group_id,
        excluded.tenant_id, excluded.correlation_id, excluded.sent_at, excluded.retention)";

/// The schema and the channel of a store.
#[derive(Debug, Clone)]
pub(super) struct Names {
    schema: String,
}

impl Names {
    /// # Errors
    /// The name is not `^[A-Za-z_][A-Za-z0-9_]{0,47}$`.
    pub(super) fn of(schema: &str) -> Result<Self, StoreError> {
        Ok(Self { schema: checked(schema, LONGEST)? })
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// The channel on which nodes are notified of rows that any of them may claim.
    pub(super) fn channel(&self) -> String {
        format!("jasper:{}", self.schema)
    }

    /// A statement in which `{incoming}` and its like are names and `{now}` is the present.
    /// `{running}` is whether the transaction that a handler was given is still open,
    /// `{commit_guard_key}` is the key of the commit guard of a shared one, and `{notify}` notifies
    /// of rows that any node may claim, once the transaction commits. What is due before `{soon}`
    /// is to be notified. An insert of dead letters ends in `{or_replace}`. The commit of a
    /// statement that selects from `{without_flush}` returns before it is on disk.
    pub(super) fn statement(&self, text: &str) -> SqlStr {
        let schema = &self.schema;
        let text = with_tables(text, |name| format!("\"{schema}\".{name}"))
            .replace("{commit_guard}", &format!("\"{schema}\".jasper_commit_guard"))
            .replace("{schema}", &format!("\"{schema}\""))
            .replace("{notify}", &format!("(select pg_notify('{}', ''))", self.channel()))
            .replace("{or_replace}", OR_REPLACE)
            .replace("{notified_early}", &NOTIFIED_EARLY.as_micros().to_string())
            .replace("{soon}", &format!("({NOW} + {SOON})"))
            .replace("{without_flush}", WITHOUT_FLUSH)
            .replace("{running}", RUNNING)
            .replace("{commit_guard_key}", COMMIT_GUARD_KEY)
            .replace("{now}", NOW);
        // Constants of this store, and a name that was found to be nothing else.
        AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
    }
}

all_statements!(Sql {
    rows: RowsSql,
    inbox: InboxSql,
    claimable: ClaimableSql,
    outbox: OutboxSql,
    settlement: SettlementSql,
    completion: CompletionSql,
    dead_letters: DeadLettersSql,
    nodes: NodesSql,
    admin: AdminSql,
    sessions: SessionsSql,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_needs_care_is_refused() {
        let long = "a".repeat(LONGEST + 1);
        for wrong in ["", "1a", "a-b", "a b", "a\"b", "ä", "a.b", &long] {
            let refused = Names::of(wrong);
            assert!(matches!(refused, Err(StoreError::BadName { .. })), "{wrong}");
        }
        for good in ["a", "_a", "Jasper_2", &long[1..]] {
            assert_eq!(Names::of(good).unwrap().schema(), good);
        }
    }

    #[test]
    fn no_placeholder_is_left() {
        let sql = Sql::of(&Names::of("shop").unwrap());
        for (name, text) in sql.list() {
            let text = text.as_str();
            assert!(!text.contains('{'), "{name}: {text}");
        }
    }
}
