//! How a [`Tcp`](super::Tcp) is configured, and what is wrong with an address under it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::ServerName;

use super::address::Authority;
use super::client::{Dialler, PeerConnection};
use super::limits::Limits;
use super::peer::{Peers, SharedKey};
use super::server::ServerShared;
use crate::transport::tls::Tls;
use crate::transport::{EndpointUri, Mode, Scheme, TransportError};

pub(super) const SCHEMES: &[Scheme] = &[
    Scheme { name: "tcp", mode: Mode::Buffered },
    Scheme { name: "durable", mode: Mode::Durable },
];

/// The only option of this transport.
const SERVER_NAME: &str = "server_name";

#[derive(Debug, Clone, Default)]
pub(super) struct TcpSettings {
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) peers: Peers,
    pub(super) identity: Option<SharedKey>,
    pub(super) allow_plaintext: bool,
    pub(super) allow_unauthenticated: bool,
}

impl TcpSettings {
    /// How to dial this address.
    pub(super) fn dialler(&self, uri: &EndpointUri) -> Result<Dialler, TransportError> {
        let authority = authority(uri)?;
        known_options(uri, &[SERVER_NAME])?;
        if authority.port == 0 {
            return Err(unusable(uri, "port 0 is for listening: name the port to dial"));
        }
        let server_name = uri.options.get(SERVER_NAME);
        let Some(tls) = &self.tls else {
            if server_name.is_some() {
                return Err(unusable(
                    uri,
                    "`server_name` is for TLS: give the transport `.tls(…)`",
                ));
            }
            self.plaintext(uri, &authority)?;
            return Ok(self.dialler_of(authority, None));
        };
        let config = tls.client().map_err(|why| unusable(uri, why))?;
        let name = server_name.unwrap_or(&authority.host);
        let name = ServerName::try_from(name.clone()).map_err(|_error| {
            unusable(uri, format!("`{name}` can be the name of no certificate"))
        })?;
        Ok(self.dialler_of(authority, Some((config, name))))
    }

    fn dialler_of(
        &self,
        authority: Authority,
        tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    ) -> Dialler {
        let (limits, identity) = (self.limits, self.identity.clone());
        Dialler { authority, limits, identity, tls }
    }

    /// Where and how to listen.
    pub(super) fn listen_config(
        &self,
        uri: &EndpointUri,
    ) -> Result<(Authority, Option<Arc<ServerConfig>>), TransportError> {
        let authority = authority(uri)?;
        known_options(uri, &[])?;
        if let Some(why) = self.peers.problem() {
            return Err(unusable(uri, why));
        }
        let asks = self.peers.any_has_certificate();
        let config = self
            .tls
            .as_ref()
            .map(|tls| tls.server(asks))
            .transpose()
            .map_err(|why| unusable(uri, why))?;
        if config.is_none() {
            if asks {
                let why = "a peer proves itself by a certificate, which takes TLS: give the \
                           transport `.tls(…)`";
                return Err(unusable(uri, why));
            }
            self.plaintext(uri, &authority)?;
        }
        let are_certified = self.tls.as_ref().is_some_and(Tls::requires_client_certificates);
        let is_open = self.peers.is_empty() && !are_certified;
        if is_open && !authority.is_loopback() && !self.allow_unauthenticated {
            return Err(insecure(
                uri,
                "everyone who reaches it could send to it: say who may with \
                 `.peer(Peer::named(…).key(…))`, or, where something else keeps others away, \
                 `.allow_unauthenticated_beyond_loopback()`",
            ));
        }
        Ok((authority, config))
    }

    fn plaintext(&self, uri: &EndpointUri, authority: &Authority) -> Result<(), TransportError> {
        if authority.is_loopback() || self.allow_plaintext {
            return Ok(());
        }
        Err(insecure(
            uri,
            "messages would leave this machine in the clear: give the transport `.tls(…)`, or, \
             where something else protects the network, `.allow_plaintext_beyond_loopback()`",
        ))
    }
}

fn authority(uri: &EndpointUri) -> Result<Authority, TransportError> {
    let scheme = uri.address.scheme();
    if !SCHEMES.iter().any(|known| known.name == scheme) {
        return Err(unusable(uri, "this transport has the schemes `tcp` and `durable`"));
    }
    Authority::of(&uri.address)
}

fn known_options(uri: &EndpointUri, known: &[&str]) -> Result<(), TransportError> {
    let Some(unknown) = uri.options.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let known = match known {
        [] => "to listen it has none".to_owned(),
        known => format!("it has `{}`", known.join("`, `")),
    };
    Err(unusable(uri, format!("the TCP transport has no option `{unknown}`: {known}")))
}

fn unusable(uri: &EndpointUri, why: impl Into<String>) -> TransportError {
    TransportError::Address { address: uri.to_string(), why: why.into() }
}

fn insecure(uri: &EndpointUri, why: &str) -> TransportError {
    TransportError::Insecure { address: uri.to_string(), why: why.to_owned() }
}

/// A place, the name that its certificate is to have, and the scheme: what is sent from memory does
/// not fill the window of what is stored.
type ConnectionKey = (Authority, Option<String>, String);

/// What the transport has opened so far, under settings that do not change any more.
#[derive(Debug, Default)]
pub(super) struct Used {
    connections: Mutex<HashMap<ConnectionKey, Arc<PeerConnection>>>,
    shared: OnceLock<Arc<ServerShared>>,
}

impl Used {
    /// The one connection to this place for addresses of this scheme.
    pub(super) fn connection(&self, dialler: Dialler, scheme: &str) -> Arc<PeerConnection> {
        let name = dialler.tls.as_ref().map(|(_config, name)| name.to_str().into_owned());
        let place = (dialler.authority.clone(), name, scheme.to_owned());
        let mut connections = self.connections.lock();
        Arc::clone(connections.entry(place).or_insert_with(|| PeerConnection::new(dialler)))
    }

    /// What all listeners share.
    pub(super) fn shared(&self, settings: &TcpSettings) -> Arc<ServerShared> {
        let new = || ServerShared::new(settings.limits, settings.peers.clone());
        Arc::clone(self.shared.get_or_init(new))
    }
}
