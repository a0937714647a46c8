//! Dead letters in SQL Server.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use tiberius::ToSql;

use super::batch::Batch;
use super::connection::SqlServerConnection;
use super::error::Result;
use super::internal_pool::Work;
use super::parameters::{Bodies, KeyParameter, ReplayParameter, json, letter_values};
use super::rows;
use super::sql::{Sql, statements};
use super::store::SqlServerStore;
use crate::envelope::Envelope;
use crate::envelope::time::to_micros;
use crate::store::dead_letter::Paged;
use crate::store::portions::claimed;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::key::Key;
use crate::store::sql::number::{limit, size};
use crate::store::sql::ports::dead_letters::SqlDeadLetters;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, StoreError};

/// The page after a place, as long as the letters before have less than a portion.
const LIST: &str = "\
select id, destination, reason, message_type, error_type, error_message, attempts, body,
    dead_lettered_at
from (
    select page.*, sum(page.bytes) over (
        order by page.dead_lettered_at desc, page.id desc, page.destination desc
        rows unbounded preceding
    ) - page.bytes as bytes_before
    from (
        select top (@P1) letter.id, letter.destination, letter.reason, letter.message_type,
            letter.error_type, letter.error_message, letter.attempts, letter.body,
            letter.dead_lettered_at,
            cast(datalength(letter.body) as bigint)
                + cast(datalength(letter.error_message) as bigint) as bytes
        from {dead_letters} letter with (readcommittedlock, readpast)
        where (@P2 = '' or letter.reason = @P2) and (@P3 = '' or letter.message_type = @P3)
            and (letter.dead_lettered_at < @P4
                or letter.dead_lettered_at = @P4 and (letter.id < @P5
                    or letter.id = @P5 and letter.destination < @P6))
        order by letter.dead_lettered_at desc, letter.id desc, letter.destination desc
    ) page
) page
where bytes_before < {portion}
option (recompile)";

/// Locks the letters until they are moved, and gives the bodies of as many as are a portion.
const FIND: &str = "\
begin transaction;
select id, destination, bytes, case when bytes_before < {portion} then body end
from (
    select letter.id, letter.destination, letter.body,
        cast(datalength(letter.body) as bigint) as bytes,
        sum(cast(datalength(letter.body) as bigint)) over (
            order by asked.at rows unbounded preceding
        ) - datalength(letter.body) as bytes_before
    from openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), at bigint) asked
    join {dead_letters} letter with (updlock, rowlock)
        on letter.id = convert(binary(16), asked.id)
            and letter.destination = asked.destination {bytes}
) letters
{by_key}";

// Where the inbox has the message again, it came by itself, and the letter has no further use.
const REPLAY: &str = "\
insert into {incoming} (id, destination, status, owner, attempts, message_type, body, group_id,
    tenant_id, correlation_id, sent_at, retention)
select letter.id, letter.destination, 'incoming', 0, 0, letter.message_type,
    substring(@P2, asked.start, asked.length), letter.group_id, letter.tenant_id,
    letter.correlation_id, letter.sent_at, letter.retention
from openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), start int,
    length int) asked
join {dead_letters} letter
    on letter.id = convert(binary(16), asked.id)
        and letter.destination = asked.destination {bytes}
where not exists (
    select 1 from {incoming} row
    where row.id = letter.id and row.destination = letter.destination
)
{by_key};
delete from {dead_letters} with (rowlock)
output deleted.id
from {keys}
where {same_letter}
{by_key};
commit transaction";

const DISCARD: &str = "\
delete from {dead_letters} with (rowlock)
from {keys}
where {same_letter}
{by_key}";

const STORE: &str = "\
begin transaction;
delete from {dead_letters} with (rowlock)
where id = convert(binary(16), @id) and destination = @destination;
insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, group_id, tenant_id, correlation_id, sent_at, dead_lettered_at)
values (convert(binary(16), @id), @destination, @reason, @message_type, @error_type, @error_message,
    @attempts, @body, @group_id, @tenant_id, @correlation_id, @sent_at, {now});
commit transaction";

statements!(DeadLettersSql {
    list: LIST,
    find: FIND,
    replay: REPLAY,
    discard: DISCARD,
    store: STORE,
});

impl SqlDeadLetters for SqlServerStore {
    async fn list(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, StoreError> {
        self.internal_pool().give(List(query)).await
    }

    async fn replay(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        self.internal_pool().give(Replay(page)).await
    }

    async fn discard(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        self.internal_pool().give(Discard(page)).await
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        self.internal_pool().give(StoreDeadLetter(letter)).await
    }
}

struct List(DeadLetterQuery);

impl Work for List {
    type Output = Vec<DeadLetter>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut SqlServerConnection,
        sql: &Sql,
    ) -> Result<Vec<DeadLetter>> {
        let limit = limit(self.0.limit);
        let reason = self.0.reason.map_or("", DeadLetterReason::as_str);
        let message_type = self.0.message_type.as_deref().unwrap_or("");
        // Without a place the list begins before every letter.
        let after = self.0.after.as_ref();
        let at = after.map_or(i64::MAX, |after| to_micros(after.dead_lettered_at));
        let id = after.map_or(Vec::new(), |after| after.id.id.as_uuid().as_bytes().to_vec());
        let destination = after.map_or("", |after| after.id.destination.as_str());
        let parameters: [&dyn ToSql; 6] = [&limit, &reason, &message_type, &at, &id, &destination];
        let page = connection.rows(&sql.dead_letters.list, &parameters).await?;
        let mut letters = columns::all(&page, columns::dead_letter)?;
        letters.sort_by_cached_key(|letter| Reverse(letter.place()));
        Ok(letters)
    }
}

pub(super) fn key_parameters(page: &[DeadLetterId]) -> String {
    json(&page.iter().enumerate().map(KeyParameter::of_letter).collect::<Vec<_>>())
}

struct Replay(Vec<DeadLetterId>);

impl Work for Replay {
    type Output = Paged;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Paged> {
        let found = connection.rows(&sql.dead_letters.find, &[&key_parameters(&self.0)]).await?;
        let mut lengths = HashMap::with_capacity(found.len());
        for row in &found {
            lengths.insert(columns::key(row, 0)?, size(row.maybe_number(2)?));
        }
        let length = |letter: &DeadLetterId| {
            let key: Key = (letter.id, letter.destination.clone());
            lengths.get(&key).copied().unwrap_or_default()
        };
        let page = &self.0[..claimed(self.0.iter().map(length))];
        let mut is_left: HashSet<Key> =
            page.iter().map(|letter| (letter.id, letter.destination.clone())).collect();
        let (mut bodies, mut letters) = (Bodies::default(), Vec::with_capacity(page.len()));
        for row in &found {
            let key = columns::key(row, 0)?;
            // A letter that is asked for twice is found twice.
            if is_left.remove(&key) {
                let body = DeadLetter::body_for_replay(&row.bytes(3)?);
                letters.push((key, bodies.push([&body, &[]])));
            }
        }
        let letters: Vec<_> =
            letters.iter().map(|(key, body)| ReplayParameter::new(key, *body)).collect();
        let parameters: [&dyn ToSql; 2] = [&json(&letters), &bodies.0];
        let moved = connection.rows(&sql.dead_letters.replay, &parameters).await?;
        Ok(Paged { found: moved.len() as u64, done: page.len() })
    }
}

struct Discard(Vec<DeadLetterId>);

impl Work for Discard {
    type Output = Paged;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Paged> {
        let keys = key_parameters(&self.0);
        let found = connection.write(&sql.dead_letters.discard, &[&keys]).await?;
        Ok(Paged { found, done: self.0.len() })
    }
}

struct StoreDeadLetter(DeadLetter);

impl Work for StoreDeadLetter {
    type Output = ();

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<()> {
        let Self(letter) = self;
        // The body has the whole name.
        let message_type = rows::fitting_name(&letter.message_type);
        rows::check_names(&letter.id.destination, message_type)?;
        let envelope = Envelope::from_bytes(&letter.body).ok();
        store_batch(sql, letter, message_type, envelope.as_ref()).rows(connection).await?;
        Ok(())
    }
}

/// Stores a letter whose type is known to fit, with the envelope of its body if that can be read.
pub(super) fn store_batch<'r>(
    sql: &Sql,
    letter: &'r DeadLetter,
    message_type: &'r str,
    envelope: Option<&'r Envelope>,
) -> Batch<'r> {
    let mut batch = Batch::default();
    batch.add_one(&sql.dead_letters.store, letter_values(letter, message_type, envelope));
    batch
}
