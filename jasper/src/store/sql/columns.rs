//! What stands in the columns of a row, read alike from every database.
//!
//! A database says by [`Columns`] how it gives the five types of column. What is made of them is
//! written here once. A value that cannot be what it should be spoils only its own row.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::key::Key;
use super::number::total;
use crate::envelope::time::from_micros;
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::{
    Claimed, Counts, DeadLetter, DeadLetterId, DeadLetterReason, LiveNode, Owner, Ownership,
    Subscription, interrupted_by,
};

/// The columns of one row of an answer, counted from 0.
pub(crate) trait Columns {
    type Error;

    fn id(&self, column: usize) -> Result<MessageId, Self::Error>;

    /// Text, in which bytes that are none are replaced where a database can have such.
    fn text(&self, column: usize) -> Result<Cow<'_, str>, Self::Error>;

    fn bytes(&self, column: usize) -> Result<Bytes, Self::Error>;

    fn number(&self, column: usize) -> Result<i64, Self::Error>;

    /// A number that may be null.
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, Self::Error>;
}

/// The columns of a driver of sqlx that lends text and bytes out of the row, all but the id.
#[cfg(any(feature = "postgres", feature = "mysql"))]
macro_rules! lent_columns {
    () => {
        type Error = sqlx::Error;

        fn text(&self, column: usize) -> sqlx::Result<std::borrow::Cow<'_, str>> {
            self.try_get::<&str, _>(column).map(std::borrow::Cow::Borrowed)
        }

        fn bytes(&self, column: usize) -> sqlx::Result<bytes::Bytes> {
            self.try_get::<&[u8], _>(column).map(bytes::Bytes::copy_from_slice)
        }

        fn number(&self, column: usize) -> sqlx::Result<i64> {
            self.try_get(column)
        }

        fn maybe_number(&self, column: usize) -> sqlx::Result<Option<i64>> {
            self.try_get(column)
        }
    };
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) use lent_columns;

/// Whatever stands there: a destination that is none spoils only its own row.
pub(crate) fn address<R: Columns>(row: &R, column: usize) -> Result<Address, R::Error> {
    Ok(Address::as_stored(&row.text(column)?))
}

/// A count that is too large for us is the largest; the claim of its row makes it so.
pub(crate) fn count<R: Columns>(row: &R, column: usize) -> Result<u32, R::Error> {
    Ok(u32::try_from(row.number(column)?.max(0)).unwrap_or(u32::MAX))
}

/// A span of time in microseconds, if there is one.
pub(crate) fn span<R: Columns>(row: &R, column: usize) -> Result<Option<Duration>, R::Error> {
    Ok(row.maybe_number(column)?.map(|micros| Duration::from_micros(total(micros))))
}

/// Of a row with the destination in this column and the message type in the next.
pub(crate) fn subscription<R: Columns>(row: &R, column: usize) -> Result<Subscription, R::Error> {
    let message_type = row.text(column + 1)?.into_owned();
    Ok(Subscription { destination: address(row, column)?, message_type })
}

/// Of a row with the id in this column and the destination in the next.
pub(crate) fn key<R: Columns>(row: &R, column: usize) -> Result<Key, R::Error> {
    Ok((row.id(column)?, address(row, column + 1)?))
}

/// Of a row that begins with id, destination and attempts.
pub(crate) fn ownership<R: Columns>(row: &R, owner: Owner) -> Result<Ownership, R::Error> {
    let (id, destination) = key(row, 0)?;
    Ok(Ownership { id, destination, owner, attempts: count(row, 2)? })
}

/// An inbox row that its owner has claimed, which begins with id, destination, attempts and body;
/// the `interrupted` attempts are the text that stands in the row.
///
/// `attempt_counted`: the claim counts it, whether or not the row was read before it.
pub(crate) fn claimed<R: Columns>(
    row: &R,
    owner: Owner,
    attempt_counted: bool,
    interrupted: &str,
) -> Result<Claimed, R::Error> {
    let read = ownership(row, owner)?;
    let attempts = read.attempts.max(u32::from(attempt_counted));
    let envelope = Envelope::from_bytes(&row.bytes(3)?);
    Ok(Claimed {
        ownership: Ownership { attempts, ..read },
        envelope: envelope.map(|envelope| Envelope { attempts, ..envelope }),
        attempt_counted,
        interrupted_by: interrupted_by(interrupted),
    })
}

/// Outbox rows that were claimed.
#[derive(Debug, Default)]
pub(crate) struct ClaimedOutgoing {
    pub(crate) envelopes: Vec<Envelope>,
    /// Rows that cannot be read, and so cannot be sent, with the reason.
    pub(crate) unreadable: Vec<(Ownership, String)>,
}

impl ClaimedOutgoing {
    /// Adds a row that begins with id, destination, attempts and body.
    pub(crate) fn read<R: Columns>(&mut self, row: &R, owner: Owner) -> Result<(), R::Error> {
        let held = ownership(row, owner)?;
        match Envelope::from_bytes(&row.bytes(3)?) {
            Ok(envelope) => self.envelopes.push(held.envelope(envelope)),
            Err(error) => self.unreadable.push((held, error.to_string())),
        }
        Ok(())
    }
}

/// Of a row with id, destination, reason, message type, error type, error message, attempts, body
/// and the time of its end.
pub(crate) fn dead_letter<R: Columns>(row: &R) -> Result<DeadLetter, R::Error> {
    Ok(DeadLetter {
        id: dead_letter_id(row)?,
        reason: DeadLetterReason::as_stored(&row.text(2)?),
        message_type: row.text(3)?.into_owned(),
        error_type: row.text(4)?.into_owned(),
        error_message: row.text(5)?.into_owned(),
        attempts: count(row, 6)?,
        body: row.bytes(7)?,
        dead_lettered_at: from_micros(row.number(8)?),
    })
}

/// Of a row that begins with id and destination.
pub(crate) fn dead_letter_id<R: Columns>(row: &R) -> Result<DeadLetterId, R::Error> {
    let (id, destination) = key(row, 0)?;
    Ok(DeadLetterId { id, destination })
}

/// Of a row with the number of a node, what it takes, and its earlier numbers.
pub(crate) fn live_node<R: Columns>(row: &R) -> Result<LiveNode, R::Error> {
    Ok(LiveNode {
        owner: Owner::new(row.number(0)?),
        takes: Subscription::from_lines(&row.text(1)?),
        earlier: Owner::from_text(&row.text(2)?),
    })
}

/// Of a row with five numbers: incoming, scheduled, handled, outgoing, dead letters.
pub(crate) fn counts<R: Columns>(row: &R) -> Result<Counts, R::Error> {
    let rows = |column| row.number(column).map(total);
    Ok(Counts {
        incoming: rows(0)?,
        scheduled: rows(1)?,
        handled: rows(2)?,
        outgoing: rows(3)?,
        dead_letters: rows(4)?,
    })
}

/// Reads all rows of an answer.
pub(crate) fn all<R: Columns, T>(
    rows: &[R],
    read: impl Fn(&R) -> Result<T, R::Error>,
) -> Result<Vec<T>, R::Error> {
    rows.iter().map(read).collect()
}

/// The id of a message that a database keeps as sixteen bytes.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(crate) fn id_of_bytes(bytes: &[u8], column: usize) -> sqlx::Result<MessageId> {
    uuid::Uuid::from_slice(bytes).map(MessageId::from).map_err(|error| sqlx::Error::ColumnDecode {
        index: column.to_string(),
        source: Box::new(error),
    })
}
