//! Statements about rows by their keys.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{MySqlConnection, SqlStr};

use super::SHARED_ROWS;
use super::rows::{self, bind, bind_key};
use super::sql;
use crate::envelope::{Address, MessageId};
use crate::store::Ownership;

/// Statements with up to so many keys stay prepared, a text for each number of them.
pub(super) const PREPARED_KEYS: usize = 32;

/// What a row is found by.
pub(super) type Key = (MessageId, Address);

pub(super) fn key_of(row: &Ownership) -> Key {
    (row.id, row.destination.clone())
}

/// The key of a row that begins with it.
pub(super) fn read(row: &MySqlRow) -> sqlx::Result<Key> {
    Ok((rows::message_id(row, 0)?, rows::address(row, 1)?))
}

/// Executes a statement for `{keys}`, with numbers for what stands before them; says how many rows
/// it met.
pub(super) async fn execute(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    before: &[i64],
    keys: &[Key],
) -> sqlx::Result<u64> {
    let mut met = 0;
    for keys in keys.chunks(SHARED_ROWS) {
        let mut arguments = MySqlArguments::default();
        for &value in before {
            bind(&mut arguments, value)?;
        }
        bind_keys(keys, &mut arguments)?;
        let query = sqlx::query_with(sql::keyed(statement, keys.len()), arguments);
        let query = query.persistent(keys.len() <= PREPARED_KEYS);
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
    for keys in keys.chunks(SHARED_ROWS) {
        let mut arguments = MySqlArguments::default();
        bind_keys(keys, &mut arguments)?;
        let query = sqlx::query_with(sql::keyed(statement, keys.len()), arguments);
        let query = query.persistent(keys.len() <= PREPARED_KEYS);
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

pub(super) fn bind_keys(keys: &[Key], arguments: &mut MySqlArguments) -> sqlx::Result<()> {
    keys.iter().try_for_each(|(id, destination)| bind_key(*id, destination, arguments))
}
