//! Between processes, with nothing in between: TCP, with TLS and shared keys.
//!
//! Addresses are `tcp://host:port` and `durable://host:port`. Both lead to the same listener, each
//! by a connection of its own; they differ in what stands behind a message in the sending process,
//! memory or its store.
//!
//! Within one machine nothing has to be configured. Beyond it, TLS and a proof of who connects are
//! asked for:
//!
//! ```no_run
//! use jasper::transport::tcp::{Peer, SharedKey, Tcp, Tls};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tls = Tls::new().certificate_files("shop.pem", "shop.key")?.roots_file("roots.pem")?;
//! let shipping = SharedKey::from_file("shipping-2026-11", "/run/secrets/shipping")?;
//! let transport = Tcp::new()
//!     .tls(tls)
//!     .identity(SharedKey::from_file("shop-2026-11", "/run/secrets/shop")?)
//!     .peer(Peer::named("shipping").key(shipping));
//! # Ok(())
//! # }
//! ```
//!
//! [`guide::tcp`](crate::guide::tcp) is its page, and
//! [`guide::wire_protocol`](crate::guide::wire_protocol) describes each byte.

mod address;
mod budget;
mod client;
mod counting;
mod descriptors;
pub(crate) mod frame;
mod handshake;
mod held_memory;
mod limits;
mod peer;
mod reader;
mod server;
mod settings;
mod shares;
mod streams;
mod vitals;
mod write_queue;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use self::address::Authority;
use self::client::TcpSender;
use self::settings::{SCHEMES, TcpSettings};
use super::cause::Cause;
use super::{
    Capabilities, Direction, EndpointUri, Listener, Receiver, Sender, Transport, TransportError,
    TransportInfo, TransportRegistration,
};

pub use self::limits::Limits;
pub use self::peer::{KeyError, Peer, SharedKey};
pub use super::tls::{Tls, TlsError};

/// The transport. Each value has connections, limits and listeners of its own.
#[derive(Debug, Default)]
pub struct Tcp {
    settings: TcpSettings,
    used: settings::Used,
}

impl Tcp {
    /// Without TLS, and without keys: what connects within one machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses TLS for all connections.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        self.with(|settings| settings.tls = Some(tls))
    }

    /// Lets this peer connect. From the first one on, no other one may.
    #[must_use]
    pub fn peer(self, peer: Peer) -> Self {
        self.with(|settings| settings.peers.add(peer))
    }

    /// The key by which this process proves who it is when it dials, and by which the other side
    /// has to prove who it is.
    #[must_use]
    pub fn identity(self, key: SharedKey) -> Self {
        self.with(|settings| settings.identity = Some(key))
    }

    /// What peers may use up.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.with(|settings| settings.limits = limits.clamped())
    }

    /// Lets messages travel in the clear between machines, for everyone on the way to read and to
    /// change: only where something else protects the network.
    #[must_use]
    pub fn allow_plaintext_beyond_loopback(self) -> Self {
        self.with(|settings| settings.allow_plaintext = true)
    }

    /// Lets everyone who can reach a listener send everything: only where something else keeps
    /// others away.
    #[must_use]
    pub fn allow_unauthenticated_beyond_loopback(self) -> Self {
        self.with(|settings| settings.allow_unauthenticated = true)
    }

    fn with(mut self, change: impl FnOnce(&mut TcpSettings)) -> Self {
        change(&mut self.settings);
        Self { settings: self.settings, used: settings::Used::default() }
    }
}

impl Transport for Tcp {
    fn info(&self) -> TransportInfo {
        TransportInfo::new("tcp", SCHEMES, Capabilities::NONE.with_requests().with_order())
    }

    fn check(&self, uri: &EndpointUri, direction: Direction) -> Result<(), TransportError> {
        match direction {
            Direction::Send => self.settings.dialler(uri).map(drop),
            Direction::Listen => self.settings.listen_config(uri).map(drop),
        }
    }

    fn sender(&self, uri: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        let connection = self.used.connection(self.settings.dialler(uri)?, uri.address.scheme());
        let patience = self.settings.limits.receipt;
        Ok(Arc::new(TcpSender::new(uri.address.clone(), connection, patience)))
    }

    fn listen(
        &self,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        Box::pin(async move {
            let (authority, tls) = self.settings.listen_config(&uri)?;
            descriptors::check(&self.settings.limits);
            let address = uri.address.to_string();
            let bind = |error: std::io::Error| Cause::of(error).bind(&address);
            let Authority { host, port } = &authority;
            let socket = TcpListener::bind((host.as_str(), *port)).await.map_err(bind)?;
            let port = socket.local_addr().map_err(bind)?.port();
            let bound = Authority { port, ..authority };
            let address = format!("{}://{bound}", uri.address.scheme())
                .parse()
                .map_err(|_error| bind(std::io::ErrorKind::InvalidInput.into()))?;
            let shared = self.used.shared(&self.settings);
            let listening = server::listen(socket, address, shared, tls, receiver);
            Ok(Box::new(listening) as Box<dyn Listener>)
        })
    }
}

inventory::submit! {
    TransportRegistration { make: || Arc::new(Tcp::new()) }
}
