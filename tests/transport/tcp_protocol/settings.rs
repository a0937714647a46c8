//! What is wrong with an address or a configuration is said in words, before anything is opened.

use jasper::transport::tcp::{Limits, Peer, SharedKey, Tcp, Tls};
use jasper::transport::{Direction, Transport, TransportError};
use tests::log::Log;
use tracing::Level;

use crate::receiver::{TestReceiver, listen};

fn peer() -> Peer {
    Peer::named("shop").key(SharedKey::new("2026-11", [7; 32]).unwrap())
}

#[track_caller]
fn refused(tcp: &Tcp, address: &str, direction: Direction, expected: &[&str]) {
    let uri = address.parse().unwrap();
    let error = tcp.check(&uri, direction).unwrap_err();
    for expected in expected {
        assert!(error.to_string().contains(expected), "{address}: {error}");
    }
}

#[track_caller]
fn allowed(tcp: &Tcp, address: &str, direction: Direction) {
    tcp.check(&address.parse().unwrap(), direction).unwrap();
}

#[test]
fn within_one_machine_nothing_has_to_be_configured() {
    for host in ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"] {
        for scheme in ["tcp", "durable"] {
            for direction in [Direction::Send, Direction::Listen] {
                allowed(&Tcp::new(), &format!("{scheme}://{host}:5580"), direction);
            }
        }
    }
}

#[test]
fn plaintext_beyond_the_machine_is_refused_with_both_ways_out() {
    let expected = ["in the clear", "`.tls(…)`", "`.allow_plaintext_beyond_loopback()`"];
    for address in ["tcp://shop.internal:5580", "durable://0.0.0.0:5580", "tcp://[::]:5580"] {
        for direction in [Direction::Send, Direction::Listen] {
            refused(&Tcp::new(), address, direction, &expected);
            let error = Tcp::new().check(&address.parse().unwrap(), direction).unwrap_err();
            assert!(matches!(error, TransportError::Insecure { .. }));
        }
    }
    let told = Tcp::new().allow_plaintext_beyond_loopback();
    allowed(&told, "tcp://shop.internal:5580", Direction::Send);
    allowed(&told.peer(peer()), "tcp://0.0.0.0:5580", Direction::Listen);
}

#[test]
fn a_listener_for_everyone_beyond_the_machine_is_refused_with_both_ways_out() {
    let open = Tcp::new().allow_plaintext_beyond_loopback();
    let expected = ["everyone", "Peer::named", "`.allow_unauthenticated_beyond_loopback()`"];
    refused(&open, "tcp://0.0.0.0:5580", Direction::Listen, &expected);
    let told = open.allow_unauthenticated_beyond_loopback();
    allowed(&told, "tcp://0.0.0.0:5580", Direction::Listen);
}

#[test]
fn unknown_options_are_refused_with_those_that_there_are() {
    let expected = ["no option `nodelay`", "`server_name`"];
    refused(&Tcp::new(), "tcp://127.0.0.1:1?nodelay=1", Direction::Send, &expected);
    let expected = ["no option `server_name`", "has none"];
    refused(&Tcp::new(), "tcp://127.0.0.1:1?server_name=a", Direction::Listen, &expected);
    let expected = ["`server_name` is for TLS"];
    refused(&Tcp::new(), "tcp://127.0.0.1:1?server_name=a", Direction::Send, &expected);
}

#[test]
fn addresses_of_other_forms_are_refused() {
    refused(&Tcp::new(), "amqp://127.0.0.1:1", Direction::Send, &["`tcp` and `durable`"]);
    refused(&Tcp::new(), "tcp://127.0.0.1:1/queue", Direction::Send, &["`/queue` is too much"]);
    refused(&Tcp::new(), "tcp://127.0.0.1:0", Direction::Send, &["port 0"]);
    allowed(&Tcp::new(), "tcp://127.0.0.1:0", Direction::Listen);
}

#[test]
fn tls_that_lacks_a_part_is_refused_with_the_part() {
    let tcp = Tcp::new().tls(Tls::new());
    refused(&tcp, "tcp://127.0.0.1:1", Direction::Send, &["no roots", "Tls::roots_file"]);
    let expected = ["no certificate", "Tls::certificate_files"];
    refused(&tcp, "tcp://127.0.0.1:1", Direction::Listen, &expected);
    let certified = Tcp::new().peer(Peer::named("shop").certificate("shop.internal"));
    refused(&certified, "tcp://127.0.0.1:1", Direction::Listen, &["takes TLS", "`.tls(…)`"]);
}

#[tokio::test]
async fn an_address_that_is_taken_or_refused_is_not_listened_at() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", taken.local_addr().unwrap());
    let receiver = crate::receiver::TestReceiver::new();
    let tcp = Tcp::new();
    let error = tcp.listen(address.parse().unwrap(), receiver.clone()).await.unwrap_err();
    assert!(matches!(error, TransportError::Bind { .. }), "{error}");
    let error = tcp.listen("tcp://0.0.0.0:0".parse().unwrap(), receiver).await.unwrap_err();
    assert!(matches!(error, TransportError::Insecure { .. }), "{error}");
}

#[tokio::test]
async fn a_listener_knows_the_port_that_the_system_gave() {
    let receiver = crate::receiver::TestReceiver::new();
    for address in ["tcp://127.0.0.1:0", "durable://localhost:0"] {
        let listener = crate::receiver::listen_at(&Tcp::new(), &receiver, address).await;
        let bound = listener.address();
        assert!(bound.as_str().starts_with(address.trim_end_matches('0')), "{bound}");
        assert!(!bound.as_str().ends_with(":0"), "{bound}");
        listener.stop().await;
    }
}

#[test]
fn no_secret_is_in_what_debug_shows() {
    let secret = "canary-canary-canary";
    let key = SharedKey::new("id", secret).unwrap();
    let tcp = Tcp::new().identity(key.clone()).peer(Peer::named("shop").key(key));
    let sender = tcp.sender(&"tcp://127.0.0.1:1".parse().unwrap()).unwrap();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", secret.as_bytes());
    let list = list.trim_matches(['[', ']']);
    let shown = format!("{tcp:?} {tcp:#?} {sender:?}");
    for form in [secret, &hex, list] {
        assert!(!shown.contains(form), "{shown}");
    }
}

#[tokio::test]
async fn a_listener_that_takes_more_than_the_process_may_open_warns_at_its_start() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
    let receiver = TestReceiver::new();
    let (_soft, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
    rlimit::setrlimit(rlimit::Resource::NOFILE, 600, hard).unwrap();
    let few = Limits::default().connections(100).handshakes(100);
    listen(&Tcp::new().limits(few), &receiver).await;
    assert_eq!(log.text(), "");
    listen(&Tcp::new(), &receiver).await;
    let text = log.text();
    assert!(text.contains("too few file descriptors"), "{text}");
    assert!(text.contains("allowed=600 wanted=896"), "{text}");
}
