//! Dead letters in MySQL.

use sqlx::mysql::MySqlArguments;
use sqlx::{Connection, MySqlConnection};

use super::MysqlStore;
use super::desk::Work;
use super::error::is_duplicate;
use super::keys;
use super::rows::{self, bind, bind_columns, bind_key};
use super::sql::{Sql, statements};
use crate::envelope::Envelope;
use crate::envelope::time::{now, to_micros};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::key::Key;
use crate::store::sql::number::limit;
use crate::store::sql::ports::dead_letters::SqlDeadLetters;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, StoreError};

const LIST: &str = "\
select id, destination, reason, message_type, error_type, error_message, attempts, body, buried_at
from {dead_letters}
where (? is null or reason = ?) and (? is null or message_type = ?)
order by buried_at desc, id desc limit ?";

const BODIES: &str = "\
select id, destination, body from {dead_letters} where {keys} for update";

const REPLAY: &str = "\
insert into {incoming} (id, destination, status, owner, attempts, message_type, body,
    group_id, tenant_id, correlation_id, sent_at, keep_for)
select id, destination, 'incoming', 0, 0, message_type, ?, group_id, tenant_id, correlation_id,
    sent_at, keep_for
from {dead_letters} where id = ? and destination = ?";

const DELETE: &str = "delete from {dead_letters} where {keys}";

const STORE: &str = "\
replace into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, group_id, tenant_id, correlation_id, sent_at, buried_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {now})";

statements!(DeadLettersSql {
    list: LIST,
    bodies: BODIES,
    replay: REPLAY,
    delete: DELETE,
    store: STORE,
});

impl SqlDeadLetters for MysqlStore {
    async fn list(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, StoreError> {
        self.desk().give(List(query)).await
    }

    async fn replay(&self, page: Vec<DeadLetterId>) -> Result<u64, StoreError> {
        self.desk().give(Replay(keys(page))).await
    }

    async fn discard(&self, page: Vec<DeadLetterId>) -> Result<u64, StoreError> {
        self.desk().give(Discard(keys(page))).await
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.desk().give(Store(letter)).await
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
        let query = sqlx::query(sql.dead_letters.list.clone())
            .bind(reason)
            .bind(reason)
            .bind(message_type)
            .bind(message_type)
            .bind(limit(self.0.limit));
        columns::all(&query.fetch_all(connection).await?, columns::dead_letter)
    }
}

fn keys(ids: Vec<DeadLetterId>) -> Vec<Key> {
    ids.into_iter().map(|letter| (letter.id, letter.destination)).collect()
}

struct Replay(Vec<Key>);

impl Work for Replay {
    type Output = u64;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<u64> {
        let mut transaction = connection.begin().await?;
        let letters = keys::fetch(&mut transaction, &sql.dead_letters.bodies, &self.0).await?;
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
        let replayed = keys::execute(&mut transaction, delete, &[], &self.0).await?;
        transaction.commit().await?;
        Ok(replayed)
    }
}

struct Discard(Vec<Key>);

impl Work for Discard {
    type Output = u64;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<u64> {
        keys::execute(connection, &sql.dead_letters.delete, &[], &self.0).await
    }
}

struct Store(DeadLetter);

impl Work for Store {
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
