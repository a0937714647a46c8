//! How long the database may take to answer.

use std::time::Duration;

use crate::store::sql::limits::StatementLimits;

/// The shortest limit of a statement, however short the lease is.
const SHORTEST: Duration = Duration::from_millis(500);

/// The limit of what people ask for and what may read whole tables: counts, lists, purges.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// How much longer than its handler may take a session may do nothing, before the server ends it.
pub(super) const RESERVE: Duration = Duration::from_secs(5);

/// The limits of the store's own statements.
pub(super) fn limits() -> StatementLimits {
    StatementLimits::between(SHORTEST, Duration::MAX)
}
