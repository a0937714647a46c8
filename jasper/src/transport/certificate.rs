//! The certificate of this process with its key, given as it is or read from two files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
#[cfg(feature = "tcp")]
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::pem::{Stamp, certificates, read, read_secret};
use super::tls_error::TlsError;

/// What is shown to other sides.
pub(super) struct Certificate {
    files: Option<Files>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

struct Current {
    pair: Arc<CertifiedKey>,
    /// Of the files when they were last read, whether they could be used or not.
    stamps: Option<[Stamp; 2]>,
}

impl Certificate {
    /// One that stays.
    pub(super) fn of_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let current = Current { pair: Arc::new(pair(chain, key)?), stamps: None };
        Ok(Self { files: None, current: Mutex::new(current) })
    }

    /// One that is read again where a file has changed.
    pub(super) fn of_files(chain: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = Files { chain, key };
        let stamps = files.stamps();
        let current = Current { pair: Arc::new(files.read()?), stamps };
        Ok(Self { files: Some(files), current: Mutex::new(current) })
    }

    /// The one to show now. Where the files have changed and cannot be used, the one before stays.
    fn now(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock();
        if let Some(files) = &self.files
            && let stamps = files.stamps()
            && stamps.is_some()
            && stamps != current.stamps
        {
            current.stamps = stamps;
            match files.read() {
                Ok(pair) => current.pair = Arc::new(pair),
                Err(error) => tracing::warn!(
                    chain = %files.chain.display(), %error,
                    "a certificate that has changed cannot be used; the one before it stays",
                ),
            }
        }
        Arc::clone(&current.pair)
    }
}

impl Files {
    fn stamps(&self) -> Option<[Stamp; 2]> {
        Some([Stamp::of(&self.chain)?, Stamp::of(&self.key)?])
    }

    fn read(&self) -> Result<CertifiedKey, TlsError> {
        pair(&read(&self.chain)?, &read_secret(&self.key)?)
    }
}

fn pair(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(chain, "certificate chain")?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_error| TlsError::Pem { what: "private key" })?;
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| TlsError::Certificate { why: error.to_string() })
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
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Named at each use, so that no provider of the process is needed or changed.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
