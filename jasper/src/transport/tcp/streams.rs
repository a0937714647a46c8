//! The two halves of a connection, in the clear or under TLS.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::transport::tls::PROTOCOL;

/// The label under which TLS derives what binds a proof to its session.
const EXPORTER: &[u8] = b"EXPORTER-jasper-tcp";

/// What TLS derives for one session, the same at both ends and nowhere else.
pub(super) type Binding = [u8; 32];

pub(super) type Reading = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writing = Box<dyn AsyncWrite + Send + Unpin>;

/// An open connection of which the sides do not know each other yet.
pub(super) struct Halves {
    pub(super) reading: Reading,
    pub(super) writing: Writing,
    /// What belongs to the session of TLS alone; `None` in the clear.
    pub(super) binding: Option<Binding>,
    /// What the other side has shown; judged by the roots already.
    pub(super) certificate: Option<CertificateDer<'static>>,
}

impl Halves {
    /// The side that accepted it.
    pub(super) async fn accepted(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let Some(config) = tls else {
            return Ok(Self::in_the_clear(stream));
        };
        let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
        let (_tcp, session) = stream.get_ref();
        speaks_jasper(session.alpn_protocol())?;
        let binding = session.export_keying_material(Binding::default(), EXPORTER, None);
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|certificate| certificate.clone().into_owned());
        Self::under_tls(stream, binding, certificate)
    }

    /// The side that dialled.
    pub(super) async fn connected(
        stream: TcpStream,
        tls: Option<(&Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let Some((config, name)) = tls else {
            return Ok(Self::in_the_clear(stream));
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        let (_tcp, session) = stream.get_ref();
        speaks_jasper(session.alpn_protocol())?;
        let binding = session.export_keying_material(Binding::default(), EXPORTER, None);
        Self::under_tls(stream, binding, None)
    }

    fn in_the_clear(stream: TcpStream) -> Self {
        let (reading, writing) = stream.into_split();
        Self {
            reading: Box::new(reading),
            writing: Box::new(writing),
            binding: None,
            certificate: None,
        }
    }

    fn under_tls(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        binding: Result<Binding, rustls::Error>,
        certificate: Option<CertificateDer<'static>>,
    ) -> io::Result<Self> {
        let binding = binding.map_err(io::Error::other)?;
        let (reading, writing) = tokio::io::split(stream);
        Ok(Self {
            reading: Box::new(reading),
            writing: Box::new(writing),
            binding: Some(binding),
            certificate,
        })
    }
}

impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halves").field("tls", &self.binding.is_some()).finish_non_exhaustive()
    }
}

/// A side that names no protocol at all would be taken by TLS.
fn speaks_jasper(protocol: Option<&[u8]>) -> io::Result<()> {
    if protocol == Some(PROTOCOL) {
        return Ok(());
    }
    Err(io::Error::other(rustls::Error::NoApplicationProtocol))
}

/// What TLS has against the other side, or the other side against this one.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
