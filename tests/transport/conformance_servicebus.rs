//! Azure Service Bus keeps what every transport has to keep, and what only brokers have to: seen on
//! the test broker.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::Jasper;
use jasper::runtime::Builder;
use jasper::testing::conformance::transport::{BrokerLink, Link, TransportFixture};
use jasper::testing::servicebus::{Broker, EntitySettings};
use jasper::transport::servicebus::ServiceBus;
use tokio::sync::OnceCell;

/// Links by way of one broker for each clause.
#[derive(Default)]
struct Namespace(OnceCell<Arc<Broker>>);

struct Wire {
    broker: Arc<Broker>,
    queue: String,
}

/// The most bytes of one message.
const MOST: usize = 4 * 1024 * 1024;
/// A queue with sessions, at which answers come back.
const REPLIES: &str = "replies";

impl TransportFixture for Namespace {
    type Link = Wire;

    async fn open(&self) -> Wire {
        let start = || async {
            let broker = Broker::builder().max_message_size(MOST as u64).start().await;
            let broker = broker.expect("a port is free");
            let replies = EntitySettings::new().requires_session();
            broker.create_queue(REPLIES, replies).expect("a new queue");
            Arc::new(broker)
        };
        let broker = Arc::clone(self.0.get_or_init(start).await);
        let queue = format!("conformance-{}", uuid::Uuid::now_v7().simple());
        let wire = Wire { broker, queue };
        wire.create();
        wire
    }
}

impl Wire {
    /// What was under way in a connection that is cut comes again when its lock has run out, and
    /// has then counted a delivery.
    fn settings() -> EntitySettings {
        EntitySettings::new().lock_duration(Duration::from_secs(2)).max_delivery_count(1_000)
    }

    fn create(&self) {
        self.broker.create_queue(&self.queue, Self::settings()).expect("a new queue");
    }

    fn transport(&self) -> ServiceBus {
        ServiceBus::at(self.broker.connection_string()).reply_queue(REPLIES)
    }
}

impl Link for Wire {
    fn receive(&self, builder: Builder) -> Builder {
        let address = format!("asb://queue/{}", self.queue);
        builder.transport(self.transport()).listen(address)
    }

    fn receive_in_memory(&self, builder: Builder) -> Builder {
        let address = format!("asb://queue/{}?mode=buffered", self.queue);
        builder.transport(self.transport()).listen(address)
    }

    fn send(&self, builder: Builder) -> Builder {
        builder.transport(self.transport())
    }

    fn empty(&self) -> BoxFuture<'_, ()> {
        let is_empty = self.broker.wait_until(&self.queue, |counts| {
            counts.active + counts.locked + counts.scheduled == 0
        });
        is_empty.map(drop).boxed()
    }

    fn found<'a>(&'a self, _receiver: &'a Jasper) -> BoxFuture<'a, ()> {
        async {}.boxed()
    }

    fn address(&self) -> String {
        format!("asb://queue/{}?order=strict", self.queue)
    }

    fn cut(&self) -> BoxFuture<'_, ()> {
        self.broker.faults().cut_connections();
        async {}.boxed()
    }

    fn too_large(&self) -> usize {
        MOST + 1
    }
}

impl BrokerLink for Wire {
    fn nowhere(&self) -> String {
        "asb://queue/nothing-is-called-so".to_owned()
    }

    fn receive_otherwise(&self, builder: Builder) -> BoxFuture<'_, (Builder, [&'static str; 2])> {
        self.broker.remove(&self.queue).expect("the queue is there");
        let sessions = Self::settings().requires_session();
        self.broker.create_queue(&self.queue, sessions).expect("a new queue");
        let both = ["without sessions here", "with sessions at the broker"];
        std::future::ready((self.receive(builder), both)).boxed()
    }

    fn end_broker(&self) -> BoxFuture<'_, ()> {
        self.broker.faults().refuse_connections();
        self.broker.faults().cut_connections();
        async {}.boxed()
    }

    fn start_broker(&self) -> BoxFuture<'_, ()> {
        self.broker.faults().accept_connections();
        async {}.boxed()
    }

    /// As an operator does who makes it anew.
    fn remove_place(&self) -> BoxFuture<'_, ()> {
        self.broker.remove(&self.queue).expect("the queue is there");
        self.create();
        async {}.boxed()
    }
}

jasper::transport_conformance!(Namespace::default());
jasper::link_conformance!(Namespace::default());
jasper::durable_conformance!(Namespace::default());
jasper::broker_conformance!(Namespace::default());
