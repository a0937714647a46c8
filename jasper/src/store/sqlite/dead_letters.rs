//! Dead letters in SQLite.

use std::cmp::Reverse;

use sqlx::{SqliteConnection, SqlitePool};

use super::rows::{self, bind_columns, bind_key};
use super::sql::{SQL, statements};
use super::statement_batch::StatementBatch;
use super::store::SqliteStore;
use super::writer::Write;
use crate::envelope::Envelope;
use crate::envelope::time::{now, to_micros};
use crate::store::dead_letter::Paged;
use crate::store::portions::{PORTION, claimed};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number::{limit, size};
use crate::store::sql::ports::dead_letters::SqlDeadLetters;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, StoreError};

/// Bodies are not read for their lengths.
const LENGTHS: &str = "\
select seq, length(body) + length(cast(error_message as blob)) from jasper_dead_letters
where (?1 is null or reason = ?1) and (?2 is null or message_type = ?2)
    and (?4 is null or (dead_lettered_at, id, destination) < (?4, ?5, ?6))
order by dead_lettered_at desc, id desc, destination desc limit ?3";

const READ: &str = "\
select id, destination, reason, message_type, error_type, error_message, attempts, body,
    dead_lettered_at
from jasper_dead_letters where seq in (select value from json_each(?1))";

const BODY: &str = "select body from jasper_dead_letters where id = ? and destination = ?";

const REPLAY: &str = "\
insert into jasper_incoming (id, destination, status, owner, attempts, message_type, body,
    group_id, tenant_id, correlation_id, sent_at, retention)
select id, destination, 'incoming', 0, 0, message_type, ?, group_id, tenant_id,
    correlation_id, sent_at, retention
from jasper_dead_letters where id = ? and destination = ?
on conflict do nothing";

const DELETE: &str = "delete from jasper_dead_letters where id = ? and destination = ?";

const STORE: &str = "\
insert or replace into jasper_dead_letters (id, destination, reason, message_type, error_type,
    error_message, attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

statements!(DeadLettersSql {
    lengths: LENGTHS,
    read: READ,
    body: BODY,
    replay: REPLAY,
    delete: DELETE,
    store: STORE,
});

impl SqlDeadLetters for SqliteStore {
    async fn list(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, StoreError> {
        list(self.pool(), query).await.map_err(|error| self.error(error))
    }

    async fn replay(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        self.writer().write(Replay(page)).await
    }

    async fn discard(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        self.writer().write(Discard(page)).await
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.writer().write(StoreDeadLetter(letter)).await
    }
}

async fn list(pool: &SqlitePool, query: DeadLetterQuery) -> sqlx::Result<Vec<DeadLetter>> {
    let after = query.after.as_ref();
    let page = sqlx::query(SQL.dead_letters.lengths)
        .bind(query.reason.map(DeadLetterReason::as_str))
        .bind(query.message_type)
        .bind(limit(query.limit))
        .bind(after.map(|after| to_micros(after.dead_lettered_at)))
        .bind(after.map(|after| after.id.id.as_uuid().as_bytes().to_vec()))
        .bind(after.map(|after| after.id.destination.as_str()))
        .fetch_all(pool)
        .await?;
    let mut numbers = columns::all(&page, |row| row.number(0))?;
    let lengths = columns::all(&page, |row| row.maybe_number(1).map(size))?;
    numbers.truncate(claimed(lengths));
    let numbers = rows::row_numbers(numbers.into_iter());
    let read = sqlx::query(SQL.dead_letters.read).bind(numbers).fetch_all(pool).await?;
    let mut letters = columns::all(&read, columns::dead_letter)?;
    letters.sort_by_cached_key(|letter| Reverse(letter.place()));
    Ok(letters)
}

struct Replay(Vec<DeadLetterId>);

impl Write for Replay {
    type Output = Paged;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<Paged> {
        let (mut found, mut bytes, mut done) = (0, 0, 0);
        for letter in &self.0 {
            if bytes >= PORTION {
                break;
            }
            done += 1;
            let mut read = StatementBatch::of(SQL.dead_letters.body);
            bind_key(letter.id, &letter.destination, &mut read)?;
            let read = read.run(connection).await?;
            let Some(row) = read.iter().flat_map(|results| &results.rows).next() else {
                continue;
            };
            let body = DeadLetter::body_for_replay(&row.bytes(0)?);
            bytes += body.len();
            let mut insert = StatementBatch::of(SQL.dead_letters.replay);
            insert.bind(Vec::from(body))?;
            bind_key(letter.id, &letter.destination, &mut insert)?;
            insert.run(connection).await?;
            // Where the inbox has the message again, it came by itself, and the letter has no
            // further use.
            found += delete(letter)?.changes(connection).await?;
        }
        Ok(Paged { found, done })
    }
}

fn delete(letter: &DeadLetterId) -> sqlx::Result<StatementBatch> {
    let mut batch = StatementBatch::of(SQL.dead_letters.delete);
    bind_key(letter.id, &letter.destination, &mut batch)?;
    Ok(batch)
}

struct Discard(Vec<DeadLetterId>);

impl Write for Discard {
    type Output = Paged;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<Paged> {
        let mut found = 0;
        for letter in &self.0 {
            found += delete(letter)?.changes(connection).await?;
        }
        Ok(Paged { found, done: self.0.len() })
    }
}

struct StoreDeadLetter(DeadLetter);

impl Write for StoreDeadLetter {
    type Output = ();

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let Self(letter) = self;
        let dead_lettered_at = now();
        let mut batch = StatementBatch::of(SQL.dead_letters.store);
        bind_key(letter.id.id, &letter.id.destination, &mut batch)?;
        batch.bind(letter.reason.as_str())?;
        batch.bind(&*letter.message_type)?;
        batch.bind(&*letter.error_type)?;
        batch.bind(&*letter.error_message)?;
        batch.bind(i64::from(letter.attempts))?;
        batch.bind(&letter.body[..])?;
        batch.bind(to_micros(dead_lettered_at))?;
        match Envelope::from_bytes(&letter.body) {
            Ok(envelope) => bind_columns(&envelope, &mut batch)?,
            Err(_unreadable) => {
                batch.bind(None::<&str>)?;
                batch.bind(None::<&str>)?;
                batch.bind(None::<&str>)?;
                batch.bind(to_micros(dead_lettered_at))?;
            }
        }
        batch.run(connection).await.map(|_ran| ())
    }
}
