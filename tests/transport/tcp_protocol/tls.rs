//! TLS: certificates of both sides, and proofs that hold in one session only.

use std::sync::Arc;

use jasper::transport::tcp::{Peer, SharedKey, Tcp, Tls};
use jasper::transport::{Receipt, Sender, Transport, TransportError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::raw::place_of;
use crate::receiver::{TestReceiver, envelope, listen, send, within};

/// An authority and the certificates that it gives out.
pub struct Authority {
    pub root: String,
    pub issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // A revocation list is looked up by the name of its issuer.
        let name = uuid::Uuid::now_v7().to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        Self { root, issuer: Issuer::new(params, key) }
    }

    /// A chain and a key for this name, as PEM.
    pub fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub fn tls(&self, name: &str) -> Tls {
        let (chain, key) = self.certificate(name);
        let tls = Tls::new().certificate_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        tls.roots_pem(self.root.as_bytes()).unwrap()
    }

    /// A side of another program that listens, with a certificate for `jasper.test`.
    pub fn foreign_server(&self) -> rustls::ServerConfig {
        let (chain, private) = self.certificate("jasper.test");
        rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(private.as_bytes()).unwrap(),
            )
            .unwrap()
    }

    /// A side of another program that dials.
    pub fn foreign_client(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap()).unwrap();
        rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub fn roots(&self) -> Tls {
        Tls::new().roots_pem(self.root.as_bytes()).unwrap()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn key() -> SharedKey {
    SharedKey::new("2026", [7; 32]).unwrap()
}

/// A sender that expects this name in the certificate.
pub fn sender(client: &Tcp, place: &str, name: &str) -> Arc<dyn Sender> {
    client.sender(&format!("tcp://{place}?server_name={name}").parse().unwrap()).unwrap()
}

pub async fn sent(client: &Tcp, place: &str, name: &str) -> Result<Vec<Receipt>, TransportError> {
    send(&sender(client, place, name), vec![envelope("take", "x")]).await
}

#[track_caller]
pub fn rejected(result: Result<Vec<Receipt>, TransportError>, expected: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, TransportError::Rejected { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
    let is_of_tls = expected == "TLS failed";
    assert_eq!(std::error::Error::source(&error).is_some(), is_of_tls, "{error:?}");
}

#[tokio::test]
async fn messages_travel_under_tls_with_and_without_a_shared_key() {
    let authority = Authority::new();
    let with_key = Tcp::new().tls(authority.tls("jasper.test")).peer(Peer::named("a").key(key()));
    let servers = [(Tcp::new().tls(authority.tls("jasper.test")), None), (with_key, Some("a"))];
    for (server, name) in servers {
        let receiver = TestReceiver::new();
        let listener = listen(&server, &receiver).await;
        let client = Tcp::new().tls(authority.roots());
        let client = if name.is_some() { client.identity(key()) } else { client };
        let sender = sender(&client, &place_of(&*listener), "jasper.test");
        let sent: Vec<_> = (0..50_u8).map(|n| envelope("take", vec![n; 20_000])).collect();
        let payloads: Vec<_> = sent.iter().map(|envelope| envelope.payload.clone()).collect();
        assert_eq!(send(&sender, sent).await.unwrap(), vec![Receipt::Accepted; 50]);
        assert_eq!(receiver.payloads(), payloads);
        assert_eq!(receiver.seen()[0].peer.as_deref(), name);
        within(listener.stop()).await;
    }
}

#[tokio::test]
async fn the_host_of_the_address_is_the_name_that_is_expected() {
    let authority = Authority::new();
    let receiver = TestReceiver::new();
    let listener = listen(&Tcp::new().tls(authority.tls("127.0.0.1")), &receiver).await;
    let client = Tcp::new().tls(authority.roots());
    let sender = client.sender(&listener.address().as_str().parse().unwrap()).unwrap();
    assert!(send(&sender, vec![envelope("take", "")]).await.is_ok());
    rejected(sent(&client, &place_of(&*listener), "other.test").await, "TLS failed");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let receiver = TestReceiver::new();
    let listener = listen(&Tcp::new().tls(theirs.tls("jasper.test")), &receiver).await;
    let client = Tcp::new().tls(ours.roots());
    rejected(sent(&client, &place_of(&*listener), "jasper.test").await, "TLS failed");
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_peer_is_known_by_its_certificate() {
    let authority = Authority::new();
    let server = Tcp::new()
        .tls(authority.tls("jasper.test"))
        .peer(Peer::named("shop").certificate("shop.test"))
        .peer(Peer::named("billing").certificate("billing.test").key(key()));
    let receiver = TestReceiver::new();
    let listener = listen(&server, &receiver).await;
    let place = place_of(&*listener);
    let shop = Tcp::new().tls(authority.tls("shop.test"));
    sent(&shop, &place, "jasper.test").await.unwrap();
    let billing = Tcp::new().tls(authority.tls("billing.test"));
    sent(&billing.identity(key()), &place, "jasper.test").await.unwrap();
    let seen: Vec<_> = receiver.seen().into_iter().map(|seen| seen.peer.unwrap()).collect();
    assert_eq!(seen, ["shop", "billing"]);

    let other = Tcp::new().tls(authority.tls("other.test"));
    rejected(sent(&other, &place, "jasper.test").await, "known peers only");
    let none = Tcp::new().tls(authority.roots());
    rejected(sent(&none, &place, "jasper.test").await, "known peers only");
    let half = Tcp::new().tls(authority.tls("billing.test"));
    rejected(sent(&half, &place, "jasper.test").await, "known peers only");
    let half = Tcp::new().tls(authority.tls("shop.test")).identity(key());
    rejected(sent(&half, &place, "jasper.test").await, "not that of a peer");
    let foreign = Tcp::new()
        .tls(Authority::new().tls("shop.test").roots_pem(authority.root.as_bytes()).unwrap());
    rejected(sent(&foreign, &place, "jasper.test").await, "TLS failed");
    assert_eq!(receiver.seen().len(), 2);
}

#[tokio::test]
async fn a_certificate_may_be_required_of_everyone() {
    let authority = Authority::new();
    let tls = authority.tls("jasper.test").require_client_certificates();
    let server = Tcp::new().tls(tls);
    assert!(
        server
            .check(&"tcp://0.0.0.0:1".parse().unwrap(), jasper::transport::Direction::Listen)
            .is_ok()
    );
    let receiver = TestReceiver::new();
    let listener = listen(&server, &receiver).await;
    let place = place_of(&*listener);
    let certified = Tcp::new().tls(authority.tls("anything.test"));
    sent(&certified, &place, "jasper.test").await.unwrap();
    let none = Tcp::new().tls(authority.roots());
    rejected(sent(&none, &place, "jasper.test").await, "TLS failed");
}

#[tokio::test]
async fn two_sides_of_which_one_has_no_tls_get_an_error_that_says_so() {
    let authority = Authority::new();
    let receiver = TestReceiver::new();
    let secure = listen(&Tcp::new().tls(authority.tls("jasper.test")), &receiver).await;
    let plain = Tcp::new().sender(&secure.address().as_str().parse().unwrap()).unwrap();
    let error = send(&plain, Vec::new()).await;
    rejected(error, "speaks TLS, and this side has none");
    let open = listen(&Tcp::new(), &receiver).await;
    let client = Tcp::new().tls(authority.roots());
    rejected(sent(&client, &place_of(&*open), "jasper.test").await, "TLS failed");
}

/// A proxy in between, whose certificate the client trusts, passes on every byte of the protocol
/// between two sessions of TLS.
#[tokio::test]
async fn a_proof_that_is_relayed_through_another_session_is_refused() {
    let authority = Authority::new();
    let receiver = TestReceiver::new();
    let server = Tcp::new().tls(authority.tls("jasper.test")).peer(Peer::named("a").key(key()));
    let listener = listen(&server, &receiver).await;
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = between.local_addr().unwrap().to_string();
    let client = Tcp::new().tls(authority.roots()).identity(key());

    let (mut near, mut far) = (authority.foreign_server(), authority.foreign_client());
    (near.alpn_protocols, far.alpn_protocols) =
        (vec![b"jasper".to_vec()], vec![b"jasper".to_vec()]);
    let relaying = async {
        let (stream, _from) = within(between.accept()).await.unwrap();
        let mut near = TlsAcceptor::from(Arc::new(near)).accept(stream).await.unwrap();
        let stream = TcpStream::connect(place_of(&*listener)).await.unwrap();
        let name = ServerName::try_from("jasper.test").unwrap();
        let mut far = TlsConnector::from(Arc::new(far)).connect(name, stream).await.unwrap();
        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    };
    let (result, ()) = tokio::join!(sent(&client, &place, "jasper.test"), relaying);
    rejected(result, "not that of a peer");
    assert!(receiver.seen().is_empty());
}

#[test]
fn certificates_that_cannot_be_used_are_refused_in_words() {
    let authority = Authority::new();
    let (chain, key) = authority.certificate("a.test");
    let (_other_chain, other_key) = authority.certificate("a.test");
    let problem = |chain: &str, key: &str| {
        Tls::new().certificate_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string()
    };
    assert!(problem("", &key).contains("no certificate chain"));
    assert!(problem(&chain, "").contains("no private key"));
    assert!(problem(&chain, &other_key).contains("cannot be used"));
    let missing = Tls::new().roots_file("/nowhere/roots.pem").unwrap_err().to_string();
    assert!(missing.contains("/nowhere/roots.pem"), "{missing}");
    let shown = format!("{:?}", authority.tls("a.test"));
    assert_eq!(
        shown,
        "Tls { certificate: true, trust: Trust { roots: 1, root_files: [], lists: 0, \
                 list_files: [] }, require_client_certificates: false }"
    );
}
