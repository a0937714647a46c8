//! What the writer does in one trip for several callers: inserts and settlements.

use super::super::rows::{self, ROWS_PER_INSERT};
use super::super::statement_batch::{StatementBatch, StatementResult};
use crate::store::portions::{Weigh, portions};
use crate::store::{Incoming, Inserted, Outgoing};

/// Something of which the writer does several in one trip, for several callers.
pub(in super::super) trait Batchable:
    Weigh + Send + Sync + Sized + 'static
{
    /// What each is answered.
    type Answer: Send + 'static;

    /// The most of them in one trip.
    const MOST: usize;

    /// Whether a trip is one statement, which SQLite undoes by itself where it fails.
    fn is_one_statement() -> bool;

    /// Adds what does these to a batch.
    fn push(items: &[&Self], batch: &mut StatementBatch) -> sqlx::Result<()>;

    /// Takes the answers of [`push`](Self::push) off a batch that was run.
    fn answers(
        items: &[&Self],
        results: &mut impl Iterator<Item = StatementResult>,
    ) -> sqlx::Result<Vec<Self::Answer>>;
}

/// Whether one trip is enough for these.
pub(super) fn is_one_trip<T: Batchable>(items: &[&T]) -> bool {
    portions(items, T::MOST).nth(1).is_none()
}

macro_rules! insert_batchable {
    ($row:ident) => {
        impl Batchable for $row {
            type Answer = Inserted;

            const MOST: usize = ROWS_PER_INSERT;

            fn is_one_statement() -> bool {
                true
            }

            fn push(items: &[&Self], batch: &mut StatementBatch) -> sqlx::Result<()> {
                rows::push_inserts(items, batch)
            }

            fn answers(
                items: &[&Self],
                results: &mut impl Iterator<Item = StatementResult>,
            ) -> sqlx::Result<Vec<Inserted>> {
                rows::stored(items, results)
            }
        }
    };
}

insert_batchable!(Incoming);
insert_batchable!(Outgoing);
