//! The ends and changes of ownership in the inbox, each by compare-and-set, and what both tables
//! do to settle many rows in one trip.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;

use super::batch::Batch;
use super::connection::SqlServerConnection;
use super::error::Result;
use super::internal_pool::{InternalPool, Work};
use super::parameters::{HeldParameter, json};
use super::rows::keys;
use super::sql::{Sql, statements};
use super::statement_size::{SHARED_ROWS, StatementSize};
use crate::envelope::time::to_micros;
use crate::store::portions::Weigh;
use crate::store::sql::coalescer::Coalescer;
use crate::store::sql::key::{Key, key_of};
use crate::store::sql::rounds::rounds;
use crate::store::sql::settlement_kind::SettlementKind;
use crate::store::{Ownership, Settled, Settlement};

/// Most rows are not kept, so that the second statement is rarely needed.
const HANDLED: &str = "\
delete from {incoming} with (rowlock)
output deleted.id, deleted.destination
from {asked}
where {held_incoming} and jasper_incoming.attempts = asked.attempts
    and jasper_incoming.status = 'incoming' and jasper_incoming.retention is null
{by_key};
if @@rowcount < (select count(*) from openjson(@P1))
    update {incoming} with (rowlock)
    set status = 'handled', owner = 0, body = null, retained_until = {now} + case
        when jasper_incoming.retention > 4611686018427387903 then 4611686018427387903
        else jasper_incoming.retention end
    output inserted.id, inserted.destination
    from {asked}
    where {held_incoming} and jasper_incoming.attempts = asked.attempts
        and jasper_incoming.status = 'incoming' and jasper_incoming.retention is not null
    {by_key};
";

const COUNT_ATTEMPT: &str = "\
update {incoming} with (rowlock) set attempts = asked.attempts + 1
output inserted.id, inserted.destination
from {asked}
where {held_incoming} and jasper_incoming.status = 'incoming'
    and jasper_incoming.attempts between asked.attempts and asked.attempts + 1
{by_key};
";

const SCHEDULE: &str = "\
update {incoming} with (rowlock) set status = 'scheduled', owner = 0, due_at = asked.due_at
output inserted.id, inserted.destination
from openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), owner bigint,
    attempts bigint, due_at bigint) asked
where {held_incoming} and jasper_incoming.attempts = asked.attempts
    and jasper_incoming.status = 'incoming'
{by_key};
";

const RELEASE: &str = "\
update {incoming} with (rowlock) set owner = 0, attempts = case
    when jasper_incoming.attempts > asked.undone then jasper_incoming.attempts - asked.undone
    else 0 end
output inserted.id, inserted.destination
from openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), owner bigint,
    attempts bigint, undone bigint) asked
where {held_incoming} and jasper_incoming.status = 'incoming'
    and case when jasper_incoming.attempts > 4294967295 then 4294967295
        else jasper_incoming.attempts end = asked.attempts
{by_key};
";

/// What is peculiar to the inbox where a row becomes a dead letter.
const RETENTION: &str = "deleted.retention";
const AND_INCOMING: &str = " and jasper_incoming.status = 'incoming'";

statements!(SettlementSql {
    handled: HANDLED,
    count_attempt: COUNT_ATTEMPT,
    schedule: SCHEDULE,
    release: RELEASE,
    dead_letters: dead_letters("incoming", RETENTION, AND_INCOMING),
    dead_letter: dead_letter("incoming", RETENTION, AND_INCOMING),
});

/// Letters with their keys, and what they are to say.
const LETTERS: [&str; 2] = [
    "{asked}",
    "openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), reason varchar(32),
    error_type nvarchar(max), error_message nvarchar(max)) asked",
];

/// The same of one, as values: its texts arrive as they are.
const LETTER: [&str; 2] = [
    "(select @id as id, @destination as destination, @owner as owner, @attempts as attempts) asked",
    "(select @id as id, @destination as destination, @reason as reason, @error_type as error_type,
    @error_message as error_message) asked",
];

/// What moves rows of a table to the dead letters, in place of letters with their keys: within a
/// transaction, and once in a batch.
pub(super) fn dead_letters(table: &str, retention: &str, and: &str) -> String {
    dead_letters_of(LETTERS, table, retention, and)
}

/// The same with one row, by its values.
pub(super) fn dead_letter(table: &str, retention: &str, and: &str) -> String {
    dead_letters_of(LETTER, table, retention, and)
}

fn dead_letters_of([asked, causes]: [&str; 2], table: &str, retention: &str, and: &str) -> String {
    const MOVE: &str = "\
declare @moved table (
    id binary(16) not null, destination nvarchar(255) {bytes} not null,
    message_type nvarchar(255) {bytes} not null, attempts bigint not null,
    body varbinary(max) not null, group_id nvarchar(max), tenant_id nvarchar(max),
    correlation_id nvarchar(max), sent_at bigint not null, retention bigint,
    primary key (id, destination)
);
delete from {{table}} with (rowlock)
output deleted.id, deleted.destination, deleted.message_type, deleted.attempts, deleted.body,
    deleted.group_id, deleted.tenant_id, deleted.correlation_id, deleted.sent_at, {retention}
into @moved (id, destination, message_type, attempts, body, group_id, tenant_id, correlation_id,
    sent_at, retention)
from {asked}
where {held_{table}} and jasper_{table}.attempts = asked.attempts{and}
{by_key};
delete from {dead_letters} with (rowlock)
from @moved moved
where jasper_dead_letters.id = moved.id and jasper_dead_letters.destination = moved.destination
{by_key};
insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at, retention)
select row.id, row.destination, asked.reason, row.message_type, asked.error_type,
    asked.error_message, row.attempts, row.body, {now}, row.group_id, row.tenant_id,
    row.correlation_id, row.sent_at, row.retention
from {causes}
join @moved row on {same}
{by_key};
select id, destination from @moved;
";
    let text = MOVE.replace("{table}", table).replace("{retention}", retention);
    text.replace("{and}", and).replace("{asked}", asked).replace("{causes}", causes)
}

/// What settles rows of a table.
pub(super) trait Settle: Weigh + Clone + Send + Sync + 'static {
    type Kind: Copy + Eq + Send + Sync;

    const KINDS: &'static [Self::Kind];

    fn kind(&self) -> Self::Kind;

    fn ownership(&self) -> &Ownership;

    /// What does this to the rows of its first parameter, and gives the keys of those that it met.
    fn statement(kind: Self::Kind, sql: &Sql) -> &str;

    /// What makes one row a dead letter by its values, if that is what it is about.
    fn letter_statement(kind: Self::Kind, sql: &Sql) -> Option<&str>;

    fn parameter(&self) -> HeldParameter<'_>;
}

impl Settle for Settlement {
    type Kind = SettlementKind;

    const KINDS: &'static [SettlementKind] = SettlementKind::ALL;

    fn kind(&self) -> SettlementKind {
        SettlementKind::of(self)
    }

    fn ownership(&self) -> &Ownership {
        self.ownership()
    }

    fn statement(kind: SettlementKind, sql: &Sql) -> &str {
        match kind {
            SettlementKind::Handled => &sql.settlement.handled,
            SettlementKind::Attempt => &sql.settlement.count_attempt,
            SettlementKind::Schedule => &sql.settlement.schedule,
            SettlementKind::Release => &sql.settlement.release,
            SettlementKind::DeadLetter => &sql.settlement.dead_letters,
        }
    }

    fn letter_statement(kind: SettlementKind, sql: &Sql) -> Option<&str> {
        (kind == SettlementKind::DeadLetter).then_some(&sql.settlement.dead_letter)
    }

    fn parameter(&self) -> HeldParameter<'_> {
        if let Some(cause) = self.cause() {
            return HeldParameter::with_cause(self.ownership(), &cause);
        }
        let mut held = HeldParameter::new(self.ownership());
        match self {
            Self::Schedule(_, due_at) => held.due_at = Some(to_micros(*due_at)),
            Self::Release { attempt_began, .. } => held.undone = Some(u8::from(!attempt_began)),
            Self::Handled(_) | Self::Attempt(_) | Self::DeadLetter { .. } => {}
        }
        held
    }
}

/// What settles the rows of a table for all callers.
pub(super) fn coalescer<S: Settle>(internal: &InternalPool) -> Coalescer<S, Settled> {
    let (internal, size) = (internal.clone(), Arc::new(StatementSize::of(SHARED_ROWS)));
    Coalescer::new(SHARED_ROWS, 1, move |settlements| {
        let (internal, size) = (internal.clone(), Arc::clone(&size));
        async move { internal.work(SettleRows { settlements, size }).await }.boxed()
    })
}

struct SettleRows<S> {
    settlements: Vec<S>,
    size: Arc<StatementSize>,
}

impl<S: Settle> Work for SettleRows<S> {
    type Output = Vec<Settled>;

    /// One trip; several where a row is settled twice, and after one that the server was too slow
    /// for. Several share a transaction: where the database rolls it back all are done again, and
    /// find what they have done before.
    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Vec<Settled>> {
        let mut answers = vec![Settled::Fenced; self.settlements.len()];
        let rounds = rounds(self.settlements.iter().map(Settle::ownership));
        let most = self.size.rows();
        let trips: Vec<&[usize]> = rounds.iter().flat_map(|round| round.chunks(most)).collect();
        let alone = trips.len() < 2;
        if !alone {
            connection.batch("begin transaction").await?;
        }
        for trip in trips {
            let settlements: Vec<&S> = trip.iter().map(|&at| &self.settlements[at]).collect();
            let done = settle(connection, sql, &settlements).await;
            self.size.note(trip.len(), &done);
            let done = done?;
            for &at in trip {
                if done.contains(&key_of(self.settlements[at].ownership())) {
                    answers[at] = Settled::Done;
                }
            }
        }
        if !alone {
            connection.batch("commit transaction").await?;
        }
        Ok(answers)
    }
}

/// Settles rows of which each stands there once, and gives the keys of those that were held so.
async fn settle<S: Settle>(
    connection: &mut SqlServerConnection,
    sql: &Sql,
    settlements: &[&S],
) -> Result<HashSet<Key>> {
    keys(&batch(sql, settlements).rows(connection).await?)
}

/// One statement for each kind of settlement among these, in one transaction.
pub(super) fn batch<'r, S: Settle>(sql: &Sql, settlements: &[&'r S]) -> Batch<'r> {
    let mut batch = Batch::new("begin transaction; ");
    for &kind in S::KINDS {
        let of_kind = settlements.iter().filter(|settlement| settlement.kind() == kind);
        let mut of_kind: Vec<_> = of_kind.map(|settlement| settlement.parameter()).collect();
        match (S::letter_statement(kind, sql), of_kind.len()) {
            (_, 0) => {}
            (Some(statement), 1) => {
                let values = of_kind.pop().map(HeldParameter::values);
                batch.add_one(statement, values.unwrap_or_default());
            }
            _ => batch.add_many(S::statement(kind, sql), json(&of_kind)),
        }
    }
    batch.add("commit transaction");
    batch
}
