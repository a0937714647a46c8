//! The loop by hand through the driver that handlers use: what is left of the loop on one thread
//! where each statement goes to the driver's thread and back.

use std::path::Path;
use std::time::Instant;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection, query};
use uuid::Uuid;

use super::raw::{BODY, DESTINATION};
use crate::Outcome;

/// Messages of one transaction.
const EACH: usize = 100;

/// Messages per second that are handled with one business row and one follow-up, by hundreds in a
/// transaction. Each message is two calls, one of its handler and one for its follow-up; all else
/// is shared.
pub(super) async fn same_writes(file: &Path, n: usize) -> Outcome<f64> {
    let options = SqliteConnectOptions::new().filename(file);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut db = SqliteConnection::connect_with(&options).await?;
    let started = Instant::now();
    for _ in 0..n / EACH {
        let mut tx = db.begin().await?;
        let mut ids: Vec<_> = (0..EACH).map(|_| Uuid::now_v7()).collect();
        insert(&ids).build().execute(&mut *tx).await?;
        for _ in 0..EACH {
            query("insert into effects (note) values (?)")
                .bind("an order")
                .execute(&mut *tx)
                .await?;
            let follow_up = Uuid::now_v7();
            query("insert into messages (id, destination, body) values (?, ?, ?)")
                .bind(follow_up)
                .bind(DESTINATION)
                .bind(BODY)
                .execute(&mut *tx)
                .await?;
            ids.push(follow_up);
        }
        delete(&ids).build().execute(&mut *tx).await?;
        tx.commit().await?;
    }
    let rate = (n / EACH * EACH) as f64 / started.elapsed().as_secs_f64();
    db.close().await?;
    Ok(rate)
}

fn insert(ids: &[Uuid]) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new("insert into messages (id, destination, body) ");
    insert.push_values(ids, |mut row, id| {
        row.push_bind(*id).push_bind(DESTINATION).push_bind(BODY);
    });
    insert
}

fn delete(ids: &[Uuid]) -> QueryBuilder<Sqlite> {
    let mut delete = QueryBuilder::new("delete from messages where id in (");
    let mut list = delete.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    delete.push(")");
    delete
}
