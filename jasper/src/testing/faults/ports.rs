//! Every port of the store inside, by way of the faults.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::FaultyStore;
use super::transaction::FaultyTransaction;
use crate::envelope::{Address, Envelope};
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, Counts, DeadLetter, DeadLetterId,
    DeadLetterQuery, DeadLetters, Gone, Inbox, Incoming, Inserted, LiveNode, MessageStore,
    MigrationScript, NodeLease, Nodes, Outbox, Outgoing, OutgoingSettlement, Owner, Ownership,
    Settled, Settlement, StoreAdmin, StoreError, StoreInfo, StoreOperation, StoreTransaction,
    Subscription, TransactionOptions,
};

type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl<S: MessageStore> FaultyStore<S> {
    fn meet<'a, T: Send + 'a>(
        &'a self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(self.plan.meet(operation, call))
    }
}

impl<S: MessageStore> MessageStore for FaultyStore<S> {
    fn info(&self) -> StoreInfo {
        self.store.info()
    }

    fn begin(&self, options: TransactionOptions) -> StoreFuture<'_, Box<dyn StoreTransaction>> {
        let begin = async move {
            let transaction = self.store.begin(options).await?;
            let plan = Arc::clone(&self.plan);
            Ok(Box::new(FaultyTransaction { transaction, plan }) as Box<dyn StoreTransaction>)
        };
        self.meet(StoreOperation::Begin, begin)
    }

    fn inbox(&self) -> &dyn Inbox {
        self
    }

    fn outbox(&self) -> &dyn Outbox {
        self
    }

    fn dead_letters(&self) -> &dyn DeadLetters {
        self
    }

    fn nodes(&self) -> &dyn Nodes {
        self
    }

    fn admin(&self) -> &dyn StoreAdmin {
        self
    }
}

impl<S: MessageStore> Inbox for FaultyStore<S> {
    fn store(&self, rows: Vec<Incoming>) -> StoreFuture<'_, Vec<Inserted>> {
        self.meet(StoreOperation::Store, self.store.inbox().store(rows))
    }

    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Incoming>,
    ) -> StoreFuture<'a, Vec<Inserted>> {
        self.meet(StoreOperation::StoreWithin, self.store.inbox().store_within(connection, rows))
    }

    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Vec<Claimed>> {
        self.meet(StoreOperation::Claim, self.store.inbox().claim(request))
    }

    fn settle(&self, settlements: Vec<Settlement>) -> StoreFuture<'_, Vec<Settled>> {
        self.meet(StoreOperation::Settle, self.store.inbox().settle(settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> StoreFuture<'_, u64> {
        self.meet(StoreOperation::Release, self.store.inbox().release(owner, limit))
    }

    fn claimable(&self, request: ClaimableRequest) -> StoreFuture<'_, Claimable> {
        self.meet(StoreOperation::Claimable, self.store.inbox().claimable(request))
    }

    fn owned(&self, owner: Owner, limit: usize) -> StoreFuture<'_, Vec<Ownership>> {
        self.meet(StoreOperation::Owned, self.store.inbox().owned(owner, limit))
    }
}

impl<S: MessageStore> Nodes for FaultyStore<S> {
    fn now(&self) -> StoreFuture<'_, Option<SystemTime>> {
        self.meet(StoreOperation::Now, self.store.nodes().now())
    }

    fn join(
        &self,
        name: &str,
        lease: Duration,
        takes: &[Subscription],
    ) -> StoreFuture<'_, NodeLease> {
        let (name, takes) = (name.to_owned(), takes.to_vec());
        let join = async move { self.store.nodes().join(&name, lease, &takes).await };
        self.meet(StoreOperation::Join, join)
    }

    fn renew(&self, owner: Owner, lease: Duration) -> StoreFuture<'_, bool> {
        self.meet(StoreOperation::Renew, self.store.nodes().renew(owner, lease))
    }

    fn expired(&self, asks: Option<Owner>) -> StoreFuture<'_, Gone> {
        self.meet(StoreOperation::Expired, self.store.nodes().expired(asks))
    }

    fn alive(&self) -> StoreFuture<'_, Vec<LiveNode>> {
        self.meet(StoreOperation::Alive, self.store.nodes().alive())
    }

    fn note_earlier(&self, owner: Owner, earlier: &[Owner]) -> StoreFuture<'_, ()> {
        let earlier = earlier.to_vec();
        let note = async move { self.store.nodes().note_earlier(owner, &earlier).await };
        self.meet(StoreOperation::NoteEarlier, note)
    }

    fn leave(&self, owner: Owner) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::Leave, self.store.nodes().leave(owner))
    }

    fn forget(&self, owner: Owner) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::Forget, self.store.nodes().forget(owner))
    }

    fn wait_for_notification(&self) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::WaitForNotification, self.store.nodes().wait_for_notification())
    }

    fn is_notified(&self) -> bool {
        self.store.nodes().is_notified()
    }
}

impl<S: MessageStore> DeadLetters for FaultyStore<S> {
    fn list(&self, query: DeadLetterQuery) -> StoreFuture<'_, Vec<DeadLetter>> {
        self.meet(StoreOperation::ListDeadLetters, self.store.dead_letters().list(query))
    }

    fn replay(&self, ids: Vec<DeadLetterId>) -> StoreFuture<'_, u64> {
        self.meet(StoreOperation::ReplayDeadLetters, self.store.dead_letters().replay(ids))
    }

    fn discard(&self, ids: Vec<DeadLetterId>) -> StoreFuture<'_, u64> {
        self.meet(StoreOperation::DiscardDeadLetters, self.store.dead_letters().discard(ids))
    }

    fn store(&self, letter: DeadLetter) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::StoreDeadLetter, self.store.dead_letters().store(letter))
    }
}

impl<S: MessageStore> StoreAdmin for FaultyStore<S> {
    fn prepare(&self) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::Prepare, self.store.admin().prepare())
    }

    fn counts(&self) -> StoreFuture<'_, Counts> {
        self.meet(StoreOperation::Counts, self.store.admin().counts())
    }

    fn purge(&self, limit: usize) -> StoreFuture<'_, u64> {
        self.meet(StoreOperation::Purge, self.store.admin().purge(limit))
    }

    fn clear(&self) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::Clear, self.store.admin().clear())
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::Check, self.store.admin().check())
    }

    fn rebuild(&self) -> StoreFuture<'_, ()> {
        self.meet(StoreOperation::Rebuild, self.store.admin().rebuild())
    }

    fn migrations(&self) -> Vec<MigrationScript> {
        self.store.admin().migrations()
    }
}

impl<S: MessageStore> Outbox for FaultyStore<S> {
    fn store(&self, rows: Vec<Outgoing>) -> StoreFuture<'_, Vec<Inserted>> {
        self.meet(StoreOperation::StoreOutgoing, self.store.outbox().store(rows))
    }

    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Outgoing>,
    ) -> StoreFuture<'a, Vec<Inserted>> {
        self.meet(
            StoreOperation::StoreOutgoingWithin,
            self.store.outbox().store_within(connection, rows),
        )
    }

    fn claim(
        &self,
        owner: Owner,
        destination: &Address,
        limit: usize,
    ) -> StoreFuture<'_, Vec<Envelope>> {
        let destination = destination.clone();
        let claim = async move { self.store.outbox().claim(owner, &destination, limit).await };
        self.meet(StoreOperation::ClaimOutgoing, claim)
    }

    fn settle(&self, settlements: Vec<OutgoingSettlement>) -> StoreFuture<'_, Vec<Settled>> {
        self.meet(StoreOperation::SettleOutgoing, self.store.outbox().settle(settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> StoreFuture<'_, u64> {
        self.meet(StoreOperation::ReleaseOutgoing, self.store.outbox().release(owner, limit))
    }

    fn owned(&self, owner: Owner, limit: usize) -> StoreFuture<'_, Vec<Ownership>> {
        self.meet(StoreOperation::OwnedOutgoing, self.store.outbox().owned(owner, limit))
    }

    fn destinations(&self) -> StoreFuture<'_, Vec<Address>> {
        self.meet(StoreOperation::Destinations, self.store.outbox().destinations())
    }
}
