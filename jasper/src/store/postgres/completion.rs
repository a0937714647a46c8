//! The last statement of a durable handler's transaction: the end of its message, and what follows.

use std::collections::HashSet;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{PgConnection, Row, SqlStr};

use super::internal_pool::InternalPool;
use super::rows::{
    self, INSERT_INCOMING, Insert, InsertStage, bind, bind_incoming, bind_outgoing,
    bind_ownerships, claimable_at, in_order, insert_portion,
};
use super::sql::{Names, Sql, statements};
use crate::store::portions::portions;
use crate::store::sql::columns;
use crate::store::sql::key::{Key, inserted, key_of};
use crate::store::{Committed, Completion, Incoming, Inserted, Outgoing, Ownership, Settled};

/// The end of one message and nothing else, as most runs have it.
const END_ONE: &str = "\
with deleted as (
    delete from {incoming}
    where id = $1 and destination = $2 and owner = $3 and attempts = $4
        and status = 'incoming' and retention is null and {running}
    returning 1
), retained as (
    update {incoming}
    set status = 'handled', owner = 0, body = null,
        retained_until = {now} + least(retention, 4611686018427387903)
    where id = $1 and destination = $2 and owner = $3 and attempts = $4
        and status = 'incoming' and retention is not null and {running}
    returning 1
)
select {running}, exists (select from deleted) or exists (select from retained)";

const INCOMING: &str = "\
with incoming as (
";

/// After the insert of [`rows`], whose arrays are the first thirteen arguments.
const OUTGOING: &str = "
    where {running}
    on conflict do nothing returning id, destination
), outgoing as (
    insert into {outgoing} (id, destination, message_type, body, group_id, tenant_id,
        correlation_id, sent_at, attempts, owner, deliver_by)
    select * from unnest($14::uuid[], $15::text[], $16::text[], $17::bytea[], $18::text[],
        $19::text[], $20::text[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[])
    where {running}
    on conflict do nothing returning id, destination
), ";

/// Scalars, so that a plan that is made once costs no more than one for each message.
const END_OF_ONE: &str = "\
deleted as (
    delete from {incoming}
    where id = $25 and destination = $26 and owner = $27 and attempts = $28
        and status = 'incoming' and retention is null and {running}
    returning id, destination
), retained as (
    update {incoming}
    set status = 'handled', owner = 0, body = null,
        retained_until = {now} + least(retention, 4611686018427387903)
    where id = $25 and destination = $26 and owner = $27 and attempts = $28
        and status = 'incoming' and retention is not null and {running}
    returning id, destination
)";

/// The end of one message that one other follows, which is for handlers of this application.
const ONE_FOR_ONE: &str = "\
with incoming as (
    insert into {incoming} (id, destination, message_type, body, group_id, tenant_id,
        correlation_id, sent_at, attempts, status, owner, due_at, retention)
    select $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
    where {running}
    on conflict do nothing returning 1
), deleted as (
    delete from {incoming}
    where id = $1 and destination = $2 and owner = $3 and attempts = $4
        and status = 'incoming' and retention is null and {running}
    returning 1
), retained as (
    update {incoming}
    set status = 'handled', owner = 0, body = null,
        retained_until = {now} + least(retention, 4611686018427387903)
    where id = $1 and destination = $2 and owner = $3 and attempts = $4
        and status = 'incoming' and retention is not null and {running}
    returning 1
)
select {running}, exists (select from deleted) or exists (select from retained),
    exists (select from incoming)";

/// Also deletes the commit guard, so that this transaction can commit. The arrays are selected, so
/// that no plan depends on their lengths, and one that is made once is as good as any.
const ENDS_OF_GROUP: &str = "\
held as materialized (
    select * from unnest((select $25::uuid[]), (select $26::text[]), (select $27::bigint[]),
        (select $28::bigint[])) as held (id, destination, owner, attempts)
    where {running}
), deleted as (
    delete from {incoming} row using held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.retention is null
    returning row.id, row.destination
), retained as (
    update {incoming} row
    set status = 'handled', owner = 0, body = null,
        retained_until = {now} + least(row.retention, 4611686018427387903)
    from held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.retention is not null
    returning row.id, row.destination
), released as (
    delete from {commit_guard} where transaction_key = {commit_guard_key} and {running}
)";

const ANSWERS: &str = "
select 0, null::uuid, null::text where {running}
union all select 1, id, destination from deleted
union all select 1, id, destination from retained
union all select 2, id, destination from incoming
union all select 3, id, destination from outgoing";

const AND_NOTIFY: &str = "
union all select 4, null::uuid, null::text from {notify} notified where {running}
    and $29::bigint < {soon}";

/// How long a completion waits for a deduplication key that another open transaction has inserted:
/// less than the limit of a statement. In a shared transaction it waits less, as each run is then
/// repeated by itself. The setting ends with the transaction.
const PATIENCE: &str = "set local lock_timeout = '2s'";
const SHARED_PATIENCE: &str = "set local lock_timeout = '100ms'";

/// Marks a transaction that several runs share, with the savepoint of the first.
///
/// The guard is a row that violates a deferred constraint: where a handler executes `commit`, that
/// fails, and no run is committed without its completion.
const BEGIN_GROUP: &str = "\
insert into {commit_guard} (transaction_key) values ({commit_guard_key});
savepoint jasper_member";

statements!(CompletionSql {
    end_one: END_ONE,
    one_for_one: ONE_FOR_ONE,
    complete_one: [INCOMING, INSERT_INCOMING, OUTGOING, END_OF_ONE, ANSWERS].concat(),
    complete_one_and_notify: [INCOMING, INSERT_INCOMING, OUTGOING, END_OF_ONE, ANSWERS, AND_NOTIFY]
        .concat(),
    complete_group: [INCOMING, INSERT_INCOMING, OUTGOING, ENDS_OF_GROUP, ANSWERS].concat(),
    complete_group_and_notify: [
        INCOMING,
        INSERT_INCOMING,
        OUTGOING,
        ENDS_OF_GROUP,
        ANSWERS,
        AND_NOTIFY
    ]
    .concat(),
});

/// What begins a transaction that several runs share.
pub(super) fn begin_group(names: &Names) -> SqlStr {
    names.statement(BEGIN_GROUP)
}

/// What the last statement found.
#[derive(Debug)]
pub(super) enum Written<T> {
    /// It is written. Where a message is fenced, all is to be undone.
    Done(T),
    /// Nothing is written: the transaction is not the one that was begun.
    TransactionEnded,
}

/// Writes the completion of a run that has the transaction for itself: in one trip if it fits into
/// one statement, and in one more where rows have deduplication keys.
pub(super) async fn write_one(
    connection: &mut PgConnection,
    internal: &InternalPool,
    completion: &Completion,
) -> sqlx::Result<Written<Committed>> {
    let (sql, Completion { handled, incoming, outgoing }) = (&internal.sql, completion);
    if incoming.is_empty() && outgoing.is_empty() {
        return internal.in_time(end_one(connection, sql, handled.as_ref())).await;
    }
    if let ([one], []) = (incoming.as_slice(), outgoing.as_slice())
        && claimable_at(incoming.iter()).is_none()
        && one.envelope.deduplication_id.is_none()
    {
        return internal.in_time(one_for_one(connection, sql, handled.as_ref(), one)).await;
    }
    let (mut found, mut arguments) =
        insert_and_bind(connection, internal, incoming.iter(), outgoing.iter(), PATIENCE).await?;
    bind(&mut arguments, handled.as_ref().map(|row| row.id.as_uuid()))?;
    bind(&mut arguments, handled.as_ref().map(|row| row.destination.as_str()))?;
    bind(&mut arguments, handled.as_ref().map(|row| row.owner.number()))?;
    bind(&mut arguments, handled.as_ref().map(|row| i64::from(row.attempts)))?;
    let claimable_at = claimable_at(incoming.iter());
    let statement = match claimable_at {
        Some(_) => &sql.completion.complete_one_and_notify,
        None => &sql.completion.complete_one,
    };
    claimable_at.map_or(Ok(()), |at| bind(&mut arguments, at))?;
    let query = sqlx::query_with(statement.clone(), arguments);
    found.read(&internal.in_time(query.fetch_all(connection)).await?)?;
    Ok(found.written(|found| found.answer(completion)))
}

/// Writes the completions of the runs that share a transaction, as [`write_one`] does, one answer
/// for each.
pub(super) async fn write_group(
    connection: &mut PgConnection,
    internal: &InternalPool,
    completions: &[Completion],
) -> sqlx::Result<Written<Vec<Committed>>> {
    let sql = &internal.sql;
    let patience = if completions.len() > 1 { SHARED_PATIENCE } else { PATIENCE };
    let incoming = completions.iter().flat_map(|completion| &completion.incoming);
    let outgoing = completions.iter().flat_map(|completion| &completion.outgoing);
    let handled = completions.iter().filter_map(|completion| completion.handled.as_ref());
    let (mut found, mut arguments) =
        insert_and_bind(connection, internal, incoming.clone(), outgoing, patience).await?;
    bind_ownerships(handled, &mut arguments)?;
    let claimable_at = claimable_at(incoming);
    let statement = match claimable_at {
        Some(_) => &sql.completion.complete_group_and_notify,
        None => &sql.completion.complete_group,
    };
    claimable_at.map_or(Ok(()), |at| bind(&mut arguments, at))?;
    let query = sqlx::query_with(statement.clone(), arguments);
    found.read(&internal.in_time(query.fetch_all(connection)).await?)?;
    Ok(found.written(|found| completions.iter().map(|all| found.answer(all)).collect()))
}

/// Inserts what is more than one statement holds, and binds the rest for the completion.
///
/// A deduplication key may be held by a transaction that is open; it is waited for so long.
async fn insert_and_bind<'r>(
    connection: &mut PgConnection,
    internal: &InternalPool,
    incoming: impl Iterator<Item = &'r Incoming>,
    outgoing: impl Iterator<Item = &'r Outgoing>,
    patience: &'static str,
) -> sqlx::Result<(CompletionRows, PgArguments)> {
    let (mut found, mut arguments) = (CompletionRows::default(), PgArguments::default());
    let (incoming, outgoing) = (in_order(incoming), in_order(outgoing));
    let mut envelopes =
        incoming.iter().map(|row| &row.envelope).chain(outgoing.iter().map(|row| &row.envelope));
    if envelopes.any(|envelope| envelope.deduplication_id.is_some()) {
        let patience = sqlx::raw_sql(patience).execute(&mut *connection);
        internal.in_time(patience).await?;
    }
    let incoming = insert_ahead(connection, internal, &incoming, &mut found.incoming).await?;
    let outgoing = insert_ahead(connection, internal, &outgoing, &mut found.outgoing).await?;
    bind_incoming(incoming, &mut arguments)?;
    bind_outgoing(outgoing, &mut arguments)?;
    Ok((found, arguments))
}

/// Inserts all but the last portion, and gives that.
async fn insert_ahead<'a, 'r, R: Insert>(
    connection: &mut PgConnection,
    internal: &InternalPool,
    rows: &'a [&'r R],
    new: &mut HashSet<Key>,
) -> sqlx::Result<&'a [&'r R]> {
    let portions: Vec<_> = portions(rows, rows.len()).collect();
    let Some((last, ahead)) = portions.split_last() else {
        return Ok(rows);
    };
    for portion in ahead {
        let inserted =
            insert_portion(&mut *connection, &internal.sql, portion, InsertStage::Completion);
        for row in internal.in_time(inserted).await? {
            new.insert(columns::key(&row, 0)?);
        }
    }
    Ok(last)
}

/// Scalars instead of arrays: this is what most handlers do that send anything.
async fn one_for_one(
    connection: &mut PgConnection,
    sql: &Sql,
    handled: Option<&Ownership>,
    follow_up: &Incoming,
) -> sqlx::Result<Written<Committed>> {
    let mut arguments = PgArguments::default();
    bind(&mut arguments, handled.map(|row| row.id.as_uuid()))?;
    bind(&mut arguments, handled.map(|row| row.destination.as_str()))?;
    bind(&mut arguments, handled.map(|row| row.owner.number()))?;
    bind(&mut arguments, handled.map(|row| i64::from(row.attempts)))?;
    rows::bind_one(follow_up, &mut arguments)?;
    let query = sqlx::query_with(sql.completion.one_for_one.clone(), arguments);
    let row = query.fetch_one(connection).await?;
    if !row.try_get::<bool, _>(0)? {
        return Ok(Written::TransactionEnded);
    }
    let is_settled = handled.is_none() || row.try_get(1)?;
    if !is_settled {
        return Ok(Written::Done(answer(Settled::Fenced, Vec::new())));
    }
    let stored = if row.try_get(2)? { Inserted::New } else { Inserted::Duplicate };
    Ok(Written::Done(answer(Settled::Done, vec![stored])))
}

async fn end_one(
    connection: &mut PgConnection,
    sql: &Sql,
    handled: Option<&Ownership>,
) -> sqlx::Result<Written<Committed>> {
    let query = sqlx::query(sql.completion.end_one.clone())
        .bind(handled.map(|row| row.id.as_uuid()))
        .bind(handled.map(|row| row.destination.as_str()))
        .bind(handled.map(|row| row.owner.number()))
        .bind(handled.map(|row| i64::from(row.attempts)));
    let row = query.fetch_one(connection).await?;
    if !row.try_get::<bool, _>(0)? {
        return Ok(Written::TransactionEnded);
    }
    let is_settled = handled.is_none() || row.try_get(1)?;
    let settled = if is_settled { Settled::Done } else { Settled::Fenced };
    Ok(Written::Done(answer(settled, Vec::new())))
}

const fn answer(settled: Settled, incoming: Vec<Inserted>) -> Committed {
    Committed { settled, incoming, outgoing: Vec::new() }
}

/// What the statements of a completion have found, by the keys of its rows.
#[derive(Default)]
struct CompletionRows {
    running: bool,
    handled: HashSet<Key>,
    incoming: HashSet<Key>,
    outgoing: HashSet<Key>,
}

impl CompletionRows {
    fn read(&mut self, rows: &[PgRow]) -> sqlx::Result<()> {
        for row in rows {
            let keys = match row.try_get::<i32, _>(0)? {
                1 => &mut self.handled,
                2 => &mut self.incoming,
                3 => &mut self.outgoing,
                _ => {
                    self.running = true;
                    continue;
                }
            };
            keys.insert(columns::key(row, 1)?);
        }
        Ok(())
    }

    fn written<T>(&mut self, answer: impl FnOnce(&mut Self) -> T) -> Written<T> {
        if self.running { Written::Done(answer(self)) } else { Written::TransactionEnded }
    }

    /// Where two runs handled the same message, only the first one's settlement counts.
    fn answer(&mut self, completion: &Completion) -> Committed {
        let mut is_settled = |row: &Ownership| self.handled.remove(&key_of(row));
        if completion.handled.as_ref().is_some_and(|row| !is_settled(row)) {
            return answer(Settled::Fenced, Vec::new());
        }
        let incoming = completion.incoming.iter();
        let outgoing = completion.outgoing.iter();
        Committed {
            settled: Settled::Done,
            incoming: incoming.map(|row| inserted(&row.envelope, &mut self.incoming)).collect(),
            outgoing: outgoing.map(|row| inserted(&row.envelope, &mut self.outgoing)).collect(),
        }
    }
}
