//! Certificates, keys and roots for TLS.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "tcp")]
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
#[cfg(feature = "tcp")]
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// A listener of another protocol with the same certificate does not take these connections.
#[cfg(feature = "tcp")]
const PROTOCOL: &[u8] = b"jasper";

/// TLS for all connections of a transport: version 1.3, and nothing older unless the transport says
/// so.
///
/// To listen it needs a certificate with its key, to dial it needs roots. Where both are given, the
/// certificate is also shown to a listener that asks for one. `Debug` shows no key.
#[derive(Clone, Default)]
pub struct Tls {
    certificate: Option<Arc<CertifiedKey>>,
    roots: Option<Arc<RootCertStore>>,
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
        let chain = certificates(chain, "certificate chain")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_error| TlsError::Pem { what: "private key" })?;
        let pair = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| TlsError::Certificate { why: error.to_string() })?;
        self.certificate = Some(Arc::new(pair));
        Ok(self)
    }

    /// As [`certificate_pem`](Self::certificate_pem), from two files. They are read once.
    ///
    /// # Errors
    /// As there, or a file cannot be read ([`TlsError::File`]).
    pub fn certificate_files(
        self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        self.certificate_pem(&read(chain.as_ref())?, &read(key.as_ref())?)
    }

    /// The certificates by which the other side is judged, as PEM; in addition to those given
    /// before.
    ///
    /// # Errors
    /// They cannot be read ([`TlsError::Pem`]), or one is no root ([`TlsError::Certificate`]).
    pub fn roots_pem(mut self, roots: &[u8]) -> Result<Self, TlsError> {
        let mut all = self.roots.as_deref().cloned().unwrap_or_else(RootCertStore::empty);
        for root in certificates(roots, "root certificate")? {
            all.add(root).map_err(|error| TlsError::Certificate { why: error.to_string() })?;
        }
        self.roots = Some(Arc::new(all));
        Ok(self)
    }

    /// As [`roots_pem`](Self::roots_pem), from a file. It is read once.
    ///
    /// # Errors
    /// As there, or the file cannot be read ([`TlsError::File`]).
    pub fn roots_file(self, roots: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.roots_pem(&read(roots.as_ref())?)
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
        let pair = self.certificate.as_ref().ok_or(no_certificate)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?;
        let builder = if asks || self.require_client_certificates {
            let no_roots = "TLS has no roots to judge the certificates of peers by: give it some \
                            with `Tls::roots_file(…)`";
            let roots = Arc::clone(self.roots.as_ref().ok_or(no_roots)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier = if self.require_client_certificates {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(resolver(pair));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
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
        let roots = Arc::clone(self.roots.as_ref().ok_or(no_roots)?);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        Ok(match &self.certificate {
            Some(pair) => builder.with_client_cert_resolver(resolver(pair)),
            None => builder.with_no_client_auth(),
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate.is_some())
            .field("roots", &self.roots.as_ref().map_or(0, |roots| roots.len()))
            .field("require_client_certificates", &self.require_client_certificates)
            .finish()
    }
}

/// TLS cannot be used as it is configured. No text quotes a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is no PEM section of the kind that is wanted.
    #[error("there is no {what} in PEM")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// A certificate or a key is not usable.
    #[error("the certificate or its key cannot be used: {why}")]
    Certificate {
        /// What is wrong.
        why: String,
    },
}

/// Named at each use, so that no provider of the process is needed or changed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn resolver(pair: &CertifiedKey) -> Arc<SingleCertAndKey> {
    Arc::new(SingleCertAndKey::from(pair.clone()))
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Pem { what }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path)
        .map_err(|error| TlsError::File { path: path.to_owned(), why: error.to_string() })
}
