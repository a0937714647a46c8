//! Numbers between Rust and the columns of SQL, which are signed and have 64 bits.

use std::time::Duration;

/// The owner of a row that has none.
pub(crate) const NO_OWNER: i64 = 0;

/// Microseconds as a column holds them, few enough that a sum with the present is not too large.
pub(crate) fn micros(duration: Duration) -> i64 {
    const MOST: i64 = i64::MAX / 2;
    i64::try_from(duration.as_micros()).map_or(MOST, |micros| micros.min(MOST))
}

/// A limit as SQL takes it.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A count of rows, which is never negative.
pub(crate) fn total(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// A length that the database gives, 0 where there is nothing that has one.
pub(crate) fn size(bytes: Option<i64>) -> usize {
    bytes.map_or(0, |bytes| usize::try_from(bytes.max(0)).unwrap_or(usize::MAX))
}
