//! Writing envelopes as rows, and reading them back.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Connection, Encode, PgConnection, PgExecutor, Postgres, Row, SqlStr, Type};
use uuid::Uuid;

use super::frontier::{Frontier, Pair, RowAvailability};
use super::internal_pool::InternalPool;
use super::sql::{Sql, statements};
use crate::envelope::time::to_micros;
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::portions::{Weigh, portions};
use crate::store::sql::columns::{self, Columns, lent_columns};
use crate::store::sql::insert_queues::{Keyed, Wait};
use crate::store::sql::key;
use crate::store::sql::placement::{self, PlacementColumns};
use crate::store::{Incoming, Inserted, Outgoing, Ownership, Placement, Subscription};

/// The most rows of one statement that several callers share.
pub(super) const SHARED_ROWS: usize = 500;

/// One array for each column, in the order of [`bind_incoming`].
pub(super) const INSERT_INCOMING: &str = "\
insert into {incoming} (id, destination, message_type, body, group_id, tenant_id, correlation_id,
    sent_at, attempts, status, owner, due_at, retention)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[],
    $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[],
    $13::bigint[])";

/// One array for each column, in the order of [`bind_outgoing`].
const INSERT_OUTGOING: &str = "\
insert into {outgoing} (id, destination, message_type, body, group_id, tenant_id, correlation_id,
    sent_at, attempts, owner, deliver_by)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[],
    $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])";

const ALL: &str = "select * from unnest(";

/// The same, where others wait for this insert. The setting ends with its transaction.
const ALL_WITHOUT_WAITING: &str = "\
select given.* from (select set_config('lock_timeout', '50ms', true)) patience, unnest(";

const GIVEN: &str = " given";

const WHILE_RUNNING: &str = "
where {running}";

const OR_DUPLICATE: &str = "
on conflict do nothing returning id, destination";

/// Nodes are notified only where something was stored that others may claim soon, by the clock of
/// the database.
const NOTIFICATION: &str = "
    case when owner = 0 and coalesce(due_at, 0) < {soon}
        then (select true from {notify} notified)
    end";

/// What comes before it.
const AND: &str = ",";
const RETURNING: &str = "
returning";

statements!(RowsSql {
    fresh_incoming: INSERT_INCOMING,
    fresh_claimable: [INSERT_INCOMING, RETURNING, NOTIFICATION].concat(),
    fresh_outgoing: INSERT_OUTGOING,
    store_incoming: [INSERT_INCOMING, OR_DUPLICATE].concat(),
    store_claimable: [INSERT_INCOMING, OR_DUPLICATE, AND, NOTIFICATION].concat(),
    store_outgoing: [INSERT_OUTGOING, OR_DUPLICATE].concat(),
    try_incoming: [&without_waiting(INSERT_INCOMING), OR_DUPLICATE].concat(),
    try_claimable: [&without_waiting(INSERT_INCOMING), OR_DUPLICATE, AND, NOTIFICATION].concat(),
    try_outgoing: [&without_waiting(INSERT_OUTGOING), OR_DUPLICATE].concat(),
    complete_incoming: [INSERT_INCOMING, WHILE_RUNNING, OR_DUPLICATE].concat(),
    complete_outgoing: [INSERT_OUTGOING, WHILE_RUNNING, OR_DUPLICATE].concat(),
});

fn without_waiting(insert: &str) -> String {
    [&insert.replace(ALL, ALL_WITHOUT_WAITING), GIVEN].concat()
}

/// Whether an insert stands alone or is part of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InsertStage {
    /// By itself, with ids that are new. It fails where one is not, and costs a third less than one
    /// that looks for duplicates first.
    Fresh,
    /// By itself, or in a transaction of a user.
    Store(Wait),
    /// Before the completion of a handler's run, as long as its transaction is open.
    Completion,
}

/// A row that is inserted under a message id and a destination.
pub(super) trait Insert: Weigh + Send + Sync {
    type Pair: Pair;

    fn envelope(&self) -> &Envelope;

    /// The statement that stores these.
    fn statement<'s>(rows: &[&Self], stage: InsertStage, sql: &'s Sql) -> &'s SqlStr;

    /// Binds an array for each column.
    fn bind(rows: &[&Self], arguments: &mut PgArguments) -> sqlx::Result<()>;

    /// What a row waits for once it is stored; `None` if it is owned.
    fn waits(&self) -> Option<RowAvailability<Self::Pair>>;

    /// Where is noted what rows wait for.
    fn frontier(internal: &InternalPool) -> &Frontier<Self::Pair>;
}

impl Insert for Incoming {
    type Pair = Subscription;

    fn waits(&self) -> Option<RowAvailability<Subscription>> {
        match self.placement {
            Placement::Owned(_) => None,
            Placement::Unowned => {
                let destination = self.envelope.destination.clone();
                let message_type = self.envelope.message_type.to_string();
                let pair = Subscription { destination, message_type };
                Some(RowAvailability::Unowned(pair, to_micros(self.envelope.sent_at)))
            }
            Placement::Scheduled(due_at) => {
                Some(RowAvailability::Scheduled { due_at: to_micros(due_at), is_notified: false })
            }
        }
    }

    fn frontier(internal: &InternalPool) -> &Frontier<Subscription> {
        &internal.frontier
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn statement<'s>(rows: &[&Self], stage: InsertStage, sql: &'s Sql) -> &'s SqlStr {
        let sql = &sql.rows;
        match (stage, claimable_at(rows.iter().copied()).is_some()) {
            (InsertStage::Fresh, true) => &sql.fresh_claimable,
            (InsertStage::Fresh, false) => &sql.fresh_incoming,
            (InsertStage::Store(Wait::Usual), true) => &sql.store_claimable,
            (InsertStage::Store(Wait::Usual), false) => &sql.store_incoming,
            (InsertStage::Store(Wait::Short), true) => &sql.try_claimable,
            (InsertStage::Store(Wait::Short), false) => &sql.try_incoming,
            // The completion notifies.
            (InsertStage::Completion, _) => &sql.complete_incoming,
        }
    }

    fn bind(rows: &[&Self], arguments: &mut PgArguments) -> sqlx::Result<()> {
        bind_incoming(rows, arguments)
    }
}

impl Insert for Outgoing {
    type Pair = Address;

    fn waits(&self) -> Option<RowAvailability<Address>> {
        let Envelope { destination, sent_at, .. } = &self.envelope;
        let waits = || RowAvailability::Unowned(destination.clone(), to_micros(*sent_at));
        self.owner.is_none().then(waits)
    }

    fn frontier(internal: &InternalPool) -> &Frontier<Address> {
        &internal.outgoing_frontier
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn statement<'s>(_rows: &[&Self], stage: InsertStage, sql: &'s Sql) -> &'s SqlStr {
        match stage {
            InsertStage::Fresh => &sql.rows.fresh_outgoing,
            InsertStage::Store(Wait::Usual) => &sql.rows.store_outgoing,
            InsertStage::Store(Wait::Short) => &sql.rows.try_outgoing,
            InsertStage::Completion => &sql.rows.complete_outgoing,
        }
    }

    fn bind(rows: &[&Self], arguments: &mut PgArguments) -> sqlx::Result<()> {
        bind_outgoing(rows, arguments)
    }
}

/// From when on others may claim any of these, so that they may have to be notified.
///
/// There is no notification of rows that the writer owns: it would make all commits wait for each
/// other.
pub(super) fn claimable_at<'r>(rows: impl Iterator<Item = &'r Incoming>) -> Option<i64> {
    let claimable_at = rows.filter_map(|row| match row.placement {
        Placement::Owned(_) => None,
        Placement::Unowned => Some(0),
        Placement::Scheduled(due_at) => Some(to_micros(due_at)),
    });
    claimable_at.min()
}

/// Inserts rows in a transaction that is open, and says of each whether it was new.
pub(super) async fn insert<R: Insert>(
    connection: &mut PgConnection,
    sql: &Sql,
    rows: &[R],
) -> sqlx::Result<Vec<Inserted>> {
    let mut inserted = Vec::with_capacity(rows.len());
    for portion in portions(&in_order(rows.iter()), SHARED_ROWS) {
        let stage = InsertStage::Store(Wait::Usual);
        inserted.extend(insert_portion(&mut *connection, sql, portion, stage).await?);
    }
    answers(rows, &inserted)
}

/// Inserts rows in one statement, and gives the keys of those that were new.
pub(super) async fn insert_portion<R: Insert>(
    executor: impl PgExecutor<'_>,
    sql: &Sql,
    rows: &[&R],
    stage: InsertStage,
) -> sqlx::Result<Vec<PgRow>> {
    let mut arguments = PgArguments::default();
    R::bind(rows, &mut arguments)?;
    let statement = R::statement(rows, stage, sql).clone();
    sqlx::query_with(statement, arguments).fetch_all(executor).await
}

/// Stores rows on a connection of the store's own, all or none of them.
pub(super) async fn store<R: Insert + Keyed>(
    internal: &InternalPool,
    rows: &[R],
    wait: Wait,
) -> sqlx::Result<Vec<Inserted>> {
    let mut connection = internal.acquire().await?;
    let stored = store_on(&mut connection, internal, rows, wait).await;
    connection.after(stored)
}

async fn store_on<R: Insert + Keyed>(
    connection: &mut PgConnection,
    internal: &InternalPool,
    rows: &[R],
    wait: Wait,
) -> sqlx::Result<Vec<Inserted>> {
    let ordered = in_order(rows.iter());
    if !rows.iter().any(Keyed::may_repeat) {
        match insert_all(connection, internal, &ordered, InsertStage::Fresh).await {
            Ok(_answers) => return Ok(vec![Inserted::New; rows.len()]),
            // Stored by a call whose answer was lost.
            Err(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => {}
            Err(error) => return Err(error),
        }
    }
    let inserted = insert_all(connection, internal, &ordered, InsertStage::Store(wait)).await?;
    answers(rows, &inserted)
}

/// Inserts rows in one transaction, in as few statements as their bytes allow.
async fn insert_all<R: Insert>(
    connection: &mut PgConnection,
    internal: &InternalPool,
    rows: &[&R],
    stage: InsertStage,
) -> sqlx::Result<Vec<PgRow>> {
    let all: Vec<_> = portions(rows, rows.len()).collect();
    if let [only] = all.as_slice() {
        // A statement alone is a transaction by itself, which saves two trips.
        return internal.in_time(insert_portion(connection, &internal.sql, only, stage)).await;
    }
    let mut inserted = Vec::with_capacity(rows.len());
    let mut transaction = internal.in_time(connection.begin()).await?;
    for portion in all {
        let portion = insert_portion(&mut *transaction, &internal.sql, portion, stage);
        inserted.extend(internal.in_time(portion).await?);
    }
    internal.in_time(transaction.commit()).await?;
    Ok(inserted)
}

/// What became of rows, given the keys of those that were new.
fn answers<R: Insert>(rows: &[R], inserted: &[PgRow]) -> sqlx::Result<Vec<Inserted>> {
    if inserted.len() == rows.len() {
        return Ok(vec![Inserted::New; rows.len()]);
    }
    let mut new = HashSet::with_capacity(inserted.len());
    for row in inserted {
        new.insert(columns::key(row, 0)?);
    }
    Ok(rows.iter().map(|row| key::inserted(row.envelope(), &mut new)).collect())
}

/// All writers insert in the order of the keys, so that of two with the same keys one waits for the
/// other, and never each for the other. Of those with one key the first stays the first.
pub(super) fn in_order<'r, R: Insert>(rows: impl Iterator<Item = &'r R>) -> Vec<&'r R> {
    let key = |row: &R| (row.envelope().id.as_uuid(), row.envelope().destination.clone());
    let mut rows: Vec<&R> = rows.collect();
    rows.sort_by_cached_key(|row| key(row));
    rows
}

/// Binds an array for each column of these rows, which are [in order](in_order).
pub(super) fn bind_incoming(rows: &[&Incoming], arguments: &mut PgArguments) -> sqlx::Result<()> {
    let rows = rows.iter().copied();
    bind_envelopes(rows.clone().map(|row| &row.envelope), arguments)?;
    let placed = rows.map(PlacementColumns::of);
    bind(arguments, placed.clone().map(|placed| placed.status).collect::<Vec<_>>())?;
    bind(arguments, placed.clone().map(|placed| placed.owner).collect::<Vec<_>>())?;
    bind(arguments, placed.clone().map(|placed| placed.due_at).collect::<Vec<_>>())?;
    bind(arguments, placed.map(|placed| placed.retention).collect::<Vec<_>>())
}

/// One scalar for each column, in the order of [`bind_incoming`].
pub(super) fn bind_one(row: &Incoming, arguments: &mut PgArguments) -> sqlx::Result<()> {
    let (envelope, placed) = (&row.envelope, PlacementColumns::of(row));
    bind(arguments, envelope.id.as_uuid())?;
    bind(arguments, envelope.destination.as_str())?;
    bind(arguments, envelope.message_type.to_string())?;
    bind(arguments, &envelope.to_bytes()[..])?;
    bind(arguments, envelope.group_id.as_deref().map(storable))?;
    bind(arguments, envelope.tenant_id.as_deref().map(storable))?;
    bind(arguments, envelope.correlation_id.as_deref().map(storable))?;
    bind(arguments, to_micros(envelope.sent_at))?;
    bind(arguments, i64::from(envelope.attempts))?;
    bind(arguments, placed.status)?;
    bind(arguments, placed.owner)?;
    bind(arguments, placed.due_at)?;
    bind(arguments, placed.retention)
}

/// As [`bind_incoming`] does.
pub(super) fn bind_outgoing(rows: &[&Outgoing], arguments: &mut PgArguments) -> sqlx::Result<()> {
    let rows = rows.iter().copied();
    bind_envelopes(rows.clone().map(|row| &row.envelope), arguments)?;
    let (owners, deliver_by): (Vec<_>, Vec<_>) = rows.map(placement::outgoing).unzip();
    bind(arguments, owners)?;
    bind(arguments, deliver_by)
}

fn bind_envelopes<'e>(
    all: impl Iterator<Item = &'e Envelope> + Clone,
    arguments: &mut PgArguments,
) -> sqlx::Result<()> {
    bind(arguments, all.clone().map(|e| e.id.as_uuid()).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|e| e.destination.as_str()).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|e| e.message_type.to_string()).collect::<Vec<_>>())?;
    let bodies: Vec<Bytes> = all.clone().map(Envelope::to_bytes).collect();
    bind(arguments, bodies.iter().map(|body| &body[..]).collect::<Vec<_>>())?;
    let text = |text: &'e Option<String>| text.as_deref().map(storable);
    bind(arguments, all.clone().map(|e| text(&e.group_id)).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|e| text(&e.tenant_id)).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|e| text(&e.correlation_id)).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|e| to_micros(e.sent_at)).collect::<Vec<_>>())?;
    bind(arguments, all.map(|e| i64::from(e.attempts)).collect::<Vec<_>>())
}

/// Binds arrays for `(id, destination, owner, attempts)`.
pub(super) fn bind_ownerships<'o>(
    all: impl Iterator<Item = &'o Ownership> + Clone,
    arguments: &mut PgArguments,
) -> sqlx::Result<()> {
    bind(arguments, all.clone().map(|row| row.id.as_uuid()).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|row| row.destination.as_str()).collect::<Vec<_>>())?;
    bind(arguments, all.clone().map(|row| row.owner.number()).collect::<Vec<_>>())?;
    bind(arguments, all.map(|row| i64::from(row.attempts)).collect::<Vec<_>>())
}

/// Binds arrays for `(reason, error_type, error_message)`.
pub(super) fn bind_reasons<'b>(
    all: impl Iterator<Item = DeadLetterCause<'b>> + Clone,
    arguments: &mut PgArguments,
) -> sqlx::Result<()> {
    bind(arguments, all.clone().map(|row| row.reason.as_str()).collect::<Vec<_>>())?;
    let text = |text: Cow<'b, str>| storable(&text).into_owned();
    bind(arguments, all.clone().map(|row| text(row.error_type)).collect::<Vec<_>>())?;
    bind(arguments, all.map(|row| text(row.error_message)).collect::<Vec<_>>())
}

/// Binds the next argument.
pub(super) fn bind<'t, T>(arguments: &mut PgArguments, value: T) -> sqlx::Result<()>
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    arguments.add(value).map_err(sqlx::Error::Encode)
}

/// Text as PostgreSQL takes it, which has no character of the number 0. The body has the original.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// Of destination, message type and time of sending, from this column on.
pub(super) fn pair_and_time(row: &PgRow, column: usize) -> sqlx::Result<(Subscription, i64)> {
    Ok((columns::subscription(row, column)?, row.number(column + 2)?))
}

impl Columns for PgRow {
    fn id(&self, column: usize) -> sqlx::Result<MessageId> {
        self.try_get::<Uuid, _>(column).map(MessageId::from)
    }

    lent_columns!();
}
