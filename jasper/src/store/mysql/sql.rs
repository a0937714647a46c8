//! The texts of the statements, with the names of this store's tables in them.

use std::hash::{DefaultHasher, Hash, Hasher};

use sqlx::{AssertSqlSafe, RawSql, SqlSafeStr, SqlStr};

use crate::store::StoreError;
use crate::store::sql::names::{checked, with_tables};
use crate::store::sql::statements::all_statements;
pub(super) use crate::store::sql::statements::statements;

/// A statement as the driver takes it.
pub(super) type Text = SqlStr;

/// The longest prefix. A table's name may have 64 characters, and MySQL makes names like
/// `jasper_incoming_chk_1` of it.
const LONGEST: usize = 43;

/// Microseconds since 1970, by the clock of the database when the statement begins. Unlike
/// `unix_timestamp` it knows of no time zone, and of times after 2038.
pub(super) const NOW: &str =
    "timestampdiff(microsecond, timestamp'1970-01-01 00:00:00', utc_timestamp(6))";

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
        let prefix = match prefix {
            "" => String::new(),
            prefix => checked(prefix, LONGEST)?,
        };
        Ok(Self { database: database.to_owned(), prefix })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Those of tables beside these, with this letter for them: what stands for this store is short
    /// in it, as a prefix that is longer may be no prefix any more.
    pub(super) fn beside(&self, letter: char) -> Self {
        let mut hasher = DefaultHasher::new();
        self.prefix.hash(&mut hasher);
        let prefix = format!("{letter}{:016x}_", hasher.finish());
        Self { database: self.database.clone(), prefix }
    }

    /// What stands for this store among those of one server.
    pub(super) fn unique(&self) -> String {
        format!("{}.{}", self.database, self.prefix)
    }

    pub(super) fn table(&self, name: &str) -> String {
        let Self { database, prefix } = self;
        format!("`{}`.`{prefix}{name}`", database.replace('`', "``"))
    }

    /// A statement in which `{incoming}` and its like are names and `{now}` is the present. What is
    /// repeated, such as `{keys}`, is left for [`keyed`] and [`repeated`].
    pub(super) fn statement(&self, text: &str) -> SqlStr {
        let text = with_tables(text, |name| self.table(name))
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

/// A statement with this many keys for `{keys}`.
pub(super) fn keyed(statement: &SqlStr, keys: usize) -> SqlStr {
    let [before, key, after] = KEYS;
    let list = [before, &vec![key; keys].join(", "), after].concat();
    // Constants of this store; what users give is bound.
    AssertSqlSafe(statement.as_str().replace("{keys}", &list)).into_sql_str()
}

/// A statement with this many of `one` for `place`.
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

all_statements!(Sql {
    rows: RowsSql,
    inbox: InboxSql,
    outbox: OutboxSql,
    settlement: SettlementSql,
    completion: CompletionSql,
    dead_letters: DeadLettersSql,
    nodes: NodesSql,
    admin: AdminSql,
} with {
    /// The most bytes that the server takes in one statement, its arguments included.
    packet_limit: usize,
});

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
