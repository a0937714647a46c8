//! Dead letters in PostgreSQL.

use sqlx::postgres::PgArguments;

use super::PostgresStore;
use super::desk::Desk;
use super::rows::{bind, storable};
use super::sql::statements;
use crate::envelope::Envelope;
use crate::envelope::time::to_micros;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number::{limit, total};
use crate::store::sql::ports::dead_letters::SqlDeadLetters;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, StoreError};

const LIST: &str = "\
select id, destination, reason, message_type, error_type, error_message, attempts, body, buried_at
from {dead_letters}
where ($1::text is null or reason = $1) and ($2::text is null or message_type = $2)
order by buried_at desc, id desc limit $3";

const BODIES: &str = "\
select letter.id, letter.destination, letter.body from {dead_letters} letter
join unnest($1::uuid[], $2::text[]) as chosen (id, destination)
    on letter.id = chosen.id and letter.destination = chosen.destination";

/// Where the inbox has the message again, it came by itself, and the letter has no further use.
const REPLAY: &str = "\
with letters as (
    delete from {dead_letters} letter
    using unnest($1::uuid[], $2::text[], $3::bytea[]) as chosen (id, destination, body)
    where letter.id = chosen.id and letter.destination = chosen.destination
    returning letter.*, chosen.body as new_body
), replayed as (
    insert into {incoming} (id, destination, status, owner, attempts, message_type, body, group_id,
        tenant_id, correlation_id, sent_at, keep_for)
    select id, destination, 'incoming', 0, 0, message_type, new_body, group_id, tenant_id,
        correlation_id, sent_at, keep_for
    from letters
    on conflict do nothing
    returning 1
)
select (select count(*) from letters), (select 1 from {tell} told where exists (
    select from replayed
))";

const DISCARD: &str = "\
delete from {dead_letters} letter
using unnest($1::uuid[], $2::text[]) as chosen (id, destination)
where letter.id = chosen.id and letter.destination = chosen.destination";

const STORE: &str = "\
insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, buried_at, group_id, tenant_id, correlation_id, sent_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, {now}, $9, $10, $11, coalesce($12, {now}))
{or_replace}";

statements!(DeadLettersSql {
    list: LIST,
    bodies: BODIES,
    replay: REPLAY,
    discard: DISCARD,
    store: STORE,
});

impl SqlDeadLetters for PostgresStore {
    async fn list(&self, query: DeadLetterQuery) -> Result<Vec<DeadLetter>, StoreError> {
        let list = sqlx::query(self.sql().dead_letters.list.clone())
            .bind(query.reason.map(DeadLetterReason::as_str))
            .bind(query.message_type)
            .bind(limit(query.limit));
        let rows = self.desk().long_rows(list).await;
        let letters = rows.and_then(|rows| columns::all(&rows, columns::dead_letter));
        letters.map_err(|error| self.error(error))
    }

    async fn replay(&self, page: Vec<DeadLetterId>) -> Result<u64, StoreError> {
        replay(self.desk(), &page).await.map_err(|error| self.error(error))
    }

    async fn discard(&self, page: Vec<DeadLetterId>) -> Result<u64, StoreError> {
        discard(self.desk(), &page).await.map_err(|error| self.error(error))
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        store(self.desk(), &letter).await.map_err(|error| self.error(error))
    }
}

fn bind_ids<'l>(
    ids: impl Iterator<Item = &'l DeadLetterId> + Clone,
    arguments: &mut PgArguments,
) -> sqlx::Result<()> {
    bind(arguments, ids.clone().map(|letter| letter.id.as_uuid()).collect::<Vec<_>>())?;
    bind(arguments, ids.map(|letter| letter.destination.as_str()).collect::<Vec<_>>())
}

/// Reads the bodies, as only this program can change them, and moves the letters.
async fn replay(desk: &Desk, ids: &[DeadLetterId]) -> sqlx::Result<u64> {
    let mut arguments = PgArguments::default();
    bind_ids(ids.iter(), &mut arguments)?;
    let query = sqlx::query_with(desk.sql.dead_letters.bodies.clone(), arguments);
    let mut letters = Vec::new();
    for row in desk.long_rows(query).await? {
        letters.push((columns::dead_letter_id(&row)?, DeadLetter::body_for_replay(&row.bytes(2)?)));
    }
    let mut arguments = PgArguments::default();
    bind_ids(letters.iter().map(|(id, _)| id), &mut arguments)?;
    bind(&mut arguments, letters.iter().map(|(_, body)| &body[..]).collect::<Vec<_>>())?;
    let query = sqlx::query_with(desk.sql.dead_letters.replay.clone(), arguments);
    let replayed = desk.long_rows(query).await;
    desk.start_over();
    let replayed = replayed?;
    let replayed = replayed.first().ok_or(sqlx::Error::RowNotFound)?;
    replayed.number(0).map(total)
}

async fn discard(desk: &Desk, ids: &[DeadLetterId]) -> sqlx::Result<u64> {
    let mut arguments = PgArguments::default();
    bind_ids(ids.iter(), &mut arguments)?;
    let query = sqlx::query_with(desk.sql.dead_letters.discard.clone(), arguments);
    desk.long_run(query).await
}

async fn store(desk: &Desk, letter: &DeadLetter) -> sqlx::Result<()> {
    // Bytes that are no envelope have no columns beside them.
    let envelope = Envelope::from_bytes(&letter.body).ok();
    let envelope = envelope.as_ref();
    let query = sqlx::query(desk.sql.dead_letters.store.clone())
        .bind(letter.id.id.as_uuid())
        .bind(letter.id.destination.as_str())
        .bind(letter.reason.as_str())
        .bind(storable(&letter.message_type))
        .bind(storable(&letter.error_type))
        .bind(storable(&letter.error_message))
        .bind(i64::from(letter.attempts))
        .bind(&letter.body[..])
        .bind(envelope.and_then(|e| e.group_id.as_deref()).map(storable))
        .bind(envelope.and_then(|e| e.tenant_id.as_deref()).map(storable))
        .bind(envelope.and_then(|e| e.correlation_id.as_deref()).map(storable))
        .bind(envelope.map(|e| to_micros(e.sent_at)));
    desk.run(query).await.map(|_done| ())
}
