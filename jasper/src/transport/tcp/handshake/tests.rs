//! Handshakes between two sides in memory, honest and otherwise.

#![cfg(test)]

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

use super::super::frame::{Frame, Rejected};
use super::super::limits::Limits;
use super::super::peer::{Peer, Peers, SharedKey};
use super::super::reader::FrameReader;
use super::super::shares::Places;
use super::super::streams::Binding;
use super::super::vitals::Vitals;
use super::wire::write;
use super::*;

type TestEnd = (FrameReader<ReadHalf<DuplexStream>>, WriteHalf<DuplexStream>);

fn ends() -> (TestEnd, TestEnd) {
    let (here, there) = tokio::io::duplex(1 << 16);
    let end = |stream| {
        let (reading, writing) = tokio::io::split(stream);
        (FrameReader::new(reading, Arc::new(Vitals::new())), writing)
    };
    (end(here), end(there))
}

fn key(id: &str, byte: u8) -> SharedKey {
    SharedKey::new(id, [byte; 32]).unwrap()
}

fn peers() -> Peers {
    let mut peers = Peers::default();
    peers.add(Peer::named("shop").key(key("old", 1)).key(key("new", 2)));
    peers.add(Peer::named("billing").key(key("other", 3)));
    peers
}

/// One handshake: what the client and what the server make of it.
async fn shake(
    identity: Option<SharedKey>,
    peers: Peers,
    bindings: (Option<Binding>, Option<Binding>),
) -> (Result<Agreed, ClientError>, Result<AcceptedPeer, WelcomeError>) {
    let (mut client, server) = ends();
    let limits = Limits::default();
    let places = Places::new(&limits);
    let welcoming = Welcoming {
        limits: &limits,
        peers: &peers,
        places: &places,
        from: IpAddr::from([127, 0, 0, 1]),
        binding: bindings.1.as_ref(),
        certificate: None,
    };
    let dialling = async move {
        let (reader, writer) = (&mut client.0, &mut client.1);
        greet(reader, writer, identity.as_ref(), bindings.0.as_ref(), &Limits::default()).await
    };
    tokio::join!(dialling, serve(server, &welcoming))
}

/// What a listener does with a connection.
async fn serve(
    (mut reader, mut writer): TestEnd,
    welcoming: &Welcoming<'_>,
) -> Result<AcceptedPeer, WelcomeError> {
    let result = welcome(&mut reader, &mut writer, welcoming).await;
    if let Err(WelcomeError::Rejected(rejected)) = &result {
        turn_away(&mut reader, &mut writer, rejected.clone()).await;
    }
    result
}

fn rejected(result: Result<Agreed, ClientError>) -> String {
    match result {
        Err(ClientError::Rejected(why)) => why.to_string(),
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test]
async fn each_key_of_a_peer_proves_its_name() {
    for (id, byte, name) in [("old", 1, "shop"), ("new", 2, "shop"), ("other", 3, "billing")] {
        let (client, server) = shake(Some(key(id, byte)), peers(), (None, None)).await;
        assert_eq!(client.unwrap().batches, Limits::default().batches);
        assert_eq!(&**server.unwrap().peer.unwrap().name(), name);
    }
}

#[tokio::test]
async fn a_wrong_secret_an_unknown_name_and_a_foreign_key_get_the_same_answer() {
    let mut answers = Vec::new();
    for (id, byte) in [("old", 9), ("none", 1), ("old", 2)] {
        let (client, server) = shake(Some(key(id, byte)), peers(), (None, None)).await;
        assert!(matches!(server, Err(WelcomeError::Rejected(Rejected { .. }))));
        answers.push(rejected(client));
    }
    assert!(answers[0].contains("not that of a peer"), "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_side_without_a_key_gets_an_error_that_says_so_and_an_unknown_key_is_refused() {
    let (client, _server) = shake(None, peers(), (None, None)).await;
    assert!(rejected(client).contains("known peers only"));
    let (client, _server) = shake(Some(key("old", 1)), Peers::default(), (None, None)).await;
    assert!(rejected(client).contains("not that of a peer"));
    let (client, server) = shake(None, Peers::default(), (None, None)).await;
    assert!(client.is_ok());
    assert!(server.unwrap().peer.is_none());
}

#[tokio::test]
async fn a_proof_holds_in_its_own_session_of_tls_only() {
    let (client, _server) =
        shake(Some(key("old", 1)), peers(), (Some([1; 32]), Some([1; 32]))).await;
    assert!(client.is_ok());
    let others = [(Some([1; 32]), Some([2; 32])), (Some([1; 32]), None), (None, Some([1; 32]))];
    for bindings in others {
        let (client, _server) = shake(Some(key("old", 1)), peers(), bindings).await;
        rejected(client);
    }
}

/// Plays the server by hand: answers the hello with this welcome, and the proof with what `ready`
/// makes of it.
async fn against(
    welcome: Frame,
    ready: impl FnOnce(Option<super::super::frame::Proof>) -> Frame,
) -> Result<Agreed, ClientError> {
    let (mut client, (mut reader, mut writer)) = ends();
    let identity = key("old", 1);
    let limits = Limits::default();
    let playing = async move {
        let patience = super::super::reader::ReadLimits {
            limit: 4_096,
            idle: limits.handshake,
            frame: limits.handshake,
        };
        let allowance = super::super::budget::Allowance::unbounded();
        reader.next(patience, &allowance).await.unwrap().unwrap();
        write(&mut writer, welcome).await.unwrap();
        let Ok(Some(raw)) = reader.next(patience, &allowance).await else { return };
        let Frame::Proof(proof) = Frame::decode(raw.kind, raw.body).unwrap() else {
            panic!("a proof comes next")
        };
        write(&mut writer, ready(proof)).await.unwrap();
    };
    let dialling =
        async move { greet(&mut client.0, &mut client.1, Some(&identity), None, &limits).await };
    tokio::join!(dialling, playing).0
}

fn a_welcome(version: u8) -> Frame {
    let (frame, window) = (1 << 20, 1 << 20);
    let nonce = [3; 32];
    let (batches, requests) = (1, 1);
    Frame::Welcome(super::super::frame::Welcome {
        version,
        nonce,
        frame,
        window,
        batches,
        requests,
    })
}

#[tokio::test]
async fn a_server_that_sends_the_proof_back_has_proved_nothing() {
    let why = rejected(against(a_welcome(1), Frame::Ready).await);
    assert!(why.contains("cannot prove"), "{why}");
}

#[tokio::test]
async fn a_server_without_a_proof_is_refused_by_who_has_a_key() {
    let why = rejected(against(a_welcome(1), |_proof| Frame::Ready(None)).await);
    assert!(why.contains("cannot prove that it has the key `old`"), "{why}");
}

#[tokio::test]
async fn a_version_that_was_not_offered_is_refused_in_words() {
    for version in [0, 2, 255] {
        let why = rejected(against(a_welcome(version), |_proof| Frame::Ready(None)).await);
        assert!(why.contains(&format!("version {version}")), "{why}");
    }
}

/// Sends these bytes to a server, and gives what it answers.
async fn answer_to(bytes: &[u8]) -> Vec<u8> {
    let (here, there) = tokio::io::duplex(1 << 16);
    let (reading, writing) = tokio::io::split(there);
    let reader = FrameReader::new(reading, Arc::new(Vitals::new()));
    let (limits, peers) = (Limits::default(), peers());
    let places = Places::new(&limits);
    let welcoming = Welcoming {
        limits: &limits,
        peers: &peers,
        places: &places,
        from: IpAddr::from([127, 0, 0, 1]),
        binding: None,
        certificate: None,
    };
    let (mut read, mut write) = tokio::io::split(here);
    let talking = async {
        write.write_all(bytes).await.unwrap();
        write.shutdown().await.unwrap();
        let mut answer = Vec::new();
        read.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let serving = async {
        serve((reader, writing), &welcoming).await.unwrap_err();
    };
    tokio::join!(talking, serving).0
}

#[tokio::test]
async fn versions_that_do_not_meet_and_foreign_protocols_are_refused_in_words() {
    let hello = Frame::Hello(super::super::frame::Hello {
        lowest: 2,
        highest: 9,
        nonce: [1; 32],
        frame: 1,
        key_id: String::new(),
    });
    let cases: [(Vec<u8>, &str); 4] = [
        (hello.encode().into_segments().concat(), "version 2 to 9"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "a frame of"),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), "speaks TLS"),
        (Frame::Ping.encode().into_segments().concat(), "order of the handshake"),
    ];
    for (bytes, expected) in cases {
        let answer = answer_to(&bytes).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_recorded_handshake_cannot_be_played_again() {
    let (mut client, mut server) = ends();
    let identity = key("old", 1);
    let limits = Limits::default();
    let places = Places::new(&limits);
    let known = peers();
    let welcoming = Welcoming {
        limits: &limits,
        peers: &known,
        places: &places,
        from: IpAddr::from([127, 0, 0, 1]),
        binding: None,
        certificate: None,
    };
    // What a client says is recorded by a server that lets it through unchanged.
    let (recording, recorder) = tokio::io::duplex(1 << 16);
    let (mut from_client, mut to_client) = tokio::io::split(recorder);
    let (reading, mut writing) = tokio::io::split(recording);
    client.0 = FrameReader::new(reading, Arc::new(Vitals::new()));
    let (to_server, from_server) = (&mut client.1, &mut server.1);
    let dialling = greet(&mut client.0, &mut writing, Some(&identity), None, &limits);
    let _unused = from_server;
    let said = async {
        let mut said = vec![0; 4 + 1 + 8 + 2 + 32 + 4 + 2 + 3];
        from_client.read_exact(&mut said).await.unwrap();
        write(&mut to_client, a_welcome(1)).await.unwrap();
        let mut proof = vec![0; 4 + 1 + 32];
        from_client.read_exact(&mut proof).await.unwrap();
        write(&mut to_client, Frame::Ready(None)).await.unwrap();
        said.extend(proof);
        said
    };
    let (_client, said) = tokio::join!(dialling, said);
    to_server.write_all(&said).await.unwrap();
    to_server.shutdown().await.unwrap();
    let result = welcome(&mut server.0, &mut server.1, &welcoming).await;
    let Err(WelcomeError::Rejected(rejected)) = result else { panic!("not rejected: {result:?}") };
    assert!(rejected.why.contains("not that of a peer"), "{}", rejected.why);
}
