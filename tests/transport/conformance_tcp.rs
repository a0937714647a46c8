//! TCP keeps what every transport has to keep, fire and forget as well as durable.

use std::net::SocketAddr;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::Jasper;
use jasper::runtime::Builder;
use jasper::testing::conformance::transport::{Link, TransportFixture};
use tests::proxy::Proxy;

/// Links by TCP with addresses of this scheme.
struct Tcp {
    scheme: &'static str,
}

/// A proxy lies between the two, so that connections can be cut and the receiver found anew.
struct Wire {
    scheme: &'static str,
    proxy: Proxy,
}

impl TransportFixture for Tcp {
    type Link = Wire;

    async fn open(&self) -> Wire {
        let nowhere: SocketAddr = ([127, 0, 0, 1], 1).into();
        Wire { scheme: self.scheme, proxy: Proxy::start(nowhere).await }
    }
}

impl Link for Wire {
    fn receive(&self, builder: Builder) -> Builder {
        builder.listen(format!("{}://127.0.0.1:0", self.scheme))
    }

    fn receive_in_memory(&self, builder: Builder) -> Builder {
        builder.listen("tcp://127.0.0.1:0")
    }

    fn found<'a>(&'a self, receiver: &'a Jasper) -> BoxFuture<'a, ()> {
        let address = receiver.addresses()[0].rest().parse();
        self.proxy.lead_to(address.expect("a listener's address has numbers"));
        async {}.boxed()
    }

    fn address(&self) -> String {
        format!("{}://{}?order=strict", self.scheme, self.proxy.addr())
    }

    fn cut(&self) -> BoxFuture<'_, ()> {
        self.proxy.cut_all();
        async {}.boxed()
    }
}

mod tcp {
    use super::*;

    jasper::transport_conformance!(Tcp { scheme: "tcp" });
    jasper::link_conformance!(Tcp { scheme: "tcp" });
}

mod durable {
    use super::*;

    jasper::transport_conformance!(Tcp { scheme: "durable" });
    jasper::link_conformance!(Tcp { scheme: "durable" });
    jasper::durable_conformance!(Tcp { scheme: "durable" });
}
