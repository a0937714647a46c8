//! Writing envelopes as rows, and reading them back.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use tiberius::Row;
use tiberius::error::Error as DriverError;

use super::batch::{Batch, NamedValue};
use super::connection::SqlServerConnection;
use super::error::{self, Error, Result, Unstorable};
use super::parameters::{Bodies, IncomingParameter, OutgoingParameter, json};
use super::sql::{Sql, statements};
use super::statement_size::{SHARED_ROWS, StatementSize};
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::portions::{Weigh, portions};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::insert_queues::Wait;
use crate::store::sql::key::{Key, inserted};
use crate::store::{Incoming, Inserted, Outgoing};

/// The most UTF-16 code units of a destination and of a message type.
const LONGEST_NAME: usize = 255;

/// The most bytes of a body.
const LARGEST_BODY: usize = 0x7fff_ffff;

/// How often an insert in a transaction of the user's is tried that meets a key which has come in
/// between.
const TRIES: u32 = 10;

const INTO_INCOMING: &str = "\
insert into {incoming} (id, destination, status, owner, attempts, due_at, message_type, body,
    group_id, tenant_id, correlation_id, sent_at, retention)
output inserted.id, inserted.destination
";

const INTO_OUTGOING: &str = "\
insert into {outgoing} (id, destination, owner, attempts, deliver_by, message_type, body, group_id,
    tenant_id, correlation_id, sent_at)
output inserted.id, inserted.destination
";

// What is there already is left out; what comes in between is refused by the key, and the statement
// is tried again.
const MANY_INCOMING: &str = "\
select convert(binary(16), new.id), new.destination, new.status, new.owner, new.attempts,
    new.due_at, new.message_type, substring(@P2, new.start, new.length), new.group_id,
    new.tenant_id, new.correlation_id, new.sent_at, new.retention
from openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), status varchar(9),
    owner bigint, attempts bigint, due_at bigint, message_type nvarchar(255), start int,
    length int, group_id nvarchar(max), tenant_id nvarchar(max), correlation_id nvarchar(max),
    sent_at bigint, retention bigint) new
where not exists (
    select 1 from {incoming} row
    where row.id = convert(binary(16), new.id) and row.destination = new.destination {bytes}
)
{by_key};
";

const MANY_OUTGOING: &str = "\
select convert(binary(16), new.id), new.destination, new.owner, new.attempts, new.deliver_by,
    new.message_type, substring(@P2, new.start, new.length), new.group_id, new.tenant_id,
    new.correlation_id, new.sent_at
from openjson(@P1) with (id uniqueidentifier, destination nvarchar(255), owner bigint,
    attempts bigint, deliver_by bigint, message_type nvarchar(255), start int, length int,
    group_id nvarchar(max), tenant_id nvarchar(max), correlation_id nvarchar(max),
    sent_at bigint) new
where not exists (
    select 1 from {outgoing} row
    where row.id = convert(binary(16), new.id) and row.destination = new.destination {bytes}
)
{by_key};
";

const ONE_INCOMING: &str = "\
select convert(binary(16), @id), @destination, @status, @owner, @attempts, @due_at, @message_type,
    @body, @group_id, @tenant_id, @correlation_id, @sent_at, @retention
where not exists (
    select 1 from {incoming} where id = convert(binary(16), @id) and destination = @destination
);
";

const ONE_OUTGOING: &str = "\
select convert(binary(16), @id), @destination, @owner, @attempts, @deliver_by, @message_type, @body,
    @group_id, @tenant_id, @correlation_id, @sent_at
where not exists (
    select 1 from {outgoing} where id = convert(binary(16), @id) and destination = @destination
);
";

statements!(RowsSql {
    insert_incoming: [INTO_INCOMING, MANY_INCOMING].concat(),
    insert_one_incoming: [INTO_INCOMING, ONE_INCOMING].concat(),
    insert_outgoing: [INTO_OUTGOING, MANY_OUTGOING].concat(),
    insert_one_outgoing: [INTO_OUTGOING, ONE_OUTGOING].concat(),
});

/// For how long an insert waits for a lock for which others wait.
const HARDLY_WAITING: Duration = Duration::from_millis(50);

const BEGIN: &str = "begin transaction";
const COMMIT: &str = "commit transaction";

/// A row that is inserted under a message id and a destination.
pub(super) trait Insert: Weigh + Clone + Send + Sync + 'static {
    fn envelope(&self) -> &Envelope;

    /// What inserts rows that are one parameter.
    fn insertion(sql: &Sql) -> &str;

    /// The rows as JSON; their bodies are added to these.
    fn parameter(rows: &[&Self], bodies: &mut Bodies) -> String;

    /// What inserts one row by its values.
    fn insertion_of_one(sql: &Sql) -> &str;

    fn values(&self) -> Vec<NamedValue<'_>>;
}

impl Insert for Incoming {
    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn insertion(sql: &Sql) -> &str {
        &sql.rows.insert_incoming
    }

    fn parameter(rows: &[&Self], bodies: &mut Bodies) -> String {
        json(&rows.iter().map(|row| IncomingParameter::new(row, bodies)).collect::<Vec<_>>())
    }

    fn insertion_of_one(sql: &Sql) -> &str {
        &sql.rows.insert_one_incoming
    }

    fn values(&self) -> Vec<NamedValue<'_>> {
        IncomingParameter::values(self)
    }
}

impl Insert for Outgoing {
    fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    fn insertion(sql: &Sql) -> &str {
        &sql.rows.insert_outgoing
    }

    fn parameter(rows: &[&Self], bodies: &mut Bodies) -> String {
        json(&rows.iter().map(|row| OutgoingParameter::new(row, bodies)).collect::<Vec<_>>())
    }

    fn insertion_of_one(sql: &Sql) -> &str {
        &sql.rows.insert_one_outgoing
    }

    fn values(&self) -> Vec<NamedValue<'_>> {
        OutgoingParameter::values(self)
    }
}

/// Adds what inserts these rows.
pub(super) fn add_insert<'r, R: Insert>(batch: &mut Batch<'r>, sql: &Sql, rows: &[&'r R]) {
    if let [row] = rows {
        return batch.add_one(R::insertion_of_one(sql), row.values());
    }
    let mut bodies = Bodies::default();
    let parameter = R::parameter(rows, &mut bodies);
    batch.add_many_with_bodies(R::insertion(sql), parameter, bodies.0);
}

/// Whether a table can hold these.
pub(super) fn check_names(destination: &Address, message_type: &str) -> Result<(), Unstorable> {
    for (what, text) in [("destination", destination.as_str()), ("message type", message_type)] {
        if text.len() > LONGEST_NAME && text.encode_utf16().count() > LONGEST_NAME {
            return Err(Unstorable::TooLong { what, text: text.to_owned(), longest: LONGEST_NAME });
        }
        if text.ends_with(' ') {
            return Err(Unstorable::EndsInSpace { what, text: text.to_owned() });
        }
    }
    Ok(())
}

/// As much of a name as a table can hold.
pub(super) fn fitting_name(name: &str) -> &str {
    let mut units = 0;
    let fits = name.char_indices().find(|(_at, character)| {
        units += character.len_utf16();
        units > LONGEST_NAME
    });
    let end = fits.map_or(name.len(), |(at, _character)| at);
    name[..end].trim_end_matches(' ')
}

/// The rows that are to be inserted, each key once.
///
/// # Errors
/// The tables cannot hold one of them.
pub(super) fn checked<R: Insert>(rows: &[R]) -> Result<Vec<&R>, Unstorable> {
    let mut seen = HashSet::with_capacity(rows.len());
    let mut once = Vec::with_capacity(rows.len());
    for row in rows {
        let envelope = row.envelope();
        check_names(&envelope.destination, &envelope.message_type.to_string())?;
        let bytes = envelope.bytes();
        if bytes > LARGEST_BODY {
            return Err(Unstorable::LargeBody { bytes });
        }
        if seen.insert(order(envelope)) {
            once.push(row);
        }
    }
    // All in one order, so that two that store the same rows do not wait for each other.
    once.sort_unstable_by_key(|row| order(row.envelope()));
    Ok(once)
}

fn order(envelope: &Envelope) -> (MessageId, &str) {
    (envelope.id, envelope.destination.as_str())
}

/// Inserts rows in a transaction of the user's that is open, and says of each whether it was new.
pub(super) async fn insert<R: Insert>(
    connection: &mut SqlServerConnection,
    sql: &Sql,
    rows: &[R],
) -> Result<Vec<Inserted>> {
    let mut new = HashSet::with_capacity(rows.len());
    for portion in portions(&checked(rows)?, SHARED_ROWS) {
        let mut tried = 1;
        new.extend(loop {
            match insert_portion(connection, sql, portion, "").await {
                Err(error) if tried < TRIES && error::is_duplicate(&error) => tried += 1,
                inserted => break inserted?,
            }
        });
    }
    Ok(answers(rows, new))
}

/// Stores rows, all or none of them, so that they may be stored again where that fails.
pub(super) async fn store<R: Insert>(
    connection: &mut SqlServerConnection,
    sql: &Sql,
    rows: &[R],
    wait: Wait,
    size: &StatementSize,
) -> Result<Vec<Inserted>> {
    let once = checked(rows)?;
    let portions: Vec<&[&R]> = portions(&once, size.rows()).collect();
    // Each says it, as the setting of another insert may outlast that one.
    let patience = match wait {
        Wait::Short => HARDLY_WAITING,
        Wait::Usual => connection.lock_patience(),
    };
    let before = format!("set lock_timeout {}; ", patience.as_millis());
    let is_one = portions.len() < 2;
    let mut new = HashSet::with_capacity(once.len());
    if !is_one {
        connection.batch(BEGIN).await?;
    }
    for portion in portions {
        let inserted = insert_portion(connection, sql, portion, &before).await;
        size.note(portion.len(), &inserted);
        new.extend(inserted?);
    }
    if !is_one {
        connection.batch(COMMIT).await?;
    }
    Ok(answers(rows, new))
}

async fn insert_portion<R: Insert>(
    connection: &mut SqlServerConnection,
    sql: &Sql,
    rows: &[&R],
    before: &str,
) -> Result<HashSet<Key>> {
    let mut batch = Batch::new(before);
    add_insert(&mut batch, sql, rows);
    keys(&batch.rows(connection).await?)
}

/// The keys of rows that begin with them.
pub(super) fn keys(rows: &[Row]) -> Result<HashSet<Key>> {
    rows.iter().map(|row| columns::key(row, 0)).collect()
}

/// What became of each, given the keys that were new.
pub(super) fn answers<R: Insert>(rows: &[R], mut new: HashSet<Key>) -> Vec<Inserted> {
    rows.iter().map(|row| inserted(row.envelope(), &mut new)).collect()
}

impl Columns for Row {
    type Error = Error;

    fn id(&self, column: usize) -> Result<MessageId> {
        let id = uuid::Uuid::from_slice(required::<&[u8]>(self, column)?);
        Ok(id.map(MessageId::from).map_err(DriverError::from)?)
    }

    fn text(&self, column: usize) -> Result<Cow<'_, str>> {
        required(self, column).map(Cow::Borrowed)
    }

    fn bytes(&self, column: usize) -> Result<Bytes> {
        required(self, column).map(Bytes::copy_from_slice)
    }

    fn number(&self, column: usize) -> Result<i64> {
        required(self, column)
    }

    fn maybe_number(&self, column: usize) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
}

fn required<'r, T: tiberius::FromSql<'r>>(row: &'r Row, column: usize) -> Result<T> {
    let value = row.try_get(column)?;
    let missing = || DriverError::Conversion(format!("column {column} is null").into());
    Ok(value.ok_or_else(missing)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_that_would_be_cut_or_mixed_up() {
        let to = |text: &str| Address::as_stored(text);
        let (fits, long) = ("a".repeat(255), "a".repeat(256));
        assert!(check_names(&to(&fits), &fits).is_ok());
        for (destination, message_type) in [(&*long, "t"), ("d", &*long), ("d ", "t"), ("d", "t ")]
        {
            assert!(check_names(&to(destination), message_type).is_err(), "{destination}");
        }
        // Characters beyond the first plane are two units each.
        assert!(check_names(&to(&"\u{1F600}".repeat(128)), "t").is_err());
        assert_eq!(fitting_name(&"\u{1F600}".repeat(128)).chars().count(), 127);
        assert_eq!(fitting_name(&format!("{} b", "a".repeat(254))), "a".repeat(254));
    }
}
