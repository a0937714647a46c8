//! The texts of the statements, with the names of this store's tables in them.

use sqlx::{AssertSqlSafe, RawSql, SqlSafeStr, SqlStr};

use super::admin::AdminSql;
use super::completion::CompletionSql;
use super::dead_letters::DeadLettersSql;
use super::inbox::InboxSql;
use super::nodes::NodesSql;
use super::outbox::OutboxSql;
use super::rows::RowsSql;
use super::settlement::SettlementSql;
use crate::store::StoreError;

/// The longest prefix. A table's name may have 64 characters, and MySQL makes names like
/// `jasper_incoming_chk_1` of it.
const LONGEST: usize = 43;

/// Microseconds since 1970, by the clock of the database when the statement begins. Unlike
/// `unix_timestamp` it knows of no time zone, and of times after 2038.
const NOW: &str = "timestampdiff(microsecond, timestamp'1970-01-01 00:00:00', utc_timestamp(6))";

/// What `{keys}` stands for, with one of them in its middle. Alternatives joined by `or` take both
/// servers several times as long to plan.
const KEYS: [&str; 3] = ["(id, destination) in (", "(?, ?)", ")"];

/// The names of a store's tables. They name the database too, so that they mean the same on a
/// connection of the user's own, and after a `use` of the handler.
#[derive(Debug, Clone)]
pub(super) struct Names {
    database: String,
    prefix: String,
}

impl Names {
    /// # Errors
    /// The prefix is neither empty nor `^[A-Za-z_][A-Za-z0-9_]*$`, or too long.
    pub(super) fn of(database: &str, prefix: &str) -> Result<Self, StoreError> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins_well = !prefix.starts_with(|c: char| c.is_ascii_digit());
        match begins_well && prefix.len() <= LONGEST && prefix.chars().all(is_inner) {
            true => Ok(Self { database: database.to_owned(), prefix: prefix.to_owned() }),
            false => Err(StoreError::BadName { name: prefix.to_owned() }),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What stands for this store among those of one server.
    pub(super) fn unique(&self) -> String {
        format!("{}.{}", self.database, self.prefix)
    }

    fn table(&self, name: &str) -> String {
        let Self { database, prefix } = self;
        format!("`{}`.`{prefix}{name}`", database.replace('`', "``"))
    }

    /// A statement in which `{incoming}` and its like are names and `{now}` is the present. What is
    /// repeated, such as `{keys}`, is left for [`keyed`] and [`repeated`].
    pub(super) fn statement(&self, text: &str) -> SqlStr {
        let text = text
            .replace("{incoming}", &self.table("jasper_incoming"))
            .replace("{outgoing}", &self.table("jasper_outgoing"))
            .replace("{dead_letters}", &self.table("jasper_dead_letters"))
            .replace("{nodes}", &self.table("jasper_nodes"))
            .replace("{migrations}", &self.table("jasper_migrations"))
            .replace("{schema}", &self.table("jasper_schema"))
            .replace("{now}", NOW);
        // Constants of this store, and names that were found to be nothing else.
        AssertSqlSafe(text).into_sql_str()
    }
}

/// A query that binds nothing, and is not prepared.
///
/// MariaDB 10.11 plans a prepared query worse where it is executed again after others have used the
/// table: it then takes no index for one that holds all the columns, and reads every row. One that
/// is prepared and closed each time costs its connection 40 ms: the server says nothing to the
/// close, and what the driver sends next waits until the server's system acknowledges it.
pub(super) fn unprepared(statement: &SqlStr) -> RawSql {
    sqlx::raw_sql(statement.clone())
}

/// A text of the store's own order, for a statement that binds nothing.
pub(super) fn literal(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("_utf8mb4 x'{digits}' collate utf8mb4_bin")
}

/// A statement with so many keys for `{keys}`.
pub(super) fn keyed(statement: &SqlStr, keys: usize) -> SqlStr {
    let [before, key, after] = KEYS;
    let list = [before, &vec![key; keys].join(", "), after].concat();
    // Constants of this store; what users give is bound.
    AssertSqlSafe(statement.as_str().replace("{keys}", &list)).into_sql_str()
}

/// A statement with so many of `one` for `place`.
pub(super) fn repeated(
    statement: &SqlStr,
    place: &str,
    one: &str,
    separator: &str,
    times: usize,
) -> SqlStr {
    let list = vec![one; times].join(separator);
    // Constants of this store; what users give is bound.
    AssertSqlSafe(statement.as_str().replace(place, &list)).into_sql_str()
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
                Self { $($statement: names.statement($text),)+ }
            }

            /// Every statement, with its name.
            #[cfg(test)]
            pub(super) fn list(&self) -> Vec<(&'static str, &sqlx::SqlStr)> {
                vec![$((stringify!($statement), &self.$statement),)+]
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
    pub(super) outbox: OutboxSql,
    pub(super) settlement: SettlementSql,
    pub(super) completion: CompletionSql,
    pub(super) dead_letters: DeadLettersSql,
    pub(super) nodes: NodesSql,
    pub(super) admin: AdminSql,
    /// The most bytes that the server takes in one statement, its arguments included.
    pub(super) packet_limit: usize,
}

impl Sql {
    pub(super) fn of(names: &Names, packet_limit: usize) -> Self {
        Self {
            rows: RowsSql::of(names),
            inbox: InboxSql::of(names),
            outbox: OutboxSql::of(names),
            settlement: SettlementSql::of(names),
            completion: CompletionSql::of(names),
            dead_letters: DeadLettersSql::of(names),
            nodes: NodesSql::of(names),
            admin: AdminSql::of(names),
            packet_limit,
        }
    }

    /// Every statement, with its name.
    #[cfg(test)]
    pub(super) fn list(&self) -> Vec<(&'static str, &SqlStr)> {
        [
            self.rows.list(),
            self.inbox.list(),
            self.outbox.list(),
            self.settlement.list(),
            self.completion.list(),
            self.dead_letters.list(),
            self.nodes.list(),
            self.admin.list(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_needs_care_is_refused() {
        let long = "a".repeat(LONGEST + 1);
        for wrong in ["1a", "a-b", "a b", "a`b", "ä", "a.b", &long] {
            let refused = Names::of("shop", wrong);
            assert!(matches!(refused, Err(StoreError::BadName { .. })), "{wrong}");
        }
        for good in ["", "a", "_a", "Shop_2_", &long[1..]] {
            assert_eq!(Names::of("shop", good).unwrap().prefix(), good);
        }
    }

    #[test]
    fn names_are_quoted() {
        let names = Names::of("a`b", "shop_").unwrap();
        let text = names.statement("select * from {incoming}");
        assert_eq!(text.as_str(), "select * from `a``b`.`shop_jasper_incoming`");
    }
}
