//! Dead letters in PostgreSQL.

use sqlx::postgres::PgArguments;

use super::internal_pool::InternalPool;
use super::rows::{bind, storable};
use super::sql::statements;
use super::store::PostgresStore;
use crate::envelope::Envelope;
use crate::envelope::time::to_micros;
use crate::store::dead_letter::Paged;
use crate::store::portions::PORTION;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number::{limit, total};
use crate::store::sql::ports::dead_letters::SqlDeadLetters;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, StoreError};

/// The lengths of bodies are read without them; a body is read where its row is given.
const LIST: &str = "\
with page as (
    select * from {dead_letters}
    where ($1::text is null or reason = $1) and ($2::text is null or message_type = $2)
        and ($4::bigint is null or (dead_lettered_at, id, destination) < ($4, $5::uuid, $6::text))
    order by dead_lettered_at desc, id desc, destination desc limit $3
), sized as (
    select *, sum(octet_length(body) + octet_length(error_message)) over (
        order by dead_lettered_at desc, id desc, destination desc rows unbounded preceding
    ) - octet_length(body) - octet_length(error_message) as before
    from page
)
select id, destination, reason, message_type, error_type, error_message, attempts, body,
    dead_lettered_at
from sized where before < $7 order by dead_lettered_at desc, id desc, destination desc";

/// The first of these as far as they are a portion, each with its place in the array.
const BODIES: &str = "\
with sized as (
    select letter.id, letter.destination, letter.body, chosen.place,
        sum(octet_length(letter.body)) over (order by chosen.place)
            - octet_length(letter.body) as before
    from {dead_letters} letter
    join unnest($1::uuid[], $2::text[]) with ordinality as chosen (id, destination, place)
        on letter.id = chosen.id and letter.destination = chosen.destination
)
select id, destination, body, place from sized where before < $3 order by place";

/// Where the inbox has the message again, it came by itself, and the letter has no further use.
///
/// All who change letters lock them in one order, so that none waits for another in a circle.
const REPLAY: &str = "\
with locked as materialized (
    select letter.id, letter.destination, chosen.body
    from {dead_letters} letter
    join unnest($1::uuid[], $2::text[], $3::bytea[]) as chosen (id, destination, body)
        on letter.id = chosen.id and letter.destination = chosen.destination
    order by letter.id, letter.destination
    for update of letter
), letters as (
    delete from {dead_letters} letter using locked
    where letter.id = locked.id and letter.destination = locked.destination
    returning letter.*, locked.body as new_body
), replayed as (
    insert into {incoming} (id, destination, status, owner, attempts, message_type, body, group_id,
        tenant_id, correlation_id, sent_at, retention)
    select id, destination, 'incoming', 0, 0, message_type, new_body, group_id, tenant_id,
        correlation_id, sent_at, retention
    from letters order by id, destination
    on conflict do nothing
    returning 1
)
select (select count(*) from letters), (select 1 from {notify} notified where exists (
    select from replayed
))";

const DISCARD: &str = "\
with locked as materialized (
    select letter.id, letter.destination
    from {dead_letters} letter
    join unnest($1::uuid[], $2::text[]) as chosen (id, destination)
        on letter.id = chosen.id and letter.destination = chosen.destination
    order by letter.id, letter.destination
    for update of letter
)
delete from {dead_letters} letter using locked
where letter.id = locked.id and letter.destination = locked.destination";

const STORE: &str = "\
insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at)
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
            .bind(limit(query.limit))
            .bind(query.after.as_ref().map(|after| to_micros(after.dead_lettered_at)))
            .bind(query.after.as_ref().map(|after| after.id.id.as_uuid()))
            .bind(query.after.map(|after| after.id.destination.to_string()))
            .bind(limit(PORTION));
        let rows = self.internal_pool().long_rows(list).await;
        let letters = rows.and_then(|rows| columns::all(&rows, columns::dead_letter));
        letters.map_err(|error| self.error(error))
    }

    async fn replay(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        replay(self.internal_pool(), &page).await.map_err(|error| self.error(error))
    }

    async fn discard(&self, page: Vec<DeadLetterId>) -> Result<Paged, StoreError> {
        discard(self.internal_pool(), &page).await.map_err(|error| self.error(error))
    }

    async fn store(&self, letter: DeadLetter) -> Result<(), StoreError> {
        store(self.internal_pool(), &letter).await.map_err(|error| self.error(error))
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
async fn replay(internal: &InternalPool, ids: &[DeadLetterId]) -> sqlx::Result<Paged> {
    let mut arguments = PgArguments::default();
    bind_ids(ids.iter(), &mut arguments)?;
    bind(&mut arguments, limit(PORTION))?;
    let query = sqlx::query_with(internal.sql.dead_letters.bodies.clone(), arguments);
    let (mut letters, mut bytes, mut last) = (Vec::new(), 0, ids.len());
    for row in internal.long_rows(query).await? {
        let body = row.bytes(2)?;
        bytes += body.len();
        last = usize::try_from(row.number(3)?).unwrap_or(last);
        letters.push((columns::dead_letter_id(&row)?, DeadLetter::body_for_replay(&body)));
    }
    let done = if bytes < PORTION { ids.len() } else { last };
    let mut arguments = PgArguments::default();
    bind_ids(letters.iter().map(|(id, _)| id), &mut arguments)?;
    bind(&mut arguments, letters.iter().map(|(_, body)| &body[..]).collect::<Vec<_>>())?;
    let query = sqlx::query_with(internal.sql.dead_letters.replay.clone(), arguments);
    let replayed = internal.long_rows(query).await;
    internal.start_over();
    let rows = replayed?;
    let counted = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    Ok(Paged { found: counted.number(0).map(total)?, done })
}

async fn discard(internal: &InternalPool, ids: &[DeadLetterId]) -> sqlx::Result<Paged> {
    let mut arguments = PgArguments::default();
    bind_ids(ids.iter(), &mut arguments)?;
    let query = sqlx::query_with(internal.sql.dead_letters.discard.clone(), arguments);
    Ok(Paged { found: internal.long_run(query).await?, done: ids.len() })
}

async fn store(internal: &InternalPool, letter: &DeadLetter) -> sqlx::Result<()> {
    // Bytes that are no envelope have no columns beside them.
    let decoded = Envelope::from_bytes(&letter.body).ok();
    let envelope = decoded.as_ref();
    let query = sqlx::query(internal.sql.dead_letters.store.clone())
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
    internal.run(query).await.map(|_done| ())
}
