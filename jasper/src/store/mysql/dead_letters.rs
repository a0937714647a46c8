//! Dead letters in MySQL.

use std::cmp::Reverse;
use std::collections::HashMap;

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{Connection, MySqlConnection};

use super::binding::{bind, bind_columns, bind_key};
use super::error::is_duplicate;
use super::internal_pool::Work;
use super::keys;
use super::rows;
use super::sql::{Sql, statements};
use super::store::MysqlStore;
use crate::envelope::Envelope;
use crate::envelope::time::{now, to_micros};
use crate::store::dead_letter::Paged;
use crate::store::portions::claimed;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::key::Key;
use crate::store::sql::number::{limit, size};
use crate::store::sql::ports::dead_letters::SqlDeadLetters;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, StoreError};

/// The first columns are the place of a letter in the list.
const LIST: &str = "\
select id, destination, octet_length(body) + octet_length(error_message) from {dead_letters}
where (? is null or reason = ?) and (? is null or message_type = ?)
    and (? is null or dead_lettered_at < ? or dead_lettered_at = ? and (id, destination) < (?, ?))
order by dead_lettered_at desc, id desc, destination desc limit ?";

const READ: &str = "\
select id, destination, reason, message_type, error_type, error_message, attempts, body,
    dead_lettered_at
from {dead_letters} where {keys}";

/// Locks them until they are moved.
const FIND: &str = "\
select id, destination, octet_length(body) from {dead_letters} where {keys} for update";

const BODIES: &str = "\
select id, destination, body from {dead_letters} where {keys}";

const REPLAY: &str = "\
insert into {incoming} (id, destination, status, owner, attempts, message_type, body,
    group_id, tenant_id, correlation_id, sent_at, retention)
select id, destination, 'incoming', 0, 0, message_type, ?, group_id, tenant_id, correlation_id,
    sent_at, retention
from {dead_letters} where id = ? and destination = ?";

const DELETE: &str = "delete from {dead_letters} where {keys}";

const STORE: &str = "\
replace into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, group_id, tenant_id, correlation_id, sent_at, dead_lettered_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {now})";

statements!(DeadLettersSql {
    list: LIST,
    read: READ,
    find: FIND,
    bodies: BODIES,
    replay: REPLAY,
    delete: DELETE,
    store: STORE,
});

impl SqlDeadLetters for MysqlStore {
    async fn list(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, StoreError> {
        self.internal_pool().give(List(query)).await
    }

    async fn replay(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        self.internal_pool().give(Replay(keys(page))).await
    }

    async fn discard(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        self.internal_pool().give(Discard(keys(page))).await
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.internal_pool().give(StoreDeadLetter(letter)).await
    }
}

struct List(DeadLetterQuery);

impl Work for List {
    type Output = Vec<DeadLetter>;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<DeadLetter>> {
        let reason = self.0.reason.map(DeadLetterReason::as_str);
        let message_type = self.0.message_type.as_deref();
        let after = self.0.after.as_ref();
        let dead_lettered_at = after.map(|after| to_micros(after.dead_lettered_at));
        let query = sqlx::query(sql.dead_letters.list.clone())
            .bind(reason)
            .bind(reason)
            .bind(message_type)
            .bind(message_type)
            .bind(dead_lettered_at)
            .bind(dead_lettered_at)
            .bind(dead_lettered_at)
            .bind(after.map(|after| after.id.id.as_uuid().as_bytes().to_vec()))
            .bind(after.map(|after| after.id.destination.as_str()))
            .bind(limit(self.0.limit));
        let page = query.fetch_all(&mut *connection).await?;
        let mut page = columns::all(&page, weighed)?;
        page.truncate(claimed(page.iter().map(|(_, length)| *length)));
        let page: Vec<Key> = page.into_iter().map(|(key, _)| key).collect();
        let read = keys::fetch(connection, &sql.dead_letters.read, &page).await?;
        let mut letters = columns::all(&read, columns::dead_letter)?;
        letters.sort_by_cached_key(|letter| Reverse(letter.place()));
        Ok(letters)
    }
}

/// A key with a length.
fn weighed(row: &MySqlRow) -> sqlx::Result<(Key, usize)> {
    Ok((columns::key(row, 0)?, size(row.maybe_number(2)?)))
}

fn keys(ids: Vec<DeadLetterId>) -> Vec<Key> {
    ids.into_iter().map(|letter| (letter.id, letter.destination)).collect()
}

struct Replay(Vec<Key>);

impl Work for Replay {
    type Output = Paged;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Paged> {
        let mut transaction = connection.begin().await?;
        let found = keys::fetch(&mut transaction, &sql.dead_letters.find, &self.0).await?;
        let lengths = found.iter().map(weighed).collect::<sqlx::Result<HashMap<_, _>>>()?;
        let length = |key: &Key| lengths.get(key).copied().unwrap_or_default();
        let page = &self.0[..claimed(self.0.iter().map(length))];
        let letters = keys::fetch(&mut transaction, &sql.dead_letters.bodies, page).await?;
        for letter in &letters {
            let (id, destination) = columns::key(letter, 0)?;
            let body = DeadLetter::body_for_replay(&letter.bytes(2)?);
            let mut arguments = MySqlArguments::default();
            bind(&mut arguments, &body[..])?;
            bind_key(id, &destination, &mut arguments)?;
            let insert = sqlx::query_with(sql.dead_letters.replay.clone(), arguments);
            match insert.execute(&mut *transaction).await {
                // Where the inbox has the message again, it came by itself, and the letter has no
                // further use.
                Err(error) if !is_duplicate(&error) => return Err(error),
                _inserted_or_there => {}
            }
        }
        let delete = &sql.dead_letters.delete;
        let found = keys::execute(&mut transaction, delete, &[], page).await?;
        transaction.commit().await?;
        Ok(Paged { found, done: page.len() })
    }
}

struct Discard(Vec<Key>);

impl Work for Discard {
    type Output = Paged;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Paged> {
        let delete = &sql.dead_letters.delete;
        let found = keys::execute(connection, delete, &[], &self.0).await?;
        Ok(Paged { found, done: self.0.len() })
    }
}

struct StoreDeadLetter(DeadLetter);

impl Work for StoreDeadLetter {
    type Output = ();

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let Self(letter) = self;
        // The body has the whole name.
        let message_type = rows::fitting_name(&letter.message_type);
        rows::check_names(&letter.id.destination, message_type)?;
        rows::check_size(letter.body.len(), sql)?;
        let mut arguments = MySqlArguments::default();
        bind_key(letter.id.id, &letter.id.destination, &mut arguments)?;
        bind(&mut arguments, letter.reason.as_str())?;
        bind(&mut arguments, message_type)?;
        bind(&mut arguments, letter.error_type.as_str())?;
        bind(&mut arguments, letter.error_message.as_str())?;
        bind(&mut arguments, i64::from(letter.attempts))?;
        bind(&mut arguments, &letter.body[..])?;
        match Envelope::from_bytes(&letter.body) {
            Ok(envelope) => bind_columns(&envelope, &mut arguments)?,
            Err(_unreadable) => {
                for _unknown in ["group_id", "tenant_id", "correlation_id"] {
                    bind(&mut arguments, None::<&str>)?;
                }
                bind(&mut arguments, to_micros(now()))?;
            }
        }
        let store = sqlx::query_with(sql.dead_letters.store.clone(), arguments);
        store.execute(connection).await.map(|_done| ())
    }
}
