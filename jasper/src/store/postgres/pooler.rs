//! Poolers that stand between the store and its database.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, Row};

use super::error::Place;
use super::internal_pool::in_time;
use crate::store::StoreError;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const SESSION: &str = "select pg_backend_pid()";

/// Refuses a pooler that lets several clients take turns on one session of the server, as PgBouncer
/// does with `pool_mode = transaction` or `statement`: statements that are prepared, `listen` and
/// settings of a session do not work there.
///
/// Two connections that are open at once have two sessions, and each keeps its own.
pub(super) async fn refuse(options: &PgConnectOptions, place: &Place) -> Result<(), StoreError> {
    match in_time(PATIENCE, is_between(options)).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(StoreError::Pooler { place: place.name() }),
        Err(error) => Err(place.error(error)),
    }
}

async fn is_between(options: &PgConnectOptions) -> sqlx::Result<bool> {
    let mut first = PgConnection::connect_with(options).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let before = session(&mut first).await?;
    if session(&mut second).await? == before {
        return Ok(true);
    }
    // One that has several sessions may give each client one of its own, until they are taken.
    second.execute("begin").await?;
    let taken = session(&mut second).await?;
    let after = session(&mut first).await?;
    second.execute("rollback").await?;
    first.close().await?;
    second.close().await?;
    Ok(before != after || taken == after)
}

async fn session(connection: &mut PgConnection) -> sqlx::Result<i32> {
    // Without a prepared statement.
    connection.fetch_one(sqlx::raw_sql(SESSION)).await?.try_get(0)
}
