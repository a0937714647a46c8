//! A transport that hands its application what a test gives it.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jasper::envelope::Address;
use jasper::transport::{
    Capabilities, Direction, EndpointUri, Listener, Mode, Receiver, Scheme, Sender, Transport,
    TransportError, TransportInfo,
};

/// Listens at `hand://…`, which stores what comes, and at `memory-hand://…`, which does not.
#[derive(Debug, Clone, Default)]
pub struct Hand(Arc<Mutex<Option<Arc<dyn Receiver>>>>);

impl Hand {
    /// The application's side of the listener.
    ///
    /// # Panics
    /// It does not listen yet.
    pub fn receiver(&self) -> Arc<dyn Receiver> {
        Arc::clone(self.0.lock().unwrap().as_ref().expect("it listens"))
    }
}

impl Transport for Hand {
    fn info(&self) -> TransportInfo {
        const SCHEMES: &[Scheme] = &[
            Scheme { name: "hand", mode: Mode::Durable },
            Scheme { name: "memory-hand", mode: Mode::Buffered },
        ];
        TransportInfo::new("hand", SCHEMES, Capabilities::NONE)
    }

    fn check(&self, _: &EndpointUri, _: Direction) -> Result<(), TransportError> {
        Ok(())
    }

    fn sender(&self, _: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        unreachable!("no endpoint leads here")
    }

    fn listen(
        &self,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        *self.0.lock().unwrap() = Some(receiver);
        let listener: Box<dyn Listener> = Box::new(Open(uri.address));
        async { Ok(listener) }.boxed()
    }
}

#[derive(Debug)]
struct Open(Address);

impl Listener for Open {
    fn address(&self) -> Address {
        self.0.clone()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
