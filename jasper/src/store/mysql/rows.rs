//! Writing envelopes as rows, and reading them back.

use std::collections::HashSet;

use bytes::Bytes;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{Arguments, Connection, MySqlConnection, Row, SqlStr};

use super::binding::{bind, bind_columns, bind_key};
use super::error::is_duplicate;
use super::keys;
use super::sql::{self, Sql, statements};
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::sql::columns::{self, Columns, lent_columns};
use crate::store::sql::insert_queues::Wait;
use crate::store::sql::key::{Key, key_for};
use crate::store::sql::placement::{self, PlacementColumns};
use crate::store::{Incoming, Inserted, Outgoing};

/// The most characters of a destination and of a message type.
const LONGEST_NAME: usize = 255;

/// The most rows of one statement, and of one flush that several callers share.
pub(super) const SHARED_ROWS: usize = 500;

/// The most bytes of one insert, unless a single row has more: each server takes that.
const SHARED_BYTES: usize = 1 << 20;

/// What a statement has beside the bodies of its rows, each of which is counted so.
const ROW_OVERHEAD: usize = 1024;

// A plain insert: where it meets a key that is there, it changes nothing at all, and says so. With
// `ignore` it would turn every other error into a warning, too.
const INSERT_INCOMING: &str = "\
insert into {incoming} (id, destination, message_type, body, group_id, tenant_id, correlation_id,
    sent_at, attempts, status, owner, due_at, retention) values {values}";
const INCOMING_VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_OUTGOING: &str = "\
insert into {outgoing} (id, destination, message_type, body, group_id, tenant_id, correlation_id,
    sent_at, attempts, owner, deliver_by) values {values}";
const OUTGOING_VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

// With locks, as in a transaction of the user's own a read without may see an older state than the
// insert has met.
const INCOMING_PRESENT: &str = "\
select id, destination from {incoming} where {keys} for update";
const OUTGOING_PRESENT: &str = "\
select id, destination from {outgoing} where {keys} for update";

// Where a transaction that is open has stored one of them, this fails at once.
const INCOMING_FREE: &str = "\
select id, destination from {incoming} where {keys} for update nowait";
const OUTGOING_FREE: &str = "\
select id, destination from {outgoing} where {keys} for update nowait";

statements!(RowsSql {
    insert_incoming: INSERT_INCOMING,
    insert_outgoing: INSERT_OUTGOING,
    incoming_present: INCOMING_PRESENT,
    outgoing_present: OUTGOING_PRESENT,
    incoming_free: INCOMING_FREE,
    outgoing_free: OUTGOING_FREE,
});

/// A row that is inserted under a message id and a destination.
pub(super) trait Insert: Send + Sync + 'static {
    /// The values of one row.
    const VALUES: &'static str;

    /// What inserts `{values}`.
    fn insertion(sql: &Sql) -> &SqlStr;

    /// What finds out which of `{keys}` are there.
    fn presence(sql: &Sql, wait: Wait) -> &SqlStr;

    fn envelope(&self) -> &Envelope;

    /// Binds what [`VALUES`](Self::VALUES) lists.
    fn bind(&self, body: &[u8], arguments: &mut MySqlArguments) -> sqlx::Result<()>;
}

impl Insert for Incoming {
    const VALUES: &'static str = INCOMING_VALUES;

    fn insertion(sql: &Sql) -> &SqlStr {
        &sql.rows.insert_incoming
    }

    fn presence(sql: &Sql, wait: Wait) -> &SqlStr {
        match wait {
            Wait::Usual => &sql.rows.incoming_present,
            Wait::Short => &sql.rows.incoming_free,
        }
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn bind(&self, body: &[u8], arguments: &mut MySqlArguments) -> sqlx::Result<()> {
        bind_envelope(&self.envelope, body, arguments)?;
        let PlacementColumns { status, owner, due_at, retention } = PlacementColumns::of(self);
        bind(arguments, status)?;
        bind(arguments, owner)?;
        bind(arguments, due_at)?;
        bind(arguments, retention)
    }
}

impl Insert for Outgoing {
    const VALUES: &'static str = OUTGOING_VALUES;

    fn insertion(sql: &Sql) -> &SqlStr {
        &sql.rows.insert_outgoing
    }

    fn presence(sql: &Sql, wait: Wait) -> &SqlStr {
        match wait {
            Wait::Usual => &sql.rows.outgoing_present,
            Wait::Short => &sql.rows.outgoing_free,
        }
    }

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn bind(&self, body: &[u8], arguments: &mut MySqlArguments) -> sqlx::Result<()> {
        bind_envelope(&self.envelope, body, arguments)?;
        let (owner, deliver_by) = placement::outgoing(self);
        bind(arguments, owner)?;
        bind(arguments, deliver_by)
    }
}

fn bind_envelope(
    envelope: &Envelope,
    body: &[u8],
    arguments: &mut MySqlArguments,
) -> sqlx::Result<()> {
    bind_key(envelope.id, &envelope.destination, arguments)?;
    bind(arguments, envelope.message_type.to_string())?;
    bind(arguments, body)?;
    bind_columns(envelope, arguments)?;
    bind(arguments, i64::from(envelope.attempts))
}

/// What a table cannot hold.
#[derive(Debug, thiserror::Error)]
enum Unstorable {
    #[error(
        "the {what} `{text}` has more than {LONGEST_NAME} characters, which the MySQL store \
         cannot keep"
    )]
    TooLong { what: &'static str, text: String },
    /// MySQL compares without it, so that two destinations would be one.
    #[error("the {what} `{text}` ends in a space, which the MySQL store does not tell apart")]
    EndsInSpace { what: &'static str, text: String },
    #[error(
        "a message of {bytes} bytes is larger than the server takes, which is {limit}; raise its \
         `max_allowed_packet`, or send less"
    )]
    LargeBody { bytes: usize, limit: usize },
}

fn refused(refusal: Unstorable) -> sqlx::Error {
    sqlx::Error::Encode(Box::new(refusal))
}

/// Whether a table can hold these. A server that is not strict would cut what is too long.
pub(super) fn check_names(destination: &Address, message_type: &str) -> sqlx::Result<()> {
    for (what, text) in [("destination", destination.as_str()), ("message type", message_type)] {
        let owned = || text.to_owned();
        if text.len() > LONGEST_NAME && text.chars().count() > LONGEST_NAME {
            return Err(refused(Unstorable::TooLong { what, text: owned() }));
        }
        if text.ends_with(' ') {
            return Err(refused(Unstorable::EndsInSpace { what, text: owned() }));
        }
    }
    Ok(())
}

/// As much of a name as a table can hold.
pub(super) fn fitting_name(name: &str) -> &str {
    let end = name.char_indices().nth(LONGEST_NAME).map_or(name.len(), |(at, _)| at);
    name[..end].trim_end_matches(' ')
}

/// Whether the server takes a statement with this body; else it would close the connection.
pub(super) fn check_size(bytes: usize, sql: &Sql) -> sqlx::Result<()> {
    let limit = sql.packet_limit;
    // The columns beside the body are in it, and so no longer than it.
    if 2 * bytes + ROW_OVERHEAD <= limit || bytes + SHARED_BYTES <= limit {
        Ok(())
    } else {
        Err(refused(Unstorable::LargeBody { bytes, limit }))
    }
}

/// Inserts rows in a transaction that is open, and says of each whether it was new.
pub(super) async fn insert<R: Insert>(
    connection: &mut MySqlConnection,
    sql: &Sql,
    rows: &[R],
) -> sqlx::Result<Vec<Inserted>> {
    let (once, lengths) = checked(rows, sql)?;
    let mut inserting = Inserting { connection, sql, rows };
    let mut new = Vec::with_capacity(once.len());
    for portion in portions(&once, &lengths) {
        new.extend(inserting.insert(portion).await?);
    }
    Ok(answers(rows, new))
}

/// Stores rows, all or none of them, so that they may be stored again where that fails.
pub(super) async fn store<R: Insert>(
    connection: &mut MySqlConnection,
    sql: &Sql,
    rows: &[R],
    wait: Wait,
) -> sqlx::Result<Vec<Inserted>> {
    let (once, lengths) = checked(rows, sql)?;
    let portions = portions(&once, &lengths);
    if wait == Wait::Short {
        let mut inserting = Inserting { connection: &mut *connection, sql, rows };
        inserting.present(&once, wait).await?;
    }
    let alone = portions.len() == 1;
    if let [only] = portions.as_slice() {
        // A statement alone is a transaction by itself, which saves two trips.
        let mut inserting = Inserting { connection: &mut *connection, sql, rows };
        if inserting.is_inserted(only).await? {
            return Ok(answers(rows, once));
        }
    }
    let mut transaction = connection.begin().await?;
    let mut inserting = Inserting { connection: &mut transaction, sql, rows };
    let mut new = Vec::with_capacity(once.len());
    for portion in portions {
        new.extend(if alone {
            // It was tried above.
            inserting.insert_missing(portion).await?
        } else {
            inserting.insert(portion).await?
        });
    }
    transaction.commit().await?;
    Ok(answers(rows, new))
}

/// The rows that are to be inserted, each key once, and the lengths of all bodies.
///
/// # Errors
/// The tables cannot hold one of them.
fn checked<R: Insert>(rows: &[R], sql: &Sql) -> sqlx::Result<(Vec<usize>, Vec<usize>)> {
    let mut lengths = Vec::with_capacity(rows.len());
    for row in rows {
        let envelope = row.envelope();
        check_names(&envelope.destination, &envelope.message_type.to_string())?;
        let (head, payload) = envelope.to_parts();
        let length = head.len() + payload.len();
        check_size(length, sql)?;
        lengths.push(length);
    }
    let mut seen = HashSet::with_capacity(rows.len());
    let mut once: Vec<usize> =
        (0..rows.len()).filter(|&at| seen.insert(order(rows[at].envelope()))).collect();
    // All in one order, so that two that store the same rows do not wait for each other.
    once.sort_unstable_by_key(|&at| order(rows[at].envelope()));
    Ok((once, lengths))
}

/// Rows that go in one statement.
fn portions<'o>(once: &'o [usize], lengths: &[usize]) -> Vec<&'o [usize]> {
    let mut portions = Vec::new();
    let mut start = 0;
    let mut size = 0;
    for (at, &row) in once.iter().enumerate() {
        let own = lengths[row] + ROW_OVERHEAD;
        if at > start && (size + own > SHARED_BYTES || at - start == SHARED_ROWS) {
            portions.push(&once[start..at]);
            (start, size) = (at, 0);
        }
        size += own;
    }
    portions.push(&once[start..]);
    portions.into_iter().flat_map(chunks).collect()
}

fn answers<R>(rows: &[R], new: Vec<usize>) -> Vec<Inserted> {
    let mut answers = vec![Inserted::Duplicate; rows.len()];
    for at in new {
        answers[at] = Inserted::New;
    }
    answers
}

/// A statement inserts this number of rows, or any number up to [`FEW`]. All of these statements
/// stay prepared: see [`sql::unprepared`] for what it costs to close one.
const MANY: usize = 128;

/// See [`MANY`].
const FEW: usize = 32;

/// Rows in as few statements as their sizes allow.
fn chunks(mut rows: &[usize]) -> impl Iterator<Item = &[usize]> {
    std::iter::from_fn(move || {
        let size = if rows.len() >= MANY { MANY } else { rows.len().min(FEW) };
        let chunk = rows.split_off(..size)?;
        (!chunk.is_empty()).then_some(chunk)
    })
}

struct Inserting<'i, R> {
    connection: &'i mut MySqlConnection,
    sql: &'i Sql,
    rows: &'i [R],
}

impl<R: Insert> Inserting<'_, R> {
    /// Inserts these rows, and gives those that were new.
    async fn insert(&mut self, rows: &[usize]) -> sqlx::Result<Vec<usize>> {
        if rows.is_empty() || self.is_inserted(rows).await? {
            Ok(rows.to_vec())
        } else {
            self.insert_missing(rows).await
        }
    }

    /// The same, where some of them are there.
    async fn insert_missing(&mut self, rows: &[usize]) -> sqlx::Result<Vec<usize>> {
        let there = self.present(rows, Wait::Usual).await?;
        let is_missing = |&at: &usize| !there.contains(&self.key(at));
        let missing: Vec<usize> = rows.iter().copied().filter(is_missing).collect();
        let mut new = Vec::with_capacity(missing.len());
        for rows in chunks(&missing) {
            if self.is_inserted(rows).await? {
                new.extend_from_slice(rows);
                continue;
            }
            // Another transaction stores them now. A row that is alone is there, or it is not.
            for &at in rows {
                if self.is_inserted(&[at]).await? {
                    new.push(at);
                }
            }
        }
        Ok(new)
    }

    /// Whether all of them were new; else none is inserted.
    async fn is_inserted(&mut self, rows: &[usize]) -> sqlx::Result<bool> {
        let mut arguments = MySqlArguments::default();
        let bodies: Vec<Bytes> =
            rows.iter().map(|&at| self.rows[at].envelope().to_bytes()).collect();
        let size: usize = bodies.iter().map(|body| body.len() + ROW_OVERHEAD / 4).sum();
        arguments.reserve(rows.len() * 13, size);
        for (&at, body) in rows.iter().zip(bodies) {
            self.rows[at].bind(&body, &mut arguments)?;
        }
        let insert = sql::repeated(R::insertion(self.sql), "{values}", R::VALUES, ", ", rows.len());
        match sqlx::query_with(insert, arguments).execute(&mut *self.connection).await {
            Ok(_done) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Which of them are there.
    async fn present(&mut self, rows: &[usize], wait: Wait) -> sqlx::Result<HashSet<Key>> {
        let keys: Vec<Key> = rows.iter().map(|&at| self.key(at)).collect();
        let present = keys::fetch(self.connection, R::presence(self.sql, wait), &keys).await?;
        present.iter().map(|row| columns::key(row, 0)).collect()
    }

    fn key(&self, row: usize) -> Key {
        key_for(self.rows[row].envelope())
    }
}

fn order(envelope: &Envelope) -> (MessageId, &str) {
    (envelope.id, envelope.destination.as_str())
}

impl Columns for MySqlRow {
    fn id(&self, column: usize) -> sqlx::Result<MessageId> {
        columns::id_of_bytes(self.try_get(column)?, column)
    }

    lent_columns!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_inserted_by_few_different_statements() {
        let rows: Vec<usize> = (0..1_000).collect();
        let sizes = |count| chunks(&rows[..count]).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(0), [] as [usize; 0]);
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(33), [32, 1]);
        assert_eq!(sizes(129), [128, 1]);
        for count in 0..1_000 {
            assert_eq!(chunks(&rows[..count]).collect::<Vec<_>>().concat(), rows[..count]);
            assert!(sizes(count).iter().all(|&size| size == MANY || size <= FEW));
        }
    }
}
