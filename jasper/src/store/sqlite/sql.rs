//! The statements of the store. The names of its tables are fixed.

use std::sync::LazyLock;

use crate::store::sql::statements::all_statements;
pub(super) use crate::store::sql::statements::statements;

/// A statement as the driver takes it.
pub(super) type Text = &'static str;

/// The names of the tables, which stand in the texts already.
#[derive(Debug)]
pub(super) struct Names;

impl Names {
    /// The text as it is.
    #[expect(clippy::unused_self, reason = "other stores put their names into it")]
    pub(super) const fn statement(&self, text: &'static str) -> Text {
        text
    }
}

all_statements!(Sql {
    inbox: InboxSql,
    outbox: OutboxSql,
    settlement: SettlementSql,
    dead_letters: DeadLettersSql,
    nodes: NodesSql,
    admin: AdminSql,
});

/// One for all stores of the process.
pub(super) static SQL: LazyLock<Sql> = LazyLock::new(|| Sql::of(&Names));
