//! Who may connect, by shared keys, and what it may send.

use std::time::Duration;

use jasper::message::MessageType;
use jasper::transport::tcp::{Peer, SharedKey, Tcp};
use jasper::transport::{FailureKind, Receipt, Transport, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::raw::{self, HELLO, PROOF, READY, Raw};
use crate::receiver::{TestReceiver, envelope, listen, pair, request, send, sender_to, within};

fn key(id: &str, byte: u8) -> SharedKey {
    SharedKey::new(id, [byte; 32]).unwrap()
}

fn shop() -> Tcp {
    Tcp::new().peer(Peer::named("shop").key(key("old", 1)).key(key("new", 2)))
}

#[tokio::test]
async fn a_peer_keeps_its_name_while_its_keys_change() {
    let receiver = TestReceiver::new();
    let listener = listen(&shop(), &receiver).await;
    for identity in [key("old", 1), key("new", 2)] {
        let sender = sender_to(&Tcp::new().identity(identity), &*listener);
        send(&sender, vec![envelope("take", "")]).await.unwrap();
        sender.request(request("take", "", Duration::from_secs(5))).await.unwrap().unwrap();
    }
    let peers: Vec<_> = receiver.seen().into_iter().map(|seen| seen.peer.unwrap()).collect();
    assert_eq!(peers, ["shop"; 4]);
}

#[tokio::test]
async fn who_cannot_prove_who_it_is_sends_nothing() {
    let receiver = TestReceiver::new();
    let listener = listen(&shop(), &receiver).await;
    let strangers = [
        (Tcp::new().identity(key("old", 9)), "not that of a peer"),
        (Tcp::new().identity(key("unknown", 1)), "not that of a peer"),
        (Tcp::new().identity(key("old", 2)), "not that of a peer"),
        (Tcp::new(), "known peers only"),
    ];
    for (stranger, expected) in strangers {
        let sender = sender_to(&stranger, &*listener);
        let error = send(&sender, vec![envelope("take", "")]).await.unwrap_err();
        assert!(matches!(error, TransportError::Rejected { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn who_has_a_key_sends_nothing_to_who_does_not() {
    let (receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let sender = sender_to(&Tcp::new().identity(key("old", 1)), &*listener);
    let error = send(&sender, vec![envelope("take", "secret")]).await.unwrap_err();
    assert!(matches!(error, TransportError::Rejected { .. }), "{error}");
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn the_proofs_are_what_the_protocol_says() {
    let receiver = TestReceiver::new();
    let listener = listen(&shop(), &receiver).await;
    let mut raw = Raw::connect(&*listener).await;
    let hello = raw::hello([1, 1], [5; 32], "old");
    raw.send(&raw::frame(HELLO, &hello)).await;
    let (_kind, welcome) = raw.read().await.unwrap();
    let proof = raw::proof("client", &[1; 32], &hello, &welcome, b"");
    raw.send(&raw::frame(PROOF, &proof)).await;
    let (kind, proof) = raw.read().await.unwrap();
    assert_eq!(kind, READY);
    assert_eq!(proof, raw::proof("server", &[1; 32], &hello, &welcome, b""));
}

#[tokio::test]
async fn a_proof_of_the_wrong_kind_is_no_proof() {
    let receiver = TestReceiver::new();
    let listener = listen(&shop(), &receiver).await;
    let hello = raw::hello([1, 1], [5; 32], "old");
    for case in ["none", "short", "server", "other session"] {
        let mut raw = Raw::connect(&*listener).await;
        raw.send(&raw::frame(HELLO, &hello)).await;
        let (_kind, welcome) = raw.read().await.unwrap();
        let proof = match case {
            "none" => Vec::new(),
            "short" => raw::proof("client", &[1; 32], &hello, &welcome, b"")[..31].to_vec(),
            "server" => raw::proof("server", &[1; 32], &hello, &welcome, b""),
            _ => raw::proof("client", &[1; 32], &hello, &welcome, &[3; 32]),
        };
        raw.send(&raw::frame(PROOF, &proof)).await;
        let words = raw.last_words().await;
        assert!(words.contains("not that of a peer") || case == "short", "{case}: {words}");
        assert!(!words.is_empty());
    }
}

#[tokio::test]
async fn a_stranger_gets_nothing_that_was_computed_with_a_key() {
    let receiver = TestReceiver::new();
    let listener = listen(&shop(), &receiver).await;
    let mut welcomes = Vec::new();
    for id in ["old", "unknown"] {
        let mut raw = Raw::connect(&*listener).await;
        raw.send(&raw::frame(HELLO, &raw::hello([1, 1], [5; 32], id))).await;
        let (_kind, mut welcome) = raw.read().await.unwrap();
        welcome[1..33].fill(0);
        welcomes.push(welcome);
    }
    assert_eq!(welcomes[0], welcomes[1], "but for the nonce they are the same");
}

#[tokio::test]
async fn a_recorded_conversation_cannot_be_played_again() {
    let receiver = TestReceiver::new();
    let listener = listen(&shop(), &receiver).await;
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", between.local_addr().unwrap());
    let client = Tcp::new().identity(key("old", 1));
    let sender = client.sender(&address.parse().unwrap()).unwrap();
    let recording = async {
        let (mut near, _from) = within(between.accept()).await.unwrap();
        let mut far = TcpStream::connect(raw::place_of(&*listener)).await.unwrap();
        let (mut said, mut buffer) = (Vec::new(), [0; 4_096]);
        let (mut from_near, mut to_near) = near.split();
        let (mut from_far, mut to_far) = far.split();
        let back = tokio::io::copy(&mut from_far, &mut to_near);
        let forth = async {
            while let Ok(read @ 1..) = from_near.read(&mut buffer).await {
                said.extend(&buffer[..read]);
                to_far.write_all(&buffer[..read]).await.unwrap();
            }
            to_far.shutdown().await
        };
        let _ended = tokio::join!(back, forth);
        said
    };
    let sending = async {
        send(&sender, vec![envelope("take", "once")]).await.unwrap();
        drop((client, sender));
    };
    let (said, ()) = tokio::join!(within(recording), sending);
    assert_eq!(receiver.seen().len(), 1);
    let mut raw = Raw::connect(&*listener).await;
    raw.send(&said).await;
    let words = raw.last_words().await;
    assert!(words.contains("not that of a peer"), "{words}");
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn what_a_peer_may_not_send_never_reaches_the_receiver() {
    let peer = Peer::named("shop").key(key("old", 1)).allow_type(MessageType::new("take", 1));
    let receiver = TestReceiver::new();
    let listener = listen(&Tcp::new().peer(peer), &receiver).await;
    let sender = sender_to(&Tcp::new().identity(key("old", 1)), &*listener);
    let sent = ["never", "take", "later", "take"].map(|name| envelope(name, name)).to_vec();
    let receipts = send(&sender, sent).await.unwrap();
    let refused = |name: &str| Receipt::refused(format!("the peer `shop` may not send `{name}@1`"));
    let expected = [refused("never"), Receipt::Accepted, refused("later"), Receipt::Accepted];
    assert_eq!(receipts, expected);
    assert_eq!(receiver.payloads(), ["take", "take"]);
    let asked = request("fail", "", Duration::from_secs(5));
    let failure = sender.request(asked).await.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Forbidden);
    assert_eq!(receiver.seen().len(), 2);
    let only_forbidden = send(&sender, vec![envelope("never", "")]).await.unwrap();
    assert_eq!(only_forbidden, [refused("never")]);
    assert_eq!(receiver.batches(), [2], "the receiver is not bothered");
}
