//! The certificate of this process with its key, given as it is or read from two files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
#[cfg(feature = "tcp")]
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::expiry::{Expiry, ExpiryWarning};
use super::pem::{certificates, read, read_secret};
use super::reloaded::Reloaded;
use super::tls_error::TlsError;

/// What is shown to other sides.
pub(super) struct Certificate {
    pair: Reloaded<Pair>,
    warning: ExpiryWarning,
}

#[derive(Clone)]
struct Pair {
    shown: Arc<CertifiedKey>,
    expiry: Option<Expiry>,
}

impl Certificate {
    /// One that stays.
    pub(super) fn of_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let pair = pair(chain, key)?;
        Reloaded::new(Vec::new(), move || Ok(pair.clone())).map(Self::of)
    }

    /// One that is read again where a file has changed.
    pub(super) fn of_files(chain: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = vec![chain.clone(), key.clone()];
        let pair = Reloaded::new(files, move || pair(&read(&chain)?, &read_secret(&key)?));
        pair.map(Self::of)
    }

    fn of(pair: Reloaded<Pair>) -> Self {
        let certificate = Self { pair, warning: ExpiryWarning::default() };
        // For the warning.
        certificate.now();
        certificate
    }

    /// The one to show now; warns where it is about to expire.
    fn now(&self) -> Arc<CertifiedKey> {
        let pair = self.pair.now();
        if let Some(expiry) = pair.expiry {
            self.warning.look_at(expiry, SystemTime::now());
        }
        Arc::clone(&pair.shown)
    }
}

fn pair(chain: &[u8], key: &[u8]) -> Result<Pair, TlsError> {
    let chain = certificates(chain, "certificate chain")?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_error| TlsError::Pem { what: "private key" })?;
    let shown = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| TlsError::Certificate { why: error.to_string() })?;
    Ok(Pair { expiry: Expiry::of(&shown.cert), shown: Arc::new(shown) })
}

#[cfg(feature = "tcp")]
impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ResolvesClientCert for Certificate {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("pair", &self.pair).finish_non_exhaustive()
    }
}

/// Named at each use, so that no provider of the process is needed or changed.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
