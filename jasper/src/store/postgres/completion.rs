//! The last statement of a durable handler's transaction: the end of its message, and what follows.

use std::collections::HashSet;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{PgConnection, Row};

use super::rows::{
    self, INSERT_INCOMING, any_claimable, bind_incoming, bind_outgoing, bind_ownerships, stored,
};
use super::settlement::Key;
use super::sql::{Sql, statements};
use crate::store::{Committed, Completion, Ownership, Settled};

/// Begins the transaction of a run. The setting is gone with the transaction, so that one that a
/// handler has ended by a statement of its own, and maybe begun again, is told apart.
pub(super) const BEGIN: &str = "begin; set local jasper.run = 'on'";

/// The end of one message and nothing else, as most runs have it.
const END_ONE: &str = "\
with deleted as (
    delete from {incoming}
    where id = $1 and destination = $2 and owner = $3 and attempts = $4
        and status = 'incoming' and keep_for is null and {running}
    returning 1
), kept as (
    update {incoming}
    set status = 'handled', owner = 0, body = null, keep_until = {now} + keep_for
    where id = $1 and destination = $2 and owner = $3 and attempts = $4
        and status = 'incoming' and keep_for is not null and {running}
    returning 1
)
select {running}, exists (select from deleted) or exists (select from kept)";

const INCOMING: &str = "\
with incoming as (
";

/// After the insert of [`rows`], whose arrays are the first thirteen arguments.
const OUTGOING_AND_ENDS: &str = "
    where {running}
    on conflict do nothing returning id, destination
), outgoing as (
    insert into {outgoing} (id, destination, message_type, body, group_id, tenant_id,
        correlation_id, sent_at, attempts, owner, deliver_by)
    select * from unnest($14::uuid[], $15::text[], $16::text[], $17::bytea[], $18::text[],
        $19::text[], $20::text[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[])
    where {running}
    on conflict do nothing returning id, destination
), held as materialized (
    select * from unnest($25::uuid[], $26::text[], $27::bigint[], $28::bigint[])
        as held (id, destination, owner, attempts)
    where {running}
), deleted as (
    delete from {incoming} row using held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.keep_for is null
    returning row.id, row.destination
), kept as (
    update {incoming} row
    set status = 'handled', owner = 0, body = null, keep_until = {now} + row.keep_for
    from held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.keep_for is not null
    returning row.id, row.destination
)
select 0, null::uuid, null::text where {running}
union all select 1, id, destination from deleted
union all select 1, id, destination from kept
union all select 2, id, destination from incoming
union all select 3, id, destination from outgoing";

const AND_TELL: &str = "
union all select 4, null::uuid, null::text from {tell} told where {running}";

statements!(CompletionSql {
    end_one: END_ONE,
    complete: [INCOMING, INSERT_INCOMING, OUTGOING_AND_ENDS].concat(),
    complete_and_tell: [INCOMING, INSERT_INCOMING, OUTGOING_AND_ENDS, AND_TELL].concat(),
});

/// What [`write`] found.
#[derive(Debug)]
pub(super) enum Written {
    /// All is written; each completion is answered. Where one is fenced, all is to be undone.
    All(Vec<Committed>),
    /// Nothing is written: the transaction is not the one that was begun.
    Ended,
}

/// Writes completions at the end of the transaction that they share, in one trip.
pub(super) async fn write(
    connection: &mut PgConnection,
    sql: &Sql,
    completions: &[Completion],
) -> sqlx::Result<Written> {
    if let [Completion { handled, incoming, outgoing }] = completions
        && incoming.is_empty()
        && outgoing.is_empty()
    {
        return end_one(connection, sql, handled.as_ref()).await;
    }
    let incoming = completions.iter().flat_map(|completion| &completion.incoming);
    let outgoing = completions.iter().flat_map(|completion| &completion.outgoing);
    let handled = completions.iter().filter_map(|completion| completion.handled.as_ref());
    let mut arguments = PgArguments::default();
    bind_incoming(incoming.clone(), &mut arguments)?;
    bind_outgoing(outgoing, &mut arguments)?;
    bind_ownerships(handled, &mut arguments)?;
    let statement = match any_claimable(incoming) {
        true => &sql.completion.complete_and_tell,
        false => &sql.completion.complete,
    };
    let query = sqlx::query_with(statement.clone(), arguments);
    let mut did = Did::read(&query.fetch_all(connection).await?)?;
    match did.running {
        true => Ok(Written::All(completions.iter().map(|all| did.answer(all)).collect())),
        false => Ok(Written::Ended),
    }
}

async fn end_one(
    connection: &mut PgConnection,
    sql: &Sql,
    handled: Option<&Ownership>,
) -> sqlx::Result<Written> {
    let query = sqlx::query(sql.completion.end_one.clone())
        .bind(handled.map(|row| row.id.as_uuid()))
        .bind(handled.map(|row| row.destination.as_str()))
        .bind(handled.map(|row| row.owner.number()))
        .bind(handled.map(|row| i64::from(row.attempts)));
    let row = query.fetch_one(connection).await?;
    if !row.try_get::<bool, _>(0)? {
        return Ok(Written::Ended);
    }
    let ended = handled.is_none() || row.try_get(1)?;
    let settled = if ended { Settled::Done } else { Settled::Fenced };
    Ok(Written::All(vec![Committed { settled, incoming: Vec::new(), outgoing: Vec::new() }]))
}

/// What a completion did, by the keys of its rows.
#[derive(Default)]
struct Did {
    running: bool,
    ended: HashSet<Key>,
    incoming: HashSet<Key>,
    outgoing: HashSet<Key>,
}

impl Did {
    fn read(rows: &[PgRow]) -> sqlx::Result<Self> {
        let mut did = Self::default();
        for row in rows {
            let keys = match row.try_get::<i32, _>(0)? {
                1 => &mut did.ended,
                2 => &mut did.incoming,
                3 => &mut did.outgoing,
                _ => {
                    did.running = true;
                    continue;
                }
            };
            keys.insert((rows::message_id(row, 1)?, row.try_get(2)?));
        }
        Ok(did)
    }

    fn answer(&mut self, completion: &Completion) -> Committed {
        let is_ended = |row: &Ownership| {
            let key = (row.id, row.destination.to_string());
            self.ended.contains(&key)
        };
        if completion.handled.as_ref().is_some_and(|row| !is_ended(row)) {
            let (incoming, outgoing) = (Vec::new(), Vec::new());
            return Committed { settled: Settled::Fenced, incoming, outgoing };
        }
        let incoming = completion.incoming.iter();
        let outgoing = completion.outgoing.iter();
        Committed {
            settled: Settled::Done,
            incoming: incoming.map(|row| stored(&row.envelope, &mut self.incoming)).collect(),
            outgoing: outgoing.map(|row| stored(&row.envelope, &mut self.outgoing)).collect(),
        }
    }
}
