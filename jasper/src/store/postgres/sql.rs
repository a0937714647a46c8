//! The texts of the statements, with the names of this store's schema in them.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::admin::AdminSql;
use super::completion::CompletionSql;
use super::dead_letters::DeadLettersSql;
use super::inbox::InboxSql;
use super::look::LookSql;
use super::nodes::NodesSql;
use super::outbox::OutboxSql;
use super::rows::RowsSql;
use super::sessions::SessionsSql;
use super::settlement::SettlementSql;
use crate::store::StoreError;

/// The longest name, so that names made of it are still names for PostgreSQL.
const LONGEST: usize = 48;

/// Microseconds since 1970, by the clock of the database.
const NOW: &str = "(extract(epoch from clock_timestamp()) * 1000000)::bigint";

/// How soon a row has to be due that others hear of at once, in microseconds: sooner than they look
/// by themselves.
const SOON: &str = "15000000";

/// How long before a row is due others have to know it, and how long a settlement may take that
/// relies on what they know.
pub(super) const TOLD_EARLY: Duration = Duration::from_millis(200);

/// Whether the transaction in which a handler was begun is still open.
const RUNNING: &str = "coalesce(current_setting('jasper.run', true), '') = 'on'";

/// The key of a guard: of its transaction alone, as a key that comes again finds all dead rows that
/// had it before. Below zero, where no older build has its keys.
const GUARD_KEY: &str = "(-1 - txid_current() % 2147483648)::integer";

/// How a letter takes the place of one with its key.
const OR_REPLACE: &str = "\
on conflict (id, destination) do update set
    (reason, message_type, error_type, error_message, attempts, body, buried_at, group_id,
        tenant_id, correlation_id, sent_at, keep_for) =
    (excluded.reason, excluded.message_type, excluded.error_type, excluded.error_message,
        excluded.attempts, excluded.body, excluded.buried_at, excluded.group_id,
        excluded.tenant_id, excluded.correlation_id, excluded.sent_at, excluded.keep_for)";

/// The schema and the channel of a store.
#[derive(Debug, Clone)]
pub(super) struct Names {
    schema: String,
}

impl Names {
    /// # Errors
    /// The name is not `^[A-Za-z_][A-Za-z0-9_]{0,47}$`.
    pub(super) fn of(schema: &str) -> Result<Self, StoreError> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins_well = schema.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        match begins_well && schema.len() <= LONGEST && schema.chars().all(is_inner) {
            true => Ok(Self { schema: schema.to_owned() }),
            false => Err(StoreError::BadName { name: schema.to_owned() }),
        }
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Where word is given of rows that anybody may claim.
    pub(super) fn channel(&self) -> String {
        format!("jasper:{}", self.schema)
    }

    /// A statement in which `{incoming}` and its like are names and `{now}` is the present.
    /// `{running}` is whether the transaction that a handler was given is still open, `{guard_key}`
    /// is the key of the guard of a shared one, and `{tell}` gives word of rows that anybody may
    /// claim, once the transaction commits. What is due before `{soon}` is to be told. An insert of
    /// dead letters ends in `{or_replace}`.
    pub(super) fn statement(&self, text: &str) -> SqlStr {
        let schema = &self.schema;
        let text = text
            .replace("{incoming}", &format!("\"{schema}\".jasper_incoming"))
            .replace("{outgoing}", &format!("\"{schema}\".jasper_outgoing"))
            .replace("{dead_letters}", &format!("\"{schema}\".jasper_dead_letters"))
            .replace("{nodes}", &format!("\"{schema}\".jasper_nodes"))
            .replace("{guard}", &format!("\"{schema}\".jasper_guard"))
            .replace("{migrations}", &format!("\"{schema}\".jasper_migrations"))
            .replace("{schema}", &format!("\"{schema}\""))
            .replace("{tell}", &format!("(select pg_notify('{}', ''))", self.channel()))
            .replace("{or_replace}", OR_REPLACE)
            .replace("{told_early}", &TOLD_EARLY.as_micros().to_string())
            .replace("{soon}", &format!("({NOW} + {SOON})"))
            .replace("{running}", RUNNING)
            .replace("{guard_key}", GUARD_KEY)
            .replace("{now}", NOW);
        // Constants of this store, and a name that was found to be nothing else.
        AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
    }
}

/// Declares the statements of one file, so that they are made once and the test of plans sees all.
macro_rules! statements {
    ($name:ident { $($statement:ident: $text:expr),+ $(,)? }) => {
        #[derive(Debug)]
        pub(super) struct $name {
            $(pub(super) $statement: sqlx::SqlStr,)+
        }

        impl $name {
            pub(super) fn of(names: &super::sql::Names) -> Self {
                Self { $($statement: names.statement(&$text),)+ }
            }

            /// Every statement, with its name.
            #[cfg(test)]
            pub(super) fn list(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($statement), self.$statement.as_str()),)+]
            }
        }
    };
}

pub(super) use statements;

/// All statements of a store.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) rows: RowsSql,
    pub(super) inbox: InboxSql,
    pub(super) look: LookSql,
    pub(super) outbox: OutboxSql,
    pub(super) settlement: SettlementSql,
    pub(super) completion: CompletionSql,
    pub(super) dead_letters: DeadLettersSql,
    pub(super) nodes: NodesSql,
    pub(super) admin: AdminSql,
    pub(super) sessions: SessionsSql,
}

impl Sql {
    pub(super) fn of(names: &Names) -> Self {
        Self {
            rows: RowsSql::of(names),
            inbox: InboxSql::of(names),
            look: LookSql::of(names),
            outbox: OutboxSql::of(names),
            settlement: SettlementSql::of(names),
            completion: CompletionSql::of(names),
            dead_letters: DeadLettersSql::of(names),
            nodes: NodesSql::of(names),
            admin: AdminSql::of(names),
            sessions: SessionsSql::of(names),
        }
    }

    /// Every statement, with its name.
    #[cfg(test)]
    pub(super) fn list(&self) -> Vec<(&'static str, &str)> {
        [
            self.rows.list(),
            self.inbox.list(),
            self.look.list(),
            self.outbox.list(),
            self.settlement.list(),
            self.completion.list(),
            self.dead_letters.list(),
            self.nodes.list(),
            self.admin.list(),
            self.sessions.list(),
        ]
        .concat()
    }
}

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
            assert!(!text.contains('{'), "{name}: {text}");
        }
    }
}
