//! Certificates, keys and roots for TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "tcp")]
use rustls::ServerConfig;
use rustls::client::Resumption;
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::certificate::{Certificate, provider};
pub use super::tls_error::TlsError;
use super::trust::Trust;

/// A listener of another protocol with the same certificate does not take these connections.
#[cfg(feature = "tcp")]
pub(super) const PROTOCOL: &[u8] = b"jasper";

/// TLS for all connections of a transport: version 1.3, and nothing older unless the transport says
/// so.
///
/// To listen it needs a certificate with its key, to dial it needs roots. Where both are given, the
/// certificate is also shown to a listener that asks for one. `Debug` shows no key.
#[derive(Clone, Default)]
pub struct Tls {
    certificate: Option<Arc<Certificate>>,
    trust: Trust,
    require_client_certificates: bool,
}

impl Tls {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The certificate chain of this process, leaf first, and its private key, as PEM.
    ///
    /// # Errors
    /// One of the two cannot be read ([`TlsError::Pem`]), or they do not belong together
    /// ([`TlsError::Certificate`]).
    pub fn certificate_pem(mut self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        self.certificate = Some(Arc::new(Certificate::of_pem(chain, key)?));
        Ok(self)
    }

    /// As [`certificate_pem`](Self::certificate_pem), from two files.
    ///
    /// Where one of them has changed, new connections show what it holds then. Where the two do not
    /// belong together or cannot be read at that moment, a warning is logged and the certificate
    /// before them is shown until they change again.
    ///
    /// # Errors
    /// As there, or a file cannot be read ([`TlsError::File`]).
    pub fn certificate_files(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let certificate = Certificate::of_files(chain.into(), key.into())?;
        self.certificate = Some(Arc::new(certificate));
        Ok(self)
    }

    /// The certificates by which the other side is judged, as PEM; in addition to those given
    /// before.
    ///
    /// # Errors
    /// They cannot be read ([`TlsError::Pem`]), or one is no root ([`TlsError::Certificate`]).
    pub fn roots_pem(mut self, roots: &[u8]) -> Result<Self, TlsError> {
        self.trust.add_roots(roots)?;
        Ok(self)
    }

    /// As [`roots_pem`](Self::roots_pem), from a file. Where it has changed, new connections are
    /// judged by what it holds then; where that cannot be used, a warning is logged and the roots
    /// before it stay.
    ///
    /// # Errors
    /// As there, or the file cannot be read ([`TlsError::File`]).
    pub fn roots_file(mut self, roots: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.trust.add_roots_file(roots.as_ref().to_owned())?;
        Ok(self)
    }

    /// Certificates that their authorities have revoked, as PEM; in addition to those given before.
    /// A certificate that none of the lists speaks of is judged by the roots alone.
    ///
    /// # Errors
    /// They cannot be read ([`TlsError::Pem`]).
    pub fn revocation_lists_pem(mut self, lists: &[u8]) -> Result<Self, TlsError> {
        self.trust.add_lists(lists)?;
        Ok(self)
    }

    /// As [`revocation_lists_pem`](Self::revocation_lists_pem), from a file. Where it has changed,
    /// new connections are judged by what it holds then, as by [`roots_file`](Self::roots_file).
    ///
    /// # Errors
    /// As there, or the file cannot be read ([`TlsError::File`]).
    pub fn revocation_lists_file(mut self, lists: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.trust.add_lists_file(lists.as_ref().to_owned())?;
        Ok(self)
    }

    /// Takes only connections that show a certificate which the roots vouch for.
    #[must_use]
    pub fn require_client_certificates(mut self) -> Self {
        self.require_client_certificates = true;
        self
    }

    #[cfg(feature = "tcp")]
    pub(super) fn requires_client_certificates(&self) -> bool {
        self.require_client_certificates
    }

    /// For listeners of TCP; `asks` where some peer proves itself by its certificate.
    #[cfg(feature = "tcp")]
    pub(super) fn server(&self, asks: bool) -> Result<Arc<ServerConfig>, String> {
        let no_certificate = "TLS has no certificate to listen with: give it one with \
                              `Tls::certificate_files(…)`";
        let certificate = self.certificate.as_ref().ok_or(no_certificate)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?;
        let builder = if asks || self.require_client_certificates {
            let no_roots = "TLS has no roots to judge the certificates of peers by: give it some \
                            with `Tls::roots_file(…)`";
            if self.trust.is_empty() {
                return Err(no_roots.to_owned());
            }
            let trust = self.trust.of_clients(self.require_client_certificates);
            builder.with_client_cert_verifier(Arc::new(trust.map_err(|error| error.to_string())?))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::clone(certificate) as _);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // A session that is resumed has the certificates of the first: a new or a revoked one would
        // not be looked at. Connections are few and last.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// For senders of TCP.
    #[cfg(feature = "tcp")]
    pub(super) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let mut config = self.dialling()?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }

    /// For who dials, whatever the protocol.
    #[cfg(any(feature = "rabbitmq", feature = "tcp"))]
    pub(super) fn dialling(&self) -> Result<ClientConfig, String> {
        self.dialling_in(&[&rustls::version::TLS13])
    }

    /// For a service that may not speak version 1.3.
    #[cfg(feature = "servicebus")]
    pub(super) fn dialling_since_1_2(&self) -> Result<ClientConfig, String> {
        self.dialling_in(&[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    fn dialling_in(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<ClientConfig, String> {
        let no_roots = "TLS has no roots to judge the other side by: give it some with \
                        `Tls::roots_file(…)`";
        if self.trust.is_empty() {
            return Err(no_roots.to_owned());
        }
        let trust = self.trust.of_servers().map_err(|error| error.to_string())?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            // The verifier of rustls itself, with the roots of now.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let mut config = match &self.certificate {
            Some(certificate) => builder.with_client_cert_resolver(Arc::clone(certificate) as _),
            None => builder.with_no_client_auth(),
        };
        // As for listeners.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate.is_some())
            .field("trust", &self.trust)
            .field("require_client_certificates", &self.require_client_certificates)
            .finish()
    }
}
