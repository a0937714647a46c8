//! The texts of the statements, with the names of this store's tables in them.

use crate::store::StoreError;
use crate::store::portions::PORTION;
use crate::store::sql::names::{checked, with_tables};
use crate::store::sql::statements::all_statements;
pub(super) use crate::store::sql::statements::statements;

/// A statement as the driver takes it.
pub(super) type Text = String;

/// The longest name of a schema.
const LONGEST: usize = 48;

/// Microseconds since 1970, by the clock of the database when the statement begins.
const NOW: &str = "datediff_big(microsecond, '1970-01-01', sysutcdatetime())";

/// The order of the store's own columns, for texts that come from a parameter.
const BY_BYTES: &str = "collate Latin1_General_BIN2";

/// The rows that a settlement or a completion is about, in the order of the parameter.
const ASKED: &str = "\
openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), owner bigint, attempts bigint)
    asked";

/// The keys that a statement is about.
const KEYS: &str = "openjson(@P1) with (id uniqueidentifier, destination nvarchar(255)) asked";

/// Whether a row is the one that is asked for.
const SAME: &str = "\
row.id = convert(binary(16), asked.id) and row.destination = asked.destination {bytes}";

/// What asks for rows by their keys finds each of them by its key. Without it the database may read
/// and lock all rows, as it knows nothing of how many are asked for.
const BY_KEY: &str = "option (loop join)";

/// The names of a store's tables, in its schema.
#[derive(Debug, Clone)]
pub(super) struct Names {
    schema: String,
}

impl Names {
    /// # Errors
    /// The schema is not `^[A-Za-z_][A-Za-z0-9_]*$`, or too long.
    pub(super) fn of(schema: &str) -> Result<Self, StoreError> {
        Ok(Self { schema: checked(schema, LONGEST)? })
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// A statement in which `{incoming}` and its like are names, and `{now}` is the present.
    pub(super) fn statement(&self, text: &str) -> Text {
        let schema = &self.schema;
        let text = text
            .replace("{asked}", ASKED)
            .replace("{keys}", KEYS)
            .replace("{held_incoming}", &held("jasper_incoming"))
            .replace("{held_outgoing}", &held("jasper_outgoing"))
            .replace("{same}", SAME)
            .replace("{same_letter}", &SAME.replace("row.", "jasper_dead_letters."))
            .replace("{by_key}", BY_KEY)
            .replace("{bytes}", BY_BYTES)
            .replace("{portion}", &PORTION.to_string())
            .replace("{now}", NOW)
            .replace("{schema}", &format!("[{schema}]"));
        with_tables(&text, |table| format!("[{schema}].[{table}]"))
    }
}

/// Whether a row of a table is the one that is asked for, and its owner still has it.
fn held(table: &str) -> String {
    format!("{SAME} and row.owner = asked.owner").replace("row.", &format!("{table}."))
}

/// A statement about its first parameter, about the one of this number instead.
pub(super) fn about(statement: &str, number: usize) -> String {
    statement.replace("@P1", &format!("@P{number}"))
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
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_needs_care_is_refused() {
        let long = "a".repeat(LONGEST + 1);
        for wrong in ["", "1a", "a-b", "a b", "a]b", "ä", "a.b", &long] {
            assert!(matches!(Names::of(wrong), Err(StoreError::BadName { .. })), "{wrong}");
        }
        for good in ["a", "_a", "Shop_2_", &long[1..]] {
            assert_eq!(Names::of(good).unwrap().schema(), good);
        }
    }

    #[test]
    fn names_are_quoted() {
        let names = Names::of("shop").unwrap();
        let text = names.statement("delete from {incoming}");
        assert_eq!(text, "delete from [shop].[jasper_incoming]");
    }
}
