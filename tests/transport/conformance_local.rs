//! Local queues keep what every transport has to keep.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::Jasper;
use jasper::runtime::Builder;
use jasper::testing::conformance::transport::{Link, TransportFixture};

/// The applications that send and receive are one.
struct Local;

impl TransportFixture for Local {
    type Link = Self;

    async fn open(&self) -> Self {
        Self
    }
}

impl Link for Local {
    fn is_local(&self) -> bool {
        true
    }

    fn receive(&self, builder: Builder) -> Builder {
        builder
    }

    fn found<'a>(&'a self, _receiver: &'a Jasper) -> BoxFuture<'a, ()> {
        async {}.boxed()
    }

    fn address(&self) -> String {
        "local://conformance".to_owned()
    }

    fn cut(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

jasper::transport_conformance!(Local);
