//! A store under test, which ends the clause where it answers with an error, and what it is given.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Effects, StoreFixture};
use crate::envelope::{Address, Envelope, MessageId, time};
use crate::message::MessageType;
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, Counts, DeadLetter, DeadLetterQuery,
    Incoming, Inserted, MessageStore, NextPage, Outgoing, Owner, Ownership, Placement, Settled,
    Settlement, StoreTransaction, Subscription, TransactionOptions,
};

/// A lease that no clause outlives.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

const ANSWERS: &str = "the store answers";

pub(super) struct Subject<'f, F: StoreFixture> {
    pub(super) fixture: &'f F,
    pub(super) store: F::Store,
    pub(super) guard: F::Guard,
}

impl<'f, F: StoreFixture> Subject<'f, F> {
    pub(super) async fn of(fixture: &'f F) -> Self {
        let (store, guard) = fixture.open().await;
        Self { fixture, store, guard }
    }

    /// The user's own rows; a fixture of a store with connections has to provide them.
    pub(super) fn effects(&self) -> Option<&dyn Effects<F::Store>> {
        let effects = self.fixture.effects();
        let has_connections = self.store.info().connection.is_some();
        assert_eq!(
            effects.is_some(),
            has_connections,
            "a fixture has `effects` just if its store has connections"
        );
        effects
    }

    pub(super) async fn count_effects(&self) -> u64 {
        match self.effects() {
            Some(effects) => effects.count(&self.store).await,
            None => 0,
        }
    }

    pub(super) async fn join(&self) -> Owner {
        let lease = self.store.nodes().join("conformance", LONG, &[]).await;
        lease.expect(ANSWERS).owner
    }

    pub(super) async fn store(&self, rows: Vec<Incoming>) -> Vec<Inserted> {
        self.store.inbox().store(rows).await.expect(ANSWERS)
    }

    /// Stores one row, which is to be new.
    pub(super) async fn store_new(&self, row: Incoming) {
        assert_eq!(self.store(vec![row]).await, [Inserted::New]);
    }

    /// Stores an envelope as owned, its first attempt counted, and says how it is held.
    pub(super) async fn store_owned(&self, owner: Owner, retention: Option<Duration>) -> Ownership {
        let envelope = Envelope { attempts: 1, ..envelope() };
        let ownership = Ownership::of(&envelope, owner);
        self.store_new(Incoming { envelope, placement: Placement::Owned(owner), retention }).await;
        ownership
    }

    pub(super) async fn store_out(&self, rows: Vec<Outgoing>) -> Vec<Inserted> {
        self.store.outbox().store(rows).await.expect(ANSWERS)
    }

    pub(super) async fn look_once(&self) -> Claimable {
        self.store.inbox().claimable(ClaimableRequest::default()).await.expect(ANSWERS)
    }

    /// Looks until a page was seen: where looks take long, a store need not see one in each.
    pub(super) async fn claimable(&self) -> Claimable {
        loop {
            let look = self.look_once().await;
            if look.next_page != NextPage::Unseen {
                return look;
            }
            // Real time: by that the store says when it sees the next one.
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) async fn claim(&self, request: ClaimRequest) -> Vec<Claimed> {
        self.store.inbox().claim(request).await.expect(ANSWERS)
    }

    /// Claims everything that can be claimed.
    pub(super) async fn claim_all(&self, owner: Owner) -> Vec<Claimed> {
        let subscriptions = self.claimable().await.now;
        self.claim(ClaimRequest { subscriptions, ..all(owner) }).await
    }

    /// Claims the only row that can be claimed.
    pub(super) async fn claim_one(&self, owner: Owner) -> Claimed {
        let mut claimed = self.claim_all(owner).await;
        assert_eq!(claimed.len(), 1, "one row can be claimed");
        claimed.remove(0)
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Settled {
        let settled = self.store.inbox().settle(vec![settlement]).await.expect(ANSWERS);
        assert_eq!(settled.len(), 1, "one settlement has one answer");
        settled[0]
    }

    pub(super) async fn begin(&self) -> Box<dyn StoreTransaction> {
        self.store.begin(self.run()).await.expect(ANSWERS)
    }

    pub(super) fn run(&self) -> TransactionOptions {
        TransactionOptions { share: self.fixture.share(), ..TransactionOptions::of("conformance") }
    }

    pub(super) async fn letters(&self) -> Vec<DeadLetter> {
        let query = DeadLetterQuery::default();
        self.store.dead_letters().list(query).await.expect(ANSWERS)
    }

    pub(super) async fn counts(&self) -> Counts {
        self.store.admin().counts().await.expect(ANSWERS)
    }
}

/// All that the clauses store, for this owner.
pub(super) fn all(owner: Owner) -> ClaimRequest {
    let subscriptions = ["conformance", "a", "b", "c"].map(taken_at).to_vec();
    ClaimRequest { owner, subscriptions, limit: 10_000, count_attempt: true }
}

/// What a handler of the suite's messages takes at this queue.
pub(super) fn taken_at(queue: &str) -> Subscription {
    let message_type = envelope().message_type.to_string();
    Subscription { destination: local(queue), message_type }
}

pub(super) fn local(queue: &str) -> Address {
    Address::local(queue, "conformance")
}

/// A new message to the queue `conformance`.
pub(super) fn envelope() -> Envelope {
    to(&local("conformance"))
}

pub(super) fn to(destination: &Address) -> Envelope {
    Envelope::new(
        MessageType::new("conformance.message", 1),
        "application/json",
        Bytes::from_static(b"{\"text\":\"payload\"}"),
        destination.clone(),
    )
}

/// What the rows of one claim may have together, beside one more row: 8 MiB.
pub(super) const PORTION: usize = 8 << 20;

/// With a payload of this many bytes.
pub(super) fn large(envelope: Envelope, bytes: usize) -> Envelope {
    Envelope { payload: vec![b' '; bytes].into(), ..envelope }
}

/// An envelope in which no field is empty, with a payload of several pages.
pub(super) fn full_envelope() -> Envelope {
    let mut envelope = envelope();
    envelope.payload = (0..100_000u32).map(|number| (number % 251) as u8).collect();
    envelope.headers.insert("empty", "");
    envelope.headers.insert("name", "value, with \u{1F980} and \"quotes\"");
    envelope.source = Some("a service".to_owned());
    envelope.reply_to = Some(local("replies"));
    envelope.correlation_id = Some("correlation".to_owned());
    envelope.conversation_id = super::subject::envelope().id;
    envelope.causation_id = Some(super::subject::envelope().id);
    envelope.traceparent =
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    envelope.saga_id = Some("saga".to_owned());
    envelope.tenant_id = Some("tenant 'quoted'".to_owned());
    envelope.group_id = Some("group".to_owned());
    envelope.deduplication_id = Some("business key".to_owned());
    envelope.sent_at = at(1);
    envelope.deliver_by = Some(at(3));
    envelope.due_at = Some(at(2));
    envelope.attempts = 1;
    envelope
}

/// A time of the past, by its order.
pub(super) fn at(order: u64) -> SystemTime {
    time::from_micros(1_700_000_000_000_000) + Duration::from_secs(order)
}

pub(super) fn unowned(envelope: Envelope) -> Incoming {
    Incoming { envelope, placement: Placement::Unowned, retention: None }
}

pub(super) fn scheduled(envelope: Envelope, due_at: SystemTime) -> Incoming {
    Incoming { envelope, placement: Placement::Scheduled(due_at), retention: None }
}

pub(super) fn kept(envelope: Envelope, retention: Duration) -> Incoming {
    Incoming { envelope, placement: Placement::Unowned, retention: Some(retention) }
}

/// What is remembered as long as no clause lasts.
pub(super) fn keyed(key: &str) -> Incoming {
    kept(with_key(envelope(), key), LONG)
}

pub(super) fn with_key(mut envelope: Envelope, key: &str) -> Envelope {
    envelope.id = MessageId::of_deduplication_id("conformance", key);
    envelope.deduplication_id = Some(key.to_owned());
    envelope
}
