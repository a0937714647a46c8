//! Dead letters of a store in a SQL database.

use futures_util::future::BoxFuture;

use super::SqlStore;
use crate::store::dead_letter::{Paged, in_pages};
use crate::store::{DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetters, StoreError};

/// What the port [`DeadLetters`] comes down to.
pub(crate) trait SqlDeadLetters: SqlStore {
    fn list(
        &self,
        query: DeadLetterQuery,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, StoreError>> + Send;

    /// Puts letters of one page back into the inbox, in one transaction: as many of the first as
    /// are not too many bytes, and at least one.
    fn replay(
        &self,
        page: Vec<DeadLetterId>,
    ) -> impl Future<Output = Result<Paged, StoreError>> + Send;

    /// Deletes one page, all or none.
    fn discard(
        &self,
        page: Vec<DeadLetterId>,
    ) -> impl Future<Output = Result<Paged, StoreError>> + Send;

    /// Stores a letter whose texts are cut, in place of one with its key.
    fn store(&self, letter: DeadLetter) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: SqlDeadLetters> DeadLetters for S {
    fn list(&self, query: DeadLetterQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        Box::pin(SqlDeadLetters::list(self, query))
    }

    fn replay(&self, ids: Vec<DeadLetterId>) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(in_pages(in_order(ids), |page| Box::pin(SqlDeadLetters::replay(self, page))))
    }

    fn discard(&self, ids: Vec<DeadLetterId>) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(in_pages(in_order(ids), |page| Box::pin(SqlDeadLetters::discard(self, page))))
    }

    fn store(&self, letter: DeadLetter) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlDeadLetters::store(self, letter.cut()))
    }
}

/// The order in which every call takes the locks of letters, so that none waits for another in a
/// circle.
fn in_order(mut ids: Vec<DeadLetterId>) -> Vec<DeadLetterId> {
    ids.sort_unstable_by(|a, b| {
        (a.id, a.destination.as_str()).cmp(&(b.id, b.destination.as_str()))
    });
    ids
}
