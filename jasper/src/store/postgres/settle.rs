//! Settlements of many callers: one statement for each kind, and one more for each repeat of a row.

use std::collections::HashSet;
use std::time::Instant;

use futures_util::FutureExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Connection, PgExecutor, SqlStr};

use super::frontier::{Frontier, Pair, RowAvailability};
use super::internal_pool::InternalPool;
use super::pooled_connection::PooledConnection;
use super::rows::{SHARED_ROWS, bind_ownerships};
use super::sql::{NOTIFIED_EARLY, Sql};
use crate::store::portions::Weigh;
use crate::store::sql::coalescer::Coalescer;
use crate::store::sql::columns;
use crate::store::sql::key::{Key, key_of};
use crate::store::sql::rounds::rounds;
use crate::store::{Ownership, Settled};

/// What ends or changes the ownership of a row, by compare-and-set.
pub(super) trait Settle: Weigh + Clone + Send + Sync + 'static {
    /// What is done by statements of their own.
    type Kind: Copy + PartialEq + Send + Sync + 'static;

    type Pair: Pair;

    const KINDS: &'static [Self::Kind];

    fn kind(&self) -> Self::Kind;

    /// The row that it is about.
    fn ownership(&self) -> &Ownership;

    /// What settles all of a kind. It takes their ownerships first, and returns the keys of those
    /// that were held so.
    fn statement(kind: Self::Kind, sql: &Sql) -> &SqlStr;

    /// Binds what the statement of their kind takes beside the ownerships. `announced` is the time
    /// at which other nodes look next for what is due.
    fn bind(
        of_kind: &[&Self],
        kind: Self::Kind,
        announced: i64,
        arguments: &mut PgArguments,
    ) -> sqlx::Result<()>;

    /// Whether others are notified of the first row only that is due.
    fn is_notified_once(_kind: Self::Kind) -> bool {
        false
    }

    /// What others, and this process, may claim from now on, given what the statement of their kind
    /// has returned.
    fn waits(kind: Self::Kind, done: &[PgRow]) -> sqlx::Result<Vec<RowAvailability<Self::Pair>>>;

    /// Where that is noted.
    fn frontier(internal: &InternalPool) -> &Frontier<Self::Pair>;
}

/// What settles the rows of all callers.
pub(super) fn coalescer<S: Settle>(internal: &InternalPool) -> Coalescer<S, Settled> {
    let internal = internal.clone();
    Coalescer::new(SHARED_ROWS, 1, move |settlements: Vec<S>| {
        let internal = internal.clone();
        async move {
            let began = Instant::now();
            let settled = settle_all(&internal, &settlements).await;
            if began.elapsed() >= NOTIFIED_EARLY {
                tell_late(&internal, &settlements).await;
            }
            if settled.is_err() {
                // It may be done all the same.
                internal.start_over();
            }
            settled.map_err(|error| internal.error(error))
        }
        .boxed()
    })
}

/// Settlements of one kind and of different rows, as one statement does them.
struct SettlementStatement<'s, S: Settle> {
    kind: S::Kind,
    /// Their places in what is to be settled.
    places: Vec<usize>,
    settlements: Vec<&'s S>,
}

async fn settle_all<S: Settle>(internal: &InternalPool, all: &[S]) -> sqlx::Result<Vec<Settled>> {
    let mut connection = internal.acquire().await?;
    let settled = internal.in_time(settle_on(&mut connection, internal, all)).await;
    connection.after(settled)
}

async fn settle_on<S: Settle>(
    connection: &mut PooledConnection,
    internal: &InternalPool,
    all: &[S],
) -> sqlx::Result<Vec<Settled>> {
    let mut settled = vec![Settled::Fenced; all.len()];
    let statements = statements(all);
    let change = S::frontier(internal).change();
    if let [only] = statements.as_slice() {
        // A statement alone is a transaction by itself, which saves two trips.
        let done = only.run(&mut **connection, internal, &mut settled).await?;
        change.note(only.waits(&done)?);
        return Ok(settled);
    }
    let mut transaction = connection.begin().await?;
    let mut done = Vec::with_capacity(statements.len());
    for statement in &statements {
        done.push(statement.run(&mut *transaction, internal, &mut settled).await?);
    }
    transaction.commit().await?;
    for (statement, done) in statements.iter().zip(&done) {
        change.note(statement.waits(done)?);
    }
    Ok(settled)
}

/// Others may have looked for what was due before this was committed: they are notified again.
async fn tell_late<S: Settle>(internal: &InternalPool, all: &[S]) {
    if !all.iter().any(|settlement| S::is_notified_once(settlement.kind())) {
        return;
    }
    if let Err(error) = internal.run(sqlx::query(internal.sql.settlement.notify.clone())).await {
        let error = internal.error(error);
        tracing::warn!(%error, "other nodes may take up a retry up to 15 seconds late");
    }
}

fn statements<S: Settle>(all: &[S]) -> Vec<SettlementStatement<'_, S>> {
    let mut statements = Vec::new();
    for round in rounds(all.iter().map(S::ownership)) {
        for &kind in S::KINDS {
            let of_kind = |at: &usize| all[*at].kind() == kind;
            let places: Vec<usize> = round.iter().copied().filter(of_kind).collect();
            if !places.is_empty() {
                let settlements = places.iter().map(|at| &all[*at]).collect();
                statements.push(SettlementStatement { kind, places, settlements });
            }
        }
    }
    statements
}

impl<S: Settle> SettlementStatement<'_, S> {
    async fn run(
        &self,
        executor: impl PgExecutor<'_>,
        internal: &InternalPool,
        settled: &mut [Settled],
    ) -> sqlx::Result<Vec<PgRow>> {
        let mut arguments = PgArguments::default();
        let held = self.settlements.iter().map(|settlement| settlement.ownership());
        bind_ownerships(held.clone(), &mut arguments)?;
        S::bind(&self.settlements, self.kind, S::frontier(internal).announced(), &mut arguments)?;
        let query = sqlx::query_with(S::statement(self.kind, &internal.sql).clone(), arguments);
        let rows = query.fetch_all(executor).await?;
        // No row is in the statement twice, so the keys are of use only where some are fenced.
        let all_are_done = rows.len() == self.places.len();
        let done = if all_are_done { HashSet::new() } else { keys(&rows)? };
        for (at, row) in self.places.iter().zip(held) {
            if all_are_done || done.contains(&key_of(row)) {
                settled[*at] = Settled::Done;
            }
        }
        Ok(rows)
    }

    fn waits(&self, done: &[PgRow]) -> sqlx::Result<Vec<RowAvailability<S::Pair>>> {
        S::waits(self.kind, done)
    }
}

/// The keys with which rows begin.
fn keys(rows: &[PgRow]) -> sqlx::Result<HashSet<Key>> {
    rows.iter().map(|row| columns::key(row, 0)).collect()
}
