//! RabbitMQ keeps what every transport has to keep, and what only brokers have to.

use std::net::SocketAddr;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::Jasper;
use jasper::runtime::Builder;
use jasper::testing::conformance::transport::{BrokerLink, Link, TransportFixture};
use jasper::transport::rabbitmq::RabbitMq;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tests::proxy::Proxy;
use tests::servers::{Server, rabbitmq_url};

/// Links by way of the broker that all tests share.
struct Shared;

/// Links by way of a broker of their own, which may end.
struct Own;

/// A proxy lies between the applications and the broker, so that connections can be cut.
struct Wire {
    proxy: Proxy,
    /// The broker's own address, and by way of the proxy.
    direct: String,
    proxied: String,
    queue: String,
    server: Option<Server>,
}

/// The most bytes of one message.
const MOST: usize = 4 * 1024 * 1024;

impl TransportFixture for Shared {
    type Link = Wire;

    async fn open(&self) -> Wire {
        Wire::open(rabbitmq_url(), None).await
    }
}

impl TransportFixture for Own {
    type Link = Wire;

    async fn open(&self) -> Wire {
        let server = Server::rabbitmq().await;
        Wire::open(server.url().to_owned(), Some(server)).await
    }
}

impl Wire {
    async fn open(direct: String, server: Option<Server>) -> Self {
        let proxy = Proxy::in_front_of(&direct).await;
        let proxied = proxy.url(&direct);
        let queue = format!("conformance-{}", uuid::Uuid::now_v7().simple());
        Self { proxy, direct, proxied, queue, server }
    }

    fn transport(&self) -> RabbitMq {
        RabbitMq::at(&*self.proxied).max_message(MOST)
    }

    /// A channel that no jasper has.
    async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.direct, ConnectionProperties::default()).await;
        let connection = connection.expect("the broker answers");
        let channel = connection.create_channel().await.expect("the broker answers");
        (connection, channel)
    }

    fn port(&self) -> SocketAddr {
        let (_, place) = self.direct.rsplit_once('@').expect("an address with a user");
        place.parse().expect("an address with numbers")
    }
}

impl Link for Wire {
    fn receive(&self, builder: Builder) -> Builder {
        let address = format!("rabbitmq://queue/{}", self.queue);
        builder.transport(self.transport()).listen(address)
    }

    fn receive_in_memory(&self, builder: Builder) -> Builder {
        let address = format!("rabbitmq://queue/{}?mode=buffered", self.queue);
        builder.transport(self.transport()).listen(address)
    }

    fn send(&self, builder: Builder) -> Builder {
        builder.transport(self.transport())
    }

    fn empty(&self) -> BoxFuture<'_, ()> {
        async {
            let (_connection, channel) = self.channel().await;
            loop {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                let (queue, arguments) = (self.queue.as_str().into(), FieldTable::default());
                let queue = channel.queue_declare(queue, options, arguments).await;
                if queue.expect("the queue is there").message_count() == 0 {
                    return;
                }
                // Real time: a queue gives no word when it is empty.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        .boxed()
    }

    fn found<'a>(&'a self, _receiver: &'a Jasper) -> BoxFuture<'a, ()> {
        async {}.boxed()
    }

    fn address(&self) -> String {
        format!("rabbitmq://queue/{}?order=strict", self.queue)
    }

    fn cut(&self) -> BoxFuture<'_, ()> {
        self.proxy.cut_all();
        async {}.boxed()
    }

    fn too_large(&self) -> usize {
        MOST + 1
    }
}

impl BrokerLink for Wire {
    fn nowhere(&self) -> String {
        "rabbitmq://exchange/amq.topic/nobody.takes.this".to_owned()
    }

    fn receive_otherwise(&self, builder: Builder) -> BoxFuture<'_, (Builder, [&'static str; 2])> {
        async {
            let (_connection, channel) = self.channel().await;
            let (queue, arguments) = (self.queue.as_str().into(), FieldTable::default());
            let declared = channel.queue_declare(queue, QueueDeclareOptions::durable(), arguments);
            declared.await.expect("a new queue");
            // It is classic there, and is to be a quorum queue.
            (self.receive(builder), ["`quorum` here", "at the broker"])
        }
        .boxed()
    }

    fn end_broker(&self) -> BoxFuture<'_, ()> {
        let server = self.server.as_ref().expect("a broker of its own");
        server.stop().boxed()
    }

    fn start_broker(&self) -> BoxFuture<'_, ()> {
        let server = self.server.as_ref().expect("a broker of its own");
        async {
            server.start_again().await;
            self.proxy.lead_to(self.port());
        }
        .boxed()
    }

    fn remove_place(&self) -> BoxFuture<'_, ()> {
        async {
            let (_connection, channel) = self.channel().await;
            let deleted =
                channel.queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default());
            deleted.await.expect("the queue is there");
        }
        .boxed()
    }
}

jasper::transport_conformance!(Shared);
jasper::link_conformance!(Shared);
jasper::durable_conformance!(Shared);
jasper::broker_conformance!(Own);
