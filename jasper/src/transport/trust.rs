//! By what the other side is judged: roots and revocation lists, given as they are or in files.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "tcp")]
use rustls::DistinguishedName;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
#[cfg(feature = "tcp")]
use rustls::server::WebPkiClientVerifier;
#[cfg(feature = "tcp")]
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::provider;
use super::pem::{certificates, read, some};
use super::reloaded::Reloaded;
use super::tls_error::TlsError;

/// Roots and revocation lists. Files are read again where they have changed.
#[derive(Clone, Default)]
pub(super) struct Trust {
    roots: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    root_files: Vec<PathBuf>,
    list_files: Vec<PathBuf>,
}

impl Trust {
    pub(super) fn add_roots(&mut self, pem: &[u8]) -> Result<(), TlsError> {
        let roots = roots_of(pem)?;
        store_of(roots.clone())?;
        self.roots.extend(roots);
        Ok(())
    }

    pub(super) fn add_roots_file(&mut self, file: PathBuf) -> Result<(), TlsError> {
        store_of(roots_of(&read(&file)?)?)?;
        self.root_files.push(file);
        Ok(())
    }

    pub(super) fn add_lists(&mut self, pem: &[u8]) -> Result<(), TlsError> {
        self.lists.extend(lists_of(pem)?);
        Ok(())
    }

    pub(super) fn add_lists_file(&mut self, file: PathBuf) -> Result<(), TlsError> {
        lists_of(&read(&file)?)?;
        self.list_files.push(file);
        Ok(())
    }

    /// Whether it has roots, by which alone a certificate can be judged.
    pub(super) const fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.root_files.is_empty()
    }

    /// For a side that dials.
    pub(super) fn of_servers(&self) -> Result<ServerTrust, TlsError> {
        self.reloaded(|roots, lists| {
            WebPkiServerVerifier::builder_with_provider(roots, provider())
                .with_crls(lists)
                .allow_unknown_revocation_status()
                .build()
        })
        .map(ServerTrust)
    }

    /// For a listener. Where certificates are not `required`, a client may show none.
    #[cfg(feature = "tcp")]
    pub(super) fn of_clients(&self, required: bool) -> Result<ClientTrust, TlsError> {
        let verifier = self.reloaded(move |roots, lists| {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .with_crls(lists)
                .allow_unknown_revocation_status();
            if required { verifier } else { verifier.allow_unauthenticated() }.build()
        })?;
        Ok(ClientTrust { verifier, required })
    }

    fn reloaded<V, E: fmt::Display>(
        &self,
        verifier: impl Fn(
            Arc<RootCertStore>,
            Vec<CertificateRevocationListDer<'static>>,
        ) -> Result<V, E>
        + Send
        + Sync
        + 'static,
    ) -> Result<Reloaded<V>, TlsError> {
        let files = self.root_files.iter().chain(&self.list_files).cloned().collect();
        let trust = self.clone();
        Reloaded::new(files, move || {
            let (roots, lists) = trust.read()?;
            verifier(Arc::new(roots), lists)
                .map_err(|error| TlsError::Certificate { why: error.to_string() })
        })
    }

    /// All that is given and that the files hold now.
    fn read(
        &self,
    ) -> Result<(RootCertStore, Vec<CertificateRevocationListDer<'static>>), TlsError> {
        let (mut roots, mut lists) = (self.roots.clone(), self.lists.clone());
        for file in &self.root_files {
            roots.extend(roots_of(&read(file)?)?);
        }
        for file in &self.list_files {
            lists.extend(lists_of(&read(file)?)?);
        }
        Ok((store_of(roots)?, lists))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots.len())
            .field("root_files", &self.root_files)
            .field("lists", &self.lists.len())
            .field("list_files", &self.list_files)
            .finish()
    }
}

fn roots_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(pem, "root certificate")
}

fn lists_of(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let found = CertificateRevocationListDer::pem_slice_iter(pem);
    some(found.collect(), "certificate revocation list")
}

fn store_of(roots: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).map_err(|error| TlsError::Certificate { why: error.to_string() })?;
    }
    Ok(store)
}

/// Judges listeners.
#[derive(Debug)]
pub(super) struct ServerTrust(Reloaded<Arc<WebPkiServerVerifier>>);

impl ServerCertVerifier for ServerTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = self.0.now();
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.now().verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.now().verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.now().supported_verify_schemes()
    }
}

/// Judges who dials.
#[cfg(feature = "tcp")]
#[derive(Debug)]
pub(super) struct ClientTrust {
    verifier: Reloaded<Arc<dyn ClientCertVerifier>>,
    required: bool,
}

#[cfg(feature = "tcp")]
impl ClientCertVerifier for ClientTrust {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    /// None: those of a file may change, and a client has one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier.now().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.now().verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.now().verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.now().supported_verify_schemes()
    }
}
