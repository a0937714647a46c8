//! Azure Service Bus keeps what every transport has to keep: seen on a real namespace, where
//! `JASPER_TEST_SERVICEBUS` is a connection string that may manage it. Its queues are made by
//! provisioning, and removed at the end of each clause.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::Jasper;
use jasper::runtime::Builder;
use jasper::testing::conformance::transport::{Link, TransportFixture};
use jasper::transport::servicebus::{Declare, Queue, ServiceBus, Tls};
use tests::servicebus::remove_queues;

struct Namespace;

struct Wire {
    connection: String,
    queue: String,
    replies: String,
}

impl TransportFixture for Namespace {
    type Link = Wire;

    async fn open(&self) -> Wire {
        let connection = std::env::var("JASPER_TEST_SERVICEBUS");
        let connection = connection.expect("JASPER_TEST_SERVICEBUS is a connection string");
        let name = |what: &str| format!("jasper-{what}-{}", uuid::Uuid::now_v7().simple());
        Wire { connection, queue: name("conformance"), replies: name("replies") }
    }
}

impl Wire {
    fn is_emulator(&self) -> bool {
        self.connection.contains("UseDevelopmentEmulator=true")
    }

    fn transport(&self) -> ServiceBus {
        let queue = Queue::new(&*self.queue)
            .lock_duration(Duration::from_secs(5))
            .max_delivery_count(1_000);
        let transport = ServiceBus::at(&*self.connection)
            .declare(Declare::Provision)
            .queue(queue)
            .reply_queue(&*self.replies);
        if self.is_emulator() {
            return transport;
        }
        let roots = std::env::var("SSL_CERT_FILE");
        let roots = roots.unwrap_or_else(|_unset| "/etc/ssl/certs/ca-certificates.crt".to_owned());
        transport.tls(Tls::new().roots_file(roots).expect("the roots of the system"))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Where there is an emulator, all is gone with it.
        if !self.is_emulator() {
            remove_queues(&self.connection, &[&self.queue, &self.replies]);
        }
    }
}

impl Link for Wire {
    fn receive(&self, builder: Builder) -> Builder {
        builder.transport(self.transport()).listen(format!("asb://queue/{}", self.queue))
    }

    fn receive_in_memory(&self, builder: Builder) -> Builder {
        let address = format!("asb://queue/{}?mode=buffered", self.queue);
        builder.transport(self.transport()).listen(address)
    }

    fn send(&self, builder: Builder) -> Builder {
        builder.transport(self.transport())
    }

    /// Each clause has a queue of its own, whose messages are handled when it waits for them.
    fn empty(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn found<'a>(&'a self, _receiver: &'a Jasper) -> BoxFuture<'a, ()> {
        async {}.boxed()
    }

    fn address(&self) -> String {
        format!("asb://queue/{}?order=strict", self.queue)
    }

    /// A namespace of the standard tier takes 256 KiB.
    fn large(&self) -> usize {
        200_000
    }

    /// The connections of a real namespace cannot be cut from here, and no clause below asks for
    /// it.
    fn cut(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// `tests/run` leaves them out by this name where there is no namespace.
mod on_a_namespace {
    use super::*;

    jasper::transport_conformance!(Namespace);
}
