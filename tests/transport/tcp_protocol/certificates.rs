//! Certificates that change, that are revoked, and that are for another protocol.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jasper::transport::tcp::{Peer, SharedKey, Tcp, Tls};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, KeyIdMethod, KeyPair, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tests::log::Log;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::Level;

use crate::raw::{Raw, place_of};
use crate::receiver::{TestReceiver, envelope, listen, send, within};
use crate::tls::{Authority, rejected, sender, sent};

/// Two files that are replaced, each as a whole.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new((chain, key): &(String, String)) -> Self {
        let files = Self { folder: TempDir::new().unwrap() };
        files.replace("chain.pem", chain);
        files.replace("key.pem", key);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replace(&self, name: &str, content: &str) {
        let new = self.path("new");
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn tls(&self) -> Tls {
        Tls::new().certificate_files(self.path("chain.pem"), self.path("key.pem")).unwrap()
    }
}

#[tokio::test]
async fn a_listener_shows_the_certificate_that_its_files_hold_now() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = Files::new(&old.certificate("jasper.test"));
    let listener = listen(&Tcp::new().tls(files.tls()), &TestReceiver::new()).await;
    let place = place_of(&*listener);
    let client = |authority: &Authority| Tcp::new().tls(authority.roots());
    sent(&client(&old), &place, "jasper.test").await.unwrap();
    rejected(sent(&client(&new), &place, "jasper.test").await, "TLS failed");
    let (chain, key) = new.certificate("jasper.test");
    files.replace("chain.pem", &chain);
    files.replace("key.pem", &key);
    sent(&client(&new), &place, "jasper.test").await.unwrap();
    rejected(sent(&client(&old), &place, "jasper.test").await, "TLS failed");
}

#[tokio::test]
async fn a_sender_shows_the_certificate_that_its_files_hold_now() {
    let authority = Authority::new();
    let server = Tcp::new().tls(authority.tls("jasper.test"));
    let server = server.peer(Peer::named("shop").certificate("shop.test"));
    let receiver = TestReceiver::new();
    let listener = listen(&server, &receiver).await;
    let place = place_of(&*listener);
    let files = Files::new(&authority.certificate("other.test"));
    let tls = files.tls().roots_pem(authority.root.as_bytes()).unwrap();
    let client = Tcp::new().tls(tls);
    rejected(sent(&client, &place, "jasper.test").await, "known peers only");
    let (chain, key) = authority.certificate("shop.test");
    files.replace("chain.pem", &chain);
    files.replace("key.pem", &key);
    sent(&client, &place, "jasper.test").await.unwrap();
    assert_eq!(receiver.seen()[0].peer.as_deref(), Some("shop"));
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_certificate_before_them() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
    let authority = Authority::new();
    let files = Files::new(&authority.certificate("jasper.test"));
    let listener = listen(&Tcp::new().tls(files.tls()), &TestReceiver::new()).await;
    let place = place_of(&*listener);
    for content in ["nonsense", "", &authority.certificate("jasper.test").1] {
        files.replace("key.pem", content);
        sent(&Tcp::new().tls(authority.roots()), &place, "jasper.test").await.unwrap();
        sent(&Tcp::new().tls(authority.roots()), &place, "jasper.test").await.unwrap();
    }
    fs::remove_file(files.path("key.pem")).unwrap();
    sent(&Tcp::new().tls(authority.roots()), &place, "jasper.test").await.unwrap();
    let said = log.text();
    assert_eq!(said.matches("what it held before stays").count(), 3, "{said}");
    assert!(!said.contains("nonsense"), "{said}");
}

impl Authority {
    /// A certificate with this number, and the list that revokes it.
    fn revoked(&self, name: &str, number: u64) -> ((String, String), String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(number));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(number),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        ((certificate.pem(), key.serialize_pem()), list)
    }
}

fn tls_of((chain, key): &(String, String), authority: &Authority) -> Tls {
    let tls = Tls::new().certificate_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    tls.roots_pem(authority.root.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_certificate_that_is_revoked_is_refused_on_either_side() {
    let authority = Authority::new();
    let (revoked, list) = authority.revoked("jasper.test", 7);
    let (good, _other_list) = authority.revoked("jasper.test", 8);
    let receiver = TestReceiver::new();

    let strict = tls_of(&good, &authority).revocation_lists_pem(list.as_bytes()).unwrap();
    let server = Tcp::new().tls(strict.require_client_certificates());
    let listener = listen(&server, &receiver).await;
    let place = place_of(&*listener);
    sent(&Tcp::new().tls(tls_of(&good, &authority)), &place, "jasper.test").await.unwrap();
    sent(&Tcp::new().tls(tls_of(&revoked, &authority)), &place, "jasper.test").await.unwrap_err();
    assert_eq!(receiver.seen().len(), 1);

    let listener = listen(&Tcp::new().tls(tls_of(&revoked, &authority)), &receiver).await;
    let place = place_of(&*listener);
    let client = authority.roots().revocation_lists_pem(list.as_bytes()).unwrap();
    rejected(sent(&Tcp::new().tls(client), &place, "jasper.test").await, "TLS failed");
    sent(&Tcp::new().tls(authority.roots()), &place, "jasper.test").await.unwrap();

    let unknown = Authority::new();
    let (of_other, _list) = unknown.revoked("jasper.test", 7);
    let listener = listen(&Tcp::new().tls(tls_of(&of_other, &unknown)), &receiver).await;
    let client = unknown.roots().revocation_lists_pem(list.as_bytes()).unwrap();
    sent(&Tcp::new().tls(client), &place_of(&*listener), "jasper.test").await.unwrap();
    assert!(Tls::new().revocation_lists_pem(b"nonsense").is_err());
}

#[tokio::test]
async fn a_sender_judges_by_the_roots_that_their_file_holds_now() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
    let (old, new) = (Authority::new(), Authority::new());
    let listener = listen(&Tcp::new().tls(new.tls("jasper.test")), &TestReceiver::new()).await;
    let place = place_of(&*listener);
    let files = Files::new(&(old.root.clone(), String::new()));
    let roots = files.path("chain.pem");
    let client = Tcp::new().tls(Tls::new().roots_file(&roots).unwrap());
    let sender = sender(&client, &place, "jasper.test");
    let sent = || send(&sender, vec![envelope("take", "x")]);
    rejected(sent().await, "TLS failed");
    for unusable in ["nonsense", "", &new.certificate("jasper.test").1] {
        files.replace("chain.pem", unusable);
        rejected(sent().await, "TLS failed");
    }
    assert_eq!(log.text().matches("what it held before stays").count(), 3, "{}", log.text());
    files.replace("chain.pem", &new.root);
    sent().await.unwrap();
}

#[tokio::test]
async fn a_listener_judges_by_the_roots_and_the_lists_that_their_files_hold_now() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, list) = authority.revoked("shop.test", 7);
    let (_, list_of_another) = authority.revoked("desk.test", 8);
    let files = Files::new(&(other.root.clone(), list_of_another));
    let (chain, key) = authority.certificate("jasper.test");
    let tls = Tls::new().certificate_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let tls = tls.roots_file(files.path("chain.pem")).unwrap();
    let tls = tls.revocation_lists_file(files.path("key.pem")).unwrap();
    let server = Tcp::new().tls(tls.require_client_certificates());
    let listener = listen(&server, &TestReceiver::new()).await;
    let place = place_of(&*listener);
    let shop = || Tcp::new().tls(tls_of(&certificate, &authority));
    sent(&shop(), &place, "jasper.test").await.unwrap_err();
    files.replace("chain.pem", &authority.root);
    sent(&shop(), &place, "jasper.test").await.unwrap();
    files.replace("key.pem", &list);
    sent(&shop(), &place, "jasper.test").await.unwrap_err();
}

impl Authority {
    /// One that was made `since` hours ago, and expires in `left`.
    fn lasting(&self, since: u64, left: i64) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["jasper.test".to_owned()]).unwrap();
        let hour = Duration::from_secs(60 * 60);
        let now = SystemTime::now();
        params.not_before = (now - hour * u32::try_from(since).unwrap()).into();
        let away = hour * u32::try_from(left.unsigned_abs()).unwrap();
        params.not_after = if left < 0 { now - away } else { now + away }.into();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn a_certificate_that_is_about_to_expire_is_warned_of_once_a_day() {
    let authority = Authority::new();
    // A year with two months left, and a day with most of it left; then with less than that.
    let quiet = [(305 * 24, 60 * 24), (1, 23)];
    let warned = [(362 * 24, 3 * 24), (20, 5)].map(|lasting| (lasting, "will expire"));
    let expired = [((48, -24), "has expired"), ((365 * 24, -1), "has expired")];
    for ((since, left), expected) in
        quiet.map(|lasting| (lasting, "")).into_iter().chain(warned).chain(expired)
    {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
        let files = Files::new(&authority.lasting(since, left));
        let listener = listen(&Tcp::new().tls(files.tls()), &TestReceiver::new()).await;
        let place = place_of(&*listener);
        for _ in 0..2 {
            let client = Tcp::new().tls(authority.roots());
            assert_eq!(sent(&client, &place, "jasper.test").await.is_ok(), left > 0);
        }
        let said = log.text();
        let times = said.matches("the certificate of this process").count();
        assert_eq!(times, usize::from(!expected.is_empty()), "{since} {left}: {said}");
        assert!(said.contains(expected), "{since} {left}: {said}");
    }
}

#[tokio::test]
async fn a_side_that_names_no_protocol_or_another_one_is_refused() {
    let authority = Authority::new();
    let listener =
        listen(&Tcp::new().tls(authority.tls("jasper.test")), &TestReceiver::new()).await;
    let mut client = authority.foreign_client();
    for protocols in [vec![], vec![b"h2".to_vec()]] {
        client.alpn_protocols = protocols;
        let stream = TcpStream::connect(place_of(&*listener)).await.unwrap();
        let name = ServerName::try_from("jasper.test").unwrap();
        let connector = TlsConnector::from(Arc::new(client.clone()));
        // With another protocol TLS itself ends it; with none, TLS has no reason to.
        let Ok(mut stream) = within(connector.connect(name, stream)).await else { continue };
        let mut end = Vec::new();
        let ended = within(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut end)).await;
        assert!(ended.is_err() || end.is_empty());
    }

    let server = authority.foreign_server();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = socket.local_addr().unwrap().to_string();
    let accepting = async {
        let (stream, _from) = within(socket.accept()).await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap();
        let mut end = Vec::new();
        let _ended = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut end).await;
        assert_eq!(end, b"", "nothing is said to a side that speaks something else");
    };
    let client = Tcp::new().tls(authority.roots());
    let (result, ()) = tokio::join!(sent(&client, &place, "jasper.test"), accepting);
    rejected(result, "TLS failed");
}

fn warnings(path: &Path, mode: u32) -> String {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    SharedKey::from_file("shop", path).unwrap();
    log.text()
}

#[test]
fn a_file_with_a_secret_that_everyone_can_read_is_warned_of() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "a secret of more than sixteen bytes\n").unwrap();
    for (mode, is_warned_of) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
        let said = warnings(&path, mode);
        assert_eq!(said.contains("can be read or changed by every user"), is_warned_of, "{mode:o}");
        assert!(!said.contains("sixteen"), "{said}");
    }
}

/// What a listener says that takes so much at once.
async fn said_to_a_listener_with(numbers: [u32; 4]) -> jasper::transport::TransportError {
    use jasper::transport::Transport;

    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", socket.local_addr().unwrap());
    let sender = Tcp::new().sender(&address.parse().unwrap()).unwrap();
    let welcoming = async {
        let (stream, _from) = within(socket.accept()).await.unwrap();
        let mut raw = Raw { stream };
        raw.read().await.unwrap();
        let mut body = vec![1];
        body.extend([9; 32]);
        body.extend(numbers.into_iter().flat_map(u32::to_be_bytes));
        raw.send(&crate::raw::frame(crate::raw::WELCOME, &body)).await;
        raw.last_words().await
    };
    let sending = crate::receiver::send(&sender, vec![crate::receiver::envelope("take", "x")]);
    let (result, _words) = tokio::join!(sending, welcoming);
    result.unwrap_err()
}

#[tokio::test]
async fn a_listener_that_takes_less_than_any_may_makes_no_dead_letters() {
    const MEGABYTE: u32 = 1 << 20;
    for numbers in [
        [1, MEGABYTE, 1, 1],
        [0, MEGABYTE, 1, 1],
        [MEGABYTE, 20, 1, 1],
        [MEGABYTE, MEGABYTE, 0, 1],
        [MEGABYTE, MEGABYTE, 1, 0],
    ] {
        let error = said_to_a_listener_with(numbers).await;
        assert!(error.to_string().contains("no listener may take less"), "{error}");
    }
}
