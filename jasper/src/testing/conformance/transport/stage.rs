//! Two applications with a transport between them, or one that is both.

use std::time::Duration;

use super::cast::{
    KeepNews, PATIENCE, RECEIVER, ReadNews, ReceivedNotes, TakeMeasure, TakeOrder, WORKS, WorkOff,
};
use super::{Link, TransportFixture};
use crate::message::Message;
use crate::routing::Sends;
use crate::runtime::{Builder, Jasper};
use crate::store::memory::MemoryStore;
use crate::store::{DeadLetter, DeadLetterQuery};

/// What a clause plays on.
pub(super) struct Stage<F: TransportFixture> {
    pub(super) link: F::Link,
    sender: Option<Jasper>,
    /// `None` where the sender is the receiver, or while it is away.
    receiver: Option<Jasper>,
    pub(super) received: ReceivedNotes,
    stores: [MemoryStore; 2],
    /// What the clause asks of both applications.
    setup: fn(Builder) -> Builder,
}

impl<F: TransportFixture> Stage<F> {
    /// Both applications run.
    pub(super) async fn open(fixture: &F) -> Self {
        Self::set_up(fixture, |builder| builder).await
    }

    /// Both applications run, as the clause asks for.
    pub(super) async fn set_up(fixture: &F, setup: fn(Builder) -> Builder) -> Self {
        let mut stage = Self::empty(fixture, setup).await;
        stage.start_receiver().await;
        stage.start_sender().await;
        stage
    }

    /// Nobody runs yet.
    pub(super) async fn empty(fixture: &F, setup: fn(Builder) -> Builder) -> Self {
        let (link, received) = (fixture.open().await, ReceivedNotes::default());
        let stores = [MemoryStore::new(), MemoryStore::new()];
        Self { link, sender: None, receiver: None, received, stores, setup }
    }

    fn builder(&self, store: &MemoryStore) -> Builder {
        let builder = Jasper::builder()
            .store(store.clone())
            .state(self.received.clone())
            .poll_interval(Duration::from_millis(50))
            .unhandled_timeout(Duration::ZERO)
            .registered::<_, TakeOrder>();
        (self.setup)(builder)
    }

    fn hearing(builder: Builder) -> Builder {
        let builder = builder
            .registered::<_, WorkOff>()
            .registered::<_, ReadNews>()
            .registered::<_, KeepNews>();
        builder.registered::<_, TakeMeasure>()
    }

    pub(super) async fn start_receiver(&mut self) {
        if self.link.is_local() {
            return;
        }
        let builder = Self::hearing(self.builder(&self.stores[1])).service("receiver");
        let receiver = self.link.receive(builder).start().await.expect(WORKS);
        self.link.found(&receiver).await;
        self.receiver = Some(receiver);
    }

    pub(super) async fn start_sender(&mut self) {
        self.start_sender_with(|builder| builder).await;
    }

    /// Starts it with something more.
    pub(super) async fn start_sender_with(&mut self, more: impl FnOnce(Builder) -> Builder) {
        let address = self.link.address();
        let builder = self.builder(&self.stores[0]).service("sender");
        // The address itself is an endpoint too, for who sends by address.
        let builder = builder.endpoint(RECEIVER, &*address).endpoint(&*address, &*address);
        let builder = more(self.link.send(builder));
        let builder = if self.link.is_local() {
            Self::hearing(builder)
        } else {
            builder.publish_to::<super::cast::News>(RECEIVER)
        };
        self.sender = Some(builder.start().await.expect(WORKS));
    }

    pub(super) fn sender(&self) -> &Jasper {
        self.sender.as_ref().expect("the sender runs")
    }

    /// The application that handles.
    pub(super) fn receiver(&self) -> &Jasper {
        self.receiver.as_ref().unwrap_or_else(|| self.sender())
    }

    pub(super) async fn send<M, OneHandler>(&self, message: M)
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        self.sender().bus().send(message).await.expect("the message is accepted");
    }

    /// Both applications as they are built, without a start.
    pub(super) fn builders(&self) -> [Builder; 2] {
        let receiver = Self::hearing(self.builder(&self.stores[1])).service("receiver");
        [self.builder(&self.stores[0]).service("sender"), receiver]
    }

    /// Waits until nothing is on its way.
    pub(super) async fn settle(&self) {
        let idle = async {
            self.sender().until_idle().await.expect(WORKS);
            self.link.empty().await;
            self.receiver().until_idle().await.expect(WORKS);
        };
        tokio::time::timeout(PATIENCE, idle).await.expect("all is handled in time");
    }

    /// Ends in an orderly way.
    pub(super) async fn stop_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.stop().await.expect(WORKS);
        }
    }

    /// Ends in an orderly way.
    pub(super) async fn stop_sender(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.stop().await.expect(WORKS);
        }
    }

    /// Ends as in a crash.
    pub(super) fn crash_receiver(&mut self) {
        drop(self.receiver.take());
    }

    /// Ends as in a crash.
    pub(super) fn crash_sender(&mut self) {
        drop(self.sender.take());
    }

    pub(super) async fn close(mut self) {
        self.received.open_gate();
        self.stop_sender().await;
        self.stop_receiver().await;
    }

    /// The dead letters of the application that handles.
    pub(super) async fn letters(&self) -> Vec<DeadLetter> {
        letters(self.receiver()).await
    }

    /// Waits until the application that handles has a dead letter, and gives it.
    pub(super) async fn letter(&self) -> DeadLetter {
        wait_for_letter(self.receiver()).await
    }

    /// Waits until the application that sends has a dead letter, and gives it.
    pub(super) async fn sent_back(&self) -> DeadLetter {
        wait_for_letter(self.sender()).await
    }
}

async fn wait_for_letter(app: &Jasper) -> DeadLetter {
    let found = async {
        loop {
            if let Some(letter) = letters(app).await.pop() {
                return letter;
            }
            // Real time: a dead letter gives no word.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a dead letter comes in time")
}

async fn letters(app: &Jasper) -> Vec<DeadLetter> {
    let store = app.store().expect("the application has a store");
    store.dead_letters().list(DeadLetterQuery::default()).await.expect("the store answers")
}
