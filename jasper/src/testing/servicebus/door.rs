//! The ports of a broker: who comes in by them, and under which protocol.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::administration;
use super::broker_error::BrokerError;
use super::connection;
use super::shared::Shared;

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Amqp,
    Http,
}

/// One port of a broker.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) protocol: Protocol,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) shared: Arc<Shared>,
}

/// Listens on a port of this machine; 0 is any free one.
pub(super) async fn bind(port: u16) -> Result<(TcpListener, SocketAddr), BrokerError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |source| BrokerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The side of TLS that has the certificate.
pub(super) fn acceptor(chain: &[u8], key: &[u8]) -> Result<TlsAcceptor, String> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Lets clients in as long as the broker runs.
pub(super) async fn accept(listener: TcpListener, door: Door) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) if !door.shared.state.lock().refuses_connections => {
                connections.spawn(door.clone().let_in(stream));
            }
            Ok(_) => {}
            // Of one connection only: the next one may be better.
            Err(error) => tracing::debug!(%error, "a connection could not be accepted"),
        }
        while connections.try_join_next().is_some() {}
    }
}

impl Door {
    async fn let_in(self, stream: TcpStream) {
        if let Err(error) = self.serve(stream).await {
            tracing::debug!(%error, "a client was not let in");
        }
    }

    async fn serve(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => {
                let stream = tls.accept(stream).await?;
                self.speak(stream).await;
            }
            None => self.speak(stream).await,
        }
        Ok(())
    }

    async fn speak<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.protocol {
            Protocol::Amqp => connection::serve(stream, self.shared).await,
            Protocol::Http => administration::serve(stream, self.shared).await,
        }
    }
}
