//! The outbox in SQLite.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::inbox::{Repair, spoiled};
use super::rows::{self, bind_ownership};
use super::settlement::{DEAD_LETTER_STATEMENTS, answer, push_dead_letter};
use super::sql::{SQL, Text, statements};
use super::statement_batch::{SETTLEMENTS_PER_TRIP, StatementBatch};
use super::store::SqliteStore;
use super::writer::Write;
use crate::envelope::{Address, Envelope};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::portions::claimed;
use crate::store::sql::columns::{self, ClaimedOutgoing, Columns};
use crate::store::sql::number;
use crate::store::sql::ports::messages::{OutgoingClaim, SqlOutbox};
use crate::store::{OutgoingSettlement, Settled, StoreError};

const CLAIMABLE: &str = "\
select seq, length(body) from jasper_outgoing
where owner = 0 and destination = ?
order by sent_at, seq limit ?";

const READ: &str = "\
select id, destination, attempts, body, seq from jasper_outgoing
where seq in (select value from json_each(?))";

const TAKE: &str = "\
update jasper_outgoing set owner = ?, attempts = min(attempts, 4294967295)
where seq in (select value from json_each(?))";

const DELETE: &str = "\
delete from jasper_outgoing where id = ? and destination = ? and owner = ? and attempts = ?";

const GIVE_BACK: &str = "\
update jasper_outgoing set owner = 0, attempts = attempts + ?
where id = ? and destination = ? and owner = ? and min(attempts, 4294967295) = ?";

const RELEASE: &str = "\
update jasper_outgoing set owner = 0
where seq in (
    select seq from jasper_outgoing where owner = ? and owner > 0
        and not exists (select 1 from jasper_nodes where node = owner and lease_until > 0)
    limit ?
)";

const OWNED: &str = "\
select id, destination, attempts from jasper_outgoing where owner = ? and owner > 0 limit ?";

/// Steps from one destination to the next, so that a long queue costs no more than a short one.
const DESTINATIONS: &str = "\
with recursive waiting (destination) as (
    select min(destination) from jasper_outgoing where owner = 0
    union all
    select (
        select min(destination) from jasper_outgoing
        where owner = 0 and destination > waiting.destination
    )
    from waiting where waiting.destination is not null
)
select destination from waiting where destination is not null";

/// As in the inbox.
const REPAIR: &str = "\
update or ignore jasper_outgoing set destination = ?
where owner = 0 and destination = cast(? as text)";

const DEAD_LETTER: &str = "\
insert or replace into jasper_dead_letters (id, destination, reason, message_type, error_type,
    error_message, attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at)
select id, destination, ?, message_type, ?, ?, attempts, body, ?, group_id, tenant_id,
    correlation_id, sent_at
from jasper_outgoing
where id = ? and destination = ? and owner = ? and attempts = ?";

statements!(OutboxSql {
    claimable: CLAIMABLE,
    read: READ,
    take: TAKE,
    delete: DELETE,
    give_back: GIVE_BACK,
    release: RELEASE,
    owned: OWNED,
    destinations: DESTINATIONS,
    repair: REPAIR,
    dead_letter: DEAD_LETTER,
});

impl SqlOutbox for SqliteStore {
    async fn claim(&self, request: OutgoingClaim) -> Result<Vec<Envelope>, StoreError> {
        self.writer().write(Claim(request)).await
    }

    async fn destinations(&self) -> Result<Vec<Address>, StoreError> {
        let fetch = || sqlx::query(SQL.outbox.destinations).fetch_all(self.pool());
        let mut rows = fetch().await.map_err(|error| self.error(error))?;
        let spoiled = spoiled(&rows, 1).map_err(|error| self.error(error))?;
        if !spoiled.is_empty() {
            self.writer().write(Repair { sql: SQL.outbox.repair, rows: spoiled }).await?;
            rows = fetch().await.map_err(|error| self.error(error))?;
        }
        let all = columns::all(&rows, |row| columns::address(row, 0));
        all.map_err(|error| self.error(error))
    }
}

/// What writes a row as a dead letter, and deletes it.
fn dead_letter_statements() -> [Text; DEAD_LETTER_STATEMENTS] {
    [SQL.outbox.dead_letter, SQL.outbox.delete]
}

struct Claim(OutgoingClaim);

impl Claim {
    /// The numbers of the oldest rows, no more than a claim holds.
    async fn oldest(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<i64>> {
        let mut query = StatementBatch::of(SQL.outbox.claimable);
        query.bind(self.0.destination.as_str())?;
        query.bind(number::limit(self.0.limit))?;
        let results = query.run(connection).await?;
        let (mut numbers, mut lengths) = (Vec::new(), Vec::new());
        for row in results.iter().flat_map(|results| &results.rows) {
            numbers.push(row.number(0)?);
            lengths.push(number::size(row.maybe_number(1)?));
        }
        numbers.truncate(claimed(lengths));
        Ok(numbers)
    }
}

impl Write for Claim {
    type Output = Vec<Envelope>;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<Envelope>> {
        let numbers = self.oldest(connection).await?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let list = rows::row_numbers(numbers.iter().copied());
        let mut read = StatementBatch::of(SQL.outbox.read);
        read.bind(list.as_str())?;
        let results = read.run(connection).await?;
        let mut found = HashMap::with_capacity(numbers.len());
        for row in results.iter().flat_map(|results| &results.rows) {
            found.insert(row.number(4)?, row);
        }
        let mut claimed = ClaimedOutgoing::default();
        for row in numbers.iter().filter_map(|number| found.remove(number)) {
            claimed.read(row, self.0.owner)?;
        }
        let mut take = StatementBatch::of(SQL.outbox.take);
        take.bind(self.0.owner.number())?;
        take.bind(list)?;
        take.run(connection).await?;
        for (held, error) in &claimed.unreadable {
            let mut dead_letter = StatementBatch::default();
            push_dead_letter(
                DeadLetterCause::of_unreadable(held, error),
                dead_letter_statements(),
                &mut dead_letter,
            )?;
            dead_letter.run(connection).await?;
        }
        Ok(claimed.envelopes)
    }
}

pub(super) struct Settle(pub(super) Vec<OutgoingSettlement>);

impl Write for Settle {
    type Output = Vec<Settled>;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<Settled>> {
        let mut all = Vec::with_capacity(self.0.len());
        for chunk in self.0.chunks(SETTLEMENTS_PER_TRIP) {
            let mut batch = StatementBatch::default();
            for settlement in chunk {
                push(settlement, &mut batch)?;
            }
            let mut results = batch.run(connection).await?.into_iter();
            all.extend(chunk.iter().map(|settlement| answer(statements(settlement), &mut results)));
        }
        Ok(all)
    }
}

/// How many statements [`push`] adds.
const fn statements(settlement: &OutgoingSettlement) -> usize {
    match settlement {
        OutgoingSettlement::Refused { .. } => DEAD_LETTER_STATEMENTS,
        OutgoingSettlement::Sent(_)
        | OutgoingSettlement::Failed(_)
        | OutgoingSettlement::Released(_)
        | OutgoingSettlement::Discarded(_) => 1,
    }
}

fn push(settlement: &OutgoingSettlement, batch: &mut StatementBatch) -> sqlx::Result<()> {
    match settlement {
        OutgoingSettlement::Sent(row) | OutgoingSettlement::Discarded(row) => {
            batch.push(SQL.outbox.delete);
            bind_ownership(row, batch)
        }
        OutgoingSettlement::Failed(row) | OutgoingSettlement::Released(row) => {
            let failed = matches!(settlement, OutgoingSettlement::Failed(_));
            batch.push(SQL.outbox.give_back);
            batch.bind(i64::from(failed))?;
            bind_ownership(row, batch)
        }
        OutgoingSettlement::Refused { .. } => settlement
            .cause()
            .map_or(Ok(()), |cause| push_dead_letter(cause, dead_letter_statements(), batch)),
    }
}
