//! Writing envelopes as rows, and reading them back.

use std::borrow::Cow;
use std::collections::HashSet;
use std::string::FromUtf8Error;

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::statement_batch::{StatementBatch, StatementResult};
use crate::envelope::time::to_micros;
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::portions::{Weigh, portions};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::key;
use crate::store::sql::placement::{self, PlacementColumns};
use crate::store::{Incoming, Inserted, Outgoing, Ownership};

/// The most rows in one insert. Each number of rows is a statement of its own in the driver's
/// cache.
pub(super) const ROWS_PER_INSERT: usize = 32;

const INSERT_INCOMING: &str = "\
insert into jasper_incoming (id, destination, message_type, body, group_id, tenant_id,
    correlation_id, sent_at, attempts, status, owner, due_at, retention) values ";
const INCOMING_VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_OUTGOING: &str = "\
insert into jasper_outgoing (id, destination, message_type, body, group_id, tenant_id,
    correlation_id, sent_at, attempts, owner, deliver_by) values ";
const OUTGOING_VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const OR_DUPLICATE: &str = " on conflict do nothing";
const RETURNING_KEY: &str = " returning id, destination";

/// A row that is inserted under a message id and a destination.
pub(super) trait Insert: Weigh + Send + Sync {
    /// The statement up to its values.
    const INSERT: &'static str;
    /// The values of one row.
    const VALUES: &'static str;

    fn envelope(&self) -> &Envelope;

    /// Binds what [`VALUES`](Self::VALUES) lists.
    fn bind(&self, batch: &mut StatementBatch) -> sqlx::Result<()>;
}

impl<R: Insert> Insert for &R {
    const INSERT: &'static str = R::INSERT;
    const VALUES: &'static str = R::VALUES;

    fn envelope(&self) -> &Envelope {
        R::envelope(self)
    }

    fn bind(&self, batch: &mut StatementBatch) -> sqlx::Result<()> {
        R::bind(self, batch)
    }
}

impl Insert for Incoming {
    const INSERT: &'static str = INSERT_INCOMING;
    const VALUES: &'static str = INCOMING_VALUES;

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn bind(&self, batch: &mut StatementBatch) -> sqlx::Result<()> {
        bind_envelope(&self.envelope, batch)?;
        let placed = PlacementColumns::of(self);
        batch.bind(placed.status)?;
        batch.bind(placed.owner)?;
        batch.bind(placed.due_at)?;
        batch.bind(placed.retention)
    }
}

impl Insert for Outgoing {
    const INSERT: &'static str = INSERT_OUTGOING;
    const VALUES: &'static str = OUTGOING_VALUES;

    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn bind(&self, batch: &mut StatementBatch) -> sqlx::Result<()> {
        bind_envelope(&self.envelope, batch)?;
        let (owner, deliver_by) = placement::outgoing(self);
        batch.bind(owner)?;
        batch.bind(deliver_by)
    }
}

fn bind_envelope(envelope: &Envelope, batch: &mut StatementBatch) -> sqlx::Result<()> {
    bind_key(envelope.id, &envelope.destination, batch)?;
    batch.bind(envelope.message_type.to_string())?;
    batch.bind(Vec::from(envelope.to_bytes()))?;
    bind_columns(envelope, batch)?;
    batch.bind(i64::from(envelope.attempts))
}

/// Binds the columns that are there for queries.
pub(super) fn bind_columns(envelope: &Envelope, batch: &mut StatementBatch) -> sqlx::Result<()> {
    batch.bind(envelope.group_id.as_deref())?;
    batch.bind(envelope.tenant_id.as_deref())?;
    batch.bind(envelope.correlation_id.as_deref())?;
    batch.bind(to_micros(envelope.sent_at))
}

/// Binds `id = ? and destination = ?`.
pub(super) fn bind_key(
    id: MessageId,
    destination: &Address,
    batch: &mut StatementBatch,
) -> sqlx::Result<()> {
    batch.bind(&id.as_uuid().as_bytes()[..])?;
    batch.bind(destination.as_str())
}

/// Binds `id = ? and destination = ? and owner = ? and attempts = ?`.
pub(super) fn bind_ownership(row: &Ownership, batch: &mut StatementBatch) -> sqlx::Result<()> {
    bind_key(row.id, &row.destination, batch)?;
    batch.bind(row.owner.number())?;
    batch.bind(i64::from(row.attempts))
}

/// Adds the inserts of these rows to a batch, and says how many statements that are.
pub(super) fn push_inserts<R: Insert>(rows: &[R], batch: &mut StatementBatch) -> sqlx::Result<()> {
    for chunk in portions(rows, ROWS_PER_INSERT) {
        batch.push(insert_sql::<R>(chunk.len()));
        for row in chunk {
            row.bind(batch)?;
        }
    }
    Ok(())
}

fn insert_sql<R: Insert>(rows: usize) -> Cow<'static, str> {
    let mut sql = String::with_capacity(R::INSERT.len() + rows * (R::VALUES.len() + 2) + 64);
    sql.push_str(R::INSERT);
    for row in 0..rows {
        if row > 0 {
            sql.push_str(", ");
        }
        sql.push_str(R::VALUES);
    }
    sql.push_str(OR_DUPLICATE);
    if rows > 1 {
        // Of one row the count of changes says enough.
        sql.push_str(RETURNING_KEY);
    }
    sql.into()
}

/// Takes the answers of [`push_inserts`] off a batch that was run, one answer for each row.
pub(super) fn stored<R: Insert>(
    rows: &[R],
    results: &mut impl Iterator<Item = StatementResult>,
) -> sqlx::Result<Vec<Inserted>> {
    let mut all = Vec::with_capacity(rows.len());
    for chunk in portions(rows, ROWS_PER_INSERT) {
        let inserted = results.next().unwrap_or_default();
        if inserted.changes == chunk.len() as u64 {
            all.extend(chunk.iter().map(|_row| Inserted::New));
        } else if inserted.changes == 0 {
            all.extend(chunk.iter().map(|_row| Inserted::Duplicate));
        } else {
            let mut new = HashSet::with_capacity(inserted.rows.len());
            for row in &inserted.rows {
                new.insert(columns::key(row, 0)?);
            }
            all.extend(chunk.iter().map(|row| key::inserted(row.envelope(), &mut new)));
        }
    }
    Ok(all)
}

/// Inserts rows, and says of each whether it was new.
pub(super) async fn insert<R: Insert>(
    connection: &mut SqliteConnection,
    rows: &[R],
) -> sqlx::Result<Vec<Inserted>> {
    let mut all = Vec::with_capacity(rows.len());
    for portion in portions(rows, rows.len()) {
        let mut batch = StatementBatch::default();
        push_inserts(portion, &mut batch)?;
        let results = batch.run(connection).await?;
        all.extend(stored(portion, &mut results.into_iter())?);
    }
    Ok(all)
}

/// The bytes of a text, which need not be UTF-8.
pub(super) fn raw_text(row: &SqliteRow, column: usize) -> sqlx::Result<Vec<u8>> {
    row.try_get_unchecked(column)
}

impl Columns for SqliteRow {
    type Error = sqlx::Error;

    fn id(&self, column: usize) -> sqlx::Result<MessageId> {
        columns::id_of_bytes(self.try_get(column)?, column)
    }

    fn text(&self, column: usize) -> sqlx::Result<Cow<'_, str>> {
        let text = String::from_utf8(raw_text(self, column)?);
        let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
        Ok(text.unwrap_or_else(lossy).into())
    }

    fn bytes(&self, column: usize) -> sqlx::Result<Bytes> {
        self.try_get::<Vec<u8>, _>(column).map(Bytes::from)
    }

    fn number(&self, column: usize) -> sqlx::Result<i64> {
        self.try_get(column)
    }

    fn maybe_number(&self, column: usize) -> sqlx::Result<Option<i64>> {
        self.try_get(column)
    }
}

/// Row numbers as the JSON array that `json_each` reads.
pub(super) fn row_numbers(rows: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = rows.map(|row| row.to_string()).collect();
    format!("[{}]", numbers.join(","))
}
