//! The outbox in MySQL.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{Connection, MySqlConnection};

use super::internal_pool::Work;
use super::keys;
use super::settlement::{lock, write_dead_letter};
use super::sql::{Sql, statements, unprepared};
use super::store::MysqlStore;
use crate::envelope::{Address, Envelope};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::portions::{Guess, claimed};
use crate::store::sql::columns::{self, ClaimedOutgoing, Columns};
use crate::store::sql::key::{Key, key_for, key_of};
use crate::store::sql::number::{self, size};
use crate::store::sql::ports::messages::{OutgoingClaim, SqlOutbox};
use crate::store::sql::rounds::rounds;
use crate::store::{OutgoingSettlement, Settled, StoreError};

// Rows that another claim is about to take are left to it.
const UNSENT: &str = "\
select id, destination, octet_length(body) from {outgoing} force index (turns)
where owner = 0 and destination = ?
order by sent_at limit ? for update skip locked";

const READ: &str = "select id, destination, attempts, body from {outgoing} where {keys}";

const TAKE: &str = "\
update {outgoing} set owner = ?, attempts = least(attempts, 4294967295) where {keys}";

const FIND_OWNED: &str = "\
select id, destination from {outgoing} where owner = ? limit ? for update skip locked";

const FREE: &str = "update {outgoing} set owner = 0 where {keys}";

const OWNED: &str = "\
select id, destination, attempts from {outgoing} where owner = ? limit ?";

/// Locks the rows, as rows of the inbox are locked; the last two are always so.
const LOCK: &str = "\
select id, destination, owner, attempts, 1, 0 from {outgoing} where {keys} for update";

const DELETE: &str = "delete from {outgoing} where {keys}";

const FAILED: &str = "update {outgoing} set owner = 0, attempts = attempts + 1 where {keys}";

/// Reads one entry of the index for each destination, so that a long queue costs no more than a
/// short one.
const DESTINATIONS: &str = "\
select destination from {outgoing} where owner = 0 group by owner, destination";

const DEAD_LETTER: &str = "\
replace into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at)
select id, destination, ?, message_type, ?, ?, attempts, body, {now}, group_id, tenant_id,
    correlation_id, sent_at
from {outgoing} where id = ? and destination = ?";

statements!(OutboxSql {
    unsent: UNSENT,
    read: READ,
    take: TAKE,
    find_owned: FIND_OWNED,
    free: FREE,
    owned: OWNED,
    lock: LOCK,
    delete: DELETE,
    failed: FAILED,
    destinations: DESTINATIONS,
    dead_letter: DEAD_LETTER,
});

impl SqlOutbox for MysqlStore {
    async fn claim(&self, request: OutgoingClaim) -> Result<Vec<Envelope>, StoreError> {
        let guess = Arc::clone(&self.shared.outgoing_guess);
        self.internal_pool().give(Claim { request, guess }).await
    }

    async fn destinations(&self) -> Result<Vec<Address>, StoreError> {
        self.internal_pool().give(Destinations).await
    }
}

struct Destinations;

impl Work for Destinations {
    type Output = Vec<Address>;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Address>> {
        let rows = unprepared(&sql.outbox.destinations).fetch_all(connection).await?;
        columns::all(&rows, |row| columns::address(row, 0))
    }
}

struct Claim {
    request: OutgoingClaim,
    guess: Arc<Guess>,
}

impl Work for Claim {
    type Output = Vec<Envelope>;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Envelope>> {
        let mut transaction = connection.begin().await?;
        let unsent = self.oldest(&mut transaction, sql).await?;
        let found = keys::fetch(&mut transaction, &sql.outbox.read, &unsent).await?;
        let mut rows = HashMap::with_capacity(found.len());
        for row in &found {
            rows.insert(columns::key(row, 0)?, row);
        }
        let mut claimed = ClaimedOutgoing::default();
        for row in unsent.iter().filter_map(|key| rows.remove(key)) {
            claimed.read(row, self.request.owner)?;
        }
        for (held, error) in &claimed.unreadable {
            let cause = DeadLetterCause::of_unreadable(held, error);
            write_dead_letter(&mut transaction, &sql.outbox.dead_letter, cause).await?;
        }
        let taken: Vec<Key> = claimed.envelopes.iter().map(key_for).collect();
        let dead: Vec<Key> = claimed.unreadable.iter().map(|(held, _)| key_of(held)).collect();
        let owner = [self.request.owner.number()];
        keys::execute(&mut transaction, &sql.outbox.take, &owner, &taken).await?;
        keys::execute(&mut transaction, &sql.outbox.delete, &[], &dead).await?;
        transaction.commit().await?;
        Ok(claimed.envelopes)
    }
}

impl Claim {
    /// Locks the oldest rows, no more than a claim holds.
    async fn oldest(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Key>> {
        let rows = self.guess.rows(self.request.limit);
        let (mut keys, mut lengths) = self.find(rows, connection, sql).await?;
        if self.guess.missed(rows, self.request.limit, &lengths) {
            (keys, lengths) = self.find(self.request.limit, connection, sql).await?;
        }
        keys.truncate(claimed(lengths));
        Ok(keys)
    }

    /// The keys of the oldest rows and the lengths of their bodies, at most this many.
    async fn find(
        &self,
        limit: usize,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<(Vec<Key>, Vec<usize>)> {
        let query = sqlx::query(sql.outbox.unsent.clone())
            .bind(self.request.destination.as_str())
            .bind(number::limit(limit));
        let (mut keys, mut lengths) = (Vec::new(), Vec::new());
        for row in &query.fetch_all(connection).await? {
            keys.push(columns::key(row, 0)?);
            lengths.push(size(row.maybe_number(2)?));
        }
        Ok((keys, lengths))
    }
}

pub(super) struct Settle(pub(super) Vec<OutgoingSettlement>);

impl Work for Settle {
    type Output = Vec<Settled>;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Settled>> {
        let mut answers = vec![Settled::Fenced; self.0.len()];
        let mut transaction = connection.begin().await?;
        for round in rounds(self.0.iter().map(OutgoingSettlement::ownership)) {
            let keys: Vec<Key> = round.iter().map(|&at| key_of(self.0[at].ownership())).collect();
            let held = lock(&mut transaction, &sql.outbox.lock, &keys).await?;
            let (mut deletes, mut failures, mut releases) = (Vec::new(), Vec::new(), Vec::new());
            for (&at, key) in round.iter().zip(keys) {
                let settlement = &self.0[at];
                if !held.get(&key).is_some_and(|held| held.is(settlement.ownership())) {
                    continue;
                }
                answers[at] = Settled::Done;
                if let Some(cause) = settlement.cause() {
                    write_dead_letter(&mut transaction, &sql.outbox.dead_letter, cause).await?;
                }
                let write = match settlement {
                    OutgoingSettlement::Failed(_) => &mut failures,
                    OutgoingSettlement::Released(_) => &mut releases,
                    OutgoingSettlement::Sent(_)
                    | OutgoingSettlement::Discarded(_)
                    | OutgoingSettlement::Refused { .. } => &mut deletes,
                };
                write.push(key);
            }
            keys::execute(&mut transaction, &sql.outbox.delete, &[], &deletes).await?;
            keys::execute(&mut transaction, &sql.outbox.failed, &[], &failures).await?;
            keys::execute(&mut transaction, &sql.outbox.free, &[], &releases).await?;
        }
        transaction.commit().await?;
        Ok(answers)
    }
}
