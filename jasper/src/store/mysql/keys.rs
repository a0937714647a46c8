//! Statements about rows by their keys.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{MySqlConnection, SqlStr};

use super::binding::{bind, bind_key};
use super::sql;
use crate::store::sql::key::Key;

/// The most keys of one statement. The server takes 2 KiB for each while the statement is prepared.
const AT_ONCE: usize = 256;

/// Executes a statement for `{keys}`, with numbers for what stands before them; says how many rows
/// it met.
pub(super) async fn execute(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    before: &[i64],
    keys: &[Key],
) -> sqlx::Result<u64> {
    let mut met = 0;
    for keys in keys.chunks(AT_ONCE) {
        let mut arguments = MySqlArguments::default();
        for &value in before {
            bind(&mut arguments, value)?;
        }
        let number = bind_padded(keys, &mut arguments)?;
        let query = sqlx::query_with(sql::keyed(statement, number), arguments);
        met += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(met)
}

/// What a query for `{keys}` finds.
pub(super) async fn fetch(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    keys: &[Key],
) -> sqlx::Result<Vec<MySqlRow>> {
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(AT_ONCE) {
        let mut arguments = MySqlArguments::default();
        let number = bind_padded(keys, &mut arguments)?;
        let query = sqlx::query_with(sql::keyed(statement, number), arguments);
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Binds them, and the last one again until there are as many as a statement has; says how many.
///
/// There are few such statements, so that all of them stay prepared: see
/// [`unprepared`](sql::unprepared) for what it costs to close one.
fn bind_padded(keys: &[Key], arguments: &mut MySqlArguments) -> sqlx::Result<usize> {
    let number = padded(keys.len());
    bind_keys(keys, arguments)?;
    for last in std::iter::repeat_n(keys.last(), number - keys.len()).flatten() {
        bind_keys(std::slice::from_ref(last), arguments)?;
    }
    Ok(number)
}

/// The next power of two, or one and a half of one.
fn padded(keys: usize) -> usize {
    let power = keys.next_power_of_two();
    let between = power / 4 * 3;
    if keys <= between { between } else { power }
}

pub(super) fn bind_keys(keys: &[Key], arguments: &mut MySqlArguments) -> sqlx::Result<()> {
    keys.iter().try_for_each(|(id, destination)| bind_key(*id, destination, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_statements_are_prepared_and_none_is_much_too_long() {
        let mut numbers: Vec<usize> = (1..=AT_ONCE).map(padded).collect();
        assert!(
            (1..).zip(&numbers).all(|(keys, number)| (keys..keys * 3 / 2 + 1).contains(number))
        );
        numbers.dedup();
        assert_eq!(numbers.len(), 16, "{numbers:?}");
        assert_eq!(numbers.last(), Some(&AT_ONCE));
    }
}
