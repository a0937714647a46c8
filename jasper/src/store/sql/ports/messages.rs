//! Inbox and outbox of a store in a SQL database, by what its tables of messages do alike and what
//! each of them does besides.

use std::any::Any;

use futures_util::future::BoxFuture;

use super::SqlStore;
use crate::envelope::{Address, Envelope};
use crate::store::portions::Weigh;
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, Inbox, Incoming, Inserted, Outbox,
    Outgoing, OutgoingSettlement, Owner, Ownership, Settled, Settlement, StoreError,
};

/// A row that holds a message: one of the inbox or of the outbox.
pub(crate) trait MessageRow: Weigh + Clone + Send + Sync + 'static {
    /// What ends or changes the ownership of a row.
    type Settlement: Weigh + Clone + Send + Sync + 'static;
}

impl MessageRow for Incoming {
    type Settlement = Settlement;
}

impl MessageRow for Outgoing {
    type Settlement = OutgoingSettlement;
}

/// What both tables of messages do, as the ports describe it.
pub(crate) trait Messages<R: MessageRow>: SqlStore {
    fn store(&self, rows: Vec<R>)
    -> impl Future<Output = Result<Vec<Inserted>, StoreError>> + Send;

    /// Inserts rows inside the transaction that is open on the connection.
    fn insert(
        &self,
        connection: &mut Self::Connection,
        rows: &[R],
    ) -> impl Future<Output = Result<Vec<Inserted>, StoreError>> + Send;

    fn settle(
        &self,
        settlements: Vec<R::Settlement>,
    ) -> impl Future<Output = Result<Vec<Settled>, StoreError>> + Send;

    fn release(
        &self,
        owner: Owner,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Ownership>, StoreError>> + Send;
}

/// What the inbox does besides.
pub(crate) trait SqlInbox: Messages<Incoming> {
    fn claimable(
        &self,
        request: ClaimableRequest,
    ) -> impl Future<Output = Result<Claimable, StoreError>> + Send;

    fn claim(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>> + Send;
}

/// Which rows of the outbox to claim.
#[derive(Debug)]
pub(crate) struct OutgoingClaim {
    pub(crate) owner: Owner,
    pub(crate) destination: Address,
    /// The most rows to take.
    pub(crate) limit: usize,
}

/// What the outbox does besides.
pub(crate) trait SqlOutbox: Messages<Outgoing> {
    fn claim(
        &self,
        request: OutgoingClaim,
    ) -> impl Future<Output = Result<Vec<Envelope>, StoreError>> + Send;

    fn destinations(&self) -> impl Future<Output = Result<Vec<Address>, StoreError>> + Send;
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: SqlInbox> Inbox for S {
    fn store(&self, rows: Vec<Incoming>) -> BoxFuture<'_, Result<Vec<Inserted>, StoreError>> {
        Box::pin(Messages::store(self, rows))
    }

    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Incoming>,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, StoreError>> {
        Box::pin(insert_within(self, connection, rows))
    }

    fn claimable(&self, request: ClaimableRequest) -> BoxFuture<'_, Result<Claimable, StoreError>> {
        Box::pin(SqlInbox::claimable(self, request))
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(SqlInbox::claim(self, request))
    }

    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        Box::pin(Messages::<Incoming>::settle(self, settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(Messages::<Incoming>::release(self, owner, limit))
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(Messages::<Incoming>::owned(self, owner, limit))
    }
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: SqlOutbox> Outbox for S {
    fn store(&self, rows: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Inserted>, StoreError>> {
        Box::pin(Messages::store(self, rows))
    }

    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Outgoing>,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, StoreError>> {
        Box::pin(insert_within(self, connection, rows))
    }

    fn claim(
        &self,
        owner: Owner,
        destination: &Address,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Envelope>, StoreError>> {
        let request = OutgoingClaim { owner, destination: destination.clone(), limit };
        Box::pin(SqlOutbox::claim(self, request))
    }

    fn settle(
        &self,
        settlements: Vec<OutgoingSettlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        Box::pin(Messages::<Outgoing>::settle(self, settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(Messages::<Outgoing>::release(self, owner, limit))
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(Messages::<Outgoing>::owned(self, owner, limit))
    }

    fn destinations(&self) -> BoxFuture<'_, Result<Vec<Address>, StoreError>> {
        Box::pin(SqlOutbox::destinations(self))
    }
}

/// Inserts rows through the connection that a user gave, if it is one of the store's type.
async fn insert_within<R: MessageRow, S: Messages<R>>(
    store: &S,
    connection: &mut (dyn Any + Send),
    rows: Vec<R>,
) -> Result<Vec<Inserted>, StoreError> {
    let wrong = StoreError::WrongConnection { store: S::NAME, given: "connection of another type" };
    let connection: &mut S::Connection = connection.downcast_mut().ok_or(wrong)?;
    store.insert(connection, &rows).await
}
